"""Pieces of sentences read as a person would say them."""

from __future__ import annotations

import errno
import os

import pytest

from processor.words import counted, in_full, noun, reason


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 seconds"), (1, "1 second"), (1.0, "1 second"), (2, "2 seconds"), (0.5, "0.5 seconds")],
)
def test_a_noun_goes_with_its_number(number: float, said: str) -> None:
    assert counted(number, "second") == said


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert (counted(1, "pass", "passes"), counted(2, "pass", "passes")) == ("1 pass", "2 passes")
    assert (noun(1, "sample"), noun(1000, "sample")) == ("sample", "samples")


def test_no_reason_shows_a_number_or_a_path() -> None:
    for number in errno.errorcode:
        said = reason(OSError(number, os.strerror(number), "/some/place"))
        assert said.startswith(os.strerror(number)) and "Errno" not in said and "/some" not in said


def test_an_error_without_a_number_keeps_its_own_words() -> None:
    assert reason(OSError("the gate is closed")) == "the gate is closed"
    assert reason(OSError()) == "the system refused it"


def test_a_reason_in_full_names_the_file_where_the_system_does() -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/state/lock")
    assert in_full(refused).startswith("/state/lock: Permission denied: look at the permissions")
    assert in_full(OSError(errno.ENOSPC, "No space left on device", b"/state")).startswith("/state: No space left")
    assert in_full(OSError(errno.EPIPE, "Broken pipe")) == "Broken pipe"
