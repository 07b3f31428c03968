"""What a journal says, as `expected.json` has it: for the play that writes it, and for the tests that compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processor.journal import Journal

NEW = ("state", "epsilon", "gas", "most_fee", "gas_limit")
"""Fields that rows have got since."""


def said(journal: Journal, state: Path, metered: Iterable[tuple[int, bytes]], keys: Iterable[bytes]) -> dict[str, Any]:
    """Everything in a journal but what is encrypted, with the SHA-256 of the saved updates in the folder `state`.

    `metered` and `keys` name the rows to read of those tables that nobody reads as a whole.
    """
    blocks = journal.blocks()
    return {
        "intents": [
            {**_plain(intent), "broadcasts": [_plain(form) for form in journal.broadcasts(intent)]}
            for intent in journal.intents()
        ],
        "updates": [
            {**_plain(update), "path": update.path.name, "sha256": sha256(state / "updates" / update.cid)}
            for update in journal.updates()
        ],
        "metered": [
            {"round": round, "sealing_key": key.hex(), "ms": journal.metered_ms(round, key)} for round, key in metered
        ],
        "secrets": [_plain(journal.secret_for(key)) for key in keys],
        "blocks": {"count": len(blocks), "latest": list(blocks[0])},
    }


def sha256(path: Path) -> str | None:
    """None where there is no such file: a client forgets its updates but the latest."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _plain(row: Any) -> dict[str, Any]:
    """A row as JSON has it; what the fixture's version did not know of is left out where it says nothing."""
    fields = asdict(row) if row is not None else {}
    unsaid = {"encrypted", *(name for name in NEW if fields.get(name) is None)}
    return {name: _text(value) for name, value in fields.items() if name not in unsaid}


def _text(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
