"""A kind of database, its version, and the steps by which earlier versions of it become that one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from processor.types import Address

Identity = tuple[int, Address, Address]
"""Whose a database is: chain id, federation, wallet."""
Step = Callable[[sqlite3.Connection], None]
"""Turns a version into the next within the transaction that is open, by what is in the database alone."""


@dataclass(frozen=True)
class Format:
    """What people call a kind of database, and what is in one of this `version`: with a table `identity`, whose one row
    is an `Identity`.

    `steps` has a step from each earlier version that this program still reads. `loss` completes what is said of a file
    that is damaged.
    """

    name: str
    version: int
    schema: str
    steps: Mapping[int, Step]
    loss: str = ""

    def refusal(self, path: Path, version: int) -> str | None:
        """Why a file of this version is not opened; None where it is, if by way of steps. 0 is a file without content.

        A negative version marks a copy that a migration kept.
        """
        named = f"the {self.name} {path} has version {version}"
        if version in (0, self.version) or version in self.steps:
            return None
        if version < 0:
            return (
                f"the {self.name} {path} is the copy that was kept of version {-version}: it does not know what was "
                f"done since, and no program opens it; move it away and put the {self.name} back that was there"
            )
        if version > self.version:
            return f"{named}, this program reads up to {self.version}: update Koinon"
        return (
            f"{named}, which is of the contracts before those that this program knows: finish there (claim, leave, "
            "withdraw) with the version of Koinon that wrote it"
        )

    def create(self, database: sqlite3.Connection, identity: Identity) -> None:
        """Writes an empty database of this version into the transaction that is open."""
        for statement in self.schema.split(";\n"):
            database.execute(statement)
        database.execute("INSERT INTO identity VALUES (?, ?, ?)", identity)
        set_version(database, self.version)

    def bring_forward(self, database: sqlite3.Connection) -> None:
        """Takes a database of an earlier version to this one, within the transaction that is open."""
        for version in range(version_of(database), self.version):
            self.steps[version](database)
            set_version(database, version + 1)


def version_of(database: sqlite3.Connection) -> int:
    """The version that a database says it has; 0 where it is empty."""
    [[version]] = database.execute("PRAGMA user_version").fetchall()
    return int(version)


def set_version(database: sqlite3.Connection, version: int) -> None:
    """Part of the transaction that is open, as what goes with it."""
    database.execute(f"PRAGMA user_version = {version}")
