"""Fetches the updates of a round, many at a time, in the time that there is; each goes on as soon as it is there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import TypeVar

from processor.errors import ArtifactError, ArtifactUnavailable
from processor.storage.background import begin
from processor.storage.base import Storage
from processor.types import Submitted

FETCHED_AT_A_TIME = 32
"""Updates; whoever serves none makes us wait."""
TAKEN_AT_A_TIME = 8
"""Updates that have arrived."""

Made = TypeVar("Made")


def collect(
    submitted: Sequence[Submitted],
    storage: Storage,
    limit: int,
    directory: Path,
    budget: float | None,
    take: Callable[[Submitted, Path], Made],
) -> list[Made | None]:
    """What `take` makes of each update's sealed file, in the order given; None for one that nobody served whole, within
    `limit` bytes and `budget` seconds.

    `take` is called on several threads, and has the file for as long as the call takes; what it raises, this raises.
    The files arrive in a folder of their own under `directory`: what is given up may still write there for a moment.
    """
    until = None if budget is None else time.monotonic() + budget
    with (
        tempfile.TemporaryDirectory(prefix="arriving-", dir=directory, ignore_cleanup_errors=True) as arriving,
        ThreadPoolExecutor(TAKEN_AT_A_TIME) as pool,
    ):
        paths = [Path(arriving) / one.client for one in submitted]
        calls = [partial(_fetch, one, storage, path, limit, until) for one, path in zip(submitted, paths, strict=True)]
        fetching = begin(calls, FETCHED_AT_A_TIME)
        place = {future: index for index, future in enumerate(fetching)}
        taken: dict[int, Future[Made]] = {}
        try:
            for future in as_completed(fetching, budget):
                index = place[future]
                if future.result():
                    taken[index] = pool.submit(_taken, take, submitted[index], paths[index])
        except TimeoutError:
            pass  # nobody served the rest in time
        finally:
            for future in fetching:
                future.cancel()
        return [taken[index].result() if index in taken else None for index in range(len(submitted))]


def _fetch(one: Submitted, storage: Storage, sealed: Path, limit: int, until: float | None) -> bool:
    """Whether somebody served the update whole; `until` by the monotonic clock."""
    seconds = None if until is None else until - time.monotonic()
    if seconds is not None and seconds <= 0:
        return False
    try:
        storage.get(one.update, sealed, limit, seconds)
    except (ArtifactError, ArtifactUnavailable):
        return False
    return True


def _taken(take: Callable[[Submitted, Path], Made], one: Submitted, sealed: Path) -> Made:
    try:
        return take(one, sealed)
    finally:
        sealed.unlink()
