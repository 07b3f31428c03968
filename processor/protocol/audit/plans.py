"""What the plans of a federation's rounds say of one another: what changed, whether it was announced, and that none is
used again once it has come to its end. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from processor.artifacts.plan import Plan
from processor.artifacts.report import Report
from processor.protocol.audit.verdict import Checks, PlanChange
from processor.types import Cid, Opening

ABSENT = "nothing"


@dataclass(frozen=True)
class Plans:
    """What the rounds so far say of plans: that of the last `round` of which it is known, itself None where it cannot
    be read; those that a report announces for rounds to come, and those under which no round follows by a report, each
    with the first round whose report says so. `lost` tells that a report could not be had, which may have announced
    any."""

    round: int = 0
    cid: Cid | None = None
    plan: Plan | None = None
    announced: Mapping[Cid, int] = field(default_factory=dict)
    ended: Mapping[Cid, int] = field(default_factory=dict)
    lost: bool = False

    def after(self, opening: Opening, plan: Plan | None, report: Report | None, abandoned: bool = False) -> Plans:
        """With one round more, which has a report unless it was abandoned or is not over."""
        announced, ended = self.announced, self.ended
        if report is not None and report.next_plan is not None:
            announced = {report.next_plan: report.round, **announced}
        if report is not None and report.stop is not None:
            ended = {opening.plan: report.round, **ended}
        lost = self.lost or (report is None and not abandoned)
        return Plans(opening.round, opening.plan, plan, announced, ended, lost)


Posted = Callable[[Cid, int], bool | None]
"""Whether a plan was announced by a post before the round with this number opened; None where nothing tells."""


def check_plan(checks: Checks, before: Plans, opening: Opening, plan: Plan | None, posted: Posted) -> PlanChange | None:
    """A round's plan has not come to its end, and where it is another than before it was announced: clients have to
    agree to it. How it differs from that of the round before; None where it does not."""
    _check_goes_on(checks, before, opening, plan)
    if before.cid is None or before.cid == opening.plan:
        return None
    announced = None
    if opening.plan in before.announced:
        announced = f"by the report of round {before.announced[opening.plan]}"
    else:
        heard = posted(opening.plan, opening.round)
        announced = "by a post" if heard else None
        if heard is not None and (heard or not before.lost):
            words = f"another plan than that of round {before.round}, which neither a report nor a post announces"
            checks.holds(opening.round, "plan", heard, "one that is announced before the round opens", words)
    return PlanChange(
        round=opening.round,
        since=before.round,
        plan=opening.plan,
        differences=tuple(differences(before.plan, plan)) if before.plan is not None and plan is not None else (),
        compared=before.plan is not None and plan is not None,
        announced=announced,
    )


def differences(old: Plan, new: Plan) -> Iterator[tuple[str, str, str]]:
    """What two plans say otherwise: the name of each setting, and both values as JSON."""
    before, after = dict(_flat("", asdict(old))), dict(_flat("", asdict(new)))
    for name in sorted(before.keys() | after.keys()):
        values = before.get(name, ABSENT), after.get(name, ABSENT)
        if values[0] != values[1]:
            yield name, *values


def _check_goes_on(checks: Checks, before: Plans, opening: Opening, plan: Plan | None) -> None:
    """No round opens under a plan that has come to its end: by its `max_rounds`, or since a report says so."""
    number, ended = opening.round, before.ended.get(opening.plan)
    if ended is not None:
        checks.holds(
            number,
            "round after a stop",
            False,
            "another plan, or no round",
            f"the plan {opening.plan}, under which no round follows by the report of round {ended}",
        )
    elif plan is not None:
        most = plan.stopping.max_rounds
        checks.holds(
            number, "number of the round", number <= most, f"at most the plan's max_rounds {most}", f"{number}"
        )


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, json.dumps(value)
