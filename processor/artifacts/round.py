"""The round: all that the chain's record says of one round, in the words that its digests hash.

Reports name the rounds that were abandoned before them by such lists; the organization and auditors keep one of every
round, because state forgets all but the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, FailFast, Field

from processor.artifacts.canonical import AddressField, ChainId, Fields, Hex32
from processor.artifacts.committed import MAX_UPDATES, OpeningFields, OutcomeFields, UpdateLine, each_client_once
from processor.artifacts.versions import Kind
from processor.types import Address, Opening, Outcome, Submitted


def _once(updates: tuple[UpdateLine, ...]) -> tuple[UpdateLine, ...]:
    each_client_once(line.client for line in updates)
    return updates


@dataclass(frozen=True)
class RoundFile(Fields):
    """One round. `updates` are in the order of submission; `record_before` is the record of all rounds before it;
    `outcome` is what its finalization said, None for a round that was abandoned or is not over."""

    chain_id: ChainId
    federation: AddressField
    opening: OpeningFields
    updates: Annotated[tuple[UpdateLine, ...], FailFast(), Field(max_length=MAX_UPDATES), AfterValidator(_once)]
    record_before: Hex32
    outcome: OutcomeFields | None

    @staticmethod
    def of(
        chain_id: int,
        federation: Address,
        opening: Opening,
        updates: Sequence[Submitted],
        record_before: bytes,
        outcome: Outcome | None = None,
    ) -> RoundFile:
        """The file of a round as the chain has it."""
        return RoundFile(
            chain_id=chain_id,
            federation=federation,
            opening=OpeningFields.of(opening),
            updates=tuple(UpdateLine.of(submitted) for submitted in updates),
            record_before=record_before.hex(),
            outcome=None if outcome is None else OutcomeFields.of(outcome),
        )

    @property
    def round(self) -> int:
        return self.opening.round

    @property
    def submitted(self) -> tuple[Submitted, ...]:
        return tuple(line.value() for line in self.updates)


ROUND = Kind("round", 1 << 20, RoundFile, values=1 << 14)
