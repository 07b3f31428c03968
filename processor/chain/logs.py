"""The events of a contract over ranges of blocks: for showing what happens. What is true is read from its views.

Nodes refuse ranges that hold too much, each by a limit of its own, and some leave out logs without a word. So a range
that is refused is halved, and what came is compared with what the contract counted itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import FilterParams, LogReceipt

from processor.chain import contracts
from processor.chain.endpoints import NoAnswer
from processor.chain.federation import Federation
from processor.chain.provider import node_errors
from processor.errors import ChainError
from processor.types import ZERO_ADDRESS, Address, Block, Phase

LONGEST_RANGE = 10_000
_CLOSER = 16  # how many times shorter the ranges are in which a node is asked again

Found = TypeVar("Found")


@dataclass(frozen=True)
class Event:
    """An event of a federation. CIDs in `arguments` are digests, as the chain has them."""

    name: str
    block: int
    tx_hash: str
    arguments: dict[str, Any]


class Refused(Exception):
    """A range is too much for the node; the cause says how."""


def over_ranges(fetch: Callable[[int, int], Found], first: int, last: int, longest: int) -> Iterator[tuple[int, Found]]:
    """What `fetch` finds from block `first` to `last`, range by range and in order, each with the block after it: where
    to go on.

    A range that it refuses is halved, after one that it gives the next is twice as long. Raises what caused the refusal
    of a single block.
    """
    length = longest
    while first <= last:
        end = min(last, first + length - 1)
        try:
            found = fetch(first, end)
        except Refused as refused:
            if end == first:
                raise refused.__cause__ or refused from None
            length = (end - first + 1) // 2
            continue
        yield end + 1, found
        first, length = end + 1, min(2 * length, longest)


def events(web3: Web3, federation: Address, first: int, last: int, longest: int = LONGEST_RANGE) -> Iterator[Event]:
    """The federation's events in the blocks `first` to `last`, in order; at most `longest` blocks at a time.

    Raises ChainError where a single block is refused, or no node answers.
    """
    contract = web3.eth.contract(Web3.to_checksum_address(federation), abi=contracts.load("Federation").abi)
    names = [entry["name"] for entry in contract.abi if entry["type"] == "event"]
    known = {HexBytes(event.topic): event for event in (contract.get_event_by_name(name)() for name in names)}

    def fetch(start: int, end: int) -> list[LogReceipt]:
        wanted: FilterParams = {"address": contract.address, "fromBlock": start, "toBlock": end}
        try:
            found = web3.eth.get_logs(wanted)
        except Web3RPCError as error:
            raise Refused from error
        except NoAnswer as error:
            if not error.too_much:
                raise
            raise Refused from error
        return [log for log in found if log["address"] == contract.address and start <= log["blockNumber"] <= end]

    with node_errors(f"list the events of the blocks {first} to {last}"):
        for _, logs in over_ranges(fetch, first, last, longest):
            distinct = {(log["blockNumber"], log["logIndex"]): log for log in logs}
            for _, log in sorted(distinct.items()):
                event = known.get(log["topics"][0]) if log["topics"] else None
                if event is not None:
                    values = dict(event.process_log(log)["args"])
                    yield Event(event.event_name, log["blockNumber"], "0x" + log["transactionHash"].hex(), values)


@dataclass(frozen=True)
class Counts:
    """How often there was what the contract counts: indices given to members, rounds opened, updates of each round, and
    the rounds that were finalized."""

    members: int = 0
    rounds: int = 0
    updates: Mapping[int, int] = field(default_factory=dict)
    finalized: frozenset[int] = frozenset()

    def after(self, events: Iterable[Event]) -> Counts:
        """What is counted once the events are, too."""
        events = list(events)
        names = Counter(event.name for event in events)
        updates = Counter(event.arguments["round"] for event in events if event.name == "UpdateSubmitted")
        finalized = {event.arguments["round"] for event in events if event.name == "RoundFinalized"}
        return Counts(
            members=self.members + names["Registered"],
            rounds=self.rounds + names["RoundOpened"],
            updates={round: self.updates.get(round, 0) + updates[round] for round in {*self.updates, *updates}},
            finalized=self.finalized | finalized,
        )


def counts_at(federation: Federation, at: Block, known: Counts) -> Counts:
    """The contract's own counts at a block. The rounds that are over in `known` are not read again."""
    rounds = federation.round_count(at)
    updates, finalized = dict(known.updates), set(known.finalized)
    for number in range(max(1, known.rounds), rounds + 1):
        view = federation.round_view(number, ZERO_ADDRESS, at)
        updates.pop(number, None)
        finalized.discard(number)
        if view.update_count:
            updates[number] = view.update_count
        if view.phase is Phase.FINALIZED:
            finalized.add(number)
    return Counts(federation.member_count(at), rounds, updates, frozenset(finalized))


class History:
    """The events of a federation from the block `start` on, at or before its creation, each given once.

    Keeps a cursor, and what was counted so far: a node that leaves out logs, or gives those of another fork, is
    noticed.
    """

    def __init__(self, federation: Federation, start: int = 0) -> None:
        self._federation = federation
        self._start = self._next = start
        self._counts = Counts()

    def read(self, at: Block) -> list[Event]:
        """The events up to the block that are new since the last read, all of them.

        Where they are not what the contract counted, they are asked for again from the start in shorter ranges; after
        a reorganization, an event that moved to a later block is given again. Raises ChainError where that gives no
        other picture; the next read then begins where this one did.
        """
        if at.number < self._next:
            return []
        found = self._events(self._next, at, LONGEST_RANGE)
        counts, expected = self._counts.after(found), counts_at(self._federation, at, self._counts)
        if counts != expected:
            shorter = max(1, min(at.number - self._start + 1, LONGEST_RANGE) // _CLOSER)
            everything = self._events(self._start, at, shorter)
            counts, expected = Counts().after(everything), counts_at(self._federation, at, Counts())
            if counts != expected:
                raise ChainError(
                    f"the node's logs up to block {at.number} do not tell what the contract counted there: it counted "
                    f"{_words(expected)}, and there are logs of {_words(counts)}. The node leaves out logs, or the "
                    "chain was just reorganized: try again, or use another node"
                )
            found = [event for event in everything if event.block >= self._next]
        self._next, self._counts = at.number + 1, counts
        return found

    def _events(self, first: int, at: Block, longest: int) -> list[Event]:
        federation = self._federation
        return list(events(federation.web3, federation.address, first, at.number, longest))


def _words(counts: Counts) -> str:
    return (
        f"{counts.members} registration(s), {counts.rounds} round(s) of which {len(counts.finalized)} finalized, and "
        f"{sum(counts.updates.values())} update(s)"
    )
