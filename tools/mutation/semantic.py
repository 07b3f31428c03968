"""Faults of meaning, made by hand: the reviewed list semantic.toml.

What the operators of this package make is small and anywhere. These are few, and each is a promise broken in a way that
reads well: the wrong round's value, a booking left out on one path, a key of before that is accepted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from tools.mutation.mutants import Mutant, describe
from tools.mutation.operators import Edit
from tools.mutation.solidity import Code

LIST = Path(__file__).with_name("semantic.toml")
KIND = "semantic"

_FIELDS = {"id", "says", "path", "was", "becomes"}


def read_semantic(text: str, sources: Mapping[str, str]) -> list[Mutant]:
    """From TOML: tables [[fault]] of id, what the fault means, path, the text that is there exactly once, and what it
    becomes. Raises ValueError for anything else, and where the contracts no longer say what a fault changes."""
    entries = tomllib.loads(text)
    tables = entries.pop("fault", [])
    if entries:
        raise ValueError(f"expected tables [[fault]] only, found {', '.join(entries)}")
    mutants = [_mutant(table, sources) for table in tables]
    ids = [mutant.id for mutant in mutants]
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return mutants


def _mutant(table: Mapping[str, object], sources: Mapping[str, str]) -> Mutant:
    if set(table) != _FIELDS or not all(isinstance(v, str) for v in table.values()):
        raise ValueError(f"a fault has {', '.join(sorted(_FIELDS))}, each a text, found {dict(table)}")
    id, says, path, was, becomes = (str(table[field]) for field in ("id", "says", "path", "was", "becomes"))
    if path not in sources:
        raise ValueError(f"{id}: there is no contracts/{path}")
    count = sources[path].count(was) if was else 0
    if count != 1 or was == becomes:
        raise ValueError(f"{id}: expected `{was}` exactly once in {path}, and changed, found it {count} times")
    start = sources[path].index(was)
    function = _function(Code(sources[path]), start)
    edit = Edit(start, start + len(was), becomes)
    return describe(f"{KIND}:{id}", path, sources[path], function, KIND, edit, says)


def _function(code: Code, offset: int) -> str:
    """In which the offset lies; empty for none."""
    for scope in code.scopes():
        if scope.body and code.tokens[scope.body.start].start <= offset <= code.tokens[scope.body.stop - 1].end:
            return scope.name
    return ""
