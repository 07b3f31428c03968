"""A client's sealed updates on disk: each with a file next to it that says what it is, so that it is never made twice.

An update is there once both files are, before the journal knows of it and before anyone sees it. Where the journal does
not know of it, because the daemon was killed just then or the journal was lost, it is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor.artifacts.canonical import CidField, Count, Fields, Hex32, RoundNumber
from processor.artifacts.versions import Kind
from processor.cid import cid_of_file
from processor.errors import ArtifactError, IntegrityError, NewerVersion
from processor.journal import SavedUpdate
from processor.keystore import private_directory, write_private
from processor.types import Cid

LIMIT = 4096
SUFFIX = ".json"


@dataclass(frozen=True)
class Note(Fields):
    """What the journal keeps of an update, but for its CID and path: these are the names of the two files."""

    round: RoundNumber
    sealing_key: Hex32
    base_model: CidField
    compute_ms: Count
    samples: Count
    ends_at: Count


SAVED_UPDATE = Kind("saved-update", LIMIT, Note)


def keep_update(
    folder: Path, sealed: Path, round: int, sealing_key: bytes, base: Cid, compute_ms: int, samples: int, ends_at: int
) -> SavedUpdate:
    """Moves a sealed update, on the same disk, to where `saved_updates` finds it.

    The note is written first: where the disk is too full for it, the update stays in the folder of its maker.
    """
    cid = cid_of_file(sealed)
    update = SavedUpdate(round, sealing_key, base, cid, private_directory(folder) / cid, compute_ms, samples, ends_at)
    note = Note(round, sealing_key.hex(), base, compute_ms, samples, ends_at)
    write_private(_note_of(update.path), SAVED_UPDATE.encode(note))
    sealed.replace(update.path)
    return update


def saved_updates(folder: Path, log: FilteringBoundLogger) -> list[SavedUpdate]:
    """The updates in `folder`, by CID. Those that are damaged are left out, with a warning.

    Raises NewerVersion for one that a newer Koinon wrote: left out, it would be made twice.
    """
    return list(_whole(folder, log, lambda note: True))


def saved_update(
    folder: Path, round: int, sealing_key: bytes, base: Cid, log: FilteringBoundLogger
) -> SavedUpdate | None:
    """The update of one round, named as in the journal, if there is one and it is whole."""
    named = (round, sealing_key.hex(), base)
    return next(_whole(folder, log, lambda note: (note.round, note.sealing_key, note.base_model) == named), None)


def forget_updates(folder: Path, but: SavedUpdate) -> None:
    """Removes all updates but one."""
    for path in folder.iterdir():
        if path not in (but.path, _note_of(but.path)):
            path.unlink()


def _whole(folder: Path, log: FilteringBoundLogger, wanted: Callable[[Note], bool]) -> Iterator[SavedUpdate]:
    for path in sorted(folder.glob(f"Qm*{SUFFIX}")):
        update = path.with_suffix("")
        try:
            note = SAVED_UPDATE.decode(path.read_bytes())
            if not wanted(note):
                continue
            found = cid_of_file(update)
            if found != update.name:
                raise IntegrityError(f"the file's CID is {found}")
        except NewerVersion as error:
            raise NewerVersion(f"{path}: {error}") from None
        except (ArtifactError, OSError) as error:
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
        )


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)
