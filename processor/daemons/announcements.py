"""What an organization says of the plans of rounds to come, and which members have said that they agree to one."""

from __future__ import annotations

from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from processor.chain.federation import Federation
from processor.chain.posts import AGREED, Post, Posts
from processor.chain.snapshot import Snapshot
from processor.chain.times import time_of_block
from processor.errors import ChainError
from processor.journal import CANCELLED, DROPPED, FAILED, Intent, Journal
from processor.types import Address, Block, Cid

_UNDONE = (CANCELLED, DROPPED, FAILED)


def announcing(plan: Cid) -> str:
    """How the journal names the transaction that announces a plan."""
    return f"plan {plan} announced"


@dataclass
class Announcements:
    """The journal says what was announced, the chain's logs who agreed: without logs nobody is known to have, and a
    round opens when its notice is over. A journal that was lost has the plan announced once more."""

    federation: Federation
    journal: Journal
    log: FilteringBoundLogger
    _posts: Posts = field(init=False)
    _times: dict[str, int] = field(default_factory=dict, init=False)
    _silent: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._posts = Posts(self.federation, AGREED)

    def forget(self) -> None:
        """After a reorganization."""
        self._posts.forget()

    def announced_at(self, plan: Cid, round: int, head: Block) -> int | None:
        """The block time at which the plan was announced while `round` was the latest, as the journal has it; None
        where it was not. Raises ChainError where the node does not have that block."""
        found = [intent for intent in self._announcements(plan) if intent.round == round]
        return self._time_of(found[-1], head) if found else None

    def agreed(self, plan: Cid, snapshot: Snapshot, since: int) -> tuple[Post, ...]:
        """Which members said since that block time that they agree to the plan, each once."""
        try:
            posts = self._posts.read(since, snapshot.block)
        except ChainError as error:
            if self._silent != str(error):
                self.log.warning("nobody can be seen to agree to the plan", error=str(error))
            self._silent = str(error)
            return ()
        said = [post for post in posts if post.cid == plan]
        members: frozenset[Address] = frozenset(snapshot.members) if said else frozenset()
        return tuple(post for post in said if post.sender in members)

    def first_announced(self, plan: Cid, head: Block) -> int | None:
        """The block time at which the plan was announced for the first time that the journal knows of."""
        found = self._announcements(plan)
        return self._time_of(found[0], head) if found else None

    def _announcements(self, plan: Cid) -> list[Intent]:
        kind = announcing(plan)
        return [each for each in self.journal.intents() if each.kind == kind and each.status not in _UNDONE]

    def _time_of(self, intent: Intent, head: Block) -> int:
        """Of one whose block is not known, the time at which it was first looked for."""
        key = intent.block_hash or f"intent {intent.id}"
        if key not in self._times:
            known = intent.block is not None and intent.block_hash is not None
            self._times[key] = time_of_block(self.federation.web3, intent.block or 0) if known else head.timestamp
        return self._times[key]
