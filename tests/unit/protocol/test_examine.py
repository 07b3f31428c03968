"""What a client sealed is the client's doing, also where no program that is known could have made it; what this machine
cannot do is not."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from processor.artifacts.model import open_model, write_model
from processor.artifacts.update import UPDATE, UpdateFile, open_update, write_update
from processor.cid import cid_of_file
from processor.errors import ArtifactError, MachineError, Unreadable
from processor.privacy.sealing import generate_key_pair, seal_file
from processor.protocol import examine
from processor.protocol.examine import Examination, Examined
from processor.protocol.judge import SLASHED
from processor.protocol.opened import Identity, OpenedRound
from processor.types import Submitted
from tests.unit.artifacts.examples import BUFFERS, CLIENTS, FEDERATION, FISHER, MODEL_HEADER, OPENING, PARAMETERS, PLAN

KEYS = generate_key_pair()
ROUND = OpenedRound(Identity(31337, FEDERATION), OPENING, PLAN)


def examined(folder: Path, version: int) -> Examined:
    """An update as the plan wants it, whose header says that it is of this version."""
    base, plain, sealed = folder / "base", folder / "plain", folder / "sealed"
    write_model(base, MODEL_HEADER, PARAMETERS, BUFFERS, {})
    write_update(plain, ROUND.update_header(CLIENTS[0], samples=10), PARAMETERS, BUFFERS, FISHER)
    content = plain.read_bytes()
    said = rb"\"version\":%d" % UPDATE.version
    assert content.count(said) == 1
    plain.write_bytes(content.replace(said, rb"\"version\":%d" % version))
    seal_file(plain, sealed, KEYS.public)
    submitted = Submitted(CLIENTS[0], cid_of_file(sealed), 1_000)
    with open_model(base) as model:
        return Examination(ROUND, model, KEYS.secret, folder).examine(submitted, sealed)


def test_an_update_of_the_version_that_is_read_is_accepted(tmp_path: Path) -> None:
    assert examined(tmp_path, UPDATE.version).reason is None


def test_an_update_of_a_newer_version_is_rejected_as_malformed(tmp_path: Path) -> None:
    found = examined(tmp_path, UPDATE.version + 1)
    assert (found.content, found.reason) == (None, "malformed")
    assert "malformed" in SLASHED


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_what_this_machine_refuses_is_not_blamed_on_the_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    reading = os.preadv

    def refuse(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".update":
            raise OSError(number, os.strerror(number))
        return reading(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        examined(tmp_path, UPDATE.version)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: os.truncate(path, path.stat().st_size - 4)])
def test_a_working_file_that_somebody_takes_away_is_not_blamed_on_the_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    def opened_and_changed(path: Path, newest: int | None = None) -> UpdateFile:
        if change is Path.unlink:
            path.unlink()
            return open_update(path, newest)
        update = open_update(path, newest)
        change(path)
        return update

    monkeypatch.setattr(examine, "open_update", opened_and_changed)
    with pytest.raises(Unreadable):
        examined(tmp_path, UPDATE.version)
    assert not isinstance(Unreadable(""), ArtifactError), "an audit would call it a violation"


def test_a_processor_that_computes_otherwise_is_not_blamed_on_the_update(tmp_path: Path) -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such setting")
    try:
        with pytest.raises(MachineError, match="flushes subnormal numbers to zero"):
            examined(tmp_path, UPDATE.version)
    finally:
        torch.set_flush_denormal(False)
