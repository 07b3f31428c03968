"""Steps that run in a process of their own."""

from __future__ import annotations

import ctypes
import os
import traceback
from collections.abc import Callable

_VERSION_3 = 0x20080522
"""Of the structures that `capset` takes. Source: capset(2)."""


def in_a_child(run: Callable[[], object]) -> int:
    """Runs in a process of its own, whose status is 0 unless it fails or is killed; gives its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def without_privileges(run: Callable[[], object]) -> bool:
    """Whether it succeeds in a process for which modes of files hold, whoever runs the tests."""

    def unprivileged() -> None:
        assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()) == 0
        run()

    return os.waitpid(in_a_child(unprivileged), 0)[1] == 0
