"""The real `koinon` command as a process of its own, from an interpreter that has loaded torch, so that a start of the
command and of its worker costs little: a server process loads what both need, once, and forks (`multiprocessing`'s
forkserver)."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import BinaryIO, NamedTuple

from processor.demo.nodes import CHECKOUT

_PRELOADED = [
    "processor.cli.app",
    "processor.cli.tree",
    "processor.daemons.client",
    "processor.daemons.organization",
    "processor.worker.perform",
    "torch._dynamo",  # what estimating a Fisher information imports
    "tests.warm",
    "tests.warm_worker",
]


class Done(NamedTuple):
    """How a command ended; a negative `returncode` is the signal that ended it."""

    returncode: int
    stdout: str
    stderr: str


def server() -> ForkServerContext:
    """The server that processes are forked from; it ends with this process."""
    context = multiprocessing.get_context("forkserver")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if str(CHECKOUT) not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    context.set_forkserver_preload(_PRELOADED)
    return context


def run(
    arguments: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    said: str = "",
    timeout: float = 120,
    prepare: Callable[[], None] | None = None,
) -> Done:
    """What `koinon ARGUMENTS` answers in `folder`, without a terminal, with this environment and this input. The
    process runs `prepare` first.

    Raises TimeoutError where it has not ended after `timeout` seconds: it is killed then.
    """
    with tempfile.TemporaryDirectory() as streams:
        names = [Path(streams) / name for name in ("stdin", "stdout", "stderr")]
        names[0].write_text(said)
        process = server().Process(
            target=become_koinon, args=(list(arguments), folder, dict(variables), names, prepare)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"koinon {' '.join(arguments)} has not ended after {timeout:g} s")
        return Done(process.exitcode, names[1].read_text(), names[2].read_text())


def become_koinon(
    arguments: list[str],
    folder: Path,
    variables: Mapping[str, str],
    streams: list[Path],
    prepare: Callable[[], None] | None = None,
) -> None:
    """What the new process does."""
    os.setsid()
    os.chdir(folder)
    for descriptor, path in enumerate(streams):
        _redirect(descriptor, path.open("rb" if descriptor == 0 else "wb"))
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["koinon", *arguments]
    from processor.cli.app import main
    from tests.warm_worker import keep_at_hand

    keep_at_hand()
    if prepare is not None:
        prepare()
    main()


def _redirect(descriptor: int, file: BinaryIO) -> None:
    os.dup2(file.fileno(), descriptor)
    file.close()
