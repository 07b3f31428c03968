"""What a client without coins hands over to a relay, and when the relay sends it: pure.

A relay gets the CID, the compute time and a signature, and never the sealed bytes: a client publishes those once the
chain shows its update. So a relay that withholds learns nothing, and what it was given it has given a receipt for
(`processor.protocol.receipts`).

What remains of the training period at the first hand-over is shared out: a relay sends when half of it is left, who
still sees nothing on the chain goes to all relays when three eighths are left, and who has coins submits itself when a
quarter is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from processor import jcs
from processor.artifacts.canonical import AddressField, ChainId, CidField, Fields, Hex32, encode
from processor.artifacts.versions import Kind
from processor.chain.signed import SignedUpdate, signer_of_leaving, signer_of_registration, signer_of_update
from processor.errors import ArtifactError, ArtifactTooLarge
from processor.protocol.decide import Wait
from processor.types import Address, Phase, RoundView
from processor.words import counted

HANDED_LIMIT = 8 * 1024
"""Bytes of what is handed over at most: a voucher that a contract signed for its owners is the largest part."""

Signature64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
"""In the compact form that the contract takes (ERC-2098), in hexadecimal digits."""
VoucherSignature = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){1,3072}$")]
VoucherId = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$")]
RoundNumber = Annotated[int, Field(ge=1, le=2**24 - 1)]
RoundOrNone = Annotated[int, Field(ge=0, le=2**24 - 1)]
Milliseconds = Annotated[int, Field(ge=0, le=2**32 - 1)]
Nonce = Annotated[int, Field(ge=0, le=2**32 - 1)]
Moment = Annotated[int, Field(ge=1, le=2**40 - 1)]


# ---------------------------------------------------------------------------------------------- what is handed over


@dataclass(frozen=True)
class HandedUpdate(Fields):
    """One client's one update of a round; a decline where `update` is None and `compute_ms` is 0."""

    chain_id: ChainId
    federation: AddressField
    client: AddressField
    round: RoundNumber
    sealing_key: Hex32
    update: CidField | None
    compute_ms: Milliseconds
    signature: Signature64

    @property
    def declines(self) -> bool:
        return self.update is None

    @property
    def signed(self) -> SignedUpdate:
        """As the contract takes it."""
        return SignedUpdate(self.update, self.compute_ms, bytes.fromhex(self.signature))

    def signer(self) -> Address | None:
        """Whose signature it carries; None where it is none."""
        key = bytes.fromhex(self.sealing_key)
        return signer_of_update(self.chain_id, self.federation, self.round, key, self.signed)


@dataclass(frozen=True)
class HandedVoucher(Fields):
    """What the owner signed to admit the client."""

    id: VoucherId
    expiry: Moment
    owner_nonce: Nonce
    signature: VoucherSignature


@dataclass(frozen=True)
class HandedRegistration(Fields):
    """A registration that is good until `deadline` and only until the round after `round` opens."""

    chain_id: ChainId
    federation: AddressField
    client: AddressField
    round: RoundOrNone
    deadline: Moment
    signature: Signature64
    voucher: HandedVoucher | None

    def signer(self) -> Address | None:
        signature = bytes.fromhex(self.signature)
        return signer_of_registration(self.chain_id, self.federation, self.round, self.deadline, signature)


@dataclass(frozen=True)
class HandedLeaving(Fields):
    """The end of a membership, whose stake and rewards go to `to`; good as a registration is."""

    chain_id: ChainId
    federation: AddressField
    client: AddressField
    round: RoundOrNone
    to: AddressField
    deadline: Moment
    signature: Signature64

    def signer(self) -> Address | None:
        signature = bytes.fromhex(self.signature)
        return signer_of_leaving(self.chain_id, self.federation, self.round, self.to, self.deadline, signature)


Handed = HandedUpdate | HandedRegistration | HandedLeaving

SIGNED_UPDATE = Kind("signed-update", HANDED_LIMIT, HandedUpdate)
SIGNED_REGISTRATION = Kind("signed-registration", HANDED_LIMIT, HandedRegistration)
SIGNED_LEAVING = Kind("signed-leaving", HANDED_LIMIT, HandedLeaving)

KINDS: Mapping[str, Kind[Any]] = {kind.name: kind for kind in (SIGNED_UPDATE, SIGNED_REGISTRATION, SIGNED_LEAVING)}


def kind_of(handed: Handed) -> str:
    return next(name for name, kind in KINDS.items() if type(handed) is kind.fields)


def document_of(handed: Handed) -> dict[str, Any]:
    """As a JSON object that says its kind and version."""
    return KINDS[kind_of(handed)].tagged(handed)


def encode_handed(handed: Handed) -> bytes:
    """The canonical bytes: the body of the request, and a part of the receipt."""
    return encode(document_of(handed))


def handed_of(document: object) -> Handed:
    """The inverse of `document_of`. Raises ArtifactError with every mistake."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ArtifactError(f"expected a JSON object whose kind is one of {', '.join(KINDS)}")
    handed: Handed = KINDS[kind].value_of(document)
    if isinstance(handed, HandedUpdate) and (handed.update is None) != (handed.compute_ms == 0):
        raise ArtifactError(
            f"the {kind} is not valid: expected a CID and a compute time, or, to decline, null and 0 for the two"
        )
    return handed


def decode_handed(data: bytes) -> Handed:
    """What a client hands over, from bytes that anybody may have sent. Raises ArtifactError."""
    if len(data) > HANDED_LIMIT:
        raise ArtifactTooLarge(f"this is larger than the {HANDED_LIMIT} bytes that a relay takes")
    return handed_of(jcs.parse(data))


# ------------------------------------------------------------------------------------------------------ in what time


def flush_at(first_handover: int, deadline: int) -> int:
    """When a relay sends what it has, whoever is still missing: half of what remained is left."""
    return first_handover + max(deadline - first_handover, 0) // 2


def every_relay_at(first_handover: int, deadline: int) -> int:
    """When a client that sees nothing on the chain hands over to every relay: three eighths are left. The first relay
    has had an eighth for its transaction."""
    return deadline - 3 * max(deadline - first_handover, 0) // 8


def self_submit_at(first_handover: int, deadline: int) -> int:
    """When a client with coins waits for no relay any more: a quarter is left."""
    return deadline - max(deadline - first_handover, 0) // 4


LEAST_LEFT = 24
"""Seconds of training that a relay needs at least, two blocks of Ethereum; a quarter of a period that is short."""


def least_left(view: RoundView) -> int:
    """Seconds of a round's training that have to be left for a relay to promise anything; a client that counts on
    relays is done with its own training before twice as much is left."""
    return min(LEAST_LEFT, (view.training_deadline - view.opened_at) // 4)


def too_late(view: RoundView, now: int) -> bool:
    """Whether too little of the training is left."""
    return view.training_deadline - now < least_left(view)


def flush_due(*, now: int, deadline: int, first_handover: int, waiting: int, awaited: int, batch: int) -> bool:
    """Whether the updates that wait are sent now: the batch is full, nobody else is awaited, or it is time.

    `awaited` counts the selected clients that the chain still waits for, those who wait here included.
    """
    if waiting == 0:
        return False
    return waiting >= batch or waiting >= awaited or now >= flush_at(first_handover, deadline)


# ------------------------------------------------------------------------------------------------------- at what cost

DAY = 24 * 3600


def day_of(time: int) -> int:
    """The day of a block time: budgets are for one each."""
    return time // DAY


@dataclass(frozen=True)
class Budget:
    """The gas that a relay spends in a day at most, in all and for one client.

    Half of it is kept for members: whoever wants a registration costs nothing to make up.
    """

    gas_per_day: int
    gas_per_client: int


@dataclass(frozen=True)
class Spent:
    """The gas of what was promised today: in all, for the client, and for registrations of anybody."""

    today: int = 0
    client: int = 0
    registrations: int = 0


def over_budget(budget: Budget, spent: Spent, gas: int, registers: bool = False) -> str | None:
    """Why so much more gas is not promised today; None where it is."""
    if spent.client + gas > budget.gas_per_client:
        return (
            f"this relay spends at most {budget.gas_per_client} gas a day on one client, has promised this one "
            f"{spent.client}, and this needs {gas}: come again tomorrow, or ask another relay"
        )
    if spent.today + gas > budget.gas_per_day:
        return f"this relay's budget of {budget.gas_per_day} gas for today is used up: ask another relay"
    if registers and spent.registrations + gas > budget.gas_per_day // 2:
        return (
            f"this relay spends at most half of its {budget.gas_per_day} gas a day on registrations, and that is used "
            "up for today: ask another relay"
        )
    return None


# ------------------------------------------------------------------------------------------------- whether it is taken


def update_refusal(view: RoundView, now: int, handed: HandedUpdate) -> str | None:
    """Why a relay does not take an update, or a decline, by what the chain says of the round and the client; None where
    it does. Whether the contract takes it is for a simulation to say."""
    if (view.round, view.sealing_key.hex()) != (handed.round, handed.sealing_key):
        return f"the latest round is {view.round}, with another sealing key or another number than what was signed"
    if view.phase is not Phase.TRAINING:
        return f"round {view.round} is in {view.phase.name.lower()}, and takes no updates any more"
    client = view.client
    if client.update is not None or client.declined:
        return f"{client.client} has {'declined' if client.declined else 'an update in'} round {view.round} already"
    if not client.selected:
        return f"round {view.round} did not select {client.client}"
    if too_late(view, now):
        left = view.training_deadline - now
        return f"only {left} s of the training of round {view.round} are left: submit it yourself, or ask another relay"
    return None


def registration_refusal(view: RoundView, now: int, handed: HandedRegistration, stake: int) -> str | None:
    """The same for a registration."""
    if stake:
        return "this federation asks for a stake, and nobody stakes for another: register with a wallet that has it"
    if view.client.member:
        return f"{handed.client} is a member already"
    return _call_refusal(view, now, handed.round, handed.deadline)


def leaving_refusal(view: RoundView, now: int, handed: HandedLeaving) -> str | None:
    """The same for the end of a membership."""
    if not view.client.member and not view.client.owed and not view.client.stake:
        return f"{handed.client} is no member, and nothing of it is held"
    return _call_refusal(view, now, handed.round, handed.deadline)


def _call_refusal(view: RoundView, now: int, round: int, deadline: int) -> str | None:
    if view.round != round:
        return f"it is signed for round {round}, and the latest is {view.round}: sign it for that"
    if deadline - now < LEAST_LEFT:
        return f"its deadline is less than {LEAST_LEFT} s ahead of the chain's time: sign it with a later one"
    return None


# -------------------------------------------------------------------------------------------------- what a relay does


@dataclass(frozen=True)
class Taken:
    """What a relay took and gave a receipt for at the block time `taken_at`; `id` counts them in order."""

    id: int
    taken_at: int
    handed: Handed


@dataclass(frozen=True)
class Flush:
    """Submits these, in one transaction."""

    taken: tuple[Taken, ...]


@dataclass(frozen=True)
class Pass:
    """Sends one registration, or the end of one membership."""

    taken: Taken


@dataclass(frozen=True)
class PayOut:
    """Claims for a client what it is owed."""

    client: Address
    amount: int


@dataclass(frozen=True)
class RelaySituation:
    """What a block says, and what waits.

    `updates` are those of the latest round that the chain does not show, in the order in which they were taken;
    `calls` the registrations and leavings that are not done; `owed` what the clients that were served could claim,
    where it is time to look at that. `now` is the chain's time.
    """

    now: int
    round: RoundView | None
    updates: tuple[Taken, ...]
    calls: tuple[Taken, ...]
    owed: Mapping[Address, int] = field(default_factory=dict)
    claim_threshold: int | None = None
    batch: int = 50
    transaction_pending: bool = False


RelayAction = Flush | Pass | PayOut | Wait


def decide_relay(situation: RelaySituation) -> RelayAction:
    """The next step: updates when they are due, then registrations and leavings, then payments."""
    if situation.transaction_pending:
        return Wait("a transaction is on its way")
    view, updates = situation.round, situation.updates
    if view is not None and view.phase is Phase.TRAINING and updates:
        due = flush_due(
            now=situation.now,
            deadline=view.training_deadline,
            first_handover=min(each.taken_at for each in updates),
            waiting=len(updates),
            awaited=view.selected_count - view.update_count - view.absent_count,
            batch=situation.batch,
        )
        if due:
            return Flush(updates[: situation.batch])
    if situation.calls:
        return Pass(situation.calls[0])
    if situation.claim_threshold is not None:
        for client, amount in situation.owed.items():
            if amount >= max(situation.claim_threshold, 1):
                return PayOut(client, amount)
    if updates:
        return Wait(f"{counted(len(updates), 'update')} of round {updates[0].handed.round}: waiting for more")
    return Wait("nothing was handed over")
