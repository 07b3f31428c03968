"""Sealed updates and private states as a worker leaves them, and as they are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from processor.artifacts.private_state import PrivateState, write_private_state
from processor.cid import cid_of
from processor.daemons.updates import keep_update
from processor.journal import SavedUpdate
from processor.protocol.jobs.kinds import STATE_AFTER, UPDATE
from processor.types import Cid

KEY, BASE = bytes(range(32)), cid_of(b"base")


def made(
    folder: Path, round: int = 1, key: bytes = KEY, base: Cid = BASE, release: int = 1, epsilon: float | None = None
) -> SavedUpdate:
    """A worker's job is done: its files lie in `folder` / "job", and this is what they are to be kept as."""
    job, sealed = folder / "job", f"update of round {round} {key.hex()} {base} {release}".encode()
    shutil.rmtree(job, ignore_errors=True)
    job.mkdir()
    (job / UPDATE).write_bytes(sealed)
    before = cid_of(b"before") if release > 1 else None
    state = write_private_state(job / STATE_AFTER, PrivateState(release, before))
    cid = cid_of(sealed)
    path = folder / "updates" / cid
    return SavedUpdate(round, key, base, cid, path, 1234, 56, 4000 + round, state=state, epsilon=epsilon)


def keep(folder: Path, update: SavedUpdate) -> SavedUpdate:
    """Keeps what `made` left in the folder of the job."""
    keep_update(folder / "updates", update, folder / "job" / UPDATE, folder / "job" / STATE_AFTER)
    return update


def kept(folder: Path, round: int = 1, key: bytes = KEY, base: Cid = BASE, release: int = 1) -> SavedUpdate:
    return keep(folder, made(folder, round, key, base, release))
