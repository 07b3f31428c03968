"""Every fault of the contracts by a stable id, and the sample of them that a run tries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tools.mutation.operators import OPERATORS, Edit, Site
from tools.mutation.solidity import Code

SEED = 4


@dataclass(frozen=True)
class Mutant:
    """One fault. The id names the file, the function, the kind of fault and its number among those of its kind there:
    it outlives what moves lines, and what changes elsewhere."""

    id: str
    path: str
    function: str
    operator: str
    edit: Edit
    line: int  # of the file, from 1
    was: str  # the lines that change, blanks collapsed
    becomes: str
    says: str = ""  # what it means, of a fault that was made by hand


def find_mutants(sources: Mapping[str, str], enums: Mapping[str, tuple[str, ...]]) -> list[Mutant]:
    """In the order of paths, functions and operators. `sources` maps paths, relative to the folder of the contracts, to
    their text."""
    mutants = []
    for path, source in sorted(sources.items()):
        code = Code(source)
        count: dict[tuple[str, str], int] = {}
        for scope in code.scopes():
            for operator, edits in OPERATORS.items():
                for edit in edits(Site(code, scope, enums)):
                    number = count[scope.name, operator] = count.get((scope.name, operator), 0) + 1
                    id = f"{path}:{scope.name}:{operator}:{number}"
                    mutants.append(describe(id, path, source, scope.name, operator, edit))
    return mutants


def describe(id: str, path: str, source: str, function: str, operator: str, edit: Edit, says: str = "") -> Mutant:
    """The fault that the edit of the source makes, with the lines that it changes."""
    start = source.rfind("\n", 0, edit.start) + 1
    end = source.find("\n", edit.end) % (len(source) + 1)
    return Mutant(
        id=id,
        path=path,
        function=function,
        operator=operator,
        edit=edit,
        line=source.count("\n", 0, edit.start) + 1,
        was=" ".join(source[start:end].split()),
        becomes=" ".join((source[start : edit.start] + edit.text + source[edit.end : end]).split()),
        says=says,
    )


def find_enums(sources: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The members of every enumeration."""
    enums = {}
    for code in map(Code, sources):
        for i, token in enumerate(code.tokens):
            if token.text == "enum":
                members = range(i + 3, code.partners[i + 2])
                enums[code.text(i + 1)] = tuple(code.text(m) for m in members if code.tokens[m].kind == "name")
    return enums


def mutate(sources: Mapping[str, str], mutants: Iterable[Mutant]) -> dict[str, str]:
    """The sources with all of these faults, which must be disjoint."""
    changed = dict(sources)
    for mutant in sorted(mutants, key=lambda m: m.edit.start, reverse=True):
        edit, source = mutant.edit, changed[mutant.path]
        changed[mutant.path] = source[: edit.start] + edit.text + source[edit.end :]
    return changed


def disjoint(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Those that can be made together: each but the ones that change what an earlier one changes."""
    chosen: list[Mutant] = []
    for mutant in mutants:
        if not any(_overlap(mutant, other) for other in chosen):
            chosen.append(mutant)
    return chosen


def sample(mutants: Sequence[Mutant], size: int) -> list[Mutant]:
    """At most `size` of them, the same ones every time: one of every function comes first, then one of every kind in
    every function, then the rest. A change of one function leaves the choice in the others alone."""
    seen: set[tuple[str, ...]] = set()
    ranked = []
    for mutant in sorted(mutants, key=_draw):
        function, kind = (mutant.path, mutant.function), (mutant.path, mutant.function, mutant.operator)
        rank = (function in seen) + (kind in seen)
        seen |= {function, kind}
        ranked.append((rank, _draw(mutant), mutant.id))
    chosen = {id for _, _, id in sorted(ranked)[:size]}
    return [mutant for mutant in mutants if mutant.id in chosen]


def _overlap(a: Mutant, b: Mutant) -> bool:
    return a.path == b.path and a.edit.start < b.edit.end and b.edit.start < a.edit.end


def _draw(mutant: Mutant) -> str:
    return hashlib.sha256(f"{SEED} {mutant.id}".encode()).hexdigest()
