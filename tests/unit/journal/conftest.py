from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.journal import Journal, SavedUpdate
from tests.unit.journal.examples import opened, update_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with opened(path) as journal:
        yield journal


@pytest.fixture
def update(path: Path) -> SavedUpdate:
    return update_of(path.parent)
