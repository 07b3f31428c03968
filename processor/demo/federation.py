"""The demo from its first line to its last: private nodes, the stage, the play, and what is kept of it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from processor.artifacts.plan import PLAN
from processor.artifacts.report import REPORT
from processor.chain.snapshot import Snapshots
from processor.demo import settings as knobs
from processor.demo.nodes import CHAIN_ID, anvil_binary, start_anvil, start_kubo
from processor.demo.page import ClosingPage
from processor.demo.play import play, proved_rounds
from processor.demo.processes import koinon
from processor.demo.settings import DemoSettings
from processor.demo.stage import Stage, set_the_stage
from processor.errors import ConfigurationError
from processor.files import replacing
from processor.protocol.references import Reference, of_file, of_plan, of_report
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import Cid
from processor.words import reason

ARTIFACTS = "artifacts"
CHAIN_STATE = "chain.json"
LARGEST_ARTIFACT = 1 << 40


def run(settings: DemoSettings, say: Callable[[str], None]) -> ClosingPage:
    """Runs the demo and returns its closing page; `say` gets a line for every event.

    Whatever happens, nothing is left running, and nothing is left on disk but what `settings.keep` asks for. Raises
    KoinonError where something cannot be started or a daemon ends before its time.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals_as_interrupt())
        if settings.json is not None and not os.access(settings.json.absolute().parent, os.W_OK):
            raise ConfigurationError(f"--json {settings.json}: its folder does not exist or cannot be written to")
        folder = _folder(settings, stack)
        storage = _storage(settings, folder, stack, say)
        chain = start_anvil(folder / "chain", dump_state=folder / CHAIN_STATE, block_time=knobs.BLOCK_TIME)
        stack.callback(chain.stop)
        stage = set_the_stage(settings, folder, chain.rpc_url, storage, say)
        page = play(stage, say)
        if settings.keep is not None:
            _export(stage)
    if settings.json is not None:
        with replacing(settings.json) as file:
            file.write(json.dumps(page.as_json(), indent=2).encode() + b"\n")
    return page


def how_to_audit(settings: DemoSettings, federation: str) -> list[str]:
    """The two commands that start a kept chain again and audit it; none where nothing is kept."""
    if settings.keep is None:
        return []
    kept = settings.keep.resolve()
    return [
        shlex.join(
            [str(anvil_binary()), "--load-state", str(kept / CHAIN_STATE), "--chain-id", str(CHAIN_ID)]
            + ["--preserve-historical-states"]
        ),
        shlex.join(koinon("audit", federation, "--rpc", "http://127.0.0.1:8545", "--store", str(kept / ARTIFACTS))),
    ]


def _folder(settings: DemoSettings, stack: contextlib.ExitStack) -> Path:
    if settings.keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="koinon-demo-")))
    if settings.keep.exists() and (not settings.keep.is_dir() or any(settings.keep.iterdir())):
        raise ConfigurationError(f"--keep {settings.keep}: expected a new or an empty folder")
    try:
        settings.keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--keep {settings.keep}: the folder cannot be made: {reason(error)}") from None
    return settings.keep.resolve()


def _storage(
    settings: DemoSettings, folder: Path, stack: contextlib.ExitStack, say: Callable[[str], None]
) -> dict[str, str]:
    """Where artifacts travel, as the [network] table names it: by default over an IPFS node of the demo's own."""
    if settings.ipfs is not None and settings.store is not None:
        raise ConfigurationError("--ipfs and --store are both given: expected one of them")
    if settings.ipfs is not None:
        say(f"storage: the IPFS node at {settings.ipfs}")
        return {"ipfs": settings.ipfs}
    if settings.store is not None:
        say(f"storage: the local directory {settings.store}")
        return {"store": str(settings.store.resolve())}
    program = shutil.which("ipfs")
    if program is None:
        say("storage: a local directory, since there is no `ipfs` program on PATH")
        return {"store": str(folder / ARTIFACTS)}
    node = start_kubo(Path(program), folder / "kubo")
    stack.callback(node.stop)
    say(f"storage: a private IPFS node at {node.api} ({program})")
    return {"ipfs": node.api}


def _export(stage: Stage) -> None:
    """Copies every artifact out of the storage, so that the audit of what is kept needs no node."""
    store = LocalStorage(stage.folder / ARTIFACTS)
    with tempfile.TemporaryDirectory(dir=stage.folder) as folder:
        path = Path(folder) / "artifact"
        for cid in _artifacts(stage):
            stage.storage.get(cid, path, LARGEST_ARTIFACT)
            store.put(path)
            path.unlink()


def _artifacts(stage: Stage) -> set[Cid]:
    """The CID of everything that an audit reads: what each round refers to that the chain's record proves."""
    library = Library(stage.storage)
    named = list[Reference]()
    for file in proved_rounds(Snapshots(stage.federation).latest(), library):
        named += [*of_file(file), *of_plan(library.read(PLAN, file.opening.plan))]
        if file.outcome is not None:
            named += of_report(library.read(REPORT, file.outcome.report))
    return {reference.cid for reference in named}


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does, cleaning up; also where a shell began it in the
    background, and with that made it deaf to SIGINT."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
