"""What one round hands to the next: the release, the server state, the money that it carries, the turn of selection."""

from __future__ import annotations

from dataclasses import dataclass

from processor.artifacts.state import FIRST_STATE, ServerState
from processor.protocol.audit.verdict import Checks
from processor.types import Opening, Release


@dataclass(frozen=True)
class Lineage:
    """Each part is None where the rounds before do not tell it: something of them is missing."""

    release: Release | None
    state: ServerState | None
    carried: int | None
    offset: int | None


FIRST = Lineage(release=None, state=FIRST_STATE, carried=0, offset=0)
"""Before the first round; its model is the organization's own choice."""


def check_follows(checks: Checks, before: Lineage, opening: Opening) -> None:
    """The round starts from what the rounds before left."""
    number = opening.round
    if before.release is not None:
        checks.equal(number, "base model", before.release.model, opening.base_model)
        checks.equal(number, "report of the base model", before.release.report, opening.base_report)
    if before.carried is not None:
        checks.holds(
            number,
            "pool holds what the round before carried",
            opening.pool >= before.carried,
            f"at least {checks.asset.format(before.carried)}",
            checks.asset.format(opening.pool),
        )
    if before.offset is not None:
        turn = (before.offset + opening.selected_count) % opening.member_count if opening.member_count else 0
        checks.equal(number, "selection offset", turn, opening.selection_offset)
