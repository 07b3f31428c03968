"""The first model of a federation, made of its plan's seed."""

from __future__ import annotations

from pathlib import Path

from processor.artifacts.model import ModelHeader, write_model
from processor.learning.models import buffers_of, parameters_of
from processor.learning.resolve import module_of
from processor.protocol.jobs.kinds import MODEL, InitializeJob, InitializeResult
from processor.worker.control import Control
from processor.worker.jobs.inspecting import check_plan
from processor.worker.jobs.memory import memory_errors
from processor.worker.jobs.reading import plan_in


def run(folder: Path, job: InitializeJob, digest: str, control: Control) -> InitializeResult:
    """Writes the model into the folder. Raises ConfigurationError for a plan that no round should begin with,
    OutOfMemory."""
    plan = plan_in(folder, job.plan)
    check_plan(plan)
    header = ModelHeader(round=0, parent=None, plan=job.plan)
    with memory_errors(doing="make the model"):
        module = module_of(plan)
        cid = write_model(folder / MODEL, header, parameters_of(module), buffers_of(module), {})
    return InitializeResult(digest, cid)
