"""A client that cannot train its round: it says why, does everything else, and tries again where that helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from structlog.testing import capture_logs
from web3 import Web3

from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.daemons.client import ClientDaemon
from processor.daemons.setbacks import Setbacks
from processor.errors import ArtifactUnavailable, IntegrityError, Interrupted, KoinonError, NewerVersion, OutOfMemory
from processor.journal import SavedUpdate, updates_folder
from processor.learning.device import CPU
from processor.protocol.decide import Claim, Publish, Submit, Train, Wait
from processor.protocol.jobs.folder import jobs_folder
from processor.protocol.jobs.kinds import CHECKPOINT
from processor.protocol.jobs.worker import Progress, Worker
from processor.storage import LocalStorage, Storage
from processor.tensors import TensorFile, write_tensors
from processor.types import Cid, Result, RoundView
from tests.in_process import InProcess
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil

PAUSE = 10.0


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Counted:
    """A storage that counts how often each artifact is asked for."""

    storage: Storage
    asked: Counter[Cid] = field(default_factory=Counter)

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        self.asked[cid] += 1
        self.storage.get(cid, to, limit, seconds)

    def put(self, path: Path) -> Cid:
        return self.storage.put(path)

    def pin(self, cid: Cid) -> None:
        self.storage.pin(cid)

    def unpin(self, cid: Cid) -> None:
        self.storage.unpin(cid)


@dataclass
class Hindered:
    """One client whom a round owes a reward, in the next round, which it has not trained in."""

    played: LocalFederation
    view: RoundView
    client: ClientDaemon
    storage: Counted
    ticks: Ticks

    def restart(self) -> None:
        """As after a restart; with a clock for pauses that only goes on when it is told to."""
        self.storage = Counted(self.played.storage)
        self.client = self.played.client(0)
        self.client.library.storage = self.storage
        self.client._setbacks = Setbacks(PAUSE, self.ticks, chance=lambda: 1.0)
        self.client._training.setbacks = self.client._setbacks

    def by(self, worker: Worker) -> None:
        """As after a restart, with this worker."""
        self.played.worker = worker
        self.restart()

    def file(self, cid: Cid | None) -> Path:
        assert isinstance(self.played.storage, LocalStorage)
        return self.played.storage.directory / (cid or "")

    def claims(self) -> None:
        action = self.client.cycle()
        assert isinstance(action, Claim) and action.amount == self.played.money(1).rewards[self.client.address]

    def tells(self, error: type[KoinonError]) -> None:
        """Once there is nothing else to do, it is trouble: for the log, the metrics, and `--once`."""
        with pytest.raises(error):
            self.client.cycle()

    def waits(self, reason: str) -> None:
        action = self.client.cycle()
        assert isinstance(action, Wait) and reason in action.reason

    def trains(self) -> None:
        assert isinstance(self.client.cycle(), Train)
        assert self.client._saved(self.view) is not None


@pytest.fixture
def hindered(web3: Web3, tmp_path: Path) -> Hindered:
    played = LocalFederation(web3, tmp_path, clients_wanted=1, rounds_wanted=3)
    played.register()
    played.open_round()
    played.train_and_submit()
    played.finalize()
    played.open_round()
    view = played.federation.round_view(played.clients[0].address)
    hindered = Hindered(played, view, played.clients[0], Counted(played.storage), Ticks())
    hindered.restart()
    return hindered


def test_a_plan_that_nobody_serves_keeps_nobody_from_claiming_and_is_asked_for_again(hindered: Hindered) -> None:
    plan = hindered.file(hindered.view.plan)
    content = plan.read_bytes()
    plan.unlink()
    hindered.claims()
    hindered.tells(ArtifactUnavailable)
    asked = hindered.storage.asked.total()
    hindered.waits("round 2 refused: not now: ")
    assert hindered.storage.asked.total() == asked, "it is not asked for all the time"
    hindered.ticks.now += PAUSE
    hindered.tells(ArtifactUnavailable)
    assert hindered.storage.asked.total() > asked
    plan.write_bytes(content)
    hindered.ticks.now += 2 * PAUSE
    hindered.trains()


def test_a_base_model_that_nobody_serves_keeps_nobody_from_claiming_and_is_asked_for_again(hindered: Hindered) -> None:
    base = hindered.file(hindered.view.base.model)
    content = base.read_bytes()
    base.unlink()
    assert isinstance(hindered.client.cycle(), Train)
    hindered.claims()
    hindered.tells(ArtifactUnavailable)
    hindered.waits("round 2 refused: not now: ")
    assert hindered.storage.asked[base.name] == 1
    base.write_bytes(content)
    hindered.ticks.now += PAUSE
    hindered.trains()


def test_a_base_model_with_wrong_bytes_is_asked_for_again_since_another_source_may_have_it_right(
    hindered: Hindered,
) -> None:
    base = hindered.file(hindered.view.base.model)
    content = base.read_bytes()
    base.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert isinstance(hindered.client.cycle(), Train)
    hindered.claims()
    hindered.tells(IntegrityError)
    base.write_bytes(content)
    hindered.ticks.now += PAUSE
    hindered.trains()


def test_a_base_model_that_is_none_is_not_asked_for_again(hindered: Hindered, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"no model at all")
    cid = hindered.played.storage.put(rubbish)
    lied = replace(hindered.view, base=replace(hindered.view.base, model=cid))
    hindered.client._train(Train(2), lied, hindered.played.federation.block())
    hindered.ticks.now += 1e9
    hindered.claims()
    hindered.waits("round 2 refused: ")
    assert hindered.storage.asked == {hindered.view.plan: 1, cid: 1, hindered.view.base.report: 1}


def test_a_plan_of_a_newer_version_is_refused_by_name_and_keeps_nobody_from_claiming(
    hindered: Hindered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, view_of = tmp_path / "plan", Federation.round_view
    newer.write_bytes(hindered.file(hindered.view.plan).read_bytes().replace(b'"version":1', b'"version":9'))
    plan = hindered.played.storage.put(newer)
    monkeypatch.setattr(Federation, "round_view", lambda *args, **named: replace(view_of(*args, **named), plan=plan))
    hindered.claims()
    hindered.waits("this plan has version 9, this program reads up to 2: update Koinon")


def test_a_base_model_of_a_newer_version_is_refused_by_name_and_keeps_nobody_from_claiming(
    hindered: Hindered, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    with TensorFile(hindered.file(hindered.view.base.model)) as file:
        write_tensors(base, {name: file.read(name) for name in file.names}, file.header | {"version": 9})
    lied = replace(hindered.view, base=replace(hindered.view.base, model=hindered.played.storage.put(base)))
    hindered.client._train(Train(2), lied, hindered.played.federation.block())
    hindered.claims()
    hindered.waits("round 2 refused: its base model cannot be read: base: this model has version 9")


def test_a_training_that_a_newer_koinon_began_ends_the_daemon_and_is_left_as_it_is(hindered: Hindered) -> None:
    hindered.by(InProcess(stopping=lambda: True))
    with pytest.raises(Interrupted):
        hindered.client.cycle()
    [checkpoint] = jobs_folder(hindered.client.settings.state).glob(f"train-*/{CHECKPOINT}")
    with TensorFile(checkpoint) as file:
        write_tensors(checkpoint, {name: file.read(name) for name in file.names}, file.header | {"version": 9})
    content = checkpoint.read_bytes()
    hindered.by(InProcess())
    for _ in range(2):
        with pytest.raises(
            NewerVersion, match=f"{checkpoint.parent}: {checkpoint.name}: this checkpoint has version 9"
        ):
            hindered.client.cycle()
    assert checkpoint.read_bytes() == content


def test_an_update_that_is_saved_is_submitted_though_nobody_serves_plan_and_base_any_more(hindered: Hindered) -> None:
    hindered.trains()
    hindered.file(hindered.view.plan).unlink()
    hindered.file(hindered.view.base.model).unlink()
    hindered.restart()
    assert isinstance(hindered.client.cycle(), Submit)


def test_a_round_whose_key_is_that_of_another_is_refused_by_what_the_chain_says_of_all_of_them(
    hindered: Hindered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No organization of this version opens such a round, and the contract refuses the key of the round before."""
    used = Result(payable=1, credited_ms=1, sealing_key=hindered.view.sealing_key[:12])
    results = [used, Result(0, 0, bytes(12))]
    monkeypatch.setattr(Federation, "results", lambda self, at=None, first=1, last=None: results[first - 1 : last])
    hindered.claims()
    hindered.waits("round 2 refused: its sealing key is that of round 1, whose secret may be known")
    monkeypatch.undo()
    hindered.restart()
    hindered.trains()


def test_a_round_whose_key_the_client_trained_for_under_another_number_is_refused(hindered: Hindered) -> None:
    nowhere = updates_folder(hindered.client.settings.state) / "nowhere"
    other = SavedUpdate(7, hindered.view.sealing_key, "base", "cid", nowhere, 1, 1, 1)
    hindered.client.journal.save_update(other)
    hindered.claims()
    hindered.waits("round 2 refused: we trained for another round with its sealing key")


def test_an_update_is_published_once_the_chain_shows_it_and_a_restart_publishes_the_very_same(
    hindered: Hindered,
) -> None:
    hindered.trains()
    saved = hindered.client._saved(hindered.view)
    assert saved is not None and not hindered.file(saved.cid).exists()
    assert isinstance(hindered.client.cycle(), Submit)
    assert not hindered.file(saved.cid).exists()
    hindered.restart()
    assert hindered.client.cycle() == Publish(2)
    assert hindered.file(saved.cid).exists()
    noted = hindered.client._saved(hindered.view)
    assert noted is not None and noted.published and noted.claimed_ms is not None
    hindered.claims()


def test_an_update_that_was_lost_before_it_was_published_is_not_submitted(hindered: Hindered) -> None:
    hindered.trains()
    saved = hindered.client._saved(hindered.view)
    assert saved is not None
    saved.path.unlink()
    hindered.claims()
    hindered.waits(f"round 2 refused: our sealed update of it, {saved.path}, is lost")


def test_a_client_that_declined_does_not_train_and_nobody_waits_for_it(hindered: Hindered) -> None:
    federation = hindered.played.federation
    hindered.played.send(0, federation.decline(2, hindered.view.sealing_key))
    hindered.claims()
    hindered.waits("round 2 is abandoned")
    assert federation.round_view(hindered.client.address).client.declined


def test_a_client_checks_its_own_line_of_the_report(hindered: Hindered) -> None:
    client = hindered.client
    client.settings = replace(client.settings, accept_public_updates=False)  # so that it has nothing to do
    hindered.claims()
    with capture_logs() as logs:
        hindered.waits("round 2 refused")
    assert [entry for entry in logs if entry["log_level"] == "warning"] == []
    assert client.metrics.registry.get_sample_value("koinon_own_updates_total", {"outcome": "accepted"}) == 1

    hindered.restart()
    client = hindered.client
    client.settings = replace(client.settings, accept_public_updates=False)
    client.journal._database.execute("UPDATE updates SET samples = samples + 1, claimed_ms = claimed_ms + 1")
    with capture_logs() as logs:
        hindered.waits("round 2 refused")
        hindered.waits("round 2 refused")
    [said] = [entry for entry in logs if entry["log_level"] == "warning"]
    assert said["event"] == "the report differs from what we know" and said["round"] == 1
    assert "claimed_ms" in said["differs"] and "weight" in said["differs"]
    assert client.metrics.registry.get_sample_value("koinon_own_updates_total", {"outcome": "differs"}) == 1


def exhausting(times: int) -> Callable[[Progress], None]:
    """What to tell of a training: at its first steps it needs memory that no machine has."""
    left = iter(range(times))

    def told(progress: Progress) -> None:
        if next(left, None) is not None:
            torch.empty(1 << 60, dtype=torch.uint8)

    return told


def test_a_training_that_runs_out_of_memory_ends_no_daemon_and_is_tried_again(hindered: Hindered) -> None:
    hindered.by(InProcess(tell=exhausting(1)))
    assert isinstance(hindered.client.cycle(), Train)
    assert hindered.client._saved(hindered.view) is None
    hindered.claims()
    hindered.tells(OutOfMemory)
    hindered.waits("not now: there is too little memory to train: ")
    hindered.ticks.now += PAUSE
    hindered.trains()


def test_a_training_that_does_not_fit_into_another_device_goes_on_on_the_processor(
    hindered: Hindered, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = {"auto": torch.device("cpu", 0), "cpu": CPU}  # the processor under another name, in place of a GPU
    monkeypatch.setattr("processor.worker.jobs.training.device_of", devices.__getitem__)
    hindered.by(InProcess(tell=exhausting(1)))
    with capture_logs() as logs:
        hindered.trains()
    [said] = [entry for entry in logs if entry["event"] == "training goes on on the processor"]
    assert (said["device"], said["round"], said["log_level"]) == ("auto", 2, "warning")
    assert "too little memory" in said["error"]
