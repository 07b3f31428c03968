"""Plays answers to clients of ours, many at a time, and judges what came of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.fuzz.random_answers import random_answer
from tests.fuzz.server import Answer, Server, in_turn

SLACK = 30.0
"""Seconds that a busy machine may take on top of what was allowed."""

BUFFERS = 12 << 20
"""Bytes that the system may have taken from the server without anybody reading them."""

AT_A_TIME = 48

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Play:
    """One call of a client: to the server at a port, within `seconds`, as long as nobody stops it.

    `honest` answers come first, then what is tried. It returns what the client took for true, or raises one of
    `errors`; `right` says whether the former is.
    """

    name: str
    honest: tuple[Answer, ...]
    call: Callable[[int, float, Stop], object]
    right: Callable[[object], bool]
    errors: tuple[type[Exception], ...]
    most_bytes: int
    server: type[Server] = Server


@dataclass(frozen=True)
class Case:
    name: str
    play: Play
    answer: Answer


def faults(cases: Iterable[Case], seconds: float, stop_after: float | None = None) -> list[str]:
    """What is wrong with how the clients took the answers, one line each; nothing where all is well.

    Each call may take `seconds`, and with `stop_after` it is stopped by then and may take no longer than that.
    """
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = pool.map(lambda case: _fault(case, seconds, stop_after), cases)
        return [f"{case_name}: {fault}" for case_name, fault in found if fault]


def _fault(case: Case, seconds: float, stop_after: float | None) -> tuple[str, str]:
    name = f"{case.play.name}, {case.name}"
    with case.play.server(in_turn([*case.play.honest, case.answer])).running() as server:
        stopped = threading.Event()
        timer = threading.Timer(stop_after or 0, stopped.set)
        timer.daemon = True
        started = time.monotonic()
        if stop_after is not None:
            timer.start()
        try:
            taken = case.play.call(server.port, seconds, stopped.is_set)
            fault = "" if case.play.right(taken) else f"{taken!r:.200} was believed"
        except case.play.errors:
            fault = ""
        except BaseException as error:  # whatever it is, it is the finding
            fault = f"{type(error).__module__}.{type(error).__name__}: {error!s:.200}"
        took = time.monotonic() - started
        timer.cancel()
        allowed = seconds if stop_after is None else stop_after
        if took > allowed + SLACK:
            fault += f" took {took:.1f} s, {allowed:g} s were allowed"
        if server.sent > case.play.most_bytes + BUFFERS:
            fault += f" read {server.sent} bytes, at most {case.play.most_bytes} are expected"
    return name, fault


def scripted(play: Play, answers: dict[str, Answer]) -> list[Case]:
    return [Case(name, play, given) for name, given in answers.items()]


def random_cases(plays: Sequence[tuple[Play, bytes]], first: int, count: int) -> Iterator[Case]:
    """The answers of so many seeds, around the good body of each of the plays in turn."""
    for seed in range(first, first + count):
        play, body = plays[seed % len(plays)]
        yield Case(f"seed {seed}", play, random_answer(seed, body))
