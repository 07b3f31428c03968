"""The words in which the tests of the contracts speak."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import brownie
import eth_account
from brownie.network.account import Account
from brownie.network.contract import ProjectContract
from brownie.network.transaction import TransactionReceipt

NONE, TRAINING, AGGREGATING, FINALIZED, ABANDONED = range(5)
OPEN, VOUCHER = range(2)  # admission
AUDIT_OPEN, AUDIT_APPOINTED = range(2)
ZERO_ADDRESS = "0x" + "0" * 40
ZERO_CID = "0x" + "0" * 64

HOUR = 3600
MIN_PERIOD = 30
MAX_PERIOD = 30 * 24 * HOUR
MAX_UPDATES = 1000
BASIS_POINTS = 10_000
GWEI = 10**9
ETHER = 10**18
FOREVER = 2**40 - 1  # the last expiry there is

STAKE = 1000  # of the fixture `staked`
MAX_SLASH_RATE = 5000


def digest(name: str) -> str:
    """32 bytes that stand for the CID, the key or the secret of that name."""
    return "0x" + hashlib.sha256(name.encode()).hexdigest()


SECRET = digest("secret")


class FederationTerms(NamedTuple):
    """In the order of the interface: the native coin, no stake, open to everybody."""

    asset: str = ZERO_ADDRESS
    stake: int = 0
    max_slash_rate: int = 0
    admission: int = OPEN
    audit_policy: int = AUDIT_OPEN


class Terms(NamedTuple):
    """RoundTerms in the order of the interface; a wage of 1 gwei a second, with money for all that may be claimed."""

    plan_cid: str = digest("plan")
    sealing_key: str = digest("sealing key")
    training_period: int = HOUR
    aggregation_period: int = HOUR
    max_updates: int = 10
    max_compute_ms: int = 100_000
    selection_rate: int = 10_000
    reward_rate_cap: int = GWEI
    reward: int = 1000 * GWEI


SOMEBODY = "0x" + "1" * 40
OWNERS_CALLS = {
    "setOperator": [SOMEBODY],
    "pause": [],
    "unpause": [],
    "revokeVoucher": [1],
    "close": [],
    "withdraw": [SOMEBODY],
    "transferOwnership": [SOMEBODY],
    "renounceOwnership": [],
}
ORGANIZATIONS_CALLS = {
    "setInitialModel": [digest("model")],
    "openRound": [Terms(reward=0)],
    "finalizeRound": [1, 0, 0, digest("model"), digest("report"), [], SECRET],
}


def reverts(error: str, *values: Any) -> brownie.reverts:
    """Expects exactly this error with exactly these values."""
    return brownie.reverts(f"{error}: {', '.join(_as_decoded(value) for value in values)}")


def _as_decoded(value: Any) -> str:
    text = str(value)
    if not text.startswith("0x"):
        return text
    return text.lower() if len(text) == 42 else str(bytes.fromhex(text[2:]))


def now() -> int:
    return int(brownie.chain[-1].timestamp)


def mine_at(time: int) -> None:
    """Views see this time. (brownie 1.22 cannot ask anvil for a block at a time.)"""
    request("evm_mine", time)


def next_block_at(time: int) -> None:
    """The next transaction happens at this time."""
    request("evm_setNextBlockTimestamp", time)


def request(method: str, *parameters: Any) -> Any:
    response = brownie.web3.provider.make_request(method, list(parameters))
    assert "error" not in response, response["error"]
    return response["result"]


# -------------------------------------------------------------------------------------------------- federation


def deploy_federation(owner: Any, members: Iterable[Account] = (), **changes: Any) -> ProjectContract:
    """A federation with an initial model and these members; `changes` are of FederationTerms."""
    federation = _contracts().Federation.deploy(owner, FederationTerms(**changes), {"from": brownie.accounts[0]})
    federation.setInitialModel(digest("initial model"), {"from": owner_of(federation)})
    for client in members:
        register(federation, client)
    return federation


def owner_of(federation: ProjectContract) -> Account:
    return brownie.accounts.at(federation.owner(), force=True)


def terms_of(federation: ProjectContract) -> FederationTerms:
    return FederationTerms(*federation.terms())


def token_of(federation: ProjectContract) -> ProjectContract:
    """What a federation pays with that does not pay with the native coin; anybody can mint it."""
    return _contracts().Token.at(terms_of(federation).asset)


def balance_of(federation: ProjectContract, holder: Any) -> int:
    """What somebody has of the federation's asset."""
    if terms_of(federation).asset == ZERO_ADDRESS:
        return int(brownie.web3.eth.get_balance(str(holder)))
    return int(token_of(federation).balanceOf(holder))


def payment(federation: ProjectContract, payer: Account, amount: int) -> dict[str, Any]:
    """What a transaction that pays is sent with: the coins, or none after a token was minted and approved."""
    if terms_of(federation).asset == ZERO_ADDRESS:
        return {"from": payer, "value": amount}
    if amount:
        token = token_of(federation)
        token.mint(payer, amount, {"from": payer})
        token.approve(federation, amount, {"from": payer})
    return {"from": payer}


def _contracts() -> Any:
    (project,) = brownie.project.get_loaded_projects()
    return project


# -------------------------------------------------------------------------------------------------- membership


def register(federation: ProjectContract, client: Account) -> TransactionReceipt:
    """Pays the stake, and shows a voucher where one is needed."""
    terms = terms_of(federation)
    if terms.admission == OPEN:
        return federation.register(payment(federation, client, terms.stake))
    return register_with_voucher(federation, client, federation.memberCount())


def register_with_voucher(
    federation: ProjectContract, client: Account, id: int, expiry: int = FOREVER, signature: bytes | None = None
) -> TransactionReceipt:
    if signature is None:
        signature = sign_voucher(federation, client, id, expiry)
    paid = payment(federation, client, terms_of(federation).stake)
    return federation.registerWithVoucher(id, expiry, signature, paid)


def sign_voucher(
    federation: ProjectContract,
    client: Any,
    id: int,
    expiry: int = FOREVER,
    *,
    signer: Account | None = None,
    **changes: Any,
) -> bytes:
    """The signature of the owner, or of the signer; `changes` are of `voucher_data`."""
    key = (signer or owner_of(federation)).private_key
    data = voucher_data(federation, client, id, expiry, **changes)
    return bytes(eth_account.Account.sign_typed_data(key, *data).signature)


def voucher_data(
    federation: ProjectContract,
    client: Any,
    id: int,
    expiry: int,
    *,
    chain_id: int | None = None,
    contract: Any = None,
    name: str = "Koinon",
    version: str = "1",
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Domain, types and message of EIP-712, as the interface says."""
    domain = {
        "name": name,
        "version": version,
        "chainId": chain_id or brownie.chain.id,
        "verifyingContract": str(contract or federation),
    }
    fields = {"client": "address", "id": "uint256", "expiry": "uint40"}
    types = {"Voucher": [{"name": name, "type": type} for name, type in fields.items()]}
    return domain, types, {"client": str(client), "id": id, "expiry": expiry}


def leave(federation: ProjectContract, client: Account, to: Any = None) -> TransactionReceipt:
    return federation.leave(to or client, {"from": client})


# ------------------------------------------------------------------------------------------------------- rounds


def open_round(federation: ProjectContract, wait: int = 200, *, sender: Account | None = None, **changes: Any) -> int:
    """Opens a round and lets `wait` seconds pass, so that clients can claim compute time."""
    terms = Terms(**changes)
    paid = payment(federation, sender or owner_of(federation), terms.reward)
    transaction = federation.openRound(terms, paid)
    if wait:
        mine_at(now() + wait)
    return int(transaction.return_value)


def submit(
    federation: ProjectContract,
    client: Account,
    compute_ms: int = 1000,
    samples: int = 10,
    *,
    round: int | None = None,
    sealing_key: str = Terms().sealing_key,
    update_cid: str | None = None,
) -> TransactionReceipt:
    cid = update_cid or digest(f"update of {client}")
    return federation.submitUpdate(
        round or federation.roundCount(), sealing_key, cid, compute_ms, samples, {"from": client}
    )


def finalize(
    federation: ProjectContract,
    adjustments: dict[Any, int | tuple[int, int]] | None = None,
    *,
    round: int | None = None,
    triples: list[tuple[Any, int, int]] | None = None,
    update_count: int | None = None,
    claimed_ms: int | None = None,
    model_cid: str | None = None,
    report_cid: str | None = None,
    secret: str | None = None,
    sender: Account | None = None,
) -> TransactionReceipt:
    """Finalizes the latest round with all of its updates.

    `adjustments` (client: credited ms, or credited ms and slash rate) are put in order; `triples` stay as they are.
    The secret is what the audit policy asks for.
    """
    round = round or federation.roundCount()
    view = federation.roundView(round, ZERO_ADDRESS)
    if secret is None:
        secret = SECRET if terms_of(federation).audit_policy == AUDIT_OPEN else ZERO_CID
    return federation.finalizeRound(
        round,
        view["updateCount"] if update_count is None else update_count,
        view["claimedMs"] if claimed_ms is None else claimed_ms,
        model_cid or digest(f"model of round {round}"),
        report_cid or digest(f"report of round {round}"),
        ascending(adjustments or {}) if triples is None else triples,
        secret,
        {"from": sender or owner_of(federation)},
    )


def ascending(adjustments: dict[Any, int | tuple[int, int]]) -> list[tuple[str, int, int]]:
    triples = [
        (str(client), *(lowered if isinstance(lowered, tuple) else (lowered, 0)))
        for client, lowered in adjustments.items()
    ]
    return sorted(triples, key=lambda triple: int(triple[0], 16))


def end_training(federation: ProjectContract) -> None:
    mine_at(federation.roundView(federation.roundCount(), ZERO_ADDRESS)["trainingDeadline"])


def abandon(federation: ProjectContract) -> None:
    mine_at(federation.roundView(federation.roundCount(), ZERO_ADDRESS)["aggregationDeadline"])


def client_of(federation: ProjectContract, round: int, client: Any) -> dict[str, Any]:
    return federation.roundView(round, client)["client"]
