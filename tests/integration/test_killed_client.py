"""A client that is killed in the middle of its training, as a process, and started again."""

from __future__ import annotations

import signal
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from processor.daemons.base import journal_path
from processor.demo.processes import Party, start_daemon, write_config
from processor.demo.settings import DemoSettings
from processor.demo.stage import Stage, set_the_stage
from processor.journal import Journal
from processor.types import Phase
from tests.nodes import start_anvil

PATIENCE = 120.0
LONG_TRAINING = 4000  # steps: some seconds


def test_a_client_killed_and_restarted_mid_round_ends_with_exactly_one_update(tmp_path: Path) -> None:
    with start_anvil(tmp_path / "chain", block_time=1) as chain:
        stage = set_the_stage(DemoSettings(clients=2, rounds=1), tmp_path, chain.rpc_url, storage(tmp_path), print)
        train_for_long(stage)
        victim, other = stage.clients
        with (
            start_daemon(stage.organization, "organization", "run") as organization,
            start_daemon(victim, "client", "run") as first,
            start_daemon(other, "client", "run"),
        ):
            until(lambda: metered(stage, victim) > 0)
            first.process.send_signal(signal.SIGKILL)
            first.process.wait()
            before = metered(stage, victim)
            with start_daemon(victim, "client", "run"):
                until(lambda: organization.process.poll() is not None)
        assert organization.process.returncode == 0

        view = stage.federation.round_view(1, victim.address)
        assert (view.phase, view.update_count) == (Phase.FINALIZED, 2)
        with journal(stage, victim) as kept:
            assert [intent.kind for intent in kept.intents() if intent.kind == "submitted"] == ["submitted"]
            saved = kept.update_for(1, view.sealing_key)
        assert saved is not None and saved.cid == view.client.update
        assert saved.compute_ms > before


def storage(folder: Path) -> dict[str, str]:
    return {"store": str(folder / "store")}


def train_for_long(stage: Stage) -> None:
    settings = tomllib.loads(stage.organization.config.read_text())
    settings["plan"]["local"]["steps"] = LONG_TRAINING
    settings["plan"]["optimizer"]["learning_rate"] = 0.01
    write_config(stage.organization, settings)


def journal(stage: Stage, party: Party) -> Journal:
    federation = stage.federation
    return Journal(journal_path(party.state), federation.chain_id, federation.address, party.address)


def metered(stage: Stage, party: Party) -> int:
    """Compute time that the party's journal has for the first round; 0 before there is one."""
    view = stage.federation.round_view(1)
    if view.phase is Phase.NONE:
        return 0
    with journal(stage, party) as kept:
        return kept.metered_ms(1, view.sealing_key)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s"
        time.sleep(0.1)
