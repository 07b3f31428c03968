"""The journal of one wallet in one federation."""

from __future__ import annotations

from pathlib import Path

from processor.journal.blocks import Blocks
from processor.journal.database import Database
from processor.journal.intents import Intents
from processor.journal.metered import Metered
from processor.journal.past import Past
from processor.journal.schema import JOURNAL
from processor.journal.secrets import Secrets
from processor.journal.updates import Updates
from processor.types import Address


class Journal(Intents, Blocks, Updates, Metered, Secrets, Past):
    """The journal in a file, made where there is none, and brought forward where it is of an earlier version: with
    `read_only` neither, and nothing is written.

    Raises JournalError where the file is of another wallet, federation, chain or version; JournalDamaged where it is no
    journal any more, JournalBusy where its disk is full or another process holds it.
    """

    def __init__(
        self, path: Path, chain_id: int, federation: Address, address: Address, *, read_only: bool = False
    ) -> None:
        self._database = Database(path, JOURNAL, (chain_id, federation, address), read_only=read_only)
