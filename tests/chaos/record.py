"""What was done to the federation and how long it took to get over it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

CALM = 20.0
"""Seconds without a disturbance that are enough for a daemon to do its part of a round."""


@dataclass(frozen=True)
class Disturbance:
    """A daemon was disturbed from `begin` to `end`, in seconds since 1970."""

    daemon: str
    begin: float
    end: float


@dataclass
class Event:
    """A fault that was injected. `recovered` is how many seconds after its end the federation was over it; None where
    it never was."""

    name: str
    whom: str
    at: float
    seconds: float
    detail: str = ""
    recovered: float | None = None

    def line(self) -> str:
        over = "NOT RECOVERED" if self.recovered is None else f"recovered in {self.recovered:.1f} s"
        return f"{self.at:7.1f} s  {self.name:<28} {self.whom:<14} for {self.seconds:4.1f} s  {over:<20} {self.detail}"


@dataclass
class Outcome:
    """What became of an episode. `checked` says how much the invariants had to look at; `violations` are promises that
    were broken, `lost` what a fault cost and may cost."""

    number: int
    title: str
    seconds: float
    rounds: int
    checked: str = ""
    events: list[Event] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Outcome:
        return cls(**{**stored, "events": [Event(**event) for event in stored["events"]]})


def calm(daemon: str, disturbances: Iterable[Disturbance], begin: float, end: float) -> float:
    """The longest time between two moments in which nothing disturbed a daemon."""
    longest, free_since = 0.0, begin
    for each in sorted((each for each in disturbances if each.daemon == daemon), key=lambda each: each.begin):
        if each.end < begin or each.begin > end:
            continue
        longest = max(longest, each.begin - free_since)
        free_since = max(free_since, each.end)
    return max(longest, end - free_since)


def table(outcomes: Sequence[Outcome]) -> str:
    """Faults by kind: injected, recovered, time to recover; what was skipped, what was lost, what was broken."""
    by_name: dict[str, list[Event]] = defaultdict(list)
    for outcome in outcomes:
        for event in outcome.events:
            by_name[event.name].append(event)
    lines = [f"{'fault':<30} {'injected':>8} {'recovered':>9} {'median':>8} {'maximum':>8}"]
    for name, events in [*sorted(by_name.items()), ("all", [each for every in by_name.values() for each in every])]:
        times = [event.recovered for event in events if event.recovered is not None]
        spent = (f"{median(times):>6.1f} s", f"{max(times):>6.1f} s") if times else ("-", "-")
        lines.append(f"{name:<30} {len(events):>8} {len(times):>9} {spent[0]:>8} {spent[1]:>8}")
    skipped: dict[str, str] = {}
    for outcome in outcomes:
        skipped |= {name: reason for name, reason in outcome.skipped.items() if name not in by_name}
    lines += [f"skipped: {name}: {reason}" for name, reason in sorted(skipped.items())]
    lines += [f"checked: {outcome.title}: {outcome.checked}" for outcome in outcomes]
    lines += [f"lost: {outcome.title}: {each}" for outcome in outcomes for each in outcome.lost]
    lines += [f"VIOLATION: {outcome.title}: {each}" for outcome in outcomes for each in outcome.violations]
    rounds = sum(outcome.rounds for outcome in outcomes)
    broken = sum(len(outcome.violations) for outcome in outcomes)
    lines.append(f"{rounds} rounds; {len(by_name)} kinds of faults; {broken} promises broken")
    return "\n".join(lines)
