"""What the organization's daemon has its worker do: each job in a folder of its own below the daemon's state."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from processor.artifacts.plan import PLAN, Plan
from processor.cid import cid_of
from processor.errors import ArtifactError, DatasetError, Unreadable
from processor.protocol.jobs import kinds
from processor.protocol.jobs.asking import inspect_job, put_plan
from processor.protocol.jobs.folder import answer_of, discard, jobs_folder
from processor.protocol.jobs.kinds import InitializeJob, InitializeResult, InspectJob, InspectResult
from processor.protocol.jobs.worker import Worker, completed
from processor.protocol.measuring import Measured, Models, measured
from processor.protocol.model_form import ModelForm, forms_by
from processor.protocol.validation import fetch_validation, is_published
from processor.storage.library import Library
from processor.types import Cid

R = TypeVar("R", InspectResult, InitializeResult)


@dataclass(frozen=True)
class Workbench:
    """Jobs on the organization's plans, with the validation data in the file `validation` where that stays private.

    Every call waits for its job. Raises Interrupted once `stopping` is set; WorkerDied, OutOfMemory and MachineError
    where the machine is to blame; ConfigurationError for a plan whose task or model cannot be built.
    """

    worker: Worker
    state: Path
    validation: Path
    library: Library
    stopping: threading.Event

    def warm(self) -> None:
        """Models are measured soon."""
        self.worker.warm()

    def prepared(self, plan: Plan, publish: bool) -> tuple[Plan, InspectResult]:
        """What the plan's model and data are, before a round needs them; with `publish` the data is published, for
        everybody and for good, and the plan names it.

        Raises DatasetError where the own file cannot be used, ArtifactError where a published dataset cannot.
        """
        found = self._inspected(plan, publish)
        if publish:
            data = self._folder("inspect") / kinds.DATA
            if not data.exists():  # somebody cleared the folder
                discard(data.parent)
                found = self._inspected(plan, publish)
            plan = replace(plan, validation=self.library.storage.put(data))
        if is_published(plan):
            self.measured(plan, ())
        return plan, found

    def initial_model(self, plan: Plan) -> Cid:
        """Publishes the plan's model as its seed makes it."""
        folder = self._folder("initialize")
        try:
            found = self._done(folder, InitializeJob(plan=_cid_of(plan)), plan, InitializeResult)
            published = self.library.storage.put(folder / kinds.MODEL)
        finally:  # it takes room, and is asked for once
            discard(folder)
            (folder / kinds.MODEL).unlink(missing_ok=True)
        if published != found.model:
            raise ArtifactError(f"the storage gave the initial model the CID {published}, expected {found.model}")
        return published

    def measured(self, plan: Plan, models: Models) -> Measured:
        """The metric of models, on what the plan published, else on the organization's own file.

        Raises ArtifactError where a model or a published dataset does not fit, Unreadable where the own file, which was
        good when it was `prepared`, cannot be used any more: a round waits until it is there again.
        """
        data = partial(fetch_validation, plan, self.library) if is_published(plan) else self.validation
        try:
            return measured(self.worker, self._folder("evaluate"), plan, models, data, self.stopping)
        except DatasetError as error:
            raise Unreadable(f"{error}. Put back the file that this daemon started with") from error

    def form(self, cid: Cid, plan: Plan) -> ModelForm | None:
        """What another plan than that which was `prepared` fixes of its models."""
        return forms_by(self.worker, self._folder("form"))(cid, plan)

    def _inspected(self, plan: Plan, publish: bool) -> InspectResult:
        own = publish or not is_published(plan)
        job = inspect_job(_cid_of(plan), self.validation if own else None, publish)
        found = self._done(self._folder("inspect"), job, plan, InspectResult)
        if found.data_problem is not None:
            raise DatasetError(found.data_problem)
        return found

    def _folder(self, name: str) -> Path:
        return jobs_folder(self.state) / name

    def _done(self, folder: Path, job: InspectJob | InitializeJob, plan: Plan, answer: type[R]) -> R:
        found = completed(self.worker, folder, job, partial(put_plan, plan=plan), self.stopping)
        return answer_of(found, answer, folder)


def _cid_of(plan: Plan) -> Cid:
    return cid_of(PLAN.encode(plan))
