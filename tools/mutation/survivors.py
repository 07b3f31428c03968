"""The reviewed list of faults that no test can catch, and what a run says against it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tools.mutation.mutants import Mutant

WANTED_SHARE = 0.95


class Verdict(StrEnum):
    KILLED = "killed"
    INVALID = "invalid"  # does not compile: counts for nothing
    SURVIVED = "survived"
    ESCAPED = "escaped"  # from the first suite of tests; the second has not tried it yet


@dataclass(frozen=True)
class Outcome:
    verdict: Verdict
    by: str = ""  # the test that caught it


@dataclass(frozen=True)
class Survivor:
    """An entry of the list. `becomes` is the mutated line: where that changes, the reason has to be read again."""

    id: str
    becomes: str
    reason: str


@dataclass(frozen=True)
class Review:
    killed: int
    survived: int
    invalid: int
    problems: tuple[str, ...]  # each a sentence; none in a good run

    @property
    def share(self) -> float:
        """Of the faults that compile, those that a test caught; 1 where there are none."""
        tried = self.killed + self.survived
        return self.killed / tried if tried else 1.0


def read_survivors(text: str) -> list[Survivor]:
    """From TOML: tables [[survivor]] of id, becomes and reason. Raises ValueError for anything else."""
    entries = tomllib.loads(text)
    tables = entries.pop("survivor", [])
    if entries:
        raise ValueError(f"expected tables [[survivor]] only, found {', '.join(entries)}")
    survivors = []
    for table in tables:
        if set(table) != {"id", "becomes", "reason"} or not all(
            isinstance(v, str) and v.strip() for v in table.values()
        ):
            raise ValueError(f"a survivor has an id, the line that it becomes and a reason, found {table}")
        survivors.append(Survivor(**table))
    ids = [survivor.id for survivor in survivors]
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return survivors


def review(
    mutants: Sequence[Mutant], outcomes: Mapping[str, Outcome], survivors: Iterable[Survivor], *, whole: bool
) -> Review:
    """`mutants` are all there are, `outcomes` those of the ones that were tried. Only a run of the `whole` sample is
    held to the share: of a few, one is too many."""
    listed = {survivor.id: survivor for survivor in survivors}
    known = {mutant.id: mutant for mutant in mutants}
    count = {verdict: sum(o.verdict is verdict for o in outcomes.values()) for verdict in Verdict}
    problems = []
    for id, outcome in outcomes.items():
        if outcome.verdict is Verdict.SURVIVED and id not in listed:
            meaning = f" ({known[id].says})" if known[id].says else ""
            problems.append(
                f"{id} survives{meaning}: no test fails with `{known[id].becomes}`. Test it, or list it with a reason."
            )
    for id, survivor in listed.items():
        outcome = outcomes.get(id, Outcome(Verdict.SURVIVED))
        if id not in known:
            problems.append(f"{id} is listed and there is no such fault: remove it from the list.")
        elif known[id].becomes != survivor.becomes:
            problems.append(f"{id} is listed as `{survivor.becomes}` and makes `{known[id].becomes}`: read it again.")
        elif outcome.verdict is not Verdict.SURVIVED:
            problems.append(f"{id} is listed and was {outcome.verdict} {outcome.by}".rstrip() + ": remove it.")
    result = Review(count[Verdict.KILLED], count[Verdict.SURVIVED], count[Verdict.INVALID], tuple(problems))
    if whole and result.share < WANTED_SHARE:
        shortfall = f"The tests catch {result.share:.1%} of the faults, expected {WANTED_SHARE:.0%} or more."
        return Review(result.killed, result.survived, result.invalid, (*problems, shortfall))
    return result
