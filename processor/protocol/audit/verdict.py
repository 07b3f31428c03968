"""What an audit finds: checks that held, violations, and what no source proves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from processor.artifacts.round import RoundFile
from processor.chain.asset import Asset
from processor.errors import ArtifactError, ArtifactUnavailable, ConfigurationError, NewerVersion
from processor.types import Address, Cid, Phase

T = TypeVar("T")


@dataclass(frozen=True)
class Violation:
    """Something that is not as it should be. `round` is 0 for what concerns the whole federation."""

    round: int
    subject: str
    expected: str
    found: str


@dataclass(frozen=True)
class Unproved:
    """A round of which the sources do not show what the chain's record says, that refers to an artifact of a version
    that this program does not know, or whose models this machine could not measure. That is no violation: somebody may
    still have it, read it, or measure them."""

    round: int
    because: str


@dataclass(frozen=True)
class Lowered:
    """An update that is credited less than was claimed, 0 if it was rejected, with the reason that the report gives.

    `slash_rate` is what it cost as well, in basis points of what was left of the client's stake.
    """

    client: Address
    claimed_ms: int
    credited_ms: int
    slash_rate: int
    reason: str | None


@dataclass(frozen=True)
class PlanChange:
    """A round under another plan than the round before, which was round `since`.

    `differences` are what the two plans say otherwise, each with its name and both values as JSON; `compared` tells
    that both could be read. `announced` is where the plan was announced before the round opened, None where nothing
    that was read says so.
    """

    round: int
    since: int
    plan: Cid
    differences: tuple[tuple[str, str, str], ...]
    compared: bool
    announced: str | None


@dataclass(frozen=True)
class Stop:
    """What a report says of the stopping rule, None where a round should follow, and what the rule may say.

    `measured` tells that this audit measured the metrics of all rounds up to this; `decided` is what follows from the
    measured metrics, and from claimed ones where there are no others. `possible` are the decisions of all metrics that
    two machines may measure of the same models: with more than one, nobody can tell whether the report's is right.
    """

    reported: str | None
    decided: str | None
    measured: bool
    possible: frozenset[str | None]

    @property
    def undecided(self) -> bool:
        return len(self.possible) > 1


@dataclass(frozen=True)
class RoundAudit:
    """What the audit found out about one round; None for what no source says.

    `metric` is what the report claims and `measured` what the audit measured. `paid` is what its clients share, whether
    they have claimed it or not. `versions` are the report's word on what made its numbers. `proved` means that the
    chain's record says so, `recomputed` that every update was opened and averaged again.
    """

    round: int
    phase: Phase | None
    updates: int | None
    rejected: int | None
    metric: float | None
    measured: float | None
    stop: Stop | None
    pool: int | None
    paid: int | None
    carried: int | None
    forfeited: int | None
    lowered: tuple[Lowered, ...]
    versions: Mapping[str, str]
    change: PlanChange | None
    checks: int
    proved: bool
    recomputed: bool


@dataclass(frozen=True)
class Audit:
    """The verdict: `ok` means that every check held, `complete` that nothing was left without a proof, and no stopping
    decision undecided.

    Amounts are in the smallest unit of `asset`, which is None where the contract's word on it could not be taken.
    `files` are the rounds that were proved, in order; the list of a live round is that of the audit's block.
    """

    federation: str
    chain_id: int
    block: int
    asset: Asset | None
    rounds: tuple[RoundAudit, ...]
    checks: int
    violations: tuple[Violation, ...]
    unproved: tuple[Unproved, ...] = ()
    files: tuple[RoundFile, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        return not self.violations

    @property
    def complete(self) -> bool:
        return not self.unproved and not self.undecided

    @property
    def undecided(self) -> tuple[RoundAudit, ...]:
        """Rounds whose stopping decision the tolerance of the metric could turn."""
        return tuple(row for row in self.rounds if row.stop is not None and row.stop.undecided)


@dataclass
class Checks:
    """Counts checks, and keeps the violations and what this program is too old, or this machine too small, to check.
    Amounts are said in the federation's asset."""

    asset: Asset
    count: int = 0
    violations: list[Violation] = field(default_factory=list)
    unread: list[Unproved] = field(default_factory=list)

    def equal(self, round: int, subject: str, expected: object, found: object) -> bool:
        self.count += 1
        if expected != found:
            self.violations.append(Violation(round, subject, _text(expected), _text(found)))
        return expected == found

    def amount(self, round: int, subject: str, expected: int, found: int) -> bool:
        return self.equal(round, subject, self.asset.format(expected), self.asset.format(found))

    def holds(self, round: int, subject: str, holds: bool, expected: str, found: str) -> bool:
        self.count += 1
        if not holds:
            self.violations.append(Violation(round, subject, expected, found))
        return holds

    def artifact(self, round: int, subject: str, use: Callable[[], T]) -> T | None:
        """What `use` makes of artifacts that must be there and be what they say; None, and a violation, otherwise.

        An artifact of a version that this program does not know breaks nothing: it leaves the round without a proof.
        """
        found = None
        try:
            found = use()
        except NewerVersion as error:
            self.unproved(round, unreadable(subject, str(error)))
            return None
        except (ArtifactError, ArtifactUnavailable, ConfigurationError) as error:
            self.broken(round, subject, str(error))
        self.count += 1
        return found

    def readable(self, round: int) -> bool:
        """Whether this program knows the version of every artifact of the round that it has looked into, and the
        plan's task."""
        return all(one.round != round for one in self.unread)

    def unproved(self, round: int, because: str) -> None:
        self.unread.append(Unproved(round, because))

    def broken(self, round: int, subject: str, why: str) -> None:
        self.violations.append(Violation(round, subject, "an artifact that is available and intact", why))


def unreadable(subject: str, why: str) -> str:
    """What an artifact of a newer version leaves to say of its round."""
    return f"its {subject} cannot be read: {why}"


def _text(value: object) -> str:
    return "nothing" if value is None else value.hex() if isinstance(value, bytes) else str(value)


def describe(violation: Violation) -> str:
    """A violation as one sentence."""
    where = f"round {violation.round}" if violation.round else "federation"
    return f"{where}: {violation.subject}: expected {violation.expected}, found {violation.found}"
