"""The formats are final: the same content has the same CID in every process, today and later."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.artifacts.examples import cids

ROOT = Path(__file__).parents[3]

GOLDEN = {
    "plan": "QmUfib6prnWcXHbtNsNg93rNMwnDdPPYQrRXNzcie676ti",
    "report": "QmXuksaUXwSzhribuHfoqegPaRqq59s3a3LJkt156B7SpS",
    "round": "QmUcHfhJakFxgXkGqQB8QVTdL6d6yZnZLHwBQR1VfsYBip",
    "model": "QmS2MAk2kYDo1cYCda88XtMGohNjtLddWcqdFQaUWU7QRk",
    "update": "QmYsPUBhoe7Rp87NzLURn3iAz1B8v91FCKRWiURDckZ4Bz",
    "dataset": "QmNn6E1Jm6jGdnnFaeA6eAZsDmbvvanmwBa9tCWqWfjmk1",
    "state": "QmZJpEmNCsAvSgvuj4cE1CmtJCdH3TS5xhi75UkyLFFJUy",
    "private-state": "QmUj8gatuqhC4EoqyPKwJqsU6xwYiL1W1YenGDcNKzPkA7",
}


def test_every_kind_of_artifact_has_its_golden_cid(tmp_path: Path) -> None:
    assert cids(tmp_path) == GOLDEN


@pytest.mark.parametrize("hash_seed", ["0", "1", "4294967295", "random"])
def test_a_fresh_process_saves_the_same_bytes(tmp_path: Path, hash_seed: str) -> None:
    output = subprocess.run(
        [sys.executable, "-m", "tests.unit.artifacts.examples", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert dict(line.split() for line in output.splitlines()) == GOLDEN
