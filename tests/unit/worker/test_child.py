"""How the process of a job ends, as its daemon hears it."""

from __future__ import annotations

import errno

import pytest

from processor.errors import KeystoreError
from processor.worker.child import FAILED, REFUSED, status_of


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_what_the_system_refuses_for_now_is_told_from_what_is_wrong_with_a_job(number: int) -> None:
    error = OSError(number, "refused")
    wrapped = KeystoreError("the file cannot be written")
    wrapped.__cause__ = error
    assert (status_of(error), status_of(wrapped)) == (REFUSED, REFUSED)
    assert status_of(FileNotFoundError(errno.ENOENT, "No such file")) == FAILED
    assert status_of(KeyError("a mistake")) == FAILED
