"""Plays the federation that every later version must go on with, and keeps it in a folder like this one.

Run it in a clone at the commit that lands, with that clone's code and node programs, and put what it made here:

    git clone REPOSITORY clone && cd clone && git checkout COMMIT && make setup
    .venv/bin/python -m tests.landed.make OUT    # a new folder

It is for the code of that clone, which has names that the code here has no longer: mypy leaves it out.

The one that is kept here was made at 6ca8b67 (journals of version 3), where this folder was added to the clone. The
random numbers of keys and training differ from play to play: another play is another fixture.
"""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from web3.types import RPCEndpoint

import processor
from processor.artifacts.plan import Plan
from processor.artifacts.report import REPORT_LIMIT, Report
from processor.daemons.base import journal_path
from processor.demo.nodes import start_anvil
from processor.demo.play import join
from processor.demo.processes import Party, environment, koinon, start_daemon, write_config
from processor.demo.settings import DemoSettings
from processor.demo.stage import Stage, set_the_stage
from processor.journal import Journal
from processor.protocol.audit import audit
from processor.storage.base import get_bytes
from processor.types import Phase
from tests.landed.said import said

SETTINGS = DemoSettings(clients=4, rounds=4, seed=0)
HIDDEN = [24]
"""Units of the model: small, for the repository's sake."""
STEPS, LEARNING_RATE, PERIOD = 4000, 0.02, 600
"""Some seconds of training, to be killed in, and all the time in the world for a round."""
HALF_MS = 500
"""Compute time after which the third client is killed."""
PATIENCE = 180.0


def main(out: Path) -> None:
    print("code:", processor.__file__)
    print("code of the daemons:", _code_of_the_daemons())
    with tempfile.TemporaryDirectory(prefix="koinon-landed-") as directory, ExitStack() as stack:
        folder = Path(directory)
        chain = stack.enter_context(start_anvil(folder / "chain", block_time=1))
        stage = set_the_stage(SETTINGS, folder, chain.rpc_url, {"store": str(folder / "store")}, print)
        play = Play(stage, out, _longer(stage))
        play.two_rounds_and_a_third_that_is_open()
        play.half_of_the_third_round()
        play.keep("mid")
        play.the_rest()
        play.keep("end")
        play.keep_what_both_share()


def _code_of_the_daemons() -> str:
    command = [sys.executable, "-c", "import processor; print(processor.__file__)"]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout.strip()


def _longer(stage: Stage) -> Plan:
    """Makes the plan one of more work on a smaller model, and the third client one that saves its work often."""
    settings = tomllib.loads(stage.organization.config.read_text())
    settings["plan"]["model"]["arguments"]["hidden"] = HIDDEN
    settings["plan"]["local"]["steps"] = STEPS
    settings["plan"]["optimizer"]["learning_rate"] = LEARNING_RATE
    settings["round"]["training_period"] = settings["round"]["aggregation_period"] = PERIOD
    write_config(stage.organization, settings)
    third = tomllib.loads(stage.clients[2].config.read_text())
    third["client"]["checkpoint_interval"] = 0.1
    write_config(stage.clients[2], third)
    return replace(Plan.from_table(settings["plan"]), validation=stage.plan.validation)


@dataclass
class Play:
    """The federation on its stage. `expected` becomes the file of that name."""

    stage: Stage
    out: Path
    plan: Plan

    def __post_init__(self) -> None:
        self.expected: dict[str, Any] = {}

    @property
    def parties(self) -> list[Party]:
        return [self.stage.organization, *self.stage.clients]

    # ------------------------------------------------------------------------------------------------------- the play

    def two_rounds_and_a_third_that_is_open(self) -> None:
        """The organization is away while the clients end their second round, and they are when it opens the third:
        nobody has seen that round but the organization."""
        with self.running(*self.stage.clients):
            with self.running(self.stage.organization):
                join(self.stage, self.plan)
                self.until(lambda: self.stage.federation.round_view().round == 2)
            for client in self.stage.clients:
                self.until(lambda client=client: self.published(client, 2))  # type: ignore[misc]
        with self.running(self.stage.organization):
            self.until(lambda: self.stage.federation.round_view().round == 3)

    def half_of_the_third_round(self) -> None:
        """The second client publishes; the third is killed in its training; the first is killed with a transaction
        that no node has; the fourth never starts."""
        first, second, third, _fourth = self.stage.clients
        with self.running(second):
            self.until(lambda: self.published(second, 3))
        with self.running(third, end=signal.SIGKILL):
            self.until(lambda: self.metered(third) >= HALF_MS)
        self.ask("evm_setIntervalMining", 0)
        with self.running(first, end=signal.SIGKILL):
            self.until(lambda: self.submitting(first))
        self.ask("anvil_dropAllTransactions")
        view = self.stage.federation.round_view(third.address)
        with self.journal(third) as journal:
            assert journal.update_in(3, view.sealing_key) is None, "it was killed too late"
        assert list((third.state / "training").glob("round-3-*.safetensors")), "it was killed too early"
        assert (view.phase, view.update_count) == (Phase.TRAINING, 1)

    def the_rest(self) -> None:
        self.ask("evm_setIntervalMining", 1)
        with self.running(*self.stage.clients):
            organization = start_daemon(self.stage.organization, "organization", "run")
            with organization:
                self.until(lambda: organization.process.poll() is not None)
            assert organization.process.returncode == 0
        for client in self.stage.clients:
            command = koinon("client", "claim", "--yes", "--config", str(client.config))
            subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, check=True)

    @contextmanager
    def running(self, *parties: Party, end: signal.Signals = signal.SIGTERM) -> Iterator[None]:
        """Their daemons run during the block, and end by the signal."""
        with ExitStack() as stack:
            daemons = [stack.enter_context(start_daemon(party, party.config.stem, "run")) for party in parties]
            yield
            for daemon in daemons:
                daemon.process.send_signal(end)
            for daemon in daemons:
                assert daemon.process.wait(PATIENCE) == (0 if end is signal.SIGTERM else -end), daemon.log.read_text()

    def published(self, client: Party, round: int) -> bool:
        view = self.stage.federation.round_view(client.address)
        with self.journal(client) as journal:
            saved = journal.update_in(round, view.sealing_key) if view.round == round else None
        return saved is not None and saved.published

    def metered(self, client: Party) -> int:
        """Compute time that the client's journal has for the third round."""
        with self.journal(client) as journal:
            return journal.metered_ms(3, self.stage.federation.round_view().sealing_key)

    def submitting(self, client: Party) -> bool:
        with self.journal(client) as journal:
            return [(intent.kind, intent.round) for intent in journal.open_intents()] == [("submitted", 3)]

    # --------------------------------------------------------------------------------------------------- what is kept

    def keep(self, moment: str) -> None:
        """Copies the state folders and the chain, while no daemon runs, and notes what the journals say."""
        block = self.stage.federation.block()
        said = {party.name: self.said(party) for party in self.parties}
        for party in self.parties:  # a journal that was just closed is one file
            shutil.copytree(party.state, self.out / moment / party.name, ignore=shutil.ignore_patterns("lock", "work"))
        dump = gzip.decompress(bytes.fromhex(self.ask("anvil_dumpState", False)[2:]))
        (self.out / moment / "chain.json.gz").write_bytes(gzip.compress(dump, mtime=0))
        chain = {"block": block.number, "hash": block.hash, "timestamp": block.timestamp}
        stored = sorted(path.name for path in (self.stage.folder / "store").glob("Qm*"))
        self.expected[moment] = {"chain": chain, "store": stored, "journals": said}

    def keep_what_both_share(self) -> None:
        """The store, the wallets, the data and the configurations, whose paths are relative and which name no node."""
        shutil.copytree(self.stage.folder / "store", self.out / "store")
        for party in self.parties:
            self.keep_party(party)
        with tempfile.TemporaryDirectory() as work:
            result = audit(self.stage.federation, self.stage.storage, Path(work), logs_from=None)
        assert result.ok and result.complete and len(result.rounds) == SETTINGS.rounds, result
        rounds = []
        for file in result.files:
            assert file.outcome is not None, file
            report = Report.decode(get_bytes(self.stage.storage, file.outcome.report, REPORT_LIMIT))
            named = {"base_model": file.opening.base_model, **asdict(file.outcome), "metric": report.metrics.after}
            rounds.append({"round": file.round, "plan": report.plan, **named})
        federation = self.stage.federation
        facts = {
            "federation": federation.address,
            "chain_id": federation.chain_id,
            "wallets": {party.name: party.address for party in self.parties},
            "rounds": rounds,
        }
        text = json.dumps(facts | self.expected, indent=1, sort_keys=True)
        (self.out / "expected.json").write_text(text + "\n")

    def keep_party(self, party: Party) -> None:
        kept = self.out / "parties" / party.name
        kept.mkdir(parents=True)
        shutil.copyfile(party.wallet, kept / "wallet.json")
        shutil.copyfile(party.passphrase_file, kept / "passphrase")
        settings = tomllib.loads(party.config.read_text())
        del settings["network"]
        role = party.config.stem
        data = "validation" if role == "organization" else "data"
        with np.load(settings[role][data]) as arrays:
            np.savez_compressed(kept / f"{data}.npz", **arrays)
        paths = {"wallet": "wallet.json", "passphrase_file": "passphrase", "state": "state", data: f"{data}.npz"}
        settings[role] |= paths
        (kept / party.config.name).write_text(tomli_w.dumps(settings))

    def said(self, party: Party) -> dict[str, Any]:
        with closing(sqlite3.connect(journal_path(party.state))) as database:
            metered = database.execute("SELECT round, sealing_key FROM metered ORDER BY round").fetchall()
            keys = database.execute("SELECT public_key FROM secrets ORDER BY round").fetchall()
        with self.journal(party) as journal:
            return said(journal, party.state, metered, [key for (key,) in keys])

    # ------------------------------------------------------------------------------------------------------- internal

    def journal(self, party: Party) -> Journal:
        federation = self.stage.federation
        return Journal(journal_path(party.state), federation.chain_id, federation.address, party.address)

    def ask(self, method: str, *params: Any) -> Any:
        answer = self.stage.web3.provider.make_request(RPCEndpoint(method), list(params))
        assert "error" not in answer, answer
        return answer["result"]

    def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s"
            time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
