"""The tables of every version are written down: who changes them gives them a version and a step to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from processor.daemons.relay_queue import QUEUE
from processor.journal.format import Format, set_version, version_of
from processor.journal.schema import JOURNAL
from tests.unit.journal.examples import CLIENT, FEDERATION

VERSIONS = Path(__file__).parent / "versions"
FORMATS = pytest.mark.parametrize("format", [JOURNAL, QUEUE], ids=lambda format: format.name)


def written(format: Format, version: int) -> str:
    """The tables of a version as they landed."""
    return (VERSIONS / f"{format.name}-{version}.sql").read_text()


def columns(database: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    tables = [row for row in database.execute("PRAGMA table_list").fetchall() if not row[1].startswith("sqlite_")]
    return {
        str(row[1:]): database.execute("SELECT * FROM pragma_table_info(?)", (row[1],)).fetchall() for row in tables
    } | {"indexes": database.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'").fetchall()}


@FORMATS
def test_the_tables_of_a_version_never_change(format: Format) -> None:
    said = f"the tables of the {format.name} differ from {VERSIONS.name}/{format.name}-{format.version}.sql: give them "
    said += "the next version, write that to a file of its own, and add the step that leads to it"
    assert format.schema.lstrip("\n") == written(format, format.version), said


@FORMATS
def test_every_version_that_landed_has_a_step_to_the_next(format: Format) -> None:
    landed = [int(path.stem.rpartition("-")[2]) for path in VERSIONS.glob(f"{format.name}-*.sql")]
    assert sorted(landed) == [*sorted(format.steps), format.version]
    assert sorted(landed) == list(range(min(landed), format.version + 1))


@FORMATS
def test_every_version_is_brought_to_the_tables_of_a_new_file(format: Format) -> None:
    with closing(sqlite3.connect(":memory:")) as new:
        format.create(new, (1, FEDERATION, CLIENT))
        for version in format.steps:
            with closing(sqlite3.connect(":memory:")) as old:
                old.executescript(written(format, version))
                set_version(old, version)
                format.bring_forward(old)
                assert columns(old) == columns(new) and version_of(old) == version_of(new) == format.version
