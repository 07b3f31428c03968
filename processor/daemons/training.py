"""A client's local work: what the plan asks of everybody, so that it can be stopped at any moment and go on later.

Between two steps a checkpoint is written from time to time, and when the daemon is asked to stop. After a kill, what
came after the last one is done again.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from structlog.typing import FilteringBoundLogger
from torch import nn

from processor.aggregation.declared import with_counters_cut
from processor.artifacts.model import Model
from processor.daemons.meter import Meter
from processor.errors import ArtifactError, Interrupted, NewerVersion, OutOfMemory, TrainingError
from processor.keystore import private_directory
from processor.learning.checkpoint import Job, load_checkpoint, save_checkpoint
from processor.learning.device import CPU
from processor.learning.ewc import Anchor, FisherSums, fisher_information, rows_used
from processor.learning.models import buffers_of, load_parameters, parameters_of
from processor.learning.tasks import Dataset
from processor.learning.trainer import SEED_BITS, Progress, train
from processor.protocol.opened import OpenedRound
from processor.protocol.resolve import module_of
from processor.types import Opening

LEAST_TO_SUBMIT, MOST_TO_SUBMIT = 3.0, 600.0
"""Seconds at the end of a training period in which nobody trains."""

_NO_MEMORY = re.compile(r"(?i)out of memory|not enough memory|can't allocate memory|_ALLOC_FAILED")  # torch has no type


@dataclass(frozen=True)
class Learned:
    """What came of the local work, on the processor and ready to be written into an update."""

    delta: dict[str, np.ndarray]
    buffers: dict[str, np.ndarray]
    fisher: dict[str, np.ndarray]


@dataclass(kw_only=True)
class Training:
    """One client's work in one round, with its checkpoint in `folder`.

    It must be done before `ends_at` (of `time.monotonic`), which leaves time to submit, and, with what it took before a
    restart, in `max_seconds`.
    `on_progress(done, steps)` is told after every step, and while the Fisher information is estimated.
    """

    round: OpenedRound
    base: Model
    dataset: Dataset
    folder: Path
    meter: Meter
    log: FilteringBoundLogger
    ends_at: float
    max_seconds: float | None = None
    checkpoint_interval: float = 30.0
    device: torch.device = CPU
    stopping: threading.Event = field(default_factory=threading.Event)
    on_progress: Callable[[int, int], None] = lambda done, steps: None

    def run(self) -> Learned:
        """Does the work, or what is left of it. The meter runs from the first step to the last row.

        Raises Interrupted, after a checkpoint, once `stopping` is set; TrainingError where the training diverges or
        takes too long, ArtifactError for a base model that is not the plan's, NewerVersion for a checkpoint that a
        newer Koinon wrote.
        """
        plan = self.round.plan
        module = module_of(plan)
        load_parameters(module, self.base.parameters, self.base.buffers)
        module.to(self.device)
        job = self._job()
        progress, sums = self._begun(job, module)
        saved_at = time.monotonic()

        def between(where: str) -> None:
            nonlocal saved_at
            self.meter.tick()
            self.on_progress(progress.step, job.steps)
            self._check_limits(where)
            if self.stopping.is_set() or time.monotonic() - saved_at >= self.checkpoint_interval:
                with self.meter.paused():
                    self._save(job, module, progress, sums)
                saved_at = time.monotonic()
            if self.stopping.is_set():
                raise Interrupted(f"stopped at {where}")

        with self.meter:
            train(
                module,
                self.dataset,
                optimizer=plan.optimizer,
                work=plan.local,
                anchor=_anchor(self.base) if plan.anchored else None,
                strength=plan.ewc.strength,
                progress=progress,
                on_step=lambda step, steps: between(f"step {step} of {steps}"),
            )
            fisher = {}
            if plan.measures_fisher:
                fisher = fisher_information(
                    module,
                    self.dataset.features,
                    plan.ewc.fisher_samples,
                    done=sums,
                    on_chunk=lambda row, rows: between(f"row {row} of {rows} for the Fisher information"),
                )
        buffers = with_counters_cut(buffers_of(module), self.base.buffers, plan, len(self.dataset))
        return Learned(_delta(module, self.base), buffers, fisher)

    @property
    def checkpoint(self) -> Path:
        """Where this round's checkpoint is, if there is one: after a reorganization a number may be another round's."""
        return self.folder / f"round-{self.round.number}-{self.round.opening.sealing_key.hex()[:16]}.safetensors"

    def _job(self) -> Job:
        opening, plan, samples = self.round.opening, self.round.plan, len(self.dataset)
        return Job(
            round=opening.round,
            sealing_key=opening.sealing_key.hex(),
            base_model=opening.base_model,
            plan=opening.plan,
            samples=samples,
            steps=plan.local.steps_of(samples),
            rows=rows_used(samples, plan.ewc.fisher_samples) if plan.measures_fisher else 0,
        )

    def _begun(self, job: Job, module: nn.Module) -> tuple[Progress, FisherSums]:
        """How far the work is, with the module in that state. A checkpoint that cannot be used is set aside.

        Raises NewerVersion for one that a newer Koinon wrote: the same work would be metered twice.
        """
        private_directory(self.folder)
        for unfinished in self.folder.glob(".*"):  # a kill left it
            unfinished.unlink()
        path = self.checkpoint
        if path.exists():
            try:
                progress, sums = load_checkpoint(path, job, module)
            except NewerVersion as error:
                raise NewerVersion(f"cannot go on from the checkpoint in {self.folder}: {error}") from None
            except ArtifactError as error:
                aside = path.replace(path.with_name(f"{path.name}.unusable"))
                self.log.warning(
                    "checkpoint set aside, training starts again", round=job.round, path=str(aside), error=str(error)
                )
            else:
                self.log.info("resumed", round=job.round, step=progress.step, steps=job.steps, rows=sums.rows)
                return progress, sums
        self.log.info("training", round=job.round, steps=job.steps, device=str(self.device))
        return Progress(secrets.randbits(SEED_BITS)), FisherSums()

    def _check_limits(self, where: str) -> None:
        if time.monotonic() > self.ends_at:
            raise TrainingError(
                f"no time was left at {where}: the rest of the training period is kept for publishing and submitting"
            )
        if self.max_seconds is not None and self.meter.ms > 1000 * self.max_seconds:
            raise TrainingError(
                f"training took {self.meter.ms / 1000:.1f} s until {where}, more than the max_seconds of "
                f"{self.max_seconds:g} that are configured"
            )

    def _save(self, job: Job, module: nn.Module, progress: Progress, sums: FisherSums) -> None:
        try:
            save_checkpoint(self.checkpoint, job, module, progress, sums)
        except OSError as error:
            self.log.warning("checkpoint not written", path=str(self.checkpoint), error=str(error))


def seconds_to_submit(opening: Opening) -> float:
    """How much of the end of a training period is kept for publishing an update and getting it into a block: a tenth,
    but not less than `LEAST_TO_SUBMIT` nor more than `MOST_TO_SUBMIT`. What comes after the deadline earns nothing."""
    period = opening.training_deadline - opening.opened_at
    return min(max(period / 10, LEAST_TO_SUBMIT), MOST_TO_SUBMIT)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns what torch and NumPy raise where memory runs out into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = (str(error).splitlines() or ["no more memory"])[0]
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        raise OutOfMemory(
            f"there is too little memory to train: {said}. Free some; client.max_memory refuses such plans"
        ) from None


def forget_checkpoints(folder: Path) -> None:
    """Removes the checkpoints of all rounds, also those that were set aside."""
    for path in folder.iterdir() if folder.exists() else ():
        path.unlink()


def _anchor(base: Model) -> Anchor | None:
    """Where EWC pulls: the base model, as hard as its Fisher information says; a model without one has no pull yet."""
    if not base.fisher:
        return None
    return Anchor(
        centre={name: torch.from_numpy(value) for name, value in base.parameters.items()},
        fisher={name: torch.from_numpy(value) for name, value in base.fisher.items()},
    )


def _delta(module: nn.Module, base: Model) -> dict[str, np.ndarray]:
    delta = {name: value - base.parameters[name] for name, value in parameters_of(module).items()}
    if not all(np.isfinite(value).all() for value in delta.values()):
        raise TrainingError("training ended in numbers that are not finite: the plan's learning rate may be too high")
    return delta
