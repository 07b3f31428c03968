"""A client's training, followed from block to block: what begins it, ends it, sets it back, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from processor.artifacts.plan import PLAN
from processor.cid import cid_of
from processor.config import ClientSettings, NetworkSettings
from processor.daemons.local_training import LocalTraining
from processor.daemons.setbacks import Setbacks
from processor.errors import NewerVersion, WorkerDied
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.metrics import Metrics
from processor.protocol.jobs.folder import RESULT, job_in, put_result
from processor.protocol.jobs.kinds import BASE, CHECKPOINT, STATE_BEFORE, TrainJob, TrainResult
from processor.protocol.jobs.worker import Progress
from processor.protocol.opened import Identity
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import Block, Phase, Release, RoundView
from tests.scripted_worker import Scripted
from tests.unit.artifacts import examples
from tests.unit.protocol.views import ADDRESS, cid_for, digest_for, round_view

CHAIN_ID, BASE_MODEL = 31337, b"what the daemon does not look into"
LONG_PAUSE = 3600.0


@dataclass
class Client:
    """One client's training with everything that a daemon has for it, on a chain that says what a test says."""

    folder: Path
    journal: Journal
    device: str = "auto"
    max_bytes: int | None = None
    worker: Scripted = field(default_factory=Scripted)
    metrics: Metrics = field(default_factory=Metrics)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.storage = LocalStorage(self.folder / "store")
        self.view = self.round(1)
        self.restart()

    def restart(self) -> None:
        """With what is on disk, and nothing else."""
        settings = ClientSettings(
            network=NetworkSettings(rpc=("http://unused",), storage=(), chain_id=None, timeout=1),
            federation=ADDRESS,
            wallet=self.folder / "unused",
            passphrase_file=None,
            state=self.state,
            data=self.folder / "data.npz",
            device=self.device,
            max_bytes=self.max_bytes,
        )
        self.setbacks = Setbacks(LONG_PAUSE, lambda: self.now)
        self.training = LocalTraining(
            identity=Identity(CHAIN_ID, ADDRESS),
            client=ADDRESS,
            settings=settings,
            worker=self.worker,
            library=Library(self.storage),
            journal=self.journal,
            setbacks=self.setbacks,
            metrics=self.metrics,
            log=structlog.get_logger(),
        )

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def round(self, number: int, base: bytes = BASE_MODEL, key: str = "sealing key") -> RoundView:
        path = self.folder / "base"
        path.write_bytes(base)
        model = Release(self.storage.put(path), None)
        return round_view(
            number, plan=cid_of(PLAN.encode(examples.PLAN)), base=model, sealing_key=digest_for(key, number)
        )

    def follow(self, view: RoundView | None = None, wanted: bool = True, at: int | None = None) -> None:
        view = self.view if view is None else view
        time = view.opened_at if at is None else at
        self.training.follow(view, Block(7, "0x" + "07" * 32, time), wanted and view.phase is Phase.TRAINING)

    def go_on(self, view: RoundView | None = None) -> SavedUpdate | None:
        view = self.view if view is None else view
        block = Block(7, "0x" + "07" * 32, view.opened_at)
        return self.training.go_on(view, block, lambda: examples.PLAN, lambda: None)

    def begin(self) -> None:
        self.follow()
        assert self.go_on() is None
        assert self.training.underway == "training"

    def refusal(self) -> str | None:
        return self.setbacks.refusal(self.view.sealing_key)

    def begun(self) -> TrainJob:
        job = job_in(self.worker.folder)
        assert isinstance(job, TrainJob)
        return job

    def folders(self) -> list[str]:
        return [path.name for path in (self.state / "jobs").glob("train-*")]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "state").mkdir()
    with Journal(tmp_path / "state" / "journal", CHAIN_ID, ADDRESS, ADDRESS) as journal:
        yield Client(tmp_path, journal)


# ------------------------------------------------------------------------------------------------- to the one update


def test_a_training_is_begun_with_what_it_needs_followed_and_kept_as_one_row(client: Client) -> None:
    client.begin()
    folder, job = client.worker.folder, client.begun()
    assert (job.opening.value(), job.client, job.chain_id) == (client.view.opening, ADDRESS, CHAIN_ID)
    assert Path(job.data).is_absolute()
    assert (folder / BASE).read_bytes() == BASE_MODEL and not (folder / STATE_BEFORE).exists()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    client.worker.gets_on(Progress(step=3, steps=12, loss=0.5, metered_ms=400))
    client.follow()
    assert (client.training.underway, client.training.trained) == ("training", False)
    assert client.journal.metered_ms(1, client.view.sealing_key) == 400
    shown = {
        name: client.metrics.registry.get_sample_value(f"koinon_training_{name}") for name in ("step", "steps", "loss")
    }
    assert shown == {"step": 3, "steps": 12, "loss": 0.5}

    client.worker.seals(metered_ms=900)
    client.follow()
    assert (client.training.underway, client.training.trained) == (None, True)
    saved = client.go_on()
    assert saved is not None and (saved.compute_ms, saved.samples, saved.base) == (900, 10, client.view.base.model)
    assert client.journal.updates() == [saved]
    assert saved.path.read_bytes() == b"a sealed update"
    assert client.journal.private_state() == saved.state == cid_of(b"a private state")
    assert client.folders() == [] and not client.training.trained


def test_a_worker_is_started_before_the_base_model_is_fetched(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed, fetch = list[int](), client.storage.get

    def get(cid: str, to: Path, limit: int, seconds: float | None = None) -> None:
        warmed.append(client.worker.warmed)
        fetch(cid, to, limit, seconds)

    monkeypatch.setattr(client.storage, "get", get)
    client.begin()
    assert warmed == [1]


def test_the_next_training_begins_with_the_private_state_after_the_release_before(client: Client) -> None:
    client.begin()
    client.worker.seals(metered_ms=1)
    client.follow()
    client.go_on()
    client.view = client.round(2)
    client.begin()
    assert client.begun().state == cid_of(b"a private state")
    assert (client.worker.folder / STATE_BEFORE).read_bytes() == b"a private state"


@pytest.mark.parametrize(("heard", "said"), [(700, 300), (300, 700), (500, 500)])
def test_compute_time_is_the_larger_of_what_was_heard_and_what_the_result_says(
    client: Client, heard: int, said: int
) -> None:
    client.begin()
    client.worker.gets_on(Progress(step=1, steps=12, metered_ms=heard))
    client.follow()
    client.worker.seals(metered_ms=said)
    client.follow()
    saved = client.go_on()
    assert saved is not None and saved.compute_ms == max(heard, said)


def test_what_a_killed_daemon_had_kept_before_its_row_is_taken_as_it_is(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.begin()
    client.worker.seals(metered_ms=900)
    client.follow()

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(client.journal, "save_update", killed)
        client.go_on()
    client.restart()
    client.follow()
    saved = client.go_on()
    assert saved is not None and saved.cid == cid_of(b"a sealed update")
    assert client.worker.begun == client.worker.begun[:1]


def test_an_update_that_the_disk_lost_is_made_again_from_the_checkpoint(client: Client) -> None:
    client.begin()
    folder = client.worker.seals(metered_ms=900)
    (folder / "update").write_bytes(b"other bytes")
    (folder / CHECKPOINT).write_bytes(b"a checkpoint")
    client.follow()
    assert client.go_on() is None
    assert str(client.refusal()).startswith("not now: ")
    client.now += 2 * LONG_PAUSE
    client.follow()
    assert not client.training.trained
    client.begin()
    assert (client.worker.folder / CHECKPOINT).read_bytes() == b"a checkpoint"


# ------------------------------------------------------------------------------------------------- rounds that are gone


@pytest.mark.parametrize(
    "gone",
    [
        lambda client: replace(client.view, phase=Phase.AGGREGATING),
        lambda client: client.round(2),
        lambda client: client.round(1, key="another sealing key"),
        lambda client: round_view(0, phase=Phase.NONE, sealing_key=bytes(32)),
    ],
    ids=["over", "another round", "another key", "reorganized away"],
)
def test_a_training_whose_round_is_gone_is_ended(client: Client, gone: object) -> None:
    client.begin()
    assert callable(gone)
    client.follow(gone(client))
    assert client.worker.ended == client.worker.begun
    assert (client.training.underway, client.training.trained) == (None, False)


def test_nothing_is_left_of_a_training_whose_round_is_over(client: Client) -> None:
    client.begin()
    for _ in range(2):
        client.follow(client.round(2))
    assert client.folders() == []


def test_a_training_goes_on_from_its_checkpoint_where_a_reorganization_brings_its_round_back(client: Client) -> None:
    client.begin()
    (client.worker.folder / CHECKPOINT).write_bytes(b"a checkpoint")
    for _ in range(2):
        client.follow(round_view(0, phase=Phase.NONE, sealing_key=bytes(32)))
    client.begin()
    assert (client.worker.folder / CHECKPOINT).read_bytes() == b"a checkpoint"


def test_a_training_for_another_base_model_is_ended_before_the_right_one_begins(client: Client) -> None:
    client.begin()
    client.view = client.round(1, base=b"another base model")
    client.follow()
    assert client.worker.ended == client.worker.begun
    assert client.training.underway is not None
    client.begin()
    assert client.begun().opening.base_model == client.view.base.model


def test_what_came_of_another_job_in_the_folder_is_dropped(client: Client) -> None:
    client.begin()
    folder = client.worker.seals(metered_ms=1)
    put_result(folder, TrainResult("ab" * 32, cid_for("update", 1), 10, 1, cid_for("state", 1), None))
    client.follow()
    assert not client.training.trained and not (folder / RESULT).exists()
    client.begin()


def test_an_update_sealed_to_another_key_is_no_update_of_the_round(client: Client) -> None:
    client.begin()
    client.worker.seals(metered_ms=1)
    client.view = client.round(1, key="another sealing key")
    client.follow()
    assert not client.training.trained
    client.begin()


# -------------------------------------------------------------------------------------------------------- no time left


@pytest.mark.parametrize("left", [6, 0, -100])
def test_a_training_that_leaves_no_time_to_submit_is_ended_for_good(client: Client, left: int) -> None:
    client.begin()
    client.worker.gets_on(Progress(step=3, steps=12))
    with capture_logs() as logs:
        client.follow(at=client.view.training_deadline - left)
    assert client.worker.ended == client.worker.begun
    assert str(client.refusal()).startswith("no time was left at step 3 of 12: the rest of the training period is kept")
    assert [entry["event"] for entry in logs] == ["training failed"]
    client.now = 1e12
    assert client.refusal() is not None


def test_what_was_trained_in_time_is_sealed_and_kept_in_the_time_that_is_left_for_submitting(client: Client) -> None:
    client.begin()
    client.worker.gets_on(Progress(step=12, steps=12, metered_ms=400))
    client.follow(at=client.view.training_deadline - 1)
    assert (client.worker.ended, client.refusal()) == ([], None)
    assert client.training.underway == "training"
    client.worker.seals(400)
    client.follow(at=client.view.training_deadline - 1)
    assert client.go_on() is not None


def test_what_is_not_sealed_once_the_training_period_is_over_is_ended(client: Client) -> None:
    client.begin()
    client.worker.gets_on(Progress(step=12, steps=12))
    client.follow(at=client.view.training_deadline)
    assert client.worker.ended == client.worker.begun


def test_a_training_that_leaves_no_time_by_our_own_clock_is_ended_though_no_block_comes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.begin()
    later = client.training._ends_at[client.view.sealing_key] + 1
    monkeypatch.setattr("processor.daemons.local_training.time.monotonic", lambda: later)
    client.follow()
    assert client.worker.ended == client.worker.begun


# ------------------------------------------------------------------------------------------------------------ setbacks


def test_three_deaths_without_a_new_checkpoint_give_the_round_up(client: Client) -> None:
    for death in range(3):
        client.begin()
        client.worker.dies(checkpoint=5)
        client.follow()
        said = "the worker was killed by SIGKILL, 3 times without getting on in between"
        assert client.refusal() == (said if death == 2 else "not now: the worker was killed by SIGKILL")
        if death < 2:
            with pytest.raises(WorkerDied):
                client.setbacks.tell()
        client.now += 2 * LONG_PAUSE
    client.follow()
    assert client.refusal() is not None


def test_a_worker_that_gets_on_between_its_deaths_goes_on(client: Client) -> None:
    for checkpoint in (1, 2, 3, 4, 5):
        client.begin()
        client.worker.dies(checkpoint)
        client.follow()
        assert str(client.refusal()).startswith("not now: ")
        client.now += 2 * LONG_PAUSE


def test_a_training_for_which_a_gpu_is_too_small_goes_on_on_the_processor_with_its_checkpoint(client: Client) -> None:
    client.begin()
    (client.worker.folder / CHECKPOINT).write_bytes(b"a checkpoint")
    client.worker.fails("GpuOutOfMemory", "the GPU has too little memory")
    with capture_logs() as logs:
        client.follow()
    assert [entry["event"] for entry in logs] == ["training goes on on the processor"]
    assert client.refusal() is None
    client.begin()
    assert client.begun().device == "cpu"
    assert (client.worker.folder / CHECKPOINT).read_bytes() == b"a checkpoint"


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        ("OutOfMemory", True),
        ("Unreadable", True),
        ("MachineError", True),
        ("DatasetError", True),
        ("TrainingError", False),
        ("ArtifactError", False),
        ("ConfigurationError", False),
    ],
)
def test_what_does_not_pass_gives_the_round_up_and_the_rest_is_tried_again(
    client: Client, error: str, passes: bool
) -> None:
    client.begin()
    client.worker.fails(error, "what went wrong")
    client.follow()
    assert client.refusal() == ("not now: what went wrong" if passes else "what went wrong")
    client.now = 1e9
    if passes:
        client.begin()
        return
    assert client.refusal() == "what went wrong"
    client.restart()
    client.follow()
    lasting = error != "ConfigurationError"
    assert client.refusal() == ("what went wrong" if lasting else None), "what no restart mends is not tried again"


def test_a_checkpoint_of_a_newer_koinon_ends_the_daemon_as_often_as_it_is_tried(client: Client) -> None:
    client.begin()
    client.worker.fails("NewerVersion", "this checkpoint has version 9")
    with pytest.raises(NewerVersion, match="version 9"):
        client.follow()
    client.begin()


def test_a_base_model_that_is_too_large_gives_the_round_up(client: Client) -> None:
    client.max_bytes = 5
    client.restart()
    client.follow()
    assert client.go_on() is None
    assert "its base model is larger than its plan or client.max_bytes allow" in str(client.refusal())
    assert client.worker.begun == []


def test_a_base_model_that_nobody_serves_is_asked_for_again(client: Client) -> None:
    client.view = replace(client.view, base=Release(cid_for("model", 5), None))
    client.follow()
    assert client.go_on() is None
    assert str(client.refusal()).startswith("not now: ")
    assert client.worker.begun == []


# ------------------------------------------------------------------------------------------------------ versions before


def test_a_checkpoint_of_a_version_before_is_gone_on_from_and_its_folders_are_removed_in_the_end(
    client: Client,
) -> None:
    key = client.view.sealing_key.hex()[:16]
    for name in (f"training/round-1-{key}.safetensors", "work/sealed"):
        (client.state / name).parent.mkdir()
        (client.state / name).write_bytes(b"of before")
    client.begin()
    assert (client.worker.folder / CHECKPOINT).read_bytes() == b"of before"
    client.worker.seals(metered_ms=1)
    client.follow()
    assert client.go_on() is not None
    assert sorted(path.name for path in client.state.iterdir() if path.is_dir()) == ["jobs", "updates"]
    assert updates_folder(client.state).is_dir()
