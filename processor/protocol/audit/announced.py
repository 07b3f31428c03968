"""Which plans were announced by posts, read from the node's logs once something asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from processor.chain.federation import Federation
from processor.chain.logs import Event, events
from processor.chain.posts import PLAN
from processor.cid import cid_from_digest
from processor.errors import ChainError
from processor.types import Address, Block, Cid


class PostedPlans:
    """The plans that were announced from block `first` on, which `clients` cannot; `first` of None reads no logs.

    A node may leave logs out without a word, and `first` may be late. So that there is no announcement counts only
    where the same logs show the openings of all rounds up to the one that it should come before.
    """

    def __init__(
        self, federation: Federation, first: int | None, head: Block, clients: Collection[Address] = ()
    ) -> None:
        self._federation = federation
        self._first = first
        self._head = head
        self._clients = frozenset(clients)

    def before(self, plan: Cid, round: int) -> bool | None:
        """Whether the plan was announced before the round with this number opened; None where nothing tells."""
        posts, opened = self._found
        if any(cid == plan and latest < round for cid, latest in posts):
            return True
        return False if opened.issuperset(range(1, round + 1)) else None

    @cached_property
    def _found(self) -> tuple[frozenset[tuple[Cid, int]], frozenset[int]]:
        """Plans, each with the round that was the latest when it was announced; and the rounds whose openings are in
        the same logs."""
        if self._first is None:
            return frozenset(), frozenset()
        try:
            found = list(events(self._federation.web3, self._federation.address, self._first, self._head.number))
        except ChainError:
            return frozenset(), frozenset()
        opened = frozenset(int(one.arguments["opening"]["round"]) for one in found if one.name == "RoundOpened")
        return frozenset(self._posts(found)), opened

    def _posts(self, found: Iterable[Event]) -> Iterator[tuple[Cid, int]]:
        """Whoever is neither a client nor the organization today may have been its owner or operator then."""
        organization = {self._federation.owner(), self._federation.operator()}
        others = self._clients - organization
        for one in found:
            said = one.arguments
            if one.name == "Posted" and bytes(said["topic"]) == PLAN and said["from"] not in others:
                cid = cid_from_digest(bytes(said["cid"]))
                if cid is not None:
                    yield cid, int(said["round"])
