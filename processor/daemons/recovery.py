"""A journal that is damaged is set aside and made anew, from what lies beside it and from the chain.

Beside the journal are the sealed updates and the encrypted secrets of the rounds, each a file of its own: what must
never be made twice, and what nobody else knows. Everything else the daemons read from the chain anyway.
"""

from __future__ import annotations

import binascii
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from processor.daemons.base import journal_path
from processor.daemons.updates import saved_updates
from processor.errors import JournalDamaged
from processor.journal import Journal, SavedSecret, SavedUpdate
from processor.keystore import write_private
from processor.types import Address


def open_journal(
    state: Path, chain_id: int, federation: Address, address: Address, log: FilteringBoundLogger
) -> Journal:
    """The journal in the folder `state`, for the daemon that writes it: with everything that lies beside it, whatever
    became of the file.

    Raises JournalError as `Journal` does, but for one that is damaged: that is set aside.
    """
    path = journal_path(state)
    try:
        journal = Journal(path, chain_id, federation, address)
    except JournalDamaged as error:
        aside = _set_aside(path)
        log.error(
            "the journal was damaged and is made anew",
            error=str(error),
            set_aside=str(aside),
            advice="what the chain knows is read from it again; the damaged file can be deleted",
        )
        journal = Journal(path, chain_id, federation, address)
    updates, secrets = _restore(journal, saved_updates(state / "updates", log), saved_secrets(state))
    if updates or secrets:
        log.warning("restored to the journal", updates=updates, secrets=secrets)
    return journal


def keep_secret(state: Path, secret: SavedSecret) -> None:
    """Writes a round's secret, which is encrypted already, next to the journal; again where it was broadcast since."""
    content = {
        "public_key": secret.public_key.hex(),
        "round": secret.round,
        "base": secret.base,
        "plan": secret.plan,
        "encrypted": secret.encrypted.hex(),
        "broadcast": secret.broadcast,
    }
    write_private(_secrets(state) / f"{secret.public_key.hex()}.json", json.dumps(content).encode())


def saved_secrets(state: Path) -> list[SavedSecret]:
    """The secrets beside the journal, in the order of their rounds; a file that holds none is passed over."""
    folder = _secrets(state)
    found = [_secret(path) for path in folder.glob("*.json")] if folder.is_dir() else []
    return sorted((secret for secret in found if secret is not None), key=lambda secret: secret.round)


def _secrets(state: Path) -> Path:
    return state / "secrets"


def _secret(path: Path) -> SavedSecret | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        return SavedSecret(
            bytes.fromhex(content["public_key"]),
            int(content["round"]),
            str(content["base"]),
            str(content["plan"]),
            bytes.fromhex(content["encrypted"]),
            bool(content["broadcast"]),
        )
    except (OSError, ValueError, KeyError, TypeError, binascii.Error):
        return None


def _set_aside(path: Path) -> Path:
    """Renames the journal and the files that SQLite keeps beside it."""
    suffix = f".damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    for part in ("-wal", "-shm", ""):
        file = path.with_name(path.name + part)
        if file.exists():
            file.rename(file.with_name(file.name + suffix))
    return path.with_name(path.name + suffix)


def _restore(journal: Journal, updates: Iterable[SavedUpdate], secrets: Iterable[SavedSecret]) -> tuple[int, int]:
    """Writes into the journal what it does not know; gives how many that were."""
    missing = [each for each in updates if journal.update_for(each.round, each.sealing_key, each.base) is None]
    for update in missing:
        journal.save_update(update)
    unknown = []
    for secret in secrets:
        if journal.secret_for(secret.public_key) is None:
            journal.save_secret(secret)
            unknown.append(secret)
        elif secret.broadcast:  # a daemon was killed between the two
            journal.broadcast_secret(secret.public_key)
    return len(missing), len(unknown)
