"""Lets go of what nobody needs any more: artifacts of rounds that ended longer ago than their owner keeps them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor import jcs
from processor.artifacts.canonical import Count, Fields
from processor.artifacts.report import REPORT
from processor.artifacts.round import ROUND, RoundFile
from processor.artifacts.versions import Kind
from processor.chain.snapshot import Snapshot
from processor.cid import cid_of
from processor.daemons.junk import may_be_needed
from processor.daemons.kept import KeptRounds
from processor.errors import ArtifactError, ArtifactUnavailable, NewerVersion, StorageError
from processor.files import PRIVATE, replacing
from processor.journal import SavedUpdate
from processor.protocol.references import OWN, Reference, Role, of_file, of_report
from processor.protocol.retention import RoundArtifacts, ended_at, expired, has_expired
from processor.storage.base import Storage
from processor.storage.library import Library
from processor.types import Block, Cid
from processor.words import reason

FILE = "retention.json"
EVERY = 3600
"""Seconds of block time between two looks."""
ROUNDS_AT_A_TIME = 24
"""So that a daemon with years to clear still finds time for its round."""


def release_updates(
    storage: Storage,
    updates: Sequence[SavedUpdate],
    keep_days: int,
    state: Path,
    block: Block,
    log: FilteringBoundLogger,
) -> tuple[int, ...]:
    """Unpins what has expired of a client's own updates, and returns the numbers of the rounds that are done with.

    Cheap to call with every cycle: it looks once an hour of block time. A file in the folder `state` remembers how far
    it came, so that each round is done once. Trouble with the storage is logged, and tried again an hour later.
    """

    def found(done: int) -> dict[int, frozenset[Cid]]:
        rounds = [
            RoundArtifacts(update.round, update.ends_at, frozenset({update.cid}))
            for update in updates
            if update.round > done
        ]
        return expired(rounds, (), keep_days, block.timestamp)

    return _release(found, storage, keep_days, state, block, log)


def release_rounds(
    snapshot: Snapshot,
    library: Library,
    kept: KeptRounds,
    keep_days: int,
    state: Path,
    log: FilteringBoundLogger,
) -> tuple[int, ...]:
    """Unpins what has expired of a federation's rounds: updates, reports, models, and the lists of abandoned rounds, of
    this federation alone; as `release_updates` does.

    What may also be another's on the same node, which counts no owners, stays, most of it small: plans, validation
    data, server states and the initial model. Junk that was submitted as an update goes like an update, unless it is
    one of these, or any artifact that a file says it is: a client can name what others need. So stays what belongs to
    a round that is not `kept`.

    Raises ChainError where the chain cannot be read.
    """
    return _release(
        lambda done: _expired(snapshot, library, kept, keep_days, done),
        library.storage,
        keep_days,
        state,
        snapshot.block,
        log,
    )


def _release(
    found: Callable[[int], dict[int, frozenset[Cid]]],
    storage: Storage,
    keep_days: int,
    state: Path,
    block: Block,
    log: FilteringBoundLogger,
) -> tuple[int, ...]:
    memory = _remembered(state, log)
    if 0 <= block.timestamp - memory.looked_at < EVERY:
        return ()
    released: tuple[int, ...] = ()
    try:
        expired = found(memory.released)
        for cid in sorted(frozenset[Cid]().union(*expired.values())):
            storage.unpin(cid)
        released = tuple(expired)
    except (StorageError, ArtifactError) as error:
        log.warning("artifacts not released", error=str(error), retry_in_seconds=EVERY)
    if released:
        log.info("artifacts released", first_round=released[0], last_round=released[-1], after_days=keep_days)
    _remember(Memory(max((memory.released, *released)), block.timestamp), state, log)
    return released


def _expired(
    snapshot: Snapshot, library: Library, kept: KeptRounds, keep_days: int, done: int
) -> dict[int, frozenset[Cid]]:
    """Reads no more than two rounds where the first that is left has not expired."""
    now, numbers = snapshot.block.timestamp, [number for number in kept.numbers() if number > done]
    files = _read(kept, numbers[:2])
    if not files or not has_expired(_ended(files)[0], keep_days, now):
        return {}
    files += _read(kept, numbers[2:])
    rounds: list[RoundArtifacts] = []
    later = [now] * max(0, len(files) - ROUNDS_AT_A_TIME)  # another time's
    junk, named = set[Cid](), set[Cid]()
    for file, ended in zip(files, _ended(files)[:ROUNDS_AT_A_TIME] + later, strict=True):
        needed = not has_expired(ended, keep_days, now)
        references = _references(file, library, needed)
        junk |= _cids(references, {Role.JUNK})
        named |= _cids(references, set(Role) - {Role.JUNK})
        rounds.append(RoundArtifacts(file.round, ended, _cids(references, OWN | {Role.JUNK})))
    latest = snapshot.release
    first = kept.read(kept.numbers()[0])
    current = _named(latest.model, latest.report, None if first is None else first.opening.base_model)
    released = expired(rounds, current, keep_days, now)
    junk &= frozenset[Cid]().union(*released.values())
    stay = {cid for cid in junk if cid in named or may_be_needed(library.storage, cid)}
    return {round: cids - stay for round, cids in released.items()}


def _read(kept: KeptRounds, numbers: list[int]) -> list[RoundFile]:
    return [file for file in map(kept.read, numbers) if file is not None]


def _ended(files: list[RoundFile]) -> list[int]:
    openings = [file.opening.value() for file in files]
    return [ended_at(opening, following) for opening, following in zip_longest(openings, openings[1:])]


def _references(file: RoundFile, library: Library, needed: bool) -> list[Reference]:
    """What a round refers to, with the release that the round began with, which its audit needs; of an abandoned round
    its list, which the next report names.

    What a report that is gone refers to is left out, unless the round is still `needed`: an earlier attempt that did
    not come to its end may have let go of it.
    """
    found = list(of_file(file))
    if file.outcome is None:
        return [*found, Reference(Role.LIST, cid_of(ROUND.encode(file)))]
    try:
        return [*found, *of_report(library.read(REPORT, file.outcome.report))]
    except ArtifactUnavailable:
        if needed:
            raise
    return found


def _cids(references: Iterable[Reference], roles: Collection[Role]) -> frozenset[Cid]:
    return frozenset(reference.cid for reference in references if reference.role in roles)


def _named(*cids: Cid | None) -> frozenset[Cid]:
    return frozenset(cid for cid in cids if cid is not None)


@dataclass(frozen=True)
class Memory(Fields):
    """The last round that is done with, and when rounds were last looked at, as a block time."""

    released: Count
    looked_at: Count


RETENTION = Kind("retention", 4096, Memory, implied=frozenset({"kind", "version"}))


def _remembered(state: Path, log: FilteringBoundLogger) -> Memory:
    """A file that is damaged is set aside: to release a round again does no harm.

    Raises NewerVersion for one that a newer Koinon wrote.
    """
    path = state / FILE
    try:
        return RETENTION.value_of(jcs.parse(path.read_bytes()))
    except OSError:
        return Memory(0, 0)
    except NewerVersion as error:
        raise NewerVersion(f"{path}: {error}") from None
    except ArtifactError as error:
        aside = path.replace(path.with_suffix(".damaged"))
        log.warning(
            "damaged file set aside", file=str(aside), error=str(error), then="rounds are looked through from the first"
        )
        return Memory(0, 0)


def _remember(memory: Memory, state: Path, log: FilteringBoundLogger) -> None:
    """Not to remember does no harm either: a full disk is no reason to end a daemon."""
    try:
        with replacing(state / FILE, PRIVATE) as file:
            file.write(RETENTION.encode(memory))
    except OSError as error:
        log.warning("cannot write", file=str(state / FILE), error=reason(error))
