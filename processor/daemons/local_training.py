"""A client's training in its worker: begun, followed, ended where its round is gone, and what came of it kept.

Every round that is trained for has a job's folder of its own, named by the round and its sealing key: after a
reorganization a number may be another round's.
"""

from __future__ import annotations

import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from structlog.typing import FilteringBoundLogger

from processor.artifacts.checkpoint import adopt_checkpoint
from processor.artifacts.committed import OpeningFields
from processor.artifacts.plan import Plan
from processor.config import ClientSettings
from processor.daemons.setbacks import Setbacks
from processor.daemons.updates import keep_update, private_state, saved_update, sweep
from processor.errors import (
    ArtifactError,
    ArtifactTooLarge,
    ConfigurationError,
    DatasetError,
    GpuOutOfMemory,
    IntegrityError,
    KoinonError,
    MachineError,
    NewerVersion,
    OutOfMemory,
    StorageError,
    TrainingError,
    Unreadable,
    WorkerDied,
)
from processor.files import PRIVATE, also_at
from processor.journal import Journal, SavedUpdate, updates_folder
from processor.metrics import Metrics
from processor.protocol.jobs.asking import put_plan
from processor.protocol.jobs.folder import JOB, answer_of, digest_of, discard, job_in, jobs_folder, outcome, prepare
from processor.protocol.jobs.kinds import (
    BASE,
    CHECKPOINT,
    STATE_AFTER,
    STATE_BEFORE,
    UPDATE,
    Device,
    TrainJob,
    TrainResult,
)
from processor.protocol.jobs.worker import Died, Progress, Worker
from processor.protocol.model_form import ModelForm, fetch_model
from processor.protocol.opened import Identity
from processor.protocol.periods import seconds_to_submit
from processor.storage.library import Library
from processor.types import Address, Block, Phase, RoundView

CPU: Device = "cpu"

Fixed = Callable[[], ModelForm | None]
"""What the round's plan fixes of its base model; None where that is not known."""

_NAME = re.compile(r"train-(\d+)-[0-9a-f]{16}")


@dataclass
class LocalTraining:
    """One client's training, in the latest round alone. `follow` looks at it once for each block."""

    identity: Identity
    client: Address
    settings: ClientSettings
    worker: Worker
    library: Library
    journal: Journal
    setbacks: Setbacks
    metrics: Metrics
    log: FilteringBoundLogger
    _result: TrainResult | None = field(default=None, init=False)
    _underway: str | None = field(default=None, init=False)
    _ends_at: dict[bytes, float] = field(default_factory=dict, init=False)
    _without_gpu: set[bytes] = field(default_factory=set, init=False)

    @property
    def trained(self) -> bool:
        """Whether there is an update to be kept."""
        return self._result is not None

    @property
    def underway(self) -> str | None:
        """What the worker does for the round; None where it does nothing."""
        return self._underway

    # ------------------------------------------------------------------------------------------------------ following

    def follow(self, view: RoundView, block: Block, wanted: bool) -> None:
        """Hears how far the training of the latest round is, where an update of it is still `wanted`, and ends every
        other: the round is over, or a reorganization took it away.

        Raises NewerVersion where a newer Koinon began the training.
        """
        self._result = self._underway = None
        self._end_others(view, self._folder(view) if wanted else None)
        if not wanted or not self._folder(view).exists() or self.setbacks.refusal(view.sealing_key):
            return
        folder, job = self._folder(view), self._job(view)
        seen = self.worker.look(folder)
        if isinstance(seen, Progress) and not _is_for(folder, job):
            self.worker.end(folder)
            self._underway = "an earlier training is ended"
            return
        try:
            self._result = _result_of(folder, job)
            if self._result is None and isinstance(seen, Died):
                raise seen.error
        except KoinonError as error:
            self._failed(view, job, error)
            return
        if isinstance(seen, Progress) and self._result is None:
            self._heard(view, block, folder, seen)

    def _heard(self, view: RoundView, block: Block, folder: Path, progress: Progress) -> None:
        key = view.sealing_key
        if progress.steps:
            self.journal.keep_metered(view.round, key, progress.metered_ms)
            self.metrics.training(progress.step, progress.steps, progress.loss)
        margin = seconds_to_submit(view.opening)
        spent = margin if 0 < progress.steps <= progress.step else 0.0  # of it, where only sealing is left to do
        left = view.training_deadline - block.timestamp - margin + spent
        if left > 0 and time.monotonic() <= self._ends_at.get(key, math.inf) + spent:
            self._underway = "training"
            return
        self.worker.end(folder)
        self._give_up(
            view,
            f"no time was left at step {progress.step} of {progress.steps}: the rest of the training period is kept "
            "for publishing and submitting",
        )

    def _failed(self, view: RoundView, job: TrainJob, error: KoinonError) -> None:
        """What a failure means for the round. One in which training fails is not tried again: its time would only be
        metered for nothing. Storage and memory may be there later, and what was trained so far is kept."""
        key = view.sealing_key
        match error:
            case NewerVersion():  # of our own checkpoint or state: the base model's is a TrainingError
                raise error
            case GpuOutOfMemory() if job.device != CPU:
                said = {"round": view.round, "device": job.device, "error": str(error)}
                self.log.warning("training goes on on the processor", **said)
                self._without_gpu.add(key)
            case WorkerDied():
                self.setbacks.died(key, error)
            case StorageError() | IntegrityError() | OutOfMemory() | Unreadable():
                self.setbacks.for_now(key, error)
            case DatasetError() | MachineError():  # the data or the folder has changed: both are looked at again
                (self._folder(view) / JOB).unlink(missing_ok=True)
                self.setbacks.for_now(key, error, told=False)
            case ConfigurationError():  # what is installed may be another by the next start
                discard(self._folder(view))
                self._give_up(view, str(error))
            case TrainingError() | ArtifactError():
                self._give_up(view, str(error))  # an artifact's bytes never change
            case _:
                raise error

    def _give_up(self, view: RoundView, reason: str) -> None:
        self.setbacks.for_good(view.sealing_key, reason)
        self.log.warning("training failed", round=view.round, error=reason)

    def _end_others(self, view: RoundView, wanted: Path | None) -> None:
        """Ends what is at work for another round, and removes what no round comes back for."""
        for folder in self._folders():
            if folder == wanted:
                continue
            if isinstance(self.worker.look(folder), Progress):
                self.worker.end(folder)
            elif _is_over(folder, view) or folder == self._folder(view):
                shutil.rmtree(folder, ignore_errors=True)

    # --------------------------------------------------------------------------------------------------------- acting

    def go_on(self, view: RoundView, block: Block, plan: Callable[[], Plan], form: Fixed) -> SavedUpdate | None:
        """Begins the training, or what is left of it, and keeps the round's one update once it is there. None while it
        is at work, and where it came to nothing. `plan` reads the round's plan and `form` says
        what that fixes of its base model, where they are needed.

        One that was kept before, which the journal does not know of, is taken as it is: none is ever made twice.
        """
        updates, opening = updates_folder(self.settings.state), view.opening
        saved = saved_update(updates, opening.round, opening.sealing_key, opening.base_model, self.log)
        try:
            if saved is None:
                if self._result is None:
                    self._begin(view, block, plan, form)
                if self._result is None:
                    return None
                saved = self._kept(view, self._result)
        except KoinonError as error:
            self._failed(view, self._job(view), error)
            return None
        self.journal.save_update(saved)
        self._result = None
        sweep(updates, self.journal, self.log)
        self._clear()
        return saved

    def _begin(self, view: RoundView, block: Block, plan: Callable[[], Plan], form: Fixed) -> None:
        """Begins the training; again without a GPU that is too small, where the worker says so at once."""
        self.worker.warm()
        job, folder = self._job(view), self._folder(view)
        ends_in = view.training_deadline - block.timestamp - seconds_to_submit(view.opening)
        self._ends_at[view.sealing_key] = time.monotonic() + ends_in
        prepare(folder, job, lambda folder: self._fill(folder, view, plan, form))
        self.worker.begin(folder)
        try:
            self._result = _result_of(folder, job)
        except GpuOutOfMemory as error:
            if job.device == CPU:
                raise
            self._failed(view, job, error)
            self._begin(view, block, plan, form)
        else:
            self._underway = "training" if self._result is None else None

    def _fill(self, folder: Path, view: RoundView, plan: Callable[[], Plan], form: Fixed) -> None:
        """What the job needs. Raises as `Library.fetch`; IntegrityError where our own private state is lost;
        TrainingError for a base model that is too large, ArtifactError for one of another form."""
        state = private_state(updates_folder(self.settings.state), self.journal)
        if state is not None:
            also_at(state, folder / STATE_BEFORE)
        put_plan(folder, plan())
        old = self._old_checkpoint(view)
        if old.exists() and not (folder / CHECKPOINT).exists():
            adopt_checkpoint(old, folder / CHECKPOINT, self.journal.metered_ms(view.round, view.sealing_key))
        try:
            fetch_model(self.library, view.opening.base_model, folder / BASE, form(), self.settings.max_bytes)
            (folder / BASE).chmod(PRIVATE)
        except ArtifactTooLarge as error:
            raise TrainingError(f"its base model is larger than its plan or client.max_bytes allow: {error}") from error
        except NewerVersion as error:
            raise TrainingError(f"its base model cannot be read: {error}") from error

    def _kept(self, view: RoundView, result: TrainResult) -> SavedUpdate:
        """The update, with its files where they stay. Raises IntegrityError where they are lost, for the job to be done
        again, as `keep_update` does."""
        updates, opening, folder = updates_folder(self.settings.state), view.opening, self._folder(view)
        self.journal.keep_metered(opening.round, opening.sealing_key, result.metered_ms)
        update = SavedUpdate(
            opening.round,
            opening.sealing_key,
            opening.base_model,
            result.update,
            updates / result.update,
            self.journal.metered_ms(opening.round, opening.sealing_key),
            result.samples,
            opening.aggregation_deadline,
            state=result.state,
            epsilon=result.epsilon,
        )
        try:
            keep_update(updates, update, folder / UPDATE, folder / STATE_AFTER)
        except IntegrityError:
            discard(folder)
            raise
        return update

    def _clear(self) -> None:
        """Removes what trainings left: nothing of it is needed once there is an update."""
        for folder in self._folders():
            if not isinstance(self.worker.look(folder), Progress):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self._of_before():
            shutil.rmtree(folder, ignore_errors=True)

    # --------------------------------------------------------------------------------------------------------- naming

    def _job(self, view: RoundView) -> TrainJob:
        settings = self.settings
        return TrainJob(
            chain_id=self.identity.chain_id,
            federation=self.identity.federation,
            client=self.client,
            opening=OpeningFields.of(view.opening),
            data=str(settings.data.absolute()),
            device=CPU if view.sealing_key in self._without_gpu else cast(Device, settings.device),
            threads=settings.threads,
            checkpoint_interval=settings.checkpoint_interval,
            max_seconds=settings.max_seconds,
            state=self.journal.private_state(),
        )

    def _folder(self, view: RoundView) -> Path:
        return jobs_folder(self.settings.state) / f"train-{view.round}-{view.sealing_key.hex()[:16]}"

    def _folders(self) -> list[Path]:
        return sorted(jobs_folder(self.settings.state).glob("train-*"))

    def _old_checkpoint(self, view: RoundView) -> Path:
        """Where versions before kept a checkpoint."""
        return self._of_before()[0] / f"round-{view.round}-{view.sealing_key.hex()[:16]}.safetensors"

    def _of_before(self) -> tuple[Path, Path]:
        """Folders that versions before worked in."""
        return self.settings.state / "training", self.settings.state / "work"


def _result_of(folder: Path, job: TrainJob) -> TrainResult | None:
    found = outcome(folder, job)
    return None if found is None else answer_of(found, TrainResult, folder)


def _is_for(folder: Path, job: TrainJob) -> bool:
    try:
        return digest_of(job_in(folder)) == digest_of(job)
    except (ArtifactError, OSError):
        return False


def _is_over(folder: Path, view: RoundView) -> bool:
    """Whether the round that a folder is for cannot go on any more, unless a reorganization undoes more than the latest
    round."""
    name = _NAME.fullmatch(folder.name)
    return (
        name is None or int(name[1]) < view.round or (int(name[1]) == view.round and view.phase is not Phase.TRAINING)
    )
