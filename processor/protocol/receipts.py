"""Receipts: what a relay signs for everything that it takes, and what becomes of them in an audit.

Relaying must not pay whoever withholds. A relay that takes an update says so over its own signature, before it sends
anything; the client keeps that. Where the list of the round, which the contract commits to, does not have the update,
the receipt says who withheld it.

A list shows no declines, registrations and departures, and a client that left or declined by itself after it handed
over has no line either: the chain's log has that, so a receipt without an update is a question to its relay first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct
from eth_account.signers.local import LocalAccount
from pydantic import StringConstraints

from processor.artifacts.canonical import AddressField, Count, Fields, encode
from processor.artifacts.round import RoundFile
from processor.artifacts.versions import Kind
from processor.errors import ArtifactError, NewerVersion
from processor.protocol.relaying import Handed, HandedUpdate, document_of, handed_of
from processor.types import Address
from processor.words import reason

RECEIPT_LIMIT = 16 * 1024
SUFFIX = ".json"

Signature65 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{130}$")]


@dataclass(frozen=True)
class ReceiptFields(Fields):
    """A receipt as it is written. `taken` says its own kind and version."""

    relay: AddressField
    taken_at: Count
    taken: dict[str, Any]
    signature: Signature65


RECEIPT = Kind("receipt", RECEIPT_LIMIT, ReceiptFields)


@dataclass(frozen=True)
class Receipt:
    """The relay's word that it took something, at the block time `taken_at`. `signature` is the relay's, by EIP-191
    over the canonical bytes of everything else."""

    relay: Address
    taken_at: int
    taken: Handed
    signature: bytes

    def encode(self) -> bytes:
        """The canonical bytes, as the relay answers and as the client keeps them."""
        return encode(_document(self.relay, self.taken_at, self.taken, self.signature))

    def signer(self) -> Address | None:
        """Who signed it; None where nobody can have."""
        try:
            message = _message(self.relay, self.taken_at, self.taken)
            return str(Account.recover_message(message, signature=self.signature))
        except Exception:  # eth-account's libraries raise many kinds for bytes that are no signature
            return None

    @property
    def valid(self) -> bool:
        """Whether it is signed by the relay that it names."""
        return self.signer() == self.relay

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """Raises ArtifactError for what is no receipt; whose signature it is remains to be seen."""
        found = RECEIPT.decode(data)
        return cls(found.relay, found.taken_at, handed_of(found.taken), bytes.fromhex(found.signature))


def sign_receipt(account: LocalAccount, taken_at: int, taken: Handed) -> Receipt:
    """The receipt of the relay whose wallet this is."""
    signed = account.sign_message(_message(account.address, taken_at, taken))
    return Receipt(account.address, taken_at, taken, bytes(signed.signature))


def _document(relay: Address, taken_at: int, taken: Handed, signature: bytes) -> dict[str, Any]:
    return RECEIPT.tagged(ReceiptFields(relay, taken_at, document_of(taken), signature.hex()))


def _message(relay: Address, taken_at: int, taken: Handed) -> SignableMessage:
    """What the relay signs: the whole document but for the signature."""
    document = _document(relay, taken_at, taken, b"")
    del document["signature"]
    return encode_defunct(primitive=encode(document))


# ----------------------------------------------------------------------------------------------------- in an audit


class Verdict(StrEnum):
    KEPT = "kept"
    """The list has the update."""
    MISSING = "missing"
    """The list does not have it: the relay took it, and it is not there."""
    REPLACED = "replaced"
    """The client has another update in the round: it was not held up, but signed twice."""
    UNDONE = "undone"
    """The round of this number is another one: a reorganization undid that of the receipt."""
    UNKNOWN = "unknown"
    """The round's list was not at hand, or a newer version of Koinon reads the receipt."""
    NOT_LISTED = "not listed"
    """A decline, a registration or a departure: no list has them."""
    ELSEWHERE = "elsewhere"
    """Of another federation or another chain."""
    INVALID = "invalid"
    """No receipt, or one that its relay did not sign."""


@dataclass(frozen=True)
class Finding:
    """What one file says. `receipt` is None where it holds none that this program reads."""

    path: Path
    verdict: Verdict
    receipt: Receipt | None
    words: str


def judge(receipt: Receipt, rounds: Mapping[int, RoundFile], chain_id: int, federation: Address) -> Verdict:
    """What became of one receipt; `rounds` are the lists that the record proved, by number."""
    taken = receipt.taken
    if not receipt.valid:
        return Verdict.INVALID
    if (taken.chain_id, taken.federation) != (chain_id, federation):
        return Verdict.ELSEWHERE
    if not isinstance(taken, HandedUpdate) or taken.declines:
        return Verdict.NOT_LISTED
    found = rounds.get(taken.round)
    if found is None:
        return Verdict.UNKNOWN
    if found.opening.sealing_key != taken.sealing_key:
        return Verdict.UNDONE
    lines = [(line.update, line.compute_ms) for line in found.updates if line.client == taken.client]
    if not lines:
        return Verdict.MISSING
    return Verdict.KEPT if (taken.update, taken.compute_ms) in lines else Verdict.REPLACED


def check_receipts(
    directory: Path, rounds: Mapping[int, RoundFile], chain_id: int, federation: Address
) -> list[Finding]:
    """What became of every receipt that a client kept in `directory`, in the order of the files' names.

    Raises ArtifactError where there is no such directory.
    """
    if not directory.is_dir():
        raise ArtifactError(f"there is no directory {directory}: expected the receipts that a client kept")
    return [_finding(path, rounds, chain_id, federation) for path in sorted(directory.glob(f"*{SUFFIX}"))]


def unkept(findings: Iterable[Finding]) -> list[Address]:
    """The relays of which a receipt has no update, each once."""
    named = [each.receipt.relay for each in findings if each.verdict is Verdict.MISSING and each.receipt is not None]
    return list(dict.fromkeys(named))


def _finding(path: Path, rounds: Mapping[int, RoundFile], chain_id: int, federation: Address) -> Finding:
    try:
        with path.open("rb") as file:
            receipt = Receipt.decode(file.read(RECEIPT_LIMIT + 1))
    except NewerVersion as error:
        return Finding(path, Verdict.UNKNOWN, None, f"whether {path.name} was kept is open: {error}")
    except OSError as error:
        return Finding(path, Verdict.INVALID, None, f"{path.name} cannot be read: {reason(error)}")
    except ArtifactError as error:
        return Finding(path, Verdict.INVALID, None, f"{path.name} holds no receipt: {error}")
    verdict = judge(receipt, rounds, chain_id, federation)
    return Finding(path, verdict, receipt, _words(path, verdict, receipt))


def _words(path: Path, verdict: Verdict, receipt: Receipt) -> str:
    taken, relay = receipt.taken, receipt.relay
    match verdict:
        case Verdict.KEPT:
            return f"the relay {relay} kept its word: round {taken.round} has the update of {taken.client}"
        case Verdict.MISSING:
            return (
                f"the relay {relay} took an update of {taken.client} for round {taken.round}, and the round's list has "
                "none: it was withheld, unless the client declined or left by itself after that"
            )
        case Verdict.REPLACED:
            return (
                f"round {taken.round} has another update of {taken.client} than the one that the relay {relay} took: "
                "the client signed two"
            )
        case Verdict.UNDONE:
            return f"round {taken.round} is another one than that of the receipt: a reorganization undid it"
        case Verdict.UNKNOWN:
            return f"the list of round {taken.round} is not known here: whether the relay {relay} kept its word is open"
        case Verdict.NOT_LISTED:
            return f"{path.name} is of a decline, a registration or a departure, which no list shows"
        case Verdict.ELSEWHERE:
            return f"{path.name} is of the federation {taken.federation} on chain {taken.chain_id}"
        case Verdict.INVALID:
            return f"{path.name} is not signed by the relay that it names, {relay}"
