"""Lets go of what nobody needs any more: artifacts of rounds that ended longer ago than their owner keeps them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor.artifacts.report import REPORT_LIMIT, Report
from processor.chain.federation import Federation
from processor.errors import ArtifactError, ArtifactUnavailable, StorageError
from processor.files import PRIVATE, replacing
from processor.protocol.retention import RoundArtifacts, ended_at, expired, has_expired
from processor.storage.base import Storage, get_bytes
from processor.types import Address, Block, Cid, RoundView

FILE = "retention.json"
EVERY = 3600
"""Seconds of block time between two looks."""
ROUNDS_AT_A_TIME = 24
"""So that a daemon with years to clear still finds time for its round."""
UNOPENED = frozenset({"unavailable", "sealed_wrong", "too_large"})
"""Reasons of updates that were never opened: they may be anybody's artifacts, of another federation on the same node,
and are not let go of."""


def release_expired(
    federation: Federation,
    storage: Storage,
    client: Address | None,
    keep_days: int,
    state: Path,
    block: Block,
    log: FilteringBoundLogger,
) -> tuple[int, ...]:
    """Unpins what has expired of a federation's rounds, and returns the numbers of the rounds that are done with.

    Of a `client` its own updates; None is the organization, which lets go of updates, reports and models. Those are of
    this federation alone. Plans, validation data, server states and the initial model may also be another's on the same
    node, which counts no owners: they stay, most of them small.

    Cheap to call with every cycle: it looks once an hour of block time. A file in the folder `state` remembers how far
    it came, so that each round is done once. Trouble with the storage is logged, and tried again an hour later. Raises
    ChainError where the chain cannot be read.
    """
    memory = _Memory.read(state, log)
    if 0 <= block.timestamp - memory.looked_at < EVERY:
        return ()
    released: tuple[int, ...] = ()
    try:
        found = _expired(federation, storage, client, keep_days, memory.released, block)
        for cid in sorted(frozenset[Cid]().union(*found.values())):
            storage.unpin(cid)
        released = tuple(found)
    except (StorageError, ArtifactError) as error:
        log.warning("artifacts not released", error=str(error), retry_in_seconds=EVERY)
    if released:
        log.info("artifacts released", first_round=released[0], last_round=released[-1], after_days=keep_days)
    _Memory(max((memory.released, *released)), block.timestamp).write(state, log)
    return released


def _expired(
    federation: Federation,
    storage: Storage,
    client: Address | None,
    keep_days: int,
    done: int,
    block: Block,
) -> dict[int, frozenset[Cid]]:
    """Reads no more than two rounds where the first that is left has not expired."""
    numbers = range(done + 1, federation.round_count(at=block) + 1)
    views = [federation.round_view(number, client, at=block) for number in numbers[:2]]
    if not views or not has_expired(_ended(views)[0], keep_days, block.timestamp):
        return {}
    views += [federation.round_view(number, client, at=block) for number in numbers[2:]]
    artifacts = _Artifacts(storage)
    rounds: list[RoundArtifacts] = []
    for view, ended in zip_longest(views, _ended(views)[:ROUNDS_AT_A_TIME]):
        needed = not has_expired(ended, keep_days, block.timestamp)
        cids = _of_client(view) if client is not None else artifacts.of_round(view, needed)
        rounds.append(RoundArtifacts(view.round, ended, cids))
    latest, initial = federation.latest_release(at=block), federation.round_view(1, client, at=block).base.model
    return expired(rounds, _named(latest.model, latest.report, initial), keep_days, block.timestamp)


def _ended(views: list[RoundView]) -> list[int | None]:
    return [ended_at(view, following) for view, following in zip_longest(views, views[1:])]


def _of_client(view: RoundView) -> frozenset[Cid]:
    return frozenset() if view.client.update is None else frozenset({view.client.update})


class _Artifacts:
    """Finds out what rounds refer to that is of their federation alone, and reads each report once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._updates: dict[Cid, frozenset[Cid]] = {}

    def of_round(self, view: RoundView, needed: bool) -> frozenset[Cid]:
        """With the release that the round began with, which its audit needs.

        What a report that is gone refers to is left out, unless the round is still `needed`: an earlier attempt that
        did not come to its end may have let go of it.
        """
        found = _named(view.base.model, view.base.report, view.released.model, view.released.report)
        try:
            return found | self._of_report(view.released.report)
        except ArtifactUnavailable:
            if needed:
                raise
        return found

    def _of_report(self, cid: Cid | None) -> frozenset[Cid]:
        """The updates that were opened."""
        if cid is None:
            return frozenset()
        if cid not in self._updates:
            report = Report.decode(get_bytes(self._storage, cid, REPORT_LIMIT))
            self._updates[cid] = frozenset(each.update for each in report.updates if each.reason not in UNOPENED)
        return self._updates[cid]


def _named(*cids: Cid | None) -> frozenset[Cid]:
    return frozenset(cid for cid in cids if cid is not None)


@dataclass(frozen=True)
class _Memory:
    """The last round that is done with, and when rounds were last looked at, as a block time."""

    released: int = 0
    looked_at: int = 0

    @staticmethod
    def read(state: Path, log: FilteringBoundLogger) -> _Memory:
        """A damaged file is set aside: to release a round again does no harm."""
        path = state / FILE
        try:
            found = json.loads(path.read_bytes())
            memory = _Memory(**found)
            if type(memory.released) is not int or type(memory.looked_at) is not int or memory.released < 0:
                raise ValueError
        except OSError:
            return _Memory()
        except (ValueError, TypeError):
            aside = path.replace(path.with_suffix(".damaged"))
            log.warning("damaged file set aside", file=str(aside), then="rounds are looked through from the first")
            return _Memory()
        return memory

    def write(self, state: Path, log: FilteringBoundLogger) -> None:
        """Not to remember does no harm either: a full disk is no reason to end a daemon."""
        try:
            with replacing(state / FILE, PRIVATE) as file:
                file.write(json.dumps(asdict(self)).encode())
        except OSError as error:
            log.warning("cannot write", file=str(state / FILE), error=str(error))
