"""Blocks computed on several processors at once, and taken in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")

MOST = 4
"""Threads: arithmetic on a block takes some ten times as long as what only one thread at a time can do."""


def ahead(calls: Iterable[Callable[[], Made]]) -> Generator[Made, None, None]:
    """What the calls give, in their order, while the next few are under way; what one raises, this raises.

    Whoever stops early closes the iterator, which waits for the calls that were begun.
    """
    threads = min(MOST, os.cpu_count() or 1)
    begun: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for call in calls:
            if len(begun) > threads:
                yield begun.popleft().result()
            begun.append(pool.submit(call))
        while begun:
            yield begun.popleft().result()
