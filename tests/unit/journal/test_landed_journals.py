"""The journals of the federation that landed go on where they are put."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from processor.journal import Journal
from processor.journal.copies import copy_path
from processor.journal.schema import JOURNAL
from tests.landed.relocate import LANDED, MOMENTS, expected
from tests.landed.said import said
from tests.unit.journal.landed import brought_forward, rows_in


@pytest.mark.parametrize("name", expected()["wallets"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_journal_that_landed_says_what_it_said_and_finds_its_updates(moment: str, name: str, tmp_path: Path) -> None:
    state, then = tmp_path / "elsewhere", expected()[moment]["journals"][name]
    shutil.copytree(LANDED / moment / name, state)
    path = state / "journal.sqlite"
    version, before = rows_in(path)
    metered = [(row["round"], bytes.fromhex(row["sealing_key"])) for row in then["metered"]]
    keys = [bytes.fromhex(row["public_key"]) for row in then["secrets"]]
    for read_only in (True, False, True):
        wallet = expected()["chain_id"], expected()["federation"], expected()["wallets"][name]
        with Journal(path, *wallet, read_only=read_only) as journal:
            assert said(journal, state, metered, keys) == then
            kept = [update for update in journal.updates() if update.path.exists()]
            assert [update.path for update in kept] == [state / "updates" / update.cid for update in kept]
            assert kept or not journal.updates()
    assert version == 3 and rows_in(copy_path(path, 3)) == (-3, before)
    assert rows_in(path) == (JOURNAL.version, brought_forward(before))
