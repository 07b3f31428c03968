"""What all that is kept in a database shares: how it is read, written, and closed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from processor.journal.database import Database


class Tables:
    """Some of the tables in a database, which is open until `close` or the end of a `with` block."""

    _database: Database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        return self._database.path

    def close(self) -> None:
        self._database.close()
