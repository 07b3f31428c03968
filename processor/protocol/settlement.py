"""Settles a round: collect the updates, examine each as it arrives, judge them, combine those that are accepted.

Organization and audit run the same code. Opened updates are private to their senders until the secret is published:
they are working files in a folder that only the owner can enter, and are gone when the settlement is.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from processor.aggregation.combine import combine
from processor.aggregation.facts import check_base
from processor.aggregation.inputs import Accepted
from processor.aggregation.stopping import stop
from processor.artifacts.model import open_model
from processor.artifacts.plan import Plan
from processor.artifacts.report import ReportedUpdate
from processor.artifacts.state import FIRST_STATE, STATE, ServerState, load_state, write_state
from processor.privacy.sealing import sealed_size
from processor.protocol.collect import collect
from processor.protocol.examine import Examination, Examined
from processor.protocol.judge import UNAVAILABLE, accepted_of, adjustments_of, judge
from processor.protocol.model_form import ModelForm, fetch_model
from processor.protocol.opened import OpenedRound
from processor.storage.library import Library
from processor.types import Adjustment, Cid, Submitted

Keep = Callable[[Path], object]
"""Is given the sealed bytes of an update that was fetched whole, for as long as the call takes."""


@dataclass(frozen=True)
class Settlement:
    """What a round comes to. The files live as long as the `settle` block that made them.

    `accepted` are the updates that were averaged. `state` is the server state after the round, before its model is
    measured (see `conclude`); it is read from none of the files.
    """

    updates: tuple[ReportedUpdate, ...]
    adjustments: tuple[Adjustment, ...]
    accepted: tuple[Accepted, ...]
    base_path: Path
    model: Cid
    model_path: Path
    state: ServerState

    @property
    def unavailable(self) -> int:
        return sum(update.reason == UNAVAILABLE for update in self.updates)


@contextlib.contextmanager
def settle(
    round: OpenedRound,
    submitted: Sequence[Submitted],
    secret: bytes,
    previous: ServerState,
    form: ModelForm | None,
    library: Library,
    directory: Path,
    budget: float | None = None,
    keep: Keep | None = None,
) -> Iterator[Settlement]:
    """Settles a round with its list of updates, working in a private folder under `directory`.

    `previous` is the server state after the last round that was finalized, `form` what the plan fixes of the base
    model, where that is known. With fewer accepted updates than the plan's
    `min_updates` the model is the base model, unchanged. Several updates are fetched at a time; those that are not
    there `budget` seconds after the base model count as unavailable. Every other is handed to `keep`, also where it is
    rejected then.

    Raises StorageError or ArtifactError where the base model itself cannot be had: then nothing can be settled;
    Unreadable, MachineError or OSError where this machine fails, which is not to be blamed on an update; and whatever
    `keep` raises.
    """
    directory.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"round-{round.number}-", dir=directory))
    try:
        base, model_path = folder / "base", folder / "model"
        fetch_model(library, round.opening.base_model, base, form)
        with open_model(base) as model:  # what is wrong with it is not to be blamed on the updates
            check_base(model, round.plan)
            examination = Examination(round, model, secret, folder)

            def take(one: Submitted, sealed: Path) -> Examined:
                if keep is not None:
                    keep(sealed)
                return examination.examine(one, sealed)

            limit = sealed_size(examination.limit)
            taken = collect(submitted, library.storage, limit, directory, budget, take)
        examined = [found or Examined.rejected(one, UNAVAILABLE) for one, found in zip(submitted, taken, strict=True)]
        updates = judge(examined, round.plan)
        accepted = accepted_of(examined, updates)
        cid, state = combine(base, previous, accepted, round.plan, round.model_header(), model_path)
        yield Settlement(updates, adjustments_of(updates), accepted, base, cid, model_path, state)
    finally:
        shutil.rmtree(folder)


def conclude(state: ServerState, metric: float, plan: Plan, path: Path) -> tuple[ServerState, str | None]:
    """Writes the server state of a round whose model reached `metric` to `path`; the state with its CID, and why no
    round should follow, None if one should. Raises as `stop`."""
    measured, decision = stop(state, metric, plan)
    return replace(measured, cid=write_state(path, measured)), decision


def conclude_unseen(
    previous: ServerState, round: int, metric: float, plan: Plan, path: Path
) -> tuple[ServerState, str | None]:
    """What can be told of the server state after a round without its updates, as `conclude` gives it.

    Tensors are the rule's to make of the updates: a state that carries some is written nowhere, and has no CID.
    """
    after = previous.after(round)
    return stop(after, metric, plan) if after.tensors else conclude(after, metric, plan, path)


def state_at(cid: Cid | None, library: Library, path: Path, most: int | None = None) -> ServerState:
    """The server state behind a CID, of `most` bytes where a plan fixes that, whose tensors are read from the file at
    `path`; before the first round there is no CID. Raises StorageError or ArtifactError where it cannot be had."""
    if cid is None:
        return FIRST_STATE
    library.fetch(STATE, cid, path, most)
    return load_state(path)
