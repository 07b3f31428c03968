"""The sealing keys of an organization's rounds: their secrets, encrypted, in the journal and in files next to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from processor.daemons.recovery import keep_secret
from processor.errors import MachineError
from processor.journal import Journal, SavedSecret
from processor.keystore import decrypt, encrypt
from processor.privacy.sealing import SealingKeyPair, generate_key_pair
from processor.types import Cid

TRIES = 3
"""Keys that are made before the machine's random numbers are taken to repeat."""


@dataclass(frozen=True)
class SealingKeys:
    """The keys of one organization, whose state folder is `state`; `state_key` encrypts their secrets."""

    journal: Journal
    state: Path
    state_key: bytes = field(repr=False)

    def for_opening(self, round: int, base: Cid, plan: Cid, used: Callable[[bytes], bool]) -> bytes:
        """The key of an opening, whose secret is on disk before the key is known: a fresh one for every round.

        Where the very same opening was begun before, and lost or undone by a reorganization, it is the key of then:
        what clients made for it is good for the round that takes its place. Never one whose secret anybody may have
        seen: by what the journal knows of transactions that were undone; and none that another round had, which `used`
        says. Raises MachineError where this machine makes no fresh keys.
        """
        known = self.journal.key_for_opening(round, base, plan)
        if known is not None and not used(known):
            return known
        pair = _fresh(used)
        secret = SavedSecret(pair.public, round, base, plan, encrypt(self.state_key, pair.secret))
        keep_secret(self.state, secret)
        self.journal.save_secret(secret)
        return pair.public

    def secret_of(self, key: bytes) -> bytes | None:
        """The secret of a key that is our own; None of any other."""
        saved = self.journal.secret_for(key)
        return None if saved is None else decrypt(self.state_key, saved.encrypted)

    def show(self, key: bytes) -> None:
        """Remembers that a secret is about to be shown: whatever becomes of the transaction, its key is used up."""
        saved = self.journal.secret_for(key)
        if saved is not None and not saved.broadcast:
            keep_secret(self.state, replace(saved, broadcast=True))
            self.journal.broadcast_secret(key)


def _fresh(used: Callable[[bytes], bool]) -> SealingKeyPair:
    """A machine that is set back to an image of before may give the random numbers of then once more."""
    for _ in range(TRIES):
        pair = generate_key_pair()
        if not used(pair.public):
            return pair
    raise MachineError(
        "this machine gives the same random numbers again: a fresh sealing key was another round's before. Look at its "
        "source of randomness before rounds go on"
    )
