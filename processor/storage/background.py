"""Calls that may take long, made at the same time on threads that nobody has to wait for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

Did = TypeVar("Did")


def begin(calls: Sequence[Callable[[], Did]], at_a_time: int) -> list[Future[Did]]:
    """What will come of each of the calls, of which `at_a_time` run together, in their order.

    Whoever has waited enough cancels those that have not begun and leaves the others to themselves: their threads hold
    up neither the caller nor the end of the process, as those of a ThreadPoolExecutor would.
    """
    futures: list[Future[Did]] = [Future() for _ in calls]
    waiting = deque(zip(futures, calls, strict=True))
    for _ in range(min(at_a_time, len(calls))):
        threading.Thread(target=_work, args=(waiting,), daemon=True).start()
    return futures


def _work(waiting: deque[tuple[Future[Did], Callable[[], Did]]]) -> None:
    while waiting:
        try:
            future, call = waiting.popleft()
        except IndexError:  # another thread was faster
            return
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(call())
        except BaseException as error:  # for whoever asks the future
            future.set_exception(error)
