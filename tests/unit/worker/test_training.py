"""A client's step as a job: stopped, killed, resumed, limited, metered whatever happens, and sealed for one to open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs
from torch import nn

from processor.artifacts.artifact_file import ArtifactFile, grouped
from processor.artifacts.buffers import Average, Buffer, Counter, Pooled
from processor.artifacts.checkpoint import adopt_checkpoint
from processor.artifacts.committed import OpeningFields
from processor.artifacts.dataset import Dataset
from processor.artifacts.model import Model, ModelHeader, write_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Argument, Factory, LocalWork, Optimizer, Plan
from processor.artifacts.private_state import FIRST_PRIVATE_STATE, load_private_state, write_private_state
from processor.artifacts.update import open_update
from processor.cid import cid_of, cid_of_file
from processor.data.npz import save_npz
from processor.errors import (
    ArtifactError,
    ConfigurationError,
    DatasetError,
    GpuOutOfMemory,
    Interrupted,
    MachineError,
    NewerVersion,
    OutOfMemory,
    TrainingError,
    Unreadable,
)
from processor.learning import local
from processor.learning.clock import Clock
from processor.learning.local import learn
from processor.learning.models import buffers_of, build_model, parameters_of
from processor.privacy.sealing import generate_key_pair, open_file
from processor.protocol.jobs.folder import digest_of, prepare
from processor.protocol.jobs.kinds import (
    BASE,
    CHECKPOINT,
    PLAN,
    STATE_AFTER,
    STATE_BEFORE,
    UPDATE,
    TrainJob,
    TrainResult,
)
from processor.protocol.jobs.worker import Progress
from processor.tensors import TensorFile, write_tensors
from processor.worker.control import Control
from processor.worker.jobs import training
from processor.worker.jobs.memory import memory_errors
from tests.unit.artifacts import examples
from tests.unit.protocol.views import ADDRESS, CID, round_view

FISHER_ROWS = 40
CHUNKS = 3
STEPS = 12
NET: dict[str, Argument] = {"inputs": 4, "hidden": [5], "outputs": 3}
BY_STEPS = replace(
    examples.PLAN,
    task=Factory("classification", {"features": 4, "classes": 3}),
    model=Factory("mlp", NET),
    optimizer=Optimizer("sgd", learning_rate=0.1, momentum=0.9),
    local=LocalWork(steps=STEPS, epochs=None, batch_size=4),
    ewc=replace(examples.PLAN.ewc, fisher_samples=FISHER_ROWS),
)
AN_HOUR = 3600.0
ALWAYS = 1e-9
HEADER = ModelHeader(0, None, CID)
KEYS = generate_key_pair()
SEED = 2**53 - 1


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same order of samples in every training that begins again."""
    monkeypatch.setattr(training.secrets, "randbits", lambda bits: 2**bits - 1)


def base(fisher: float = 0.5) -> Model:
    module = build_model("mlp", NET, seed=0)
    parameters = parameters_of(module)
    sizes = {name: np.full_like(array, fisher) for name, array in parameters.items()}
    return Model(HEADER, parameters, buffers_of(module), sizes)


def dataset(count: int = 50) -> Dataset:
    random = np.random.default_rng(0)
    return Dataset(random.normal(size=(count, 4)).astype(np.float32), random.integers(0, 3, count))


@dataclass
class Step:
    """A job in its folder, as a daemon prepares it, with what the worker says of it."""

    folder: Path
    job: TrainJob
    fill: Callable[[Path], None]
    tell: Callable[[Progress], None]
    stopping: Callable[[], bool]

    def run(self) -> TrainResult:
        prepare(self.folder, self.job, self.fill)
        return training.run(self.folder, self.job, digest_of(self.job), Control(self.tell, self.stopping))

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    @property
    def learned(self) -> dict[str, bytes]:
        """Every bit of the update, which only the round's secret opens."""
        plain = self.folder.with_suffix(".opened")
        open_file(self.folder / UPDATE, plain, KEYS.secret, 1 << 20)
        with open_update(plain) as file:
            return contents(file)


def contents(file: ArtifactFile[Any]) -> dict[str, bytes]:
    return {name: file.read(name).tobytes() for name in file.layout}


Begin = Callable[..., Step]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """A job as a daemon prepares it, or a restarted one goes on with it: with what is on disk and nothing else."""

    def begun(
        folder: str = "job",
        plan: Plan = BY_STEPS,
        model: Model | None = None,
        samples: Dataset | None = None,
        opening: dict[str, Any] | None = None,
        tell: Callable[[Progress], None] = lambda progress: None,
        stopping: Callable[[], bool] = lambda: False,
        **changes: Any,
    ) -> Step:
        start, own = base() if model is None else model, dataset() if samples is None else samples
        path = tmp_path / f"{len(own)}.npz"
        save_npz(path, own)

        def fill(folder: Path) -> None:
            (folder / PLAN).write_bytes(PLANS.encode(plan))
            write_model(folder / BASE, start.header, start.parameters, start.buffers, start.fisher)

        opened = {"plan": cid_of(PLANS.encode(plan)), "sealing_key": KEYS.public, **(opening or {})}
        job = TrainJob(
            **{
                "chain_id": 31337,
                "federation": ADDRESS,
                "client": ADDRESS,
                "opening": OpeningFields.of(replace(round_view().opening, **opened)),
                "data": str(path),
                "device": "cpu",
                "threads": 0,
                "checkpoint_interval": AN_HOUR,
                "max_seconds": None,
                "state": None,
                **changes,
            }
        )
        return Step(tmp_path / folder, job, fill, tell, stopping)

    return begun


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def undisturbed(plan: Plan = BY_STEPS, samples: Dataset | None = None) -> dict[str, bytes]:
    """Every bit of what is learned where no job is, and nothing ever stops."""
    learned = learn(plan, base(), dataset() if samples is None else samples, FIRST_PRIVATE_STATE, SEED)
    found = grouped(delta=learned.delta, buffer=learned.buffers, fisher=learned.fisher)
    return {name: array.tobytes() for name, array in found.items()}


class Killed(BaseException):
    """Like SIGKILL: nobody catches it and nothing is written after it."""


def at(moment: int, happens: Callable[[], None]) -> Callable[[Progress], None]:
    """What to tell progress to: after this piece of the work, let something happen.

    What is told before the first piece, and again after a checkpoint, is no piece.
    """
    pieces = iter(range(1, 1000))
    held: list[int] = []

    def told(progress: Progress) -> None:
        if held and progress.checkpoint == held[-1] and next(pieces) == moment:
            happens()
        held.append(progress.checkpoint)

    return told


def die() -> None:
    raise Killed


def fail(error: Exception) -> None:
    raise error


def events(logs: Any, name: str) -> list[dict[str, Any]]:
    return [log for log in logs if log["event"] == name]


# ------------------------------------------------------------------------------------------------------- what is sealed


def test_the_update_is_sealed_to_the_round_and_says_whose_it_is(begin: Begin) -> None:
    step = begin()
    result = step.run()
    plain = step.folder.with_suffix(".opened")
    open_file(step.folder / UPDATE, plain, KEYS.secret, 1 << 20)
    with open_update(plain) as update:
        header = update.header
        moved = [bool(update.read(name).any()) for name in update.layout if name.startswith("delta/")]
    opening = step.job.opening
    assert (header.chain_id, header.federation, header.client) == (31337, ADDRESS, ADDRESS)
    assert (header.round, header.base_model, header.samples) == (opening.round, opening.base_model, 50)
    assert len(moved) == 4 and all(moved)
    assert result == TrainResult(
        job=digest_of(step.job),
        update=cid_of_file(step.folder / UPDATE),
        samples=50,
        metered_ms=result.metered_ms,
        state=cid_of_file(step.folder / STATE_AFTER),
        epsilon=None,
    )


def test_nothing_but_the_sealed_update_and_the_new_state_is_added_to_the_folder(begin: Begin) -> None:
    step = begin()
    prepare(step.folder, step.job, step.fill)
    before = names_in(step.folder)
    step.run()
    assert names_in(step.folder) - before == {UPDATE, STATE_AFTER}


def test_the_private_state_counts_the_releases_and_names_the_one_before(begin: Begin) -> None:
    first = begin("first").run()
    after = load_private_state(begin("first").folder / STATE_AFTER)
    assert (after.release, after.before, after.cid) == (1, None, first.state)
    second = after_a_release(begin)
    result = second.run()
    after = load_private_state(second.folder / STATE_AFTER)
    assert (after.release, after.before, after.cid) == (2, first.state, result.state)
    assert (second.folder / STATE_AFTER).stat().st_mode & 0o777 == 0o600


def after_a_release(begin: Begin) -> Step:
    """A job after one release, with the state of that."""
    state = FIRST_PRIVATE_STATE.after()
    write_private_state(begin().folder.with_suffix(".state"), state)
    content = begin().folder.with_suffix(".state").read_bytes()
    step = begin("second", state=cid_of(content))
    prepare(step.folder, step.job, step.fill)
    (step.folder / STATE_BEFORE).write_bytes(content)
    return step


def test_a_private_state_that_is_another_than_the_jobs_is_not_gone_on_from(begin: Begin) -> None:
    step = after_a_release(begin)
    write_private_state(step.folder / STATE_BEFORE, replace(FIRST_PRIVATE_STATE.after(), release=2))
    with pytest.raises(MachineError, match="has the CID .* expected Qm"):
        step.run()
    with TensorFile(step.folder / STATE_BEFORE) as file:
        newer = file.header | {"version": 2}
    write_tensors(step.folder / STATE_BEFORE, {}, newer)
    with pytest.raises(NewerVersion, match="state-before: this private-state has version 2"):
        step.run()
    (step.folder / STATE_BEFORE).unlink()
    with pytest.raises(Unreadable, match="state-before"):
        step.run()


def test_an_update_that_would_be_rejected_is_not_sealed(begin: Begin) -> None:
    plan = replace(BY_STEPS, aggregation=replace(BY_STEPS.aggregation, max_norm=1e-6))
    step = begin(plan=plan)
    with pytest.raises(ArtifactError, match="above the max_norm of 1e-06") as refused:
        step.run()
    assert refused.value.code == "norm"
    assert {UPDATE, "plain"}.isdisjoint(names_in(step.folder))


def test_a_counter_stands_still_at_the_most_that_the_plan_declares(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    monkeypatch.setattr(local, "module_of", lambda plan: module)
    start = buffers_of(module) | {"1.num_batches_tracked": np.array(95)}
    model = Model(HEADER, parameters_of(module), start, {})
    statistics: dict[str, Buffer] = {
        "1.running_mean": Average("average", -9.0, 9.0),
        "1.running_var": Pooled("pooled", "1.running_mean", 0.0, 9.0),
    }
    plain = replace(BY_STEPS, ewc=replace(BY_STEPS.ewc, strength=0.0))
    for most, count in ((1_000, 95 + STEPS), (100, 100)):
        plan = replace(plain, buffers={**statistics, "1.num_batches_tracked": Counter("counter", 0, most)})
        step = begin(f"up-to-{most}", plan, model)
        step.run()
        assert np.frombuffer(step.learned["buffer/1.num_batches_tracked"], np.int64) == count
        assert np.frombuffer(step.learned["buffer/1.running_mean"], np.float32).any()


# -------------------------------------------------------------------------------------------------- stopped and killed


@pytest.mark.parametrize("moment", [1, STEPS - 1, STEPS, STEPS + 1, STEPS + CHUNKS])
def test_a_job_that_is_stopped_ends_the_step_and_goes_on_from_it(begin: Begin, moment: int) -> None:
    asked: list[bool] = []
    stopped = begin(stopping=lambda: bool(asked), tell=at(moment, lambda: asked.append(True)))
    done = f"step {moment} of {STEPS}" if moment <= STEPS else f"row {min(16 * (moment - STEPS), 40)} of 40"
    with pytest.raises(Interrupted, match=f"stopped at {done}"):
        stopped.run()
    with capture_logs() as logs:
        resumed = begin()
        resumed.run()
    assert resumed.learned == undisturbed()
    (said,) = events(logs, "resumed")
    assert (said["step"], said["steps"]) == (min(moment, STEPS), STEPS)
    assert not events(logs, "training")


def test_a_job_that_is_killed_again_and_again_goes_on_from_its_last_checkpoint(begin: Begin) -> None:
    with capture_logs() as logs:
        for _ in range(3):  # the checkpoint of a step is written after it was told
            with pytest.raises(Killed):
                begin(checkpoint_interval=ALWAYS, tell=at(4, die)).run()
        last = begin(checkpoint_interval=ALWAYS)
        last.run()
    assert last.learned == undisturbed()
    assert [said["step"] for said in events(logs, "resumed")] == [3, 6, 9]


@pytest.mark.parametrize("moment", [1, 2, STEPS, STEPS + 1, STEPS + CHUNKS])
def test_a_kill_at_any_moment_changes_no_bit(begin: Begin, moment: int) -> None:
    with pytest.raises(Killed):
        begin(checkpoint_interval=ALWAYS, tell=at(moment, die)).run()
    last = begin(checkpoint_interval=ALWAYS)
    last.run()
    assert last.learned == undisturbed()


@pytest.mark.parametrize("where", ["write_update", "content_of", "seal_file", "write_private_state", "sync"])
def test_a_kill_while_the_update_is_made_leaves_a_job_that_can_be_done_again(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, where, lambda *arguments: die())
        with pytest.raises(Killed):
            begin(checkpoint_interval=ALWAYS).run()
    last = begin(checkpoint_interval=ALWAYS)
    last.run()
    assert last.learned == undisturbed()


def test_a_kill_before_the_first_checkpoint_begins_again(begin: Begin) -> None:
    with pytest.raises(Killed):
        begin(tell=at(4, die)).run()
    with capture_logs() as logs:
        begin().run()
    assert not events(logs, "resumed") and len(events(logs, "training")) == 1


def test_what_a_kill_left_is_removed(begin: Begin) -> None:
    step = begin()
    prepare(step.folder, step.job, step.fill)
    left = [step.folder / name for name in (".checkpoint.0123456789abcdef", ".update.0123456789abcdef", "plain")]
    for path in left:
        path.write_bytes(b"half of a file")
    step.run()
    assert not any(path.exists() for path in left)


# --------------------------------------------------------------------------------------------------------- checkpoints


def test_checkpoints_are_written_at_the_interval_that_is_configured(begin: Begin) -> None:
    rarely, always = begin("rarely"), begin("always", checkpoint_interval=ALWAYS)
    rarely.run()
    always.run()
    assert not rarely.checkpoint.exists() and always.checkpoint.exists()


def test_checkpoints_are_private(begin: Begin) -> None:
    step = begin(checkpoint_interval=ALWAYS)
    step.run()
    assert step.checkpoint.stat().st_mode & 0o777 == 0o600
    assert step.folder.stat().st_mode & 0o777 == 0o700


def begun_checkpoint(begin: Begin, **changes: Any) -> Path:
    step = begin(checkpoint_interval=ALWAYS, tell=at(4, die), **changes)
    with pytest.raises(Killed):
        step.run()
    return step.checkpoint


def set_aside(begin: Begin, checkpoint: Path, said: str, **changes: Any) -> None:
    with capture_logs() as logs:
        again = begin(**changes)
        again.run()
    assert again.learned == undisturbed(**changes)
    (warning,) = events(logs, "checkpoint set aside, training starts again")
    assert warning["log_level"] == "warning" and said in warning["error"]
    assert Path(warning["path"]).exists() and not checkpoint.exists()


def test_a_damaged_checkpoint_is_set_aside_and_training_begins_again(begin: Begin) -> None:
    checkpoint = begun_checkpoint(begin)
    content = bytearray(checkpoint.read_bytes())
    content[-5] ^= 1
    checkpoint.write_bytes(content)
    set_aside(begin, checkpoint, "was changed after it was written")


def test_a_truncated_checkpoint_is_set_aside_and_training_begins_again(begin: Begin) -> None:
    checkpoint = begun_checkpoint(begin)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    set_aside(begin, checkpoint, "is truncated")


def test_a_checkpoint_with_other_data_is_set_aside(begin: Begin) -> None:
    set_aside(begin, begun_checkpoint(begin), "its samples is 50, expected 49", samples=dataset(49))


def test_a_checkpoint_of_a_round_of_the_same_number_with_another_key_is_set_aside(begin: Begin) -> None:
    checkpoint = begun_checkpoint(begin, opening={"sealing_key": generate_key_pair().public})
    set_aside(begin, checkpoint, f"expected {KEYS.public.hex()}")


def test_a_checkpoint_that_a_newer_koinon_wrote_is_refused_and_stays_as_it_is(begin: Begin) -> None:
    checkpoint = begun_checkpoint(begin)
    with TensorFile(checkpoint) as file:
        write_tensors(checkpoint, {name: file.read(name) for name in file.names}, file.header | {"version": 3})
    content = checkpoint.read_bytes()
    with pytest.raises(NewerVersion, match=f"in {checkpoint.parent}: {checkpoint.name}: this checkpoint has version 3"):
        begin().run()
    assert checkpoint.read_bytes() == content
    assert not list(checkpoint.parent.glob("*unusable"))


def test_training_goes_on_without_checkpoints_where_they_cannot_be_written(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, told = undisturbed(), list[Progress]()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "save_checkpoint", full)
    with capture_logs() as logs:
        step = begin(checkpoint_interval=ALWAYS, tell=told.append)
        step.run()
    assert step.learned == expected
    assert len(events(logs, "checkpoint not written")) == STEPS + CHUNKS
    assert "No space left" in events(logs, "checkpoint not written")[0]["error"]
    assert {progress.checkpoint for progress in told} == {0}


LANDED = Path(__file__).parents[2] / "landed"


def test_a_checkpoint_of_version_1_that_landed_is_gone_on_with_to_the_bit(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = (LANDED / "mid" / "client-3" / "training").iterdir()
    with TensorFile(old) as file:
        header = file.header
    goal = header["steps_done"] + 9
    monkeypatch.setattr(training.secrets, "randbits", lambda bits: header["seed"])

    def put_landed(folder: Path) -> None:
        for name, cid in ((PLAN, header["plan"]), (BASE, header["base_model"])):
            (folder / name).write_bytes((LANDED / "store" / cid).read_bytes())

    def stopped_at_the_goal(folder: str, **adopted: int) -> dict[str, bytes]:
        told: list[Progress] = []
        step = begin(
            folder,
            opening={
                "sealing_key": bytes.fromhex(header["sealing_key"]),
                **{name: header[name] for name in ("round", "plan", "base_model")},
            },
            data=str(LANDED / "parties" / "client-3" / "data.npz"),
            tell=told.append,
            stopping=lambda: told[-1].step == goal,
        )
        step.fill = put_landed
        prepare(step.folder, step.job, step.fill)
        if adopted:
            (tmp_path / "old").write_bytes(old.read_bytes())
            adopt_checkpoint(tmp_path / "old", step.checkpoint, **adopted)
        with pytest.raises(Interrupted):
            step.run()
        assert told[0].step == (header["steps_done"] if adopted else 0)
        assert told[0].metered_ms == adopted.get("metered_ms", 0) <= told[-1].metered_ms
        with TensorFile(step.checkpoint) as file:
            return {name: file.read(name).tobytes() for name in file.names}

    assert stopped_at_the_goal("resumed", metered_ms=777) == stopped_at_the_goal("whole")


# ------------------------------------------------------------------------------------------------- limits and what fits


def test_training_ends_at_the_limit_with_all_that_it_took_before_a_restart(begin: Begin) -> None:
    checkpoint = begun_checkpoint(begin)
    adopt_checkpoint(checkpoint, checkpoint.with_name("with-time"), 7_000)
    checkpoint.with_name("with-time").replace(checkpoint)
    content = checkpoint.read_bytes()
    with pytest.raises(TrainingError, match=r"training took 7\.\d s until step 4 of .* the max_seconds of 5 that are"):
        begin(max_seconds=5.0).run()
    checkpoint.write_bytes(content)
    begin(max_seconds=AN_HOUR).run()


def test_a_base_model_of_another_plan_is_refused(begin: Begin) -> None:
    with pytest.raises(ArtifactError, match="does not fit the plan's model"):
        begin(plan=replace(BY_STEPS, model=Factory("mlp", {**NET, "hidden": [6]}))).run()


def test_a_base_model_that_holds_what_no_model_may_is_refused(begin: Begin) -> None:
    step = begin()
    prepare(step.folder, step.job, step.fill)
    with TensorFile(step.folder / BASE) as file:
        arrays, header = {name: file.read(name) for name in file.names}, file.header
    write_tensors(step.folder / BASE, arrays | {"param/layer1.bias": np.full(5, np.nan, np.float32)}, header)
    with pytest.raises(ArtifactError, match="holds NaN or infinity"):
        step.run()
    write_tensors(step.folder / BASE, arrays, header | {"version": 9})
    with pytest.raises(TrainingError, match="its base model cannot be read: .*has version 9"):
        step.run()


def test_a_plan_that_is_not_the_rounds_is_refused(begin: Begin) -> None:
    with pytest.raises(ArtifactError, match="expected Qm.* as its job says"):
        begin(opening={"plan": CID}).run()


def test_data_that_is_not_the_tasks_is_refused(begin: Begin) -> None:
    wide = Dataset(np.zeros((5, 9), np.float32), np.zeros(5, np.int64))
    with pytest.raises(DatasetError, match=r"features have shape \[5, 9\]; expected an .npz file with"):
        begin(samples=wide).run()
    with pytest.raises(DatasetError, match="no such file"):
        begin(data="/nowhere.npz").run()


def test_a_gpu_that_is_not_there_is_refused_in_words(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "device_of", lambda setting: fail(ConfigurationError(f"no {setting}")))
    with pytest.raises(ConfigurationError, match="no cuda"):
        begin(device="cuda").run()


def test_a_training_that_diverges_says_so(begin: Begin) -> None:
    huge = Dataset(dataset().features * np.float32(1e30), dataset().labels)
    with pytest.raises(TrainingError, match="training diverged"):
        begin(samples=huge).run()


def without_ewc(plan: Plan) -> Plan:
    return replace(plan, ewc=replace(plan.ewc, strength=0.0))


def groups(learned: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for name, content in learned.items():
        group, _, rest = name.partition("/")
        found.setdefault(group, {})[rest] = content
    return found


def test_without_ewc_nothing_pulls_and_no_fisher_information_is_estimated(begin: Begin) -> None:
    plain, pulled = begin("plain", plan=without_ewc(BY_STEPS)), begin()
    plain.run()
    pulled.run()
    alone, held = groups(plain.learned), groups(pulled.learned)
    assert "fisher" not in alone
    assert held["fisher"].keys() == held["delta"].keys()
    assert all((np.frombuffer(array, np.float32) >= 0).all() for array in held["fisher"].values())
    assert held["delta"] != alone["delta"]


def test_as_many_threads_as_the_job_says_compute_it(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    begin("two", threads=2).run()
    begin("any", threads=0).run()
    assert asked == [2]


# ------------------------------------------------------------------------------------------------------------- progress


def test_progress_is_told_before_the_work_and_after_every_step_and_every_chunk(begin: Begin) -> None:
    told: list[Progress] = []
    begin(tell=told.append).run()
    assert [(progress.step, progress.steps) for progress in told] == [
        (min(sign, STEPS), STEPS) for sign in range(STEPS + CHUNKS + 1)
    ]
    assert told[0].loss is None and all(progress.loss is not None for progress in told[1:])
    assert len({progress.loss for progress in told[1:]}) == STEPS
    assert [progress.metered_ms for progress in told] == sorted(progress.metered_ms for progress in told)


def test_progress_says_how_much_the_last_checkpoint_holds_and_that_only_grows(begin: Begin) -> None:
    told: list[Progress] = []
    step = begin(checkpoint_interval=ALWAYS, tell=told.append)
    step.run()
    held = [progress.checkpoint for progress in told]
    assert held == sorted(held) and held[0] == 0
    assert sorted(set(held)) == [*range(STEPS + 1), STEPS + 16, STEPS + 32, STEPS + FISHER_ROWS]
    again: list[Progress] = []
    begin(tell=again.append).run()
    assert (again[0].step, again[0].checkpoint, again[0].loss) == (STEPS, STEPS + FISHER_ROWS, None)


def test_neither_progress_nor_logs_nor_the_result_say_the_seed(begin: Begin) -> None:
    told: list[Progress] = []
    with capture_logs() as logs:
        step = begin(checkpoint_interval=ALWAYS, tell=told.append)
        result = step.run()
    said = f"{told} {logs} {result}"
    assert str(SEED) not in said and str(SEED).encode() in step.checkpoint.read_bytes()


# ---------------------------------------------------------------------------------------------------------- metering


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of the job's clock, in nanoseconds."""
    time = [0]
    monkeypatch.setattr(training, "Clock", lambda ms=0: Clock(ms, lambda: time[0]))
    return time


Tell = Callable[[Progress], None]


def each_takes(ns: int, now: list[int], told: list[Progress], then: Tell = lambda progress: None) -> Tell:
    """What to tell progress to, where every piece of the work takes so many nanoseconds (see `at`)."""

    def tell(progress: Progress) -> None:
        if told and progress.checkpoint == told[-1].checkpoint:
            now[0] += ns
        told.append(progress)
        then(progress)

    return tell


def test_time_counts_on_from_the_checkpoint_after_a_kill_and_never_twice(begin: Begin, now: list[int]) -> None:
    """Three kills at the fourth piece: each time it goes on from the checkpoint of the third."""
    heard = []
    for moment in (4, 4, 4, 1000):
        told: list[Progress] = []
        step = begin(checkpoint_interval=ALWAYS, tell=each_takes(10_000_000, now, told, at(moment, die)))
        with contextlib.suppress(Killed):
            result = step.run()
        heard.append(told[0].metered_ms)
    assert heard == [0, 30, 60, 90]
    assert result.metered_ms == 10 * (STEPS + CHUNKS)


def test_writing_checkpoints_and_importing_is_not_metered(
    begin: Begin, now: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: object) -> None:
        now[0] += 10**12

    for name in ("save_checkpoint", "import_ahead"):
        monkeypatch.setattr(training, name, slowly)
    step = begin(checkpoint_interval=ALWAYS, tell=each_takes(1_500_000, now, []))
    assert step.run().metered_ms == (STEPS + CHUNKS) * 3 // 2


def test_time_before_the_first_batch_and_after_the_last_row_is_not_metered(
    begin: Begin, now: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own_data", "base_in", "state_in", "seal", "write_private_state"):
        real = getattr(training, name)

        def slowly(*arguments: Any, real: Any = real) -> Any:
            now[0] += 10**12
            return real(*arguments)

        monkeypatch.setattr(training, name, slowly)
    assert begin().run().metered_ms == 0


# -------------------------------------------------------------------------------------------------------------- memory


TOO_MUCH = [
    lambda: torch.empty(1 << 60, dtype=torch.uint8),  # an EiB
    lambda: np.empty(1 << 60, np.uint8),
    lambda: fail(MemoryError()),
    lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    lambda: fail(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")),
]


@pytest.mark.parametrize("too_much", TOO_MUCH)
def test_memory_that_runs_out_is_told_from_other_errors(too_much: Callable[[], object]) -> None:
    with pytest.raises(OutOfMemory, match="too little memory to train") as told, memory_errors():
        too_much()
    assert not isinstance(told.value, GpuOutOfMemory) and "client.max_memory refuses such plans" in str(told.value)


@pytest.mark.parametrize("too_much", TOO_MUCH)
def test_memory_of_a_gpu_that_runs_out_is_told_from_that_of_the_machine(too_much: Callable[[], object]) -> None:
    with pytest.raises(GpuOutOfMemory, match="the GPU has too little memory"), memory_errors(torch.device("cuda", 0)):
        too_much()


def test_another_error_of_torch_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="size"), memory_errors():
        torch.ones(2) + torch.ones(3)


def test_a_job_whose_memory_runs_out_says_so_and_can_go_on_elsewhere(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutOfMemory):
        begin(checkpoint_interval=ALWAYS, tell=at(4, lambda: fail(MemoryError()))).run()
    with capture_logs() as logs:
        again = begin()
        again.run()
    assert again.learned == undisturbed()
    assert [said["step"] for said in events(logs, "resumed")] == [3]
