"""What a plan fixes of every model of its rounds: its tensors, and with them the most bytes that a model and a server
state can have. Nothing larger is fetched, and nothing of another form is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from processor import jcs
from processor.artifacts.artifact_file import FISHER
from processor.artifacts.canonical import Fields
from processor.artifacts.model import MODEL, PARAMETER, ModelHeader, check_fits, open_model
from processor.artifacts.plan import FedAvg, Plan
from processor.artifacts.state import STATE, StateHeader
from processor.artifacts.versions import Kind
from processor.cid import cid_of
from processor.errors import ArtifactTooLarge, ConfigurationError
from processor.protocol.jobs.asking import inspect_job, put_plan
from processor.protocol.jobs.folder import answer_of, discard
from processor.protocol.jobs.kinds import InspectResult
from processor.protocol.jobs.worker import Worker, completed
from processor.storage.library import Library
from processor.tensors import Layout, file_size
from processor.types import Cid

_CID = cid_of(b"")  # all CIDs are as long
_LONGEST_MODEL = ModelHeader(round=2**32 - 1, parent=_CID, plan=_CID)
_LONGEST_STATE = StateHeader(
    2**32 - 1, _CID, best_metric=-1.2345678901234567e-300, rounds_without_improvement=2**53 - 1
)


@dataclass(frozen=True)
class ModelForm:
    """`layout` has the tensors of a model by their full names, without Fisher information, which a model may have for
    each of its parameters: a plan that sends none can follow one that did."""

    layout: Layout
    state: Layout

    @property
    def model_bytes(self) -> int:
        """The most bytes of a model."""
        fisher = {
            FISHER + name.removeprefix(PARAMETER): (np.dtype(np.float32), shape)
            for name, (_, shape) in self.layout.items()
            if name.startswith(PARAMETER)
        }
        return _size(MODEL, _LONGEST_MODEL, {**self.layout, **fisher})

    @property
    def state_bytes(self) -> int:
        """The most bytes of a server state."""
        return _size(STATE, _LONGEST_STATE, self.state)


Forms = Callable[[Cid, Plan], ModelForm | None]
"""The form that a plan, with its CID, gives its models; None where this program does not know its model or task."""


def form_of(plan: Plan, layout: Layout) -> ModelForm:
    """The form of a plan whose model has these tensors."""
    match plan.aggregation.rule:
        case FedAvg():
            return ModelForm(layout, state={})


def forms_by(worker: Worker, folder: Path) -> Forms:
    """Has a worker look at each plan once, by jobs in `folder`.

    The forms raise WorkerDied, OutOfMemory and MachineError where the machine is to blame.
    """
    known: dict[Cid, ModelForm | None] = {}

    def form(cid: Cid, plan: Plan) -> ModelForm | None:
        if cid not in known:
            try:
                found = completed(worker, folder, inspect_job(cid, None), partial(put_plan, plan=plan))
            except ConfigurationError:
                discard(folder)
                known[cid] = None
            else:
                known[cid] = form_of(plan, answer_of(found, InspectResult, folder).model_layout)
        return known[cid]

    return form


def fetch_model(library: Library, cid: Cid, to: Path, form: ModelForm | None, most: int | None = None) -> None:
    """Writes a model's file to `to`, of at most the size that the plan fixes and of `most` bytes, and compares its
    tensors with the plan's before anybody loads them.

    Without a form the limit of the kind is all that is known. Raises as `Storage.get`; ArtifactError for another form.
    """
    limits = [limit for limit in (None if form is None else form.model_bytes, most) if limit is not None]
    try:
        library.fetch(MODEL, cid, to, min(limits, default=None))
    except ArtifactTooLarge as error:
        if form is None:
            raise
        raise ArtifactTooLarge(f"{error}; a model of its plan has at most {form.model_bytes} bytes") from error
    if form is not None:
        with open_model(to) as model:
            check_fits(model.layout, form.layout)


def _size(kind: Kind[Any], header: Fields, layout: Layout) -> int:
    return file_size(jcs.dumps(kind.tagged(header)), layout)
