"""How long storage is tried again: trouble that may pass is waited out, within bounds that leave a round its time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from processor.errors import (
    ArtifactError,
    ArtifactTooLarge,
    ArtifactUnavailable,
    IntegrityError,
    Interrupted,
    StorageError,
)
from processor.exchange import Stop, never
from processor.exchange.limits import SLICE

SLOWEST = 128 << 10
"""Bytes a second, after the time-out, below which a transfer is given up: nobody can hold a daemon by dribbling."""

SLOWEST_UP = 32 << 10
"""The same for a file that is sent to a node: what leaves a home is slower, and nothing of it can be resumed."""

ATTEMPTS = 5
"""Attempts that may fail one after the other without a byte gained; the pauses between them come to 7.5 s at most."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds; each pause is drawn at random below a bound that doubles from the first to the longest."""


def patient(
    seconds: float, arrived: Callable[[], int] = lambda: 0, until: float = math.inf, stop: Stop = never
) -> Retrying:
    """Calls what it is given again after a StorageError, and raises the last one in the end; other errors are final.

    No attempt begins later than `seconds` after the first, and for every byte that has `arrived` the time that it may
    take at the `SLOWEST` pace; after one that got bytes further, `ATTEMPTS` follow again. With 0 seconds there is one.
    None begins after `until` either, a time of the monotonic clock. Once `stop` says so, a pause ends with Interrupted.
    """
    last_gain, most = 0, 0

    def enough(state: RetryCallState) -> bool:
        nonlocal last_gain, most
        if arrived() > most:
            last_gain, most = state.attempt_number, arrived()
        next_at = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        too_late = seconds == 0 or next_at > seconds + arrived() / SLOWEST
        too_late = too_late or time.monotonic() + state.upcoming_sleep >= until
        return too_late or state.attempt_number - last_gain >= ATTEMPTS

    return Retrying(
        retry=retry_if_exception_type(StorageError),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        stop=enough,
        sleep=lambda pause: _rest(pause, stop),
        reraise=True,
    )


def _rest(seconds: float, stop: Stop) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if stop():
            raise Interrupted("stopped before storage was tried again")
        time.sleep(min(left, SLICE))


def together(what: str, errors: Sequence[StorageError | ArtifactError]) -> StorageError | ArtifactError:
    """One error that lists what each of several places said.

    It counts as trouble that may pass where one of them is, and as too large only where all say so: a stranger may
    claim any size.
    """
    if len(errors) == 1:
        return errors[0]
    large = all(isinstance(error, ArtifactTooLarge) for error in errors)
    kinds = (ArtifactUnavailable, StorageError, IntegrityError)
    found = (kind for kind in kinds if any(isinstance(error, kind) for error in errors))
    kind = next(found, ArtifactTooLarge if large else ArtifactError)
    return kind(f"{what}: " + "; ".join(map(str, errors)))
