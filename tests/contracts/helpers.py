"""The words in which the tests of the contracts speak.

What a round is made of differs from round to round: its plan, its key and their secret, its model, its report and each
update are named after the round, so that a contract that remembers those of another round is found out.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import eth_account
import pytest

from .chain import CHAIN, Contract, Person, Refused, Struct, Transaction

NONE, TRAINING, AGGREGATING, FINALIZED, ABANDONED = range(5)
OPEN, VOUCHER = range(2)  # admission
AUDIT_OPEN, AUDIT_APPOINTED = range(2)
ACCEPTED, NOT_SELECTED, ALREADY_SUBMITTED, ZERO_UPDATE, COMPUTE_TIME, CLAIM_FIRST = range(6)  # Refusal
ZERO_ADDRESS = "0x" + "0" * 40
ZERO_CID = "0x" + "0" * 64
ZERO_DIGEST = "0x" + "0" * 40
NO_VOUCHER = (0, 0, b"")

HOUR = 3600
MIN_PERIOD = 30
MAX_PERIOD = 30 * 24 * HOUR
MAX_UPDATES = 1000
BASIS_POINTS = 10_000
GWEI = 10**9
ETHER = 10**18
NANO = 10**9  # parts of a unit in which rates count
WAGE = GWEI * NANO  # 1 gwei a second
MOST = 2**112 - 1  # of an amount
FOREVER = 2**40 - 1  # the last expiry there is

STAKE = 1000  # of the fixture `staked`
MAX_SLASH_RATE = 5000

_salts = itertools.count()


def digest(name: str) -> str:
    """32 bytes that stand for the CID, the key or the secret of that name."""
    return "0x" + hashlib.sha256(name.encode()).hexdigest()


def plan_of(round: int) -> str:
    return digest(f"plan of round {round}")


def key_of(round: int) -> str:
    return digest(f"sealing key of round {round}")


def secret_of(round: int) -> str:
    return digest(f"secret of round {round}")


def model_of(round: int) -> str:
    """What the round releases; of round 0, what the first round starts from."""
    return digest(f"model of round {round}")


def report_of(round: int) -> str:
    return digest(f"report of round {round}")


def update_of(round: int, client: Any) -> str:
    return digest(f"update of {client} in round {round}")


class FederationTerms(NamedTuple):
    """In the order of the interface: the native coin, no stake, open to everybody, a pool that never binds."""

    asset: str = ZERO_ADDRESS
    stake: int = 0
    max_slash_rate: int = 0
    admission: int = OPEN
    audit_policy: int = AUDIT_OPEN
    max_spread: int = 1
    idle_rounds: int = 0


class RoundTerms(NamedTuple):
    """In the order of the interface."""

    plan_cid: str
    sealing_key: str
    training_period: int
    aggregation_period: int
    max_updates: int
    max_compute_ms: int
    selection_rate: int
    reward_rate_cap: int
    reward: int


def terms_of_round(round: int, **changes: Any) -> RoundTerms:
    """A wage of 1 gwei a second, with money for all that ten clients may claim."""
    usual = RoundTerms(plan_of(round), key_of(round), HOUR, 2 * HOUR, 10, 100_000, BASIS_POINTS, WAGE, 1000 * GWEI)
    return usual._replace(**changes)


SOMEBODY = "0x" + "1" * 40
OWNERS_CALLS: dict[str, list[Any]] = {
    "setOperator": [SOMEBODY],
    "pause": [],
    "unpause": [],
    "revokeVoucher": [1],
    "close": [],
    "withdraw": [SOMEBODY],
    "transferOwnership": [SOMEBODY],
}
ORGANIZATIONS_CALLS: dict[str, list[Any]] = {
    "setInitialModel": [model_of(0)],
    "openRound": [terms_of_round(1, reward=0), ZERO_DIGEST],
    "finalizeRound": [(1, ZERO_DIGEST, model_of(1), report_of(1), secret_of(1), [])],
}


@contextlib.contextmanager
def reverts(error: str, *values: Any) -> Iterator[None]:
    """Expects exactly this error with exactly these values."""
    with pytest.raises(Refused) as refused:
        yield
    assert (refused.value.error, refused.value.values) == (error, tuple(map(_as_decoded, values)))


def _as_decoded(value: Any) -> Any:
    """A word stands for itself as a bytes32."""
    if isinstance(value, str | Contract):
        text = str(value)
        return text if text.startswith("0x") else "0x" + text.encode().ljust(32, b"\0").hex()
    return value


def now() -> int:
    return CHAIN.now


def mine_at(time: int) -> None:
    """Views see this time, and the next transaction happens at it."""
    CHAIN.move_to(time)


def request(method: str, *parameters: Any) -> Any:
    return CHAIN.request(method, *parameters)


# -------------------------------------------------------------------------------------------------- federation


def create_federation(factory: Contract, owner: Any, **changes: Any) -> Contract:
    """A clone that the factory makes; `changes` are of FederationTerms. No two are alike."""
    terms = FederationTerms(**changes)
    made = factory.createFederation(terms._replace(asset=str(terms.asset)), next(_salts), {"from": owner})
    return Contract("Federation", made.return_value)


class Makers:
    """The one factory of a session, which `deploy_federation` asks."""

    factory: Contract


def deploy_federation(owner: Any, members: Iterable[Any] = (), **changes: Any) -> Contract:
    """A federation with an initial model and these members; `changes` are of FederationTerms."""
    federation = create_federation(Makers.factory, owner, **changes)
    federation.setInitialModel(model_of(0), {"from": owner})
    for client in members:
        register(federation, client)
    return federation


def owner_of(federation: Contract) -> str:
    return str(federation.owner())


def terms_of(federation: Contract) -> FederationTerms:
    return FederationTerms(*federation.terms())


def token_of(federation: Contract) -> Contract:
    """What a federation pays with that does not pay with the native coin; anybody can mint it."""
    return Contract("Token", terms_of(federation).asset)


def balance_of(federation: Contract, holder: Any) -> int:
    """What somebody has of the federation's asset."""
    if terms_of(federation).asset == ZERO_ADDRESS:
        return CHAIN.balance_of(holder)
    return int(token_of(federation).balanceOf(holder))


def payment(federation: Contract, payer: Any, amount: int) -> dict[str, Any]:
    """What a transaction that pays is sent with: the coins, or none after a token was minted and approved."""
    if terms_of(federation).asset == ZERO_ADDRESS:
        return {"from": payer, "value": amount}
    if amount:
        token = token_of(federation)
        token.mint(payer, amount, {"from": payer})
        token.approve(federation, amount, {"from": payer})
    return {"from": payer}


# -------------------------------------------------------------------------------------------------- membership


def register(federation: Contract, client: Any) -> Transaction:
    """Pays the stake, and shows a voucher where one is needed."""
    terms = terms_of(federation)
    if terms.admission == OPEN:
        return federation.register(payment(federation, client, terms.stake))
    return register_with_voucher(federation, client, int(str(client), 16) + now())


def register_with_voucher(
    federation: Contract, client: Any, id: int, expiry: int = FOREVER, signature: bytes | None = None
) -> Transaction:
    if signature is None:
        signature = sign_voucher(federation, client, id, expiry)
    paid = payment(federation, client, terms_of(federation).stake)
    return federation.registerWithVoucher((id, expiry, signature), paid)


def register_signed(
    federation: Contract,
    client: Person,
    sender: Any,
    *,
    deadline: int = FOREVER,
    signature: tuple[bytes, bytes] | None = None,
    voucher: tuple[int, int, bytes] = NO_VOUCHER,
) -> Transaction:
    """Somebody sends what the client signed."""
    signature = signature or sign_registration(federation, client, deadline=deadline)
    return federation.registerSigned(client, deadline, signature, voucher, {"from": sender})


def leave(federation: Contract, client: Any, to: Any = None) -> Transaction:
    return federation.leave(to or client, {"from": client})


def leave_signed(
    federation: Contract,
    client: Person,
    sender: Any,
    *,
    to: Any = None,
    deadline: int = FOREVER,
    signature: tuple[bytes, bytes] | None = None,
) -> Transaction:
    """Somebody sends what the client signed."""
    to = to or client
    signature = signature or sign_leaving(federation, client, to=to, deadline=deadline)
    return federation.leaveSigned(client, to, deadline, signature, {"from": sender})


# -------------------------------------------------------------------------------------------------- signatures

TYPES = {
    "Voucher": {"client": "address", "id": "uint256", "expiry": "uint40", "ownerNonce": "uint32"},
    "Update": {"round": "uint24", "sealingKey": "bytes32", "updateCid": "bytes32", "computeMs": "uint32"},
    "Registration": {"round": "uint24", "deadline": "uint40"},
    "Leaving": {"round": "uint24", "to": "address", "deadline": "uint40"},
}


def typed_data(
    kind: str,
    federation: Any,
    values: dict[str, Any],
    *,
    chain_id: int | None = None,
    contract: Any = None,
    name: str = "Koinon",
    version: str = "2",
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Domain, types and message of EIP-712, as the interface says."""
    domain = {
        "name": name,
        "version": version,
        "chainId": chain_id or int(request("eth_chainId"), 16),
        "verifyingContract": str(contract or federation),
    }
    types = {kind: [{"name": field, "type": type} for field, type in TYPES[kind].items()]}
    plain = {field: value if isinstance(value, int) else str(value) for field, value in values.items()}
    return domain, types, plain


def sign(key: bytes, kind: str, federation: Any, values: dict[str, Any], **domain: Any) -> bytes:
    """65 bytes."""
    data = typed_data(kind, federation, values, **domain)
    return bytes(eth_account.Account.sign_typed_data(key, *data).signature)


def compact(signature: bytes) -> tuple[bytes, bytes]:
    """r and vs (ERC-2098) of 65 bytes."""
    s, v = int.from_bytes(signature[32:64], "big"), signature[64]
    return signature[:32], (s | (v - 27) << 255).to_bytes(32, "big")


def sign_voucher(
    federation: Any,
    client: Any,
    id: int,
    expiry: int = FOREVER,
    *,
    signer: Person | None = None,
    owner_nonce: int | None = None,
    **domain: Any,
) -> bytes:
    """The signature of the owner, or of the signer."""
    if owner_nonce is None:
        owner_nonce = federation.ownerNonce()
    key = signer.key if signer else PEOPLE[owner_of(federation)].key
    values = {"client": client, "id": id, "expiry": expiry, "ownerNonce": owner_nonce}
    return sign(key, "Voucher", federation, values, **domain)


def sign_update(
    federation: Any,
    client: Person,
    compute_ms: int = 1000,
    *,
    round: int | None = None,
    sealing_key: str | None = None,
    update_cid: str | None = None,
    **domain: Any,
) -> tuple[str, int, bytes, bytes]:
    """A SignedUpdate, by default for the latest round. A decline: no CID and no time."""
    round = federation.roundCount() if round is None else round
    cid = update_cid or update_of(round, client)
    key = sealing_key or key_of(round)
    values = {"round": round, "sealingKey": key, "updateCid": cid, "computeMs": compute_ms}
    return (cid, compute_ms, *compact(sign(client.key, "Update", federation, values, **domain)))


def sign_decline(federation: Any, client: Person, **changes: Any) -> tuple[str, int, bytes, bytes]:
    return sign_update(federation, client, 0, update_cid=ZERO_CID, **changes)


def sign_registration(
    federation: Any, client: Person, *, round: int | None = None, deadline: int = FOREVER, **domain: Any
) -> tuple[bytes, bytes]:
    round = federation.roundCount() if round is None else round
    return compact(sign(client.key, "Registration", federation, {"round": round, "deadline": deadline}, **domain))


def sign_leaving(
    federation: Any,
    client: Person,
    *,
    to: Any = None,
    round: int | None = None,
    deadline: int = FOREVER,
    **domain: Any,
) -> tuple[bytes, bytes]:
    round = federation.roundCount() if round is None else round
    values = {"round": round, "to": to or client, "deadline": deadline}
    return compact(sign(client.key, "Leaving", federation, values, **domain))


# ------------------------------------------------------------------------------------------------------- people

PEOPLE: dict[str, Person] = {}


def person(name: str, *, fortune: int = 10**6 * ETHER) -> Person:
    """Somebody with a key and coins."""
    somebody = PEOPLE.setdefault(str(found := Person.named(name)), found)
    CHAIN.set_balance(somebody, fortune)
    return somebody


# ------------------------------------------------------------------------------------------------------- rounds


def view(federation: Contract, client: Any = ZERO_ADDRESS) -> Struct:
    found: Struct = federation.roundView(client)
    return found


def digest_of(federation: Contract) -> str:
    return str(view(federation)["digest"])


def client_of(federation: Contract, client: Any) -> Struct:
    found: Struct = view(federation, client)["client"]
    return found


def owed(federation: Contract, *clients: Any) -> Any:
    """What the client could claim now; a list where there are several."""
    amounts = [federation.balanceOf(client)[0] for client in clients]
    return amounts[0] if len(amounts) == 1 else amounts


def stake_of(federation: Contract, *clients: Any) -> Any:
    """What is left of a stake; a list where there are several."""
    amounts = [federation.balanceOf(client)[1] for client in clients]
    return amounts[0] if len(amounts) == 1 else amounts


def open_round(
    federation: Contract,
    wait: int = 200,
    *,
    sender: Any = None,
    previous_digest: str | None = None,
    **changes: Any,
) -> int:
    """Opens a round and lets `wait` seconds pass, so that clients can claim compute time."""
    terms = terms_of_round(federation.roundCount() + 1, **changes)
    paid = payment(federation, sender or owner_of(federation), terms.reward)
    before = digest_of(federation) if previous_digest is None else previous_digest
    round = int(federation.openRound(terms, before, paid).return_value)
    if wait:
        mine_at(now() + wait)
    return round


def submit(
    federation: Contract,
    client: Any,
    compute_ms: int = 1000,
    *,
    round: int | None = None,
    sealing_key: str | None = None,
    update_cid: str | None = None,
) -> Transaction:
    round = federation.roundCount() if round is None else round
    cid = update_cid or update_of(round, client)
    return federation.submitUpdate(round, sealing_key or key_of(round), cid, compute_ms, {"from": client})


def decline(
    federation: Contract, client: Any, *, round: int | None = None, sealing_key: str | None = None
) -> Transaction:
    round = federation.roundCount() if round is None else round
    return federation.decline(round, sealing_key or key_of(round), {"from": client})


def relay(
    federation: Contract,
    signed: Sequence[tuple[str, int, bytes, bytes]],
    sender: Any,
    *,
    round: int | None = None,
    sealing_key: str | None = None,
) -> Transaction:
    """Submits what clients signed, all at once."""
    round = federation.roundCount() if round is None else round
    return federation.submitUpdates(round, sealing_key or key_of(round), list(signed), {"from": sender})


def finalize(
    federation: Contract,
    adjustments: dict[Any, int | tuple[int, int]] | None = None,
    *,
    round: int | None = None,
    triples: list[tuple[Any, int, int]] | None = None,
    digest: str | None = None,
    model_cid: str | None = None,
    report_cid: str | None = None,
    secret: str | None = None,
    sender: Any = None,
) -> Transaction:
    """Finalizes the latest round with all of its updates.

    `adjustments` (client: credited ms, or credited ms and slash rate) are put in order; `triples` stay as they are.
    The secret is what the audit policy asks for.
    """
    round = federation.roundCount() if round is None else round
    if secret is None:
        secret = secret_of(round) if terms_of(federation).audit_policy == AUDIT_OPEN else ZERO_CID
    finalization = (
        round,
        digest or digest_of(federation),
        model_cid or model_of(round),
        report_cid or report_of(round),
        secret,
        ascending(adjustments or {}) if triples is None else triples,
    )
    return federation.finalizeRound(finalization, {"from": sender or owner_of(federation)})


def ascending(adjustments: dict[Any, int | tuple[int, int]]) -> list[tuple[str, int, int]]:
    triples = [
        (str(client), *(lowered if isinstance(lowered, tuple) else (lowered, 0)))
        for client, lowered in adjustments.items()
    ]
    return sorted(triples, key=lambda triple: int(triple[0], 16))


def end_training(federation: Contract) -> None:
    deadline = view(federation)["trainingDeadline"]
    if now() < deadline:
        mine_at(deadline)


def abandon(federation: Contract) -> None:
    deadline = view(federation)["aggregationDeadline"]
    if now() < deadline:
        mine_at(deadline)


def play_round(
    federation: Contract, times: dict[Any, int], adjustments: dict[Any, Any] | None = None, **changes: Any
) -> int:
    """A round in which these clients claim these milliseconds, to its end."""
    round = open_round(federation, **changes)
    for client, ms in times.items():
        submit(federation, client, ms)
    end_training(federation)
    finalize(federation, adjustments)
    return round
