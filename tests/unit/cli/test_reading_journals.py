"""Commands that only look leave a journal to the daemon that writes it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from processor.cli.daemon import journal_of
from processor.daemons.base import journal_path
from processor.errors import JournalError
from tests.unit.journal.examples import BASE, CLIENT, FEDERATION, KEY, update_of
from tests.unit.journal.landed import rows_in, write_version_3


def test_a_journal_of_an_earlier_version_is_looked_into_and_left_as_it_is(tmp_path: Path) -> None:
    write_version_3(journal_path(tmp_path))
    before = rows_in(journal_path(tmp_path))
    federation: Any = SimpleNamespace(chain_id=1337, address=FEDERATION)
    with journal_of(tmp_path, federation, CLIENT) as journal:
        assert (journal.metered_ms(3, KEY), journal.update_for(3, KEY, BASE)) == (1200, update_of(tmp_path))
        with pytest.raises(JournalError, match="readonly"):
            journal.keep_metered(3, KEY, 1)
    assert rows_in(journal_path(tmp_path)) == before
    assert [file.name for file in tmp_path.iterdir()] == ["journal.sqlite"]
