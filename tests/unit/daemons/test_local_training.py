"""A client's local work: stopped, killed, resumed, limited, and metered whatever happens."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from torch import nn

from processor.artifacts.buffers import Average, Buffer, Counter, Pooled
from processor.artifacts.model import Model, ModelHeader
from processor.artifacts.plan import Argument, Factory, LocalWork, Optimizer, Plan
from processor.daemons import training
from processor.daemons.meter import Meter
from processor.daemons.training import (
    LEAST_TO_SUBMIT,
    MOST_TO_SUBMIT,
    Learned,
    Training,
    forget_checkpoints,
    memory_errors,
    seconds_to_submit,
)
from processor.errors import ArtifactError, Interrupted, NewerVersion, OutOfMemory, TrainingError
from processor.journal import Journal
from processor.learning.models import buffers_of, build_model, parameters_of
from processor.learning.tasks import Dataset
from processor.protocol.opened import Identity, OpenedRound
from processor.tensors import TensorFile, write_tensors
from processor.types import RoundView
from tests.unit.artifacts import examples
from tests.unit.protocol.views import ADDRESS, CID, round_view

VIEW = round_view()
FISHER_ROWS = 40
CHUNKS = 3
STEPS = 12
NET: dict[str, Argument] = {"inputs": 4, "hidden": [5], "outputs": 3}
BY_STEPS = replace(
    examples.PLAN,
    model=Factory("mlp", NET),
    optimizer=Optimizer("sgd", learning_rate=0.1, momentum=0.9),
    local=LocalWork(steps=STEPS, epochs=None, batch_size=4),
    ewc=replace(examples.PLAN.ewc, fisher_samples=FISHER_ROWS),
)
AN_HOUR = 3600.0
HEADER = ModelHeader(0, None, CID)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal", 31337, ADDRESS, ADDRESS) as opened:
        yield opened


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same order of samples in every training that begins again."""
    monkeypatch.setattr(training.secrets, "randbits", lambda bits: 2**bits - 1)


@pytest.fixture
def begin(tmp_path: Path, journal: Journal) -> Callable[..., Training]:
    """A training as a daemon begins it, or a restarted one goes on with it: with what is on disk and nothing else."""

    def begun(view: RoundView = VIEW, plan: Plan = BY_STEPS, **changes: Any) -> Training:
        settings: dict[str, Any] = {
            "base": base(),
            "dataset": dataset(),
            "folder": tmp_path / "training",
            "meter": Meter(journal, view.round, view.sealing_key),
            "log": structlog.get_logger(),
            "ends_at": time.monotonic() + AN_HOUR,
            "checkpoint_interval": AN_HOUR,
        }
        round = OpenedRound(Identity(31337, ADDRESS), view.opening, plan)
        return Training(round=round, **{**settings, **changes})

    return begun


def base(fisher: float = 0.5) -> Model:
    module = build_model("mlp", NET, seed=0)
    parameters = parameters_of(module)
    sizes = {name: np.full_like(array, fisher) for name, array in parameters.items()}
    return Model(HEADER, parameters, buffers_of(module), sizes)


def dataset(count: int = 50) -> Dataset:
    random = np.random.default_rng(0)
    return Dataset(random.normal(size=(count, 4)).astype(np.float32), random.integers(0, 3, count))


def bits(learned: Learned) -> dict[str, bytes]:
    groups = {"delta": learned.delta, "buffer": learned.buffers, "fisher": learned.fisher}
    return {f"{kind}/{name}": array.tobytes() for kind, group in groups.items() for name, array in group.items()}


class Killed(BaseException):
    """Like SIGKILL: nobody catches it and nothing is written after it."""


def at(moment: int, happens: Callable[[], None]) -> Callable[[int, int], None]:
    """What to tell `on_progress`: at this sign of life, let something happen."""
    signs = iter(range(1, 1000))

    def told(done: int, steps: int) -> None:
        if next(signs) == moment:
            happens()

    return told


def die() -> None:
    raise Killed


def fail(error: Exception) -> None:
    raise error


def events(logs: Any, name: str) -> list[dict[str, Any]]:
    return [log for log in logs if log["event"] == name]


def test_a_counter_stands_still_at_the_most_that_the_plan_declares(
    begin: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    monkeypatch.setattr(training, "module_of", lambda plan: module)
    start = buffers_of(module) | {"1.num_batches_tracked": np.array(95)}
    statistics: dict[str, Buffer] = {
        "1.running_mean": Average("average", -9.0, 9.0),
        "1.running_var": Pooled("pooled", "1.running_mean", 0.0, 9.0),
    }
    plain = replace(BY_STEPS, ewc=replace(BY_STEPS.ewc, strength=0.0))
    for most, count in ((1_000, 95 + STEPS), (100, 100)):
        plan = replace(plain, buffers={**statistics, "1.num_batches_tracked": Counter("counter", 0, most)})
        learned = begin(round_view(round=most), plan, base=Model(HEADER, parameters_of(module), start, {})).run()
        assert learned.buffers["1.num_batches_tracked"] == count
        assert learned.buffers["1.running_mean"].any()


# ------------------------------------------------------------------------------------------------ stopped and killed


@pytest.mark.parametrize("moment", [1, STEPS - 1, STEPS, STEPS + 1, STEPS + CHUNKS])
def test_a_daemon_that_is_stopped_ends_the_step_and_goes_on_from_it(
    begin: Callable[..., Training], moment: int
) -> None:
    undisturbed = bits(begin(round_view(round=9)).run())
    stopping = threading.Event()
    stopped = begin(stopping=stopping, on_progress=at(moment, stopping.set))
    done = f"step {moment} of {STEPS}" if moment <= STEPS else f"row {min(16 * (moment - STEPS), 40)} of 40"
    with pytest.raises(Interrupted, match=f"stopped at {done}"):
        stopped.run()
    with capture_logs() as logs:
        resumed = begin()
        assert bits(resumed.run()) == undisturbed
    (said,) = events(logs, "resumed")
    assert (said["step"], said["steps"]) == (min(moment, STEPS), STEPS)
    assert not events(logs, "training")


def test_a_daemon_that_is_killed_again_and_again_goes_on_from_its_last_checkpoint(
    begin: Callable[..., Training],
) -> None:
    undisturbed = bits(begin(round_view(round=9)).run())
    with capture_logs() as logs:
        for _ in range(3):  # the checkpoint of a step is written after it was told
            with pytest.raises(Killed):
                begin(checkpoint_interval=1e-9, on_progress=at(4, die)).run()
        assert bits(begin(checkpoint_interval=1e-9).run()) == undisturbed
    assert [said["step"] for said in events(logs, "resumed")] == [3, 6, 9]


def test_a_kill_before_the_first_checkpoint_begins_again(begin: Callable[..., Training]) -> None:
    with pytest.raises(Killed):
        begin(on_progress=at(4, die)).run()
    with capture_logs() as logs:
        begin().run()
    assert not events(logs, "resumed") and len(events(logs, "training")) == 1


def test_what_a_kill_left_half_written_is_removed(begin: Callable[..., Training], tmp_path: Path) -> None:
    left = tmp_path / "training" / ".round-1.safetensors.0123456789abcdef"
    left.parent.mkdir()
    left.write_bytes(b"half of a checkpoint")
    begin().run()
    assert not left.exists()


# ------------------------------------------------------------------------------------------------------- checkpoints


def test_checkpoints_are_written_at_the_interval_that_is_configured(begin: Callable[..., Training]) -> None:
    rarely, always = begin(checkpoint_interval=AN_HOUR), begin(round_view(round=2), checkpoint_interval=1e-9)
    rarely.run()
    always.run()
    assert not rarely.checkpoint.exists() and always.checkpoint.exists()


def test_checkpoints_are_private(begin: Callable[..., Training]) -> None:
    work = begin(checkpoint_interval=1e-9)
    work.run()
    assert work.checkpoint.stat().st_mode & 0o777 == 0o600
    assert work.folder.stat().st_mode & 0o777 == 0o700


def begun_checkpoint(begin: Callable[..., Training]) -> Path:
    work = begin(checkpoint_interval=1e-9, on_progress=at(4, die))
    with pytest.raises(Killed):
        work.run()
    return work.checkpoint


def set_aside(begin: Callable[..., Training], checkpoint: Path, said: str, **changes: Any) -> None:
    undisturbed = bits(begin(round_view(round=9), **changes).run())
    with capture_logs() as logs:
        assert bits(begin(**changes).run()) == undisturbed
    (warning,) = events(logs, "checkpoint set aside, training starts again")
    assert warning["log_level"] == "warning" and said in warning["error"]
    assert Path(warning["path"]).exists() and not checkpoint.exists()


def test_a_damaged_checkpoint_is_set_aside_and_training_begins_again(begin: Callable[..., Training]) -> None:
    checkpoint = begun_checkpoint(begin)
    content = bytearray(checkpoint.read_bytes())
    content[-5] ^= 1
    checkpoint.write_bytes(content)
    set_aside(begin, checkpoint, "was changed after it was written")


def test_a_truncated_checkpoint_is_set_aside_and_training_begins_again(begin: Callable[..., Training]) -> None:
    checkpoint = begun_checkpoint(begin)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    set_aside(begin, checkpoint, "is truncated")


def test_a_checkpoint_with_other_data_is_set_aside(begin: Callable[..., Training]) -> None:
    set_aside(begin, begun_checkpoint(begin), "its samples is 50, expected 49", dataset=dataset(49))


def test_a_checkpoint_that_a_newer_koinon_wrote_is_refused_and_stays_as_it_is(begin: Callable[..., Training]) -> None:
    checkpoint = begun_checkpoint(begin)
    with TensorFile(checkpoint) as file:
        write_tensors(checkpoint, {name: file.read(name) for name in file.names}, file.header | {"version": 2})
    content = checkpoint.read_bytes()
    with pytest.raises(NewerVersion, match=f"in {checkpoint.parent}: {checkpoint.name}: this checkpoint has version 2"):
        begin().run()
    assert [path.read_bytes() for path in checkpoint.parent.iterdir()] == [content]


def test_a_round_of_the_same_number_with_another_key_has_a_checkpoint_of_its_own(
    begin: Callable[..., Training],
) -> None:
    begun_checkpoint(begin)
    with capture_logs() as logs:
        begin(round_view(sealing_key=bytes(32))).run()
    assert not events(logs, "resumed") and not events(logs, "checkpoint set aside, training starts again")


def test_training_goes_on_without_checkpoints_where_they_cannot_be_written(
    begin: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = bits(begin(round_view(round=9)).run())

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "save_checkpoint", full)
    with capture_logs() as logs:
        assert bits(begin(checkpoint_interval=1e-9).run()) == undisturbed
    assert len(events(logs, "checkpoint not written")) == STEPS + CHUNKS
    assert "No space left" in events(logs, "checkpoint not written")[0]["error"]


def test_all_checkpoints_are_forgotten_together(begin: Callable[..., Training], tmp_path: Path) -> None:
    for view in (VIEW, round_view(round=2)):
        begin(view, checkpoint_interval=1e-9).run()
    assert len(list((tmp_path / "training").iterdir())) == 2
    forget_checkpoints(tmp_path / "training")
    assert not list((tmp_path / "training").iterdir())
    forget_checkpoints(tmp_path / "nowhere")


# -------------------------------------------------------------------------------------------------- limits and plans


def test_training_ends_with_the_period(begin: Callable[..., Training]) -> None:
    with pytest.raises(TrainingError, match=f"no time was left at step 1 of {STEPS}: the rest of the"):
        begin(ends_at=time.monotonic() - 1).run()


def test_training_ends_at_the_limit_with_all_that_it_took_before_a_restart(
    begin: Callable[..., Training], journal: Journal
) -> None:
    journal.add_metered(VIEW.round, VIEW.sealing_key, 7_000)
    with pytest.raises(TrainingError, match=r"training took 7\.\d s until step 1 of .* the max_seconds of 5 that are"):
        begin(max_seconds=5).run()
    begin(max_seconds=AN_HOUR).run()


def test_a_base_model_of_another_plan_is_refused(begin: Callable[..., Training]) -> None:
    with pytest.raises(ArtifactError, match="does not fit the plan's model"):
        begin(plan=replace(BY_STEPS, model=Factory("mlp", {**NET, "hidden": [6]}))).run()


def without_ewc(plan: Plan) -> Plan:
    return replace(plan, ewc=replace(plan.ewc, strength=0.0))


def test_without_ewc_nothing_pulls_and_no_fisher_information_is_estimated(begin: Callable[..., Training]) -> None:
    plain = begin(round_view(round=2), plan=without_ewc(BY_STEPS)).run()
    assert plain.fisher == {}
    pulled = begin().run()
    assert pulled.fisher.keys() == pulled.delta.keys()
    assert all((array >= 0).all() for array in pulled.fisher.values())
    assert bits(replace(pulled, fisher={})) != bits(plain)


def test_progress_is_told_after_every_step_and_every_chunk(begin: Callable[..., Training]) -> None:
    told: list[tuple[int, int]] = []
    begin(on_progress=lambda done, steps: told.append((done, steps))).run()
    assert told == [(min(sign, STEPS), STEPS) for sign in range(1, STEPS + CHUNKS + 1)]


# ---------------------------------------------------------------------------------------------------- time and memory


@given(st.integers(30, 30 * 24 * 3600))
def test_a_tenth_of_the_training_period_is_kept_for_the_submission_within_bounds(period: int) -> None:
    kept = seconds_to_submit(round_view(opened_at=1_000, training_deadline=1_000 + period).opening)
    assert LEAST_TO_SUBMIT <= kept <= min(period / 10, MOST_TO_SUBMIT)


@pytest.mark.parametrize(
    "too_much",
    [
        lambda: torch.empty(1 << 60, dtype=torch.uint8),  # an EiB
        lambda: np.empty(1 << 60, np.uint8),
        lambda: fail(MemoryError()),
        lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
        lambda: fail(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")),
    ],
)
def test_memory_that_runs_out_is_told_from_other_errors(too_much: Callable[[], object]) -> None:
    with pytest.raises(OutOfMemory, match="too little memory to train"), memory_errors():
        too_much()


def test_another_error_of_torch_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="size"), memory_errors():
        torch.ones(2) + torch.ones(3)


# ---------------------------------------------------------------------------------------------------------- metering


def test_time_is_kept_through_kills_and_never_shrinks(begin: Callable[..., Training], journal: Journal) -> None:
    kept = [0]
    for moment in (4, 4, 4, 1000):
        work = begin(checkpoint_interval=1e-9, on_progress=at(moment, die))
        with contextlib.suppress(Killed):
            work.run()
        kept.append(journal.metered_ms(VIEW.round, VIEW.sealing_key))
    assert kept == sorted(kept) and kept[-1] > 0


def test_writing_checkpoints_is_not_metered(
    begin: Callable[..., Training], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0]
    monkeypatch.setattr("processor.daemons.meter.time.monotonic_ns", lambda: now[0])

    def slowly(*arguments: object) -> None:
        now[0] += 10**12

    def step(done: int, steps: int) -> None:
        now[0] += 1_500_000

    monkeypatch.setattr(training, "save_checkpoint", slowly)
    begin(checkpoint_interval=1e-9, on_progress=step).run()
    assert journal.metered_ms(VIEW.round, VIEW.sealing_key) == (STEPS + CHUNKS) * 3 // 2
