"""A journal that is damaged is set aside and made again, from what lies next to it and from the chain.

Next to the journal are the sealed updates with the private states after them, and the encrypted secrets of the rounds,
each a file of its own: what must never be made twice, and what nobody else knows. Everything else the daemons read from
the chain anyway.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints
from structlog.typing import FilteringBoundLogger

from processor import jcs
from processor.artifacts.canonical import CidField, Count, Fields, Hex32
from processor.artifacts.private_state import PrivateStateFile
from processor.artifacts.versions import Kind
from processor.daemons.base import journal_path
from processor.daemons.updates import saved_updates, state_path
from processor.errors import ArtifactError, JournalDamaged, NewerVersion, Unreadable
from processor.journal import Journal, SavedSecret, SavedUpdate, updates_folder
from processor.keystore import write_private
from processor.types import Address


@dataclass(frozen=True)
class SecretFile(Fields):
    """A `SavedSecret`, its bytes in hexadecimal digits; `base` is empty where there was no model yet."""

    public_key: Hex32
    round: Count
    base: CidField | Literal[""]
    plan: CidField
    encrypted: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$")]
    broadcast: bool


SECRET = Kind("saved-secret", 4096, SecretFile, implied=frozenset({"kind", "version"}))


def open_journal(
    state: Path, chain_id: int, federation: Address, address: Address, log: FilteringBoundLogger
) -> Journal:
    """The journal in the folder `state`, for the daemon that writes it: with everything that lies next to it,
    whatever became of the file.

    Raises JournalError as `Journal` does, but for one that is damaged: that is set aside. Raises NewerVersion and
    Unreadable as `saved_updates` and `saved_secrets` do.
    """
    path = journal_path(state)
    try:
        journal = Journal(path, chain_id, federation, address)
    except JournalDamaged as error:
        aside = _set_aside(path)
        log.error(
            "the journal was damaged and is made again",
            error=str(error),
            set_aside=str(aside),
            advice="what the chain knows is read from it again; the damaged file can be deleted",
        )
        journal = Journal(path, chain_id, federation, address)
    try:
        updates, secrets = _restore(journal, saved_updates(updates_folder(state), log), saved_secrets(state))
    except BaseException:
        journal.close()
        raise
    if updates or secrets:
        log.warning("restored to the journal", updates=updates, secrets=secrets)
    return journal


def keep_secret(state: Path, secret: SavedSecret) -> None:
    """Writes a round's secret, which is encrypted already, next to the journal; again where it was broadcast since."""
    content = SecretFile(
        public_key=secret.public_key.hex(),
        round=secret.round,
        base=secret.base,
        plan=secret.plan,
        encrypted=secret.encrypted.hex(),
        broadcast=secret.broadcast,
    )
    write_private(_secrets(state) / f"{secret.public_key.hex()}.json", SECRET.encode(content))


def saved_secrets(state: Path) -> list[SavedSecret]:
    """The secrets next to the journal, in the order of their rounds; a file that holds none is passed over.

    Raises NewerVersion for one that a newer Koinon wrote: nobody else knows what it holds.
    """
    folder = _secrets(state)
    found = [_secret(path) for path in folder.glob("*.json")] if folder.is_dir() else []
    return sorted((secret for secret in found if secret is not None), key=lambda secret: secret.round)


def _secrets(state: Path) -> Path:
    return state / "secrets"


def _secret(path: Path) -> SavedSecret | None:
    try:
        content = SECRET.value_of(jcs.parse(path.read_bytes()))
    except NewerVersion as error:
        raise NewerVersion(f"{path}: {error}") from None
    except (OSError, ArtifactError):
        return None
    return SavedSecret(
        bytes.fromhex(content.public_key),
        content.round,
        content.base,
        content.plan,
        bytes.fromhex(content.encrypted),
        content.broadcast,
    )


def _set_aside(path: Path) -> Path:
    """Renames the journal and the files that SQLite keeps next to it."""
    suffix = f".damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    for part in ("-wal", "-shm", ""):
        file = path.with_name(path.name + part)
        if file.exists():
            file.rename(file.with_name(file.name + suffix))
    return path.with_name(path.name + suffix)


def _restore(journal: Journal, updates: Iterable[SavedUpdate], secrets: Iterable[SavedSecret]) -> tuple[int, int]:
    """Writes into the journal what it does not know; gives how many that were.

    The updates come in the order of their releases: the next one begins with the private state of the last.
    """
    missing = [each for each in updates if journal.update_for(each.round, each.sealing_key, each.base) is None]
    for update in sorted(missing, key=_release):
        journal.save_update(update)
    unknown = []
    for secret in secrets:
        if journal.secret_for(secret.public_key) is None:
            journal.save_secret(secret)
            unknown.append(secret)
        elif secret.broadcast:  # a daemon was killed between the two
            journal.broadcast_secret(secret.public_key)
    return len(missing), len(unknown)


def _release(update: SavedUpdate) -> float:
    """The number of an update's release. One whose private state cannot be read counts as the last: it may be, and then
    nothing is released until it is there again."""
    if update.state is None:
        return 0
    path = state_path(update.path.parent, update.state)
    try:
        with PrivateStateFile(path) as state:
            return state.header.release
    except NewerVersion as error:
        raise NewerVersion(f"{path}: {error}") from None
    except (ArtifactError, Unreadable):
        return inf
