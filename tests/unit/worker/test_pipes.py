"""Pipes that nobody waits at."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from processor.worker import pipes


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    for each in ends:
        os.set_blocking(each, False)
    yield ends
    for each in ends:
        try:
            os.close(each)
        except OSError:
            continue


def test_what_does_not_fit_is_dropped_and_what_fits_arrives_whole(pipe: tuple[int, int]) -> None:
    line = b"x" * 4095 + b"\n"
    written = sum(pipes.write(pipe[1], line) for _ in range(1000))
    assert 0 < written < 1000
    got = b""
    while piece := pipes.read(pipe[0]):
        got += piece
    assert got == line * written


def test_a_pipe_that_is_empty_is_told_from_one_that_has_ended(pipe: tuple[int, int]) -> None:
    assert pipes.read(pipe[0]) == b""
    os.close(pipe[1])
    assert pipes.read(pipe[0]) is None


def test_nobody_fails_because_nobody_reads(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    assert not pipes.write(pipe[1], b"line\n")


def test_standard_error_takes_whatever_is_written_to_it(pipe: tuple[int, int]) -> None:
    stream = pipes.standard_error(pipe[1])
    for _ in range(10_000):
        print("a warning that is repeated", "\udc80", file=stream)
    assert stream.fileno() == pipe[1]
    assert (pipes.read(pipe[0]) or b"").startswith(b"a warning that is repeated \\udc80\n")


def test_of_much_that_was_said_the_end_is_kept() -> None:
    tail = pipes.Tail(6)
    for piece in (b"one\n", b"two\n", b"three\n"):
        tail.take(piece)
    assert tail.text == "three"
