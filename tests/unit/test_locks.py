"""A lock has one holder on the machine, and dies with it."""

from __future__ import annotations

import secrets
import subprocess
import sys

import pytest

from processor.locks import held

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has an abstract namespace of sockets")
HOLDER = """
import sys, time
from processor.locks import held

with held(sys.argv[1]) as ours:
    print(ours, flush=True)
    time.sleep(60)
"""


def test_a_lock_has_one_holder_at_a_time() -> None:
    name = secrets.token_hex()
    with held(name) as first, held(name) as second, held(name + "'") as other:
        assert (first, second, other) == (True, False, True)
    with held(name) as again:
        assert again


def test_a_lock_is_free_when_its_process_was_killed() -> None:
    name = secrets.token_hex()
    with subprocess.Popen([sys.executable, "-c", HOLDER, name], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "True\n"
        with held(name) as ours:
            assert not ours
        holder.kill()
    with held(name) as ours:
        assert ours
