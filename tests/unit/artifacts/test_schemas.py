"""What a version may hold never changes: what was written in it would mean something else, or be refused.

`schemas.json` holds, of every kind, what bounds its files, the members that it leaves out, and for each version its
fields, as JSON Schema, and the groups of its tensors with their types. For a new kind, version or higher bound,
`python -m tests.unit.artifacts.test_schemas` adds it; to what is there already it changes nothing.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from processor.artifacts.canonical import Fields
from processor.artifacts.versions import Kind
from processor.protocol.jobs.kinds import JOBS, RESULTS

PACKAGE = Path(__file__).parents[3] / "processor"
FILE = Path(__file__).with_name("schemas.json")
ADD = "add it by `python -m tests.unit.artifacts.test_schemas`"
BOUNDS = {"limit": "bytes", "values": "values", "widest": "members in a list"}
"""What a file may have at most: it may rise."""
WORDS = ("title", "description")
"""What a schema says to people: it may change."""


def kinds() -> dict[str, Kind[Any]]:
    """Every kind that some module defines, by name; without jobs and what came of them: what another version of this
    program left of those is dropped, and the job done again."""
    defining = [path for path in sorted(PACKAGE.rglob("*.py")) if " Kind(" in path.read_text()]
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in defining]
    modules = [importlib.import_module(name) for name in names]
    found = {kind for module in modules for kind in vars(module).values() if isinstance(kind, Kind)}
    return {kind.name: kind for kind in found - {*JOBS, *RESULTS}}


def schema(fields: type[Fields]) -> Any:
    """The JSON Schema of some fields, without words."""
    return _without_words(TypeAdapter(fields).json_schema())


def schemas() -> dict[str, dict[str, Any]]:
    """What this program has of every kind, by name."""
    return {name: written(kind) for name, kind in sorted(kinds().items())}


def written(kind: Kind[Any]) -> dict[str, Any]:
    """A kind as `schemas.json` holds it."""
    groups = {"groups": {group.prefix: list(group.types) for group in kind.groups}} if kind.groups else {}
    versions = {str(version): {"fields": schema(fields), **groups} for version, fields in kind.schemas.items()}
    bounds = {"limit": kind.limit, "values": kind.most_values, "widest": kind.widest}
    return {**bounds, "implied": sorted(kind.implied), "versions": versions}


def differences(landed: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """What would orphan files, or is not in `landed` yet; nothing where all is well."""
    for name in sorted(landed | found):
        before, now = landed.get(name), found.get(name)
        if before is None:
            yield f"{name} is new: {ADD}"
        elif now is None:
            yield f"{name} is not read any more: keep the kind"
        else:
            yield from _of_kind(name, before, now)


def _of_kind(name: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for bound, unit in BOUNDS.items():
        if now[bound] < before[bound]:
            yield f"{name} may have {now[bound]} {unit} now, and files of {before[bound]} were written: keep that limit"
        elif now[bound] > before[bound]:
            yield f"{name} may have {now[bound]} {unit} now, more than {before[bound]}: {ADD}"
    if now["implied"] != before["implied"]:
        yield f"{name} leaves out {now['implied']} now, and files were written that leave out {before['implied']}"
    then, today = before["versions"], now["versions"]
    for version in sorted(then | today, key=int):
        if version not in today:
            yield f"{name} {version} is not read any more: keep its fields, and a step from it to the next version"
        elif version not in then:
            yield f"{name} {version} is new: {ADD}"
        elif then[version] != today[version]:
            lines = difflib.unified_diff(
                _lines(then[version]), _lines(today[version]), "as it landed", "as it is now", lineterm="", n=2
            )
            yield f"the fields or groups of {name} {version} changed; they need a version of their own:\n" + "\n".join(
                lines
            )


def together(landed: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`landed`, with what is new in `found`: kinds, versions and higher limits."""
    merged = found | landed
    for name in landed.keys() & found.keys():
        bounds = {bound: max(landed[name][bound], found[name][bound]) for bound in BOUNDS}
        versions = found[name]["versions"] | landed[name]["versions"]
        merged[name] = {**landed[name], **bounds, "versions": versions}
    return merged


def test_no_landed_version_of_any_kind_has_other_fields_than_when_it_landed() -> None:
    found = list(differences(json.loads(FILE.read_text()), schemas()))
    assert not found, "\n\n".join(found)


def test_no_field_has_a_default_that_a_file_could_leave_to_the_program() -> None:
    for kind in kinds().values():
        for fields in kind.schemas.values():
            assert "default" not in json.dumps(schema(fields)), kind.name


LANDED: dict[str, Any] = {
    "plan": {
        "limit": 10,
        "values": 5,
        "widest": 3,
        "implied": ["kind"],
        "versions": {"1": {"fields": {"rate": 1}}, "2": {"fields": {"rate": 2}, "groups": {"param/": ["float32"]}}},
    }
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    """What landed, with something else at this place, or nothing where that is None."""
    found: dict[str, Any] = copy.deepcopy(LANDED)
    *parents, last = path
    place = found["plan"]
    for parent in parents:
        place = place[parent]
    place[last] = to
    if to is None:
        del place[last]
    return found


def test_what_is_as_it_landed_is_well() -> None:
    assert list(differences(LANDED, LANDED)) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            changed("versions", "2", "fields", "rate", to=3),
            r'of plan 2 changed(.|\n)*-  +"rate": 2(.|\n)*\+  +"rate": 3',
        ),
        (changed("versions", "2", "groups", to={"param/": ["float64"]}), 'of plan 2 changed(.|\n)*-  +"float32"'),
        (changed("versions", "2", "groups", to=None), "of plan 2 changed"),
        (changed("versions", "1", to=None), "plan 1 is not read any more"),
        (changed("implied", to=[]), "plan leaves out .* now"),
        (changed("limit", to=9), "plan may have 9 bytes now, and files of 10 were written: keep that limit"),
        (changed("widest", to=2), "plan may have 2 members in a list now, and files of 3 were written"),
        ({}, "plan is not read any more: keep the kind"),
    ],
)
def test_what_would_orphan_files_is_named_and_never_written_down(found: dict[str, Any], said: str) -> None:
    (difference,) = differences(LANDED, found)
    assert re.search(said, difference)
    assert together(LANDED, found) == LANDED


def test_what_is_new_is_named_until_it_is_written_down() -> None:
    plan = LANDED["plan"]
    new: dict[str, Any] = {"3": {"fields": {}}}
    found = {"other": plan, "plan": {**plan, "limit": 11, "versions": {**plan["versions"], **new}}}
    assert [difference.partition(":")[0] for difference in differences(LANDED, found)] == [
        "other is new",
        "plan may have 11 bytes now, more than 10",
        "plan 3 is new",
    ]
    assert list(differences(together(LANDED, found), found)) == []


def _without_words(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_words(each) for each in part]
    if not isinstance(part, dict):
        return part
    named = {name: _without_words(value) for name, value in part.items() if name not in WORDS}
    if isinstance(part.get("properties"), dict):  # fields may have these names too
        named["properties"] = {name: _without_words(value) for name, value in part["properties"].items()}
    return named


def _lines(part: Any) -> list[str]:
    return json.dumps(part, indent=2, sort_keys=True).splitlines()


if __name__ == "__main__":
    landed, found = json.loads(FILE.read_text()), schemas()
    merged = together(landed, found)
    FILE.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")
    for name in sorted(merged):
        if merged[name] != landed.get(name):
            print(f"added to {name}")
    print("\n\n".join(differences(merged, found)))
