"""A client's step in one round: trained, or what is left of that, released, checked as others will, and sealed.

It can be stopped at any moment: between two pieces of the work a checkpoint is written from time to time, and when the
job is to end. After a kill, what came after the last one is done again, and metered once.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
import torch

from processor.aggregation.declared import with_counters_cut
from processor.aggregation.facts import check_base
from processor.artifacts.checkpoint import Work
from processor.artifacts.model import Model, load_model, open_model
from processor.artifacts.plan import Plan
from processor.artifacts.private_state import (
    FIRST_PRIVATE_STATE,
    PrivateState,
    load_private_state,
    write_private_state,
)
from processor.artifacts.update import Learned, write_update
from processor.cid import cid_of_file
from processor.errors import ArtifactError, Interrupted, MachineError, NewerVersion, TrainingError
from processor.files import sync
from processor.learning.checkpoint import load_checkpoint, save_checkpoint
from processor.learning.clock import Clock
from processor.learning.device import device_of
from processor.learning.ewc import import_ahead
from processor.learning.local import LocalStep, Moment
from processor.learning.resolve import task_of
from processor.learning.trainer import SEED_BITS
from processor.privacy.release import release
from processor.privacy.sealing import seal_file
from processor.protocol.examine import content_of, opened
from processor.protocol.jobs.kinds import BASE, CHECKPOINT, STATE_AFTER, STATE_BEFORE, UPDATE, TrainJob, TrainResult
from processor.protocol.jobs.worker import Progress
from processor.protocol.opened import Identity, OpenedRound
from processor.words import reason
from processor.worker.control import Control
from processor.worker.jobs.memory import memory_errors
from processor.worker.jobs.reading import own_data, plan_in

PLAIN = "plain"
"""The update before it is sealed: there for a moment only."""

_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{16}")


def run(folder: Path, job: TrainJob, digest: str, control: Control) -> TrainResult:
    """Leaves the sealed update and the private state after it in the folder.

    Raises TrainingError where the training diverges, takes longer than its limit, or its base model cannot be read;
    ArtifactError for a base model that is not the plan's, and for an update that would be rejected; NewerVersion for a
    checkpoint or private state that a newer Koinon wrote; DatasetError, ConfigurationError; OutOfMemory,
    GpuOutOfMemory; Interrupted, after a checkpoint, once `control` asks for that.
    """
    if job.threads:
        torch.set_num_threads(job.threads)
    device = device_of(job.device)
    remove_leftovers(folder)
    with memory_errors(device):
        plan = plan_in(folder, job.opening.plan)
        round = OpenedRound(Identity(job.chain_id, job.federation), job.opening.value(), plan)
        base = base_in(folder, plan)
        data = own_data(task_of(plan), Path(job.data))
        step = LocalStep(plan, base, data, state_in(folder, job), secrets.randbits(SEED_BITS), device)
        training = Training(folder, job, step, control)
        learned = sendable(training.run(), plan, base, len(data))
        released, state, epsilon = release(learned, step.state, plan)
        seal(folder, released, round, job, len(data))
    after = write_private_state(folder / STATE_AFTER, state)
    sync(folder)
    update = cid_of_file(folder / UPDATE)
    return TrainResult(digest, update, len(data), training.clock.ms, after, epsilon)


def remove_leftovers(folder: Path) -> None:
    """Removes what a kill left half-written, and the plain update."""
    for path in folder.iterdir():
        if path.name == PLAIN or _HALF_WRITTEN.fullmatch(path.name):
            path.unlink()


def base_in(folder: Path, plan: Plan) -> Model:
    """The base model of the job, as the plan wants it."""
    try:
        with open_model(folder / BASE) as base:
            check_base(base, plan)
        return load_model(folder / BASE)
    except NewerVersion as error:
        raise TrainingError(f"its base model cannot be read: {error}") from error


def state_in(folder: Path, job: TrainJob) -> PrivateState:
    """What the client carries from its releases before. Raises MachineError where it is not what the job names."""
    if job.state is None:
        return FIRST_PRIVATE_STATE
    state = load_private_state(folder / STATE_BEFORE)
    if state.cid != job.state:
        raise MachineError(f"the private state in {folder} has the CID {state.cid}, expected {job.state}")
    return state


def sendable(learned: Learned, plan: Plan, base: Model, samples: int) -> Learned:
    """What of it the plan has an update say."""
    buffers = with_counters_cut(learned.buffers, base.buffers, plan, samples)
    return replace(learned, buffers=buffers, fisher=learned.fisher if plan.sends_fisher else {})


def seal(folder: Path, released: Learned, round: OpenedRound, job: TrainJob, samples: int) -> None:
    """Seals an update to the round's key. Raises ArtifactError for one that the organization would reject."""
    plain, header = folder / PLAIN, round.update_header(job.client, samples)
    try:
        write_update(plain, header, released.delta, released.buffers, released.fisher)
        with open_model(folder / BASE) as base, opened(plain, header, base, round.plan) as update:
            content_of(update, base, round.plan)
        seal_file(plain, folder / UPDATE, round.opening.sealing_key)
    finally:
        plain.unlink(missing_ok=True)


@dataclass(repr=False)
class Training:
    """The work on one step, with its checkpoint in the folder and its compute time on a clock."""

    folder: Path
    job: TrainJob
    step: LocalStep
    control: Control
    clock: Clock = field(init=False)
    _saved: int = field(init=False, default=0)
    _saved_at: float = field(init=False, default=0.0)

    def run(self) -> Learned:
        """Does the work, or what is left of it. The clock runs from the first batch to the last row."""
        self._begin()
        self._saved_at = time.monotonic()
        self._tell(self.step.moment)
        self.clock.start()
        self.step.train(self._between)
        if self.step.rows:
            with self.clock.paused():
                import_ahead()
            self.step.measure(self._between)
        self.clock.stop()
        return self.step.learned()

    @property
    def _path(self) -> Path:
        return self.folder / CHECKPOINT

    @property
    def _work(self) -> Work:
        opening = self.job.opening
        return Work(
            round=opening.round,
            sealing_key=opening.sealing_key,
            base_model=opening.base_model,
            plan=opening.plan,
            samples=len(self.step.dataset),
            steps=self.step.steps,
            rows=self.step.rows,
        )

    def _begin(self) -> None:
        """Goes on from the checkpoint, if there is one. One that cannot be used is set aside.

        Raises NewerVersion for one that a newer Koinon wrote: the same work would be metered twice.
        """
        log, work = structlog.get_logger(), self._work
        self.clock = Clock()
        if self._path.exists():
            try:
                progress, sums, metered_ms = load_checkpoint(self._path, work, self.step.module)
            except NewerVersion as error:
                raise NewerVersion(f"cannot go on from the checkpoint in {self.folder}: {error}") from None
            except ArtifactError as error:
                aside = self._path.replace(self._path.with_name(f"{CHECKPOINT}.unusable"))
                said = {"round": work.round, "path": str(aside), "error": str(error)}
                log.warning("checkpoint set aside, training starts again", **said)
            else:
                self.step.progress, self.step.sums = progress, sums
                self.clock, self._saved = Clock(metered_ms), progress.step + sums.rows
                log.info("resumed", round=work.round, step=progress.step, steps=work.steps, rows=sums.rows)
                return
        log.info("training", round=work.round, steps=work.steps, device=str(self.step.device))

    def _between(self, moment: Moment) -> None:
        self._tell(moment)
        self._check_limit(moment)
        stopping = self.control.stopping()
        if stopping or time.monotonic() - self._saved_at >= self.job.checkpoint_interval:
            with self.clock.paused():
                self._save(moment)
                self._saved_at = time.monotonic()
        if stopping:
            raise Interrupted(f"stopped at {moment}")

    def _check_limit(self, moment: Moment) -> None:
        limit, ms = self.job.max_seconds, self.clock.ms
        if limit is not None and ms > 1000 * limit:
            raise TrainingError(
                f"training took {ms / 1000:.1f} s until {moment}, more than the max_seconds of {limit:g} that are "
                "configured"
            )

    def _save(self, moment: Moment) -> None:
        step = self.step
        try:
            save_checkpoint(self._path, self._work, step.module, step.progress, step.sums, self.clock.ms)
        except OSError as error:
            structlog.get_logger().warning("checkpoint not written", path=str(self._path), error=reason(error))
        else:
            self._saved = moment.step + moment.row
            self._tell(moment)

    def _tell(self, moment: Moment) -> None:
        self.control.tell(Progress(moment.step, moment.steps, moment.loss, self.clock.ms, self._saved))
