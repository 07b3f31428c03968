"""A client that is killed or stopped in the middle of its training, as a process, and started again."""

from __future__ import annotations

import json
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from processor.artifacts.plan import Plan
from processor.daemons.base import journal_path
from processor.daemons.updates import saved_updates
from processor.demo.play import join
from processor.demo.processes import Party, write_config
from processor.demo.settings import DemoSettings
from processor.demo.stage import Stage, set_the_stage
from processor.journal import Journal
from processor.protocol.jobs.folder import jobs_folder
from processor.protocol.jobs.kinds import CHECKPOINT
from processor.types import Phase
from tests.chaos.daemon import Daemon
from tests.nodes import start_anvil

PATIENCE = 180.0
LONG_TRAINING = 5000  # steps: some seconds
ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)


@pytest.mark.usefixtures("quick_stage")
def test_a_client_that_is_killed_and_stopped_again_and_again_goes_on_and_ends_with_exactly_one_update(
    tmp_path: Path,
) -> None:
    with start_anvil(tmp_path / "chain", block_time=1) as chain:
        stage = long_round(tmp_path, chain.rpc_url)
        victim, other = stage.clients
        kept = [0]
        with (
            running(stage.organization, "organization") as organization,
            running(other, "client"),
        ):
            for end in ENDS:
                begun = trainings(victim)
                with running(victim, "client") as daemon:
                    trained_further(stage, victim, begun, kept[-1])
                    daemon.signal(end)
                    assert ended(daemon) == (0 if end is signal.SIGTERM else -end)
                kept.append(metered(stage, victim))
            with running(victim, "client"):
                assert ended(organization) == 0

        assert kept == sorted(set(kept)), "compute time is never lost"
        assert len(said(victim, "training")) == 1, "only the first began at the beginning"
        resumed = [line["step"] for line in said(victim, "resumed")]
        assert len(resumed) == len(ENDS) and resumed == sorted(set(resumed)) and resumed[0] > 0
        (stopped,) = [line for line in said(victim, "interrupted") if "Ethereum node" not in line["reason"]]
        after = resumed[ENDS.index(signal.SIGTERM)]
        assert stopped["reason"] == f"stopped at step {after} of {LONG_TRAINING}"
        ends_with_exactly_one_update(stage, victim, kept[-1])


@contextmanager
def running(party: Party, role: str) -> Iterator[Daemon]:
    daemon = Daemon(party, role, rpc=[], ipfs=[], metrics=0)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.terminate(PATIENCE)


def ended(daemon: Daemon) -> int | None:
    assert daemon.process is not None
    daemon.process.join(PATIENCE)
    return daemon.process.exitcode


def long_round(folder: Path, rpc: str) -> Stage:
    """Two clients and an organization, with all day for a training that the first client saves many times a second."""
    stage = set_the_stage(DemoSettings(clients=2, rounds=1), folder, rpc, storage(folder), print)
    victim = tomllib.loads(stage.clients[0].config.read_text())
    victim["client"]["checkpoint_interval"] = 0.1
    write_config(stage.clients[0], victim)
    join(stage, train_for_long(stage))
    return stage


def trained_further(stage: Stage, party: Party, begun: int, before: int) -> None:
    """Waits for another training than those that have begun, for a checkpoint of it, each is a new file, and for more
    compute time than before."""
    until(lambda: trainings(party) > begun)
    seen = checkpoints(party)
    until(lambda: not checkpoints(party) <= seen)
    until(lambda: metered(stage, party) > before)


def trainings(party: Party) -> int:
    """How often one has begun or gone on: a worker may still write a checkpoint after its daemon was killed."""
    return len(said(party, "training")) + len(said(party, "resumed"))


def checkpoints(party: Party) -> set[tuple[int, int]]:
    files = [path.stat() for path in jobs_folder(party.state).glob(f"train-*/{CHECKPOINT}")]
    return {(file.st_ino, file.st_mtime_ns) for file in files}


def said(party: Party, event: str) -> list[dict[str, Any]]:
    """Every line of the party's log, over all its runs, about this event."""
    log = party.folder / "log.jsonl"
    text = log.read_text() if log.exists() else ""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if line["event"] == event]


def ends_with_exactly_one_update(stage: Stage, victim: Party, before: int) -> None:
    """The round is finalized with what the client's journal holds, and no compute time was lost."""
    view = stage.federation.round_view(victim.address)
    assert (view.phase, view.update_count) == (Phase.FINALIZED, 2)
    with journal(stage, victim) as kept:
        assert [intent.kind for intent in kept.intents() if intent.kind == "submitted"] == ["submitted"]
        saved = kept.update_in(1, view.sealing_key)
    assert saved is not None and saved.cid == view.client.update
    assert saved.compute_ms > before and saved.published
    sealed = replace(saved, claimed_ms=None, seen_at=None, final=False, published=False)
    assert saved_updates(victim.state / "updates", structlog.get_logger()) == [sealed]
    assert not list(jobs_folder(victim.state).glob("train-*"))


def storage(folder: Path) -> dict[str, str]:
    return {"store": str(folder / "store")}


def train_for_long(stage: Stage) -> Plan:
    """Makes the organization's plan one of more work."""
    settings = tomllib.loads(stage.organization.config.read_text())
    settings["plan"]["local"]["steps"] = LONG_TRAINING
    settings["plan"]["optimizer"]["learning_rate"] = 0.01
    settings["round"]["training_period"] = 600
    write_config(stage.organization, settings)
    return replace(Plan.from_table(settings["plan"]), validation=stage.plan.validation)


def journal(stage: Stage, party: Party) -> Journal:
    federation = stage.federation
    return Journal(journal_path(party.state), federation.chain_id, federation.address, party.address)


def metered(stage: Stage, party: Party) -> int:
    """Compute time that the party's journal has for the first round; 0 before there is one."""
    view = stage.federation.round_view()
    if view.phase is Phase.NONE:
        return 0
    with journal(stage, party) as kept:
        return kept.metered_ms(1, view.sealing_key)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s"
        time.sleep(0.1)
