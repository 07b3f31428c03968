"""A client's sealed updates on disk: each with a file next to it that says what it is, so that it is never made twice.

An update is there once its note is: what the note names was on disk before, and the journal knows of it after. Where
the journal does not know of it, because the daemon was killed just then or the journal was lost, it is found here. Next
to it is the private state after its release, which the next release begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor.artifacts.canonical import CidField, Count, Fields, Hex32, Metric, RoundNumber
from processor.artifacts.versions import Kind, Older
from processor.cid import cid_of_file
from processor.errors import ArtifactError, IntegrityError, NewerVersion, Unreadable
from processor.files import also_at, sync
from processor.journal import Journal, SavedUpdate
from processor.keystore import private_directory, write_private
from processor.types import Cid

LIMIT = 4096
NOTE, STATE = ".json", ".state"
"""What is added to a CID for the names of the other files: to the update's and to the private state's."""


@dataclass(frozen=True)
class NoteV1(Fields):
    """What the journal keeps of an update, but for its CID and path: these are the names of the two files."""

    round: RoundNumber
    sealing_key: Hex32
    base_model: CidField
    compute_ms: Count
    samples: Count
    ends_at: Count


@dataclass(frozen=True)
class Note(NoteV1):
    """With the private state after the release, and what that spent of privacy."""

    state: CidField | None
    epsilon: Metric | None


def _to_2(note: NoteV1) -> Note:
    return Note(**asdict(note), state=None, epsilon=None)


def _to_1(note: Note) -> NoteV1 | None:
    fields = asdict(note)
    added = fields.pop("state"), fields.pop("epsilon")
    return NoteV1(**fields) if added == (None, None) else None


SAVED_UPDATE = Kind("saved-update", LIMIT, Note, version=2, older=(Older(NoteV1, _to_2, _to_1),))


def keep_update(folder: Path, update: SavedUpdate, sealed: Path, state: Path | None) -> None:
    """Puts a sealed update and the private state after its release where `saved_updates` finds them: all of it is on
    disk on return, for `Journal.save_update` to name.

    Nothing is taken from where they were made, on the same disk: killed at any moment, the same call is made again.
    Raises IntegrityError where the bytes are not those of `update.cid` and `update.state`: they are lost, and nobody
    has seen them.
    """
    made = [(sealed, update.path, update.cid)]
    if state is not None and update.state is not None:
        made.append((state, state_path(folder, update.state), update.state))
    for source, _, cid in made:
        _check(source, cid)
    private_directory(folder)
    new = [target for _, target, _ in made if not target.exists()]
    try:
        for source, target, _ in made:
            also_at(source, target)
        sync(folder)
        write_private(_note_of(update.path), SAVED_UPDATE.encode(_noted(update)))
    except BaseException:
        for target in new:
            target.unlink(missing_ok=True)
        raise
    sync(folder)


def saved_updates(folder: Path, log: FilteringBoundLogger) -> list[SavedUpdate]:
    """The updates in `folder`, by CID. Those that are damaged are left out, with a warning.

    Raises NewerVersion for one that a newer Koinon wrote: left out, it would be made twice; Unreadable where a file
    cannot be read, for the same reason.
    """
    return list(_whole(folder, log, lambda note: True))


def saved_update(
    folder: Path, round: int, sealing_key: bytes, base: Cid, log: FilteringBoundLogger
) -> SavedUpdate | None:
    """The update of one round, named as in the journal, if there is one and it is whole."""
    named = (round, sealing_key.hex(), base)
    return next(_whole(folder, log, lambda note: (note.round, note.sealing_key, note.base_model) == named), None)


def private_state(folder: Path, journal: Journal) -> Path | None:
    """The file with the private state that the next release begins with; None before the first.

    Raises IntegrityError where it is missing or damaged: to begin with another would break what correlated noise
    promises, and nobody could tell.
    """
    cid = journal.private_state()
    if cid is None:
        return None
    path = state_path(folder, cid)
    try:
        _check(path, cid)
    except IntegrityError as error:
        raise IntegrityError(
            f"the private state that the next release begins with is lost: {error}. Nothing is trained until it is "
            "there again, since noise must go on from where it was: put the file back from a back-up of the state "
            "folder. Where there is none, begin with a new state folder once this round is over; this version adds no "
            "noise, so that nothing is lost by that"
        ) from None
    return path


def sweep(folder: Path, journal: Journal, log: FilteringBoundLogger) -> None:
    """Removes every file that the journal, which knows of all that is whole, does not name, and those of updates that
    no reorganization can bring back, since a later one is final. What the next release begins with stays."""
    kept = {path for update in needed(journal) for path in files_of(update)}
    found = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    removed = sorted(set(found) - kept, key=lambda path: (path.suffix != NOTE, path.name))  # a note names whole files
    for path in removed:
        with suppress(FileNotFoundError):
            path.unlink()
    if removed:
        log.info("files of no use removed", files=[path.name for path in removed])


def needed(journal: Journal) -> list[SavedUpdate]:
    """The updates that may be submitted again, and the one whose private state the next release begins with."""
    updates, state = journal.updates(), journal.private_state()
    latest_final = max((at for at, update in enumerate(updates) if update.final), default=0)
    earlier = [update for update in updates[:latest_final] if state is not None and update.state == state]
    return earlier + updates[latest_final:]


def files_of(update: SavedUpdate) -> list[Path]:
    """The files of an update: the sealed one, its note, and the private state after it."""
    state = [] if update.state is None else [state_path(update.path.parent, update.state)]
    return [update.path, _note_of(update.path), *state]


def state_path(folder: Path, state: Cid) -> Path:
    """Where a private state is kept."""
    return folder / f"{state}{STATE}"


def _whole(folder: Path, log: FilteringBoundLogger, wanted: Callable[[Note], bool]) -> Iterator[SavedUpdate]:
    for path in sorted(folder.glob(f"Qm*{NOTE}")):
        update = path.with_suffix("")
        try:
            note = SAVED_UPDATE.decode(path.read_bytes())
            if not wanted(note):
                continue
            _check(update, update.name)
        except NewerVersion as error:
            raise NewerVersion(f"{path}: {error}") from None
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror}") from error
        except ArtifactError as error:
            log.warning("saved update left out", path=str(update), error=str(error))
            continue
        yield SavedUpdate(
            note.round,
            bytes.fromhex(note.sealing_key),
            note.base_model,
            update.name,
            update,
            note.compute_ms,
            note.samples,
            note.ends_at,
            state=note.state,
            epsilon=note.epsilon,
        )


def _noted(update: SavedUpdate) -> Note:
    return Note(
        update.round,
        update.sealing_key.hex(),
        update.base,
        update.compute_ms,
        update.samples,
        update.ends_at,
        update.state,
        update.epsilon,
    )


def _check(path: Path, cid: Cid) -> None:
    """Raises IntegrityError where the file is missing or its bytes are not those of the CID, Unreadable where it cannot
    be read."""
    try:
        found = cid_of_file(path)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is missing") from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from error
    if found != cid:
        raise IntegrityError(f"the CID of {path} is {found}, expected {cid}")


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + NOTE)
