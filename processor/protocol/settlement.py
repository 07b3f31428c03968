"""Settles a round: fetch every update, verify, open, check, weigh, average. Organization and audit run the same code.

A rejection rests only on what anyone can recompute from the chain and the bytes behind its CIDs; each has one of the
reason codes of `REASONS`. Opened updates are private to their senders until the secret is published: they are working
files in a folder that only the owner can enter, and are gone when the settlement is.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from processor.artifacts.model import MODEL_LIMIT, ModelHeader, open_model
from processor.artifacts.plan import Plan
from processor.artifacts.report import ReportedUpdate
from processor.artifacts.update import DELTA, Binding, UpdateHeader, check_update, open_update
from processor.cid import cid_of_file
from processor.errors import ArtifactError, ArtifactUnavailable
from processor.learning.aggregation import Accepted, aggregate
from processor.privacy.sealing import open_file, sealed_size
from processor.protocol.metering import credited_ms
from processor.storage.background import begin
from processor.storage.base import Storage
from processor.tensors import norm
from processor.types import Address, Adjustment, Cid, Opening, Submitted

UNAVAILABLE, METERING = "unavailable", "metering"
REASONS = {
    UNAVAILABLE: "nobody served the update whole, within the size that the model allows and hashing to its CID",
    "too_large": "the sealed content is larger than the model allows",
    "sealed_wrong": "the update cannot be opened with the round's secret",
    "malformed": "the opened bytes are not an update",
    "header": "the update was made for another chain, federation, round, client or base model",
    "shape": "the update's tensors are not those of the base model",
    "dtype": "the update's tensors have the wrong type",
    "not_finite": "the update holds a number that is not finite",
    "negative_fisher": "the update's Fisher information is negative",
    "norm": "the update is larger, by its L2 norm, than the plan allows",
    METERING: "the claimed compute time is above the tolerance over the median of the accepted claims",
}

SLASHED = frozenset(REASONS) - {UNAVAILABLE, METERING}
"""The reasons that cost stake: what a client alone can have caused. That nobody serves an update may be the fault of a
network, and the pace of a machine is measured against the others'."""

MIB = 1 << 20
FETCHED_AT_A_TIME = 32
"""Updates; whoever serves none makes us wait."""
EXAMINED_AT_A_TIME = 8
"""Updates."""

Keep = Callable[[Path], object]
"""Is given the sealed bytes of an update that was fetched whole, for as long as the call takes."""


@dataclass(frozen=True)
class Identity:
    """Which federation, on which chain."""

    chain_id: int
    federation: Address


@dataclass(frozen=True)
class Examined:
    """An update after fetching, opening and checking: a working file and the samples that its header claims, or the
    reason why it is rejected."""

    submitted: Submitted
    path: Path | None
    samples: int
    reason: str | None

    @staticmethod
    def rejected(submitted: Submitted, reason: str) -> Examined:
        return Examined(submitted, None, 0, reason)


@dataclass(frozen=True)
class Settlement:
    """What a round comes to. The files live as long as the `settle` block that made them."""

    updates: tuple[ReportedUpdate, ...]
    adjustments: tuple[Adjustment, ...]
    base_path: Path
    model: Cid
    model_path: Path

    @property
    def unavailable(self) -> int:
        return sum(update.reason == UNAVAILABLE for update in self.updates)


@contextlib.contextmanager
def settle(
    opening: Opening,
    submitted: Sequence[Submitted],
    plan: Plan,
    secret: bytes,
    identity: Identity,
    storage: Storage,
    directory: Path,
    budget: float | None = None,
    keep: Keep | None = None,
) -> Iterator[Settlement]:
    """Settles the round of an opening with its list of updates, working in a private folder under `directory`.

    With fewer accepted updates than the plan's `min_updates` the model is the base model, unchanged. Several updates
    are fetched at a time; those that are not there `budget` seconds after the base model count as unavailable. Every
    other is handed to `keep`, also where it is rejected then.

    Raises StorageError or ArtifactError where the base model itself cannot be had: then nothing can be settled; and
    whatever `keep` raises.
    """
    directory.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"round-{opening.round}-", dir=directory))
    try:
        base_path = folder / "base"
        storage.get(opening.base_model, base_path, MODEL_LIMIT)
        _check_base(base_path)

        # An update holds a delta and a Fisher for each parameter: twice the model, and room for headers.
        limit = 2 * base_path.stat().st_size + MIB

        def examine(one: Submitted, sealed: Path) -> Examined:
            if keep is not None:
                keep(sealed)
            binding = binding_of(identity, opening, one.client)
            return _examine(one, binding, plan, secret, sealed, limit, base_path, folder)

        examined = _in_time(examine, submitted, storage, limit, directory, budget)
        updates = judge(examined, plan)
        model, model_path = _average(opening, updates, examined, plan, base_path, folder)
        yield Settlement(updates, adjustments_of(updates), base_path, model, model_path)
    finally:
        shutil.rmtree(folder)


def _in_time(
    examine: Callable[[Submitted, Path], Examined],
    submitted: Sequence[Submitted],
    storage: Storage,
    limit: int,
    directory: Path,
    budget: float | None,
) -> list[Examined]:
    """What comes of all the updates, each examined as soon as it is there.

    They arrive in a folder of their own: what is given up may still write there for a moment.
    """
    until = None if budget is None else time.monotonic() + budget
    with (
        tempfile.TemporaryDirectory(prefix="arriving-", dir=directory, ignore_cleanup_errors=True) as arriving,
        ThreadPoolExecutor(EXAMINED_AT_A_TIME) as pool,
    ):
        paths = [Path(arriving) / one.client for one in submitted]
        calls = [partial(_fetch, one, storage, path, limit, until) for one, path in zip(submitted, paths, strict=True)]
        fetching = begin(calls, FETCHED_AT_A_TIME)
        place = {future: index for index, future in enumerate(fetching)}
        found: dict[int, Future[Examined]] = {}
        try:
            for future in as_completed(fetching, budget):
                index = place[future]
                if future.result():
                    found[index] = pool.submit(examine, submitted[index], paths[index])
        except TimeoutError:
            pass  # the rest counts as unavailable
        finally:
            for future in fetching:
                future.cancel()
        return [
            found[index].result() if index in found else Examined.rejected(one, UNAVAILABLE)
            for index, one in enumerate(submitted)
        ]


def _fetch(submitted: Submitted, storage: Storage, sealed: Path, limit: int, until: float | None) -> bool:
    """Whether somebody served the update whole; `until` by the monotonic clock."""
    seconds = None if until is None else until - time.monotonic()
    if seconds is not None and seconds <= 0:
        return False
    try:
        storage.get(submitted.update, sealed, sealed_size(limit), seconds)
    except (ArtifactError, ArtifactUnavailable):
        return False
    return True


def _check_base(path: Path) -> None:
    """Reads the base model once, so that what is wrong with it is not blamed on the updates."""
    with open_model(path) as base:
        for name in base.layout:
            base.read(name)


def judge(examined: Sequence[Examined], plan: Plan) -> tuple[ReportedUpdate, ...]:
    """Weight, credited time and slash rate of every update, in the order given. Pure."""
    accepted = {item.submitted.client: item.submitted.compute_ms for item in examined if item.reason is None}
    credited = credited_ms(accepted, plan.metering.tolerance_percent, plan.metering.floor_ms)
    return tuple(_verdict(item, credited, plan) for item in examined)


def _verdict(item: Examined, credited: dict[Address, int], plan: Plan) -> ReportedUpdate:
    submitted = item.submitted
    if item.reason is not None:
        return ReportedUpdate(
            client=submitted.client,
            update=submitted.update,
            claimed_ms=submitted.compute_ms,
            weight=0,
            credited_ms=0,
            reason=item.reason,
            slash_rate=plan.slashing.rate if item.reason in SLASHED else 0,
        )
    ms = credited[submitted.client]
    return ReportedUpdate(
        client=submitted.client,
        update=submitted.update,
        claimed_ms=submitted.compute_ms,
        weight=min(item.samples, plan.aggregation.max_weight),
        credited_ms=ms,
        reason=METERING if ms < submitted.compute_ms else None,
        slash_rate=0,
    )


def adjustments_of(updates: Sequence[ReportedUpdate]) -> tuple[Adjustment, ...]:
    """What the contract is told: the clients credited less than they claimed, and slashed, in ascending order. Pure."""
    return tuple(
        Adjustment(update.client, update.credited_ms, update.slash_rate)
        for update in sorted(updates, key=by_address)
        if update.credited_ms < update.claimed_ms
    )


def by_address(update: ReportedUpdate) -> int:
    return int(update.client, 16)


def _examine(
    submitted: Submitted,
    binding: Binding,
    plan: Plan,
    secret: bytes,
    sealed: Path,
    limit: int,
    base_path: Path,
    folder: Path,
) -> Examined:
    """Opens and checks one update. Whatever a client may have sent ends in a reason, not in an exception."""
    plain = folder / f"{submitted.client}.update"
    try:
        open_file(sealed, plain, secret, limit)
        samples = check_content(plain, binding, base_path, plan)
    except ArtifactError as error:
        return Examined.rejected(submitted, error.code)
    finally:
        sealed.unlink()
    return Examined(submitted, plain, samples, None)


def check_content(path: Path, expected: Binding, base_path: Path, plan: Plan) -> int:
    """How many samples an opened update claims. Raises ArtifactError, with its reason code, for one that the plan
    rejects.

    A client asks before it submits: what would be rejected here is paid nothing, and may cost stake.
    """
    with open_model(base_path) as base, open_update(path) as update:
        check_update(update, expected, base, wants_fisher(plan))
        samples = update.header.samples
        length = norm(update.group(DELTA))
    if length > plan.aggregation.max_norm:
        raise ArtifactError(
            f"the update's norm is {length:g}, above the max_norm of {plan.aggregation.max_norm:g}", code="norm"
        )
    return samples


def _average(
    opening: Opening,
    updates: Sequence[ReportedUpdate],
    examined: Sequence[Examined],
    plan: Plan,
    base_path: Path,
    folder: Path,
) -> tuple[Cid, Path]:
    """The model's file, summed up in ascending order of address: in which order updates came changes no byte."""
    paths = {item.submitted.client: item.path for item in examined if item.path is not None}
    accepted = [
        Accepted(update.client, paths[update.client], update.weight)
        for update in sorted(updates, key=by_address)
        if update.weight > 0
    ]
    if len(accepted) < max(1, plan.aggregation.min_updates):
        return cid_of_file(base_path), base_path
    model_path = folder / "model"
    header = ModelHeader(round=opening.round, parent=opening.base_model, plan=opening.plan)
    return aggregate(base_path, accepted, plan, header, model_path), model_path


def binding_of(identity: Identity, opening: Opening, client: Address) -> Binding:
    """What binds an update to its sender, its round and its base model."""
    return Binding(identity.chain_id, identity.federation, opening.round, client, opening.base_model)


def update_header(identity: Identity, opening: Opening, client: Address, samples: int) -> UpdateHeader:
    """The header of a client's update."""
    return UpdateHeader(
        chain_id=identity.chain_id,
        federation=identity.federation,
        round=opening.round,
        client=client,
        base_model=opening.base_model,
        samples=samples,
    )


def wants_fisher(plan: Plan) -> bool:
    """Whether updates carry Fisher information: only where EWC uses it."""
    return plan.ewc.strength > 0
