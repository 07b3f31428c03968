"""A client's look at a plan and at its own data, which its worker takes: once for each, and again when one changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from processor.artifacts.plan import Plan
from processor.errors import ConfigurationError, DatasetError
from processor.files import fingerprint
from processor.protocol.jobs.asking import inspect_job, put_plan
from processor.protocol.jobs.folder import answer_of, discard, jobs_folder
from processor.protocol.jobs.kinds import Device, InspectJob, InspectResult
from processor.protocol.jobs.worker import Worker, attempt
from processor.types import Cid


@dataclass
class Inspection:
    """What a plan's model and the data in the file `data` are. What was found last is remembered, and is also in the
    job's folder below `state`: after a restart nothing is loaded again. `hindered` is told why data cannot be used, and
    None once it can."""

    worker: Worker
    state: Path
    data: Path
    device: Device = "cpu"
    hindered: Callable[[str | None], None] = lambda reason: None
    _found: tuple[InspectJob, InspectResult | ConfigurationError] | None = field(default=None, init=False)

    def of(self, cid: Cid, plan: Plan) -> InspectResult | None:
        """What they are; None while that is looked into.

        Raises ConfigurationError for a plan that cannot be carried out, or not on the `device` that is configured;
        DatasetError for data that is not of its task; OutOfMemory, MachineError, Unreadable and WorkerDied where it
        could not be found out this time.
        """
        job = inspect_job(cid, self.data, device=self.device)
        if self._found is None or self._found[0] != job:
            self._found = None
            found = self._looked(job, plan)
            if found is None:
                return None
            self._found = job, found
        found = self._found[1]
        if isinstance(found, ConfigurationError):
            raise found
        self.hindered(found.data_problem)
        if found.data_problem is not None:
            raise DatasetError(found.data_problem)
        return found

    def missing(self) -> str | None:
        """What to say where there is no file with the data; None where there is one, whatever it holds."""
        if self.data.is_file():
            return None
        return f"there is no data at {self.data}: put it back, or name the file that you train on as client.data"

    def watch(self) -> None:
        """Notices between rounds that the data is gone, and that it is there again."""
        missing, problem = self.missing(), None
        if missing is None and self._found is not None:
            job, found = self._found
            same = job.fingerprint == fingerprint(self.data)  # else it is looked at before a round needs it
            problem = found.data_problem if same and isinstance(found, InspectResult) else None
        self.hindered(missing or problem)

    def _looked(self, job: InspectJob, plan: Plan) -> InspectResult | ConfigurationError | None:
        folder = jobs_folder(self.state) / "inspect"
        try:
            found = attempt(self.worker, folder, job, partial(put_plan, plan=plan))
        except ConfigurationError as error:
            discard(folder)  # what is installed may be another by the next start
            return error
        return None if found is None else answer_of(found, InspectResult, folder)
