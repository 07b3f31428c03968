"""What the contract commits to in a round's digest and in its record, recomputed (`contracts/libraries/Rounds.sol`).

The digest of a round starts from its opening and chains every update in the order of submission; the record chains
every round that is over. Whatever list somebody shows: it is the round's exactly if it gives the digest, and the digest
is the round's exactly if it gives the record.

Every function raises ArtifactError for a value that the contract could not hold: it is in no list of a federation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from web3 import Web3

from processor.cid import digest_of as bytes_of
from processor.errors import ArtifactError
from processor.types import Address, Cid, Opening, Outcome, Submitted

NO_RECORD = bytes(32)
"""The record before the first round is over."""

ABANDONED = bytes(32)
"""The outcome of a round that was abandoned."""

DIGEST_SIZE = 20

_OPENING = (
    *("uint24", "uint40", "uint40", "uint40", "uint24", "uint24", "uint16", "uint16", "uint32"),
    *("bytes32", "bytes32", "bytes32", "bytes32", "uint112", "uint112"),
)
_ADJUSTMENTS = "(address,uint32,uint16)[]"


def first_digest(chain_id: int, federation: Address, opening: Opening) -> bytes:
    """The digest of a round without updates."""
    fields = (
        opening.round,
        opening.opened_at,
        opening.training_deadline,
        opening.aggregation_deadline,
        opening.member_count,
        opening.selection_offset,
        opening.selected_count,
        opening.max_updates,
        opening.max_compute_ms,
        _word(opening.plan),
        opening.sealing_key,
        _word(opening.base_model),
        bytes(32) if opening.base_report is None else _word(opening.base_report),
        opening.reward_rate_cap,
        opening.pool,
    )
    return _hash(("uint256", "address", *_OPENING), (chain_id, federation, *fields))[:DIGEST_SIZE]


def next_digest(digest: bytes, submitted: Submitted) -> bytes:
    """The digest with one more update."""
    values = (digest, submitted.client, _word(submitted.update), submitted.compute_ms)
    return _hash(("bytes20", "address", "bytes32", "uint32"), values)[:DIGEST_SIZE]


def digest_of(chain_id: int, federation: Address, opening: Opening, updates: Iterable[Submitted]) -> bytes:
    """The digest of a round with these updates, in the order of submission."""
    digest = first_digest(chain_id, federation, opening)
    for submitted in updates:
        digest = next_digest(digest, submitted)
    return digest


def outcome_of(outcome: Outcome | None) -> bytes:
    """What a finalization says, in one word; None for an abandoned round."""
    if outcome is None:
        return ABANDONED
    adjustments = [(item.client, item.credited_ms, item.slash_rate) for item in outcome.adjustments]
    return _hash(
        ("bytes32", "bytes32", "bytes32", "uint48", _ADJUSTMENTS),
        (
            _word(outcome.model),
            _word(outcome.report),
            outcome.secret,
            outcome.credited_ms,
            adjustments,
        ),
    )


def next_record(record: bytes, round: int, digest: bytes, update_count: int, claimed_ms: int, outcome: bytes) -> bytes:
    """The record with one more round that is over."""
    return _hash(
        ("bytes32", "uint24", "bytes20", "uint16", "uint48", "bytes32"),
        (record, round, digest, update_count, claimed_ms, outcome),
    )


def _word(name: Cid) -> bytes:
    if not isinstance(name, str):
        raise ArtifactError("an artifact of the round is not named")
    return bytes_of(name)


def _hash(types: Sequence[str], values: Sequence[Any]) -> bytes:
    for kind, value in zip(types, values, strict=True):
        # The encoder would fill up what is too short.
        if kind.startswith("bytes") and (not isinstance(value, bytes) or len(value) != int(kind[5:])):
            raise ArtifactError(f"a value of {kind[5:]} bytes is needed for the round's digest or record")
    try:
        return bytes(Web3.keccak(encode(types, values)))
    except EncodingError as error:
        raise ArtifactError(f"a value is none that the contract could hold: {error}") from None
