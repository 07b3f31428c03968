"""A daemon is killed while it keeps an update: whatever the moment, the next one goes on with the same update."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from processor.artifacts.private_state import PrivateState, write_private_state
from processor.cid import cid_of_file
from processor.daemons.recovery import open_journal
from processor.daemons.updates import files_of, keep_update, needed, private_state, sweep
from processor.journal import SavedUpdate, updates_folder
from processor.keystore import private_directory
from processor.protocol.jobs.kinds import STATE_AFTER, UPDATE
from tests.unit.daemons.saved import BASE, KEY
from tests.unit.journal.children import in_a_child
from tests.unit.journal.examples import CLIENT, FEDERATION

LOG = structlog.get_logger()
EFFECTS = ("os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree")
"""Audit events before what another process could see of this one. Source: Python's table of audit events."""
WRITING = os.O_WRONLY | os.O_RDWR


def seal(state: Path, round: int, before: str | None) -> None:
    """What the worker leaves in the folder of a job: no two seals of the same content are alike."""
    job = private_directory(state / "jobs" / f"train-{round}")
    (job / UPDATE).write_bytes(secrets.token_bytes(100))
    write_private_state(job / STATE_AFTER, PrivateState(round, before))


def go_on(state: Path, round: int) -> None:
    """What a daemon does from its start until the round's update is kept."""
    job, folder = state / "jobs" / f"train-{round}", updates_folder(state)
    with open_journal(state, 1337, FEDERATION, CLIENT, LOG) as journal:
        sweep(folder, journal, LOG)
        if journal.update_in(round, KEY) is None:
            cid, after = cid_of_file(job / UPDATE), cid_of_file(job / STATE_AFTER)
            update = SavedUpdate(round, KEY, BASE, cid, folder / cid, 1, 2, 3, state=after, epsilon=0.5)
            keep_update(folder, update, job / UPDATE, job / STATE_AFTER)
            journal.save_update(update)
            sweep(folder, journal, LOG)
        shutil.rmtree(job, ignore_errors=True)
        saved = journal.update_in(round, KEY)
        assert saved is not None
        journal.see_update(saved, round, claimed_ms=1)
        if journal.finish_updates(round):
            sweep(folder, journal, LOG)


def test_wherever_it_is_killed_the_journal_names_whole_files_alone_and_the_next_daemon_goes_on_with_them(
    tmp_path: Path,
) -> None:
    before = tmp_path / "before"
    seal(before, 1, None)
    go_on(before, 1)
    effect = ended = 1
    while ended:
        state = tmp_path / str(effect)
        shutil.copytree(before, state)
        seal(state, 2, named(state)[0].state)
        sealed = cid_of_file(state / "jobs" / "train-2" / UPDATE)
        child = in_a_child(killed_before(effect, lambda: go_on(state, 2)))  # noqa: B023
        ended = os.waitpid(child, 0)[1]
        assert ended in (0, signal.SIGKILL)
        check_whole(state)
        go_on(state, 2)
        (kept,) = [update for update in named(state) if update.round == 2]
        assert kept.cid == sealed and kept.final
        assert set(updates_folder(state).iterdir()) == set(files_of(kept))
        effect += 1
    assert effect > 15


def named(state: Path) -> list[SavedUpdate]:
    """The updates that the journal names and that are needed still."""
    with open_journal(state, 1337, FEDERATION, CLIENT, LOG) as journal:
        return needed(journal)


def check_whole(state: Path) -> None:
    """Every file that the journal names is there with its bytes, also those that it found next to it just now."""
    folder = updates_folder(state)
    with open_journal(state, 1337, FEDERATION, CLIENT, LOG) as journal:
        for update in needed(journal):
            assert cid_of_file(update.path) == update.cid
            assert all(path.exists() for path in files_of(update))
        assert private_state(folder, journal) is not None


def killed_before(effect: int, run: Callable[[], object]) -> Callable[[], object]:
    """What is killed before one of its effects on the disk, counted from 1."""

    def watched() -> None:
        left = effect

        def kill(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in EFFECTS or (event == "open" and arguments[2] & WRITING):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        run()

    return watched
