"""What each part of a journal reads and writes by."""

from __future__ import annotations

from pathlib import Path

from processor.journal.database import Database


class Tables:
    """Some of the tables in a journal's database."""

    path: Path
    _database: Database
