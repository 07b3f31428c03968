"""The events of a contract over ranges of blocks: for showing what happens. What is true is read from its views.

Nodes refuse ranges that hold too much, each by a limit of its own, and some leave out logs without a word. So a range
that is refused is halved, and what came is compared with what the contract counts and commits to: `record` says whether
nothing is missing of the rounds that are over, the digest of the latest round whether nothing is missing of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import FilterParams, LogReceipt

from processor.chain import commitments, contracts
from processor.chain.federation import Federation
from processor.chain.jsonrpc import NoAnswer
from processor.chain.provider import node_errors
from processor.cid import cid_from_digest
from processor.errors import ChainError
from processor.types import Address, Adjustment, Block, Cid, Opening, Outcome, Phase, Submitted
from processor.words import counted

LONGEST_RANGE = 10_000
_CLOSER = 16  # how many times shorter the ranges are in which a node is asked again

Found = TypeVar("Found")


@dataclass(frozen=True)
class Event:
    """An event of a federation. CIDs in `arguments` are digests, as the chain has them; structs are mappings."""

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


def logs_of(web3: Web3, wanted: FilterParams) -> list[LogReceipt]:
    """What a node gives for a filter, for `over_ranges`: raises Refused where its range is too much."""
    try:
        return list(web3.eth.get_logs(wanted))
    except Web3RPCError as error:
        raise Refused from error
    except NoAnswer as error:
        if not error.too_much:
            raise
        raise Refused from error


def events(web3: Web3, federation: Address, first: int, last: int, longest: int = LONGEST_RANGE) -> Iterator[Event]:
    """The federation's events in the blocks `first` to `last`, in order; at most `longest` blocks at a time.

    Raises ChainError where a single block is refused, or no node answers.
    """
    contract = web3.eth.contract(Web3.to_checksum_address(federation), abi=contracts.load("Federation").abi)
    names = [entry["name"] for entry in contract.abi if entry["type"] == "event"]
    known = {HexBytes(event.topic): event for event in (contract.get_event_by_name(name)() for name in names)}

    def fetch(start: int, end: int) -> list[LogReceipt]:
        found = logs_of(web3, {"address": contract.address, "fromBlock": start, "toBlock": end})
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
class LoggedRound:
    """A round as the logs tell it: what they leave out is missing here too, and only `record` and digest can tell.

    `record_before` chains all rounds before; the outcome is None unless the round was finalized.
    """

    opening: Opening
    record_before: bytes
    updates: tuple[Submitted, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    outcome: Outcome | None = None


def rounds_in(events: Iterable[Event]) -> list[LoggedRound]:
    """The rounds whose openings are among the events, in order. Of a round that opens twice the later one counts."""
    rounds: dict[int, LoggedRound] = {}
    for event in events:
        values = event.arguments
        if event.name == "RoundOpened":
            opening = opening_in(event)
            rounds[opening.round] = LoggedRound(opening, bytes(values["record"]))
            continue
        known = rounds.get(values.get("round", 0))
        if known is None:
            continue
        if event.name == "UpdateSubmitted":
            known = replace(known, updates=(*known.updates, submitted_in(event)))
        elif event.name == "UpdatesAdjusted":
            known = replace(known, adjustments=adjustments_in(event))
        elif event.name == "RoundFinalized":
            known = replace(known, outcome=outcome_in(event, known.adjustments))
        rounds[known.opening.round] = known
    return [rounds[number] for number in sorted(rounds)]


def rounds_from_logs(federation: Federation, from_block: int, to_block: int) -> list[LoggedRound]:
    """The rounds that opened in these blocks, as the node's logs tell them.

    Believes the node: whoever asks compares with `record`. Raises ChainError where a single block is refused, or no
    node answers.
    """
    return rounds_in(events(federation.web3, federation.address, from_block, to_block))


def opening_in(event: Event) -> Opening:
    """What a RoundOpened says. Raises ChainError for an opening that no contract makes."""
    fields = event.arguments["opening"]
    plan, base = cid_from_digest(fields["planCid"]), cid_from_digest(fields["baseModelCid"])
    if plan is None or base is None:
        raise _no_artifact(event)
    return Opening(
        round=fields["round"],
        opened_at=fields["openedAt"],
        training_deadline=fields["trainingDeadline"],
        aggregation_deadline=fields["aggregationDeadline"],
        member_count=fields["memberCount"],
        selection_offset=fields["selectionOffset"],
        selected_count=fields["selectedCount"],
        max_updates=fields["maxUpdates"],
        max_compute_ms=fields["maxComputeMs"],
        plan=plan,
        sealing_key=bytes(fields["sealingKey"]),
        base_model=base,
        base_report=cid_from_digest(fields["baseReportCid"]),
        reward_rate_cap=fields["rewardRateCap"],
        pool=fields["pool"],
    )


def submitted_in(event: Event) -> Submitted:
    """What an UpdateSubmitted says."""
    values = event.arguments
    return Submitted(values["client"], _artifact(event, "updateCid"), values["computeMs"])


def adjustments_in(event: Event) -> tuple[Adjustment, ...]:
    """What an UpdatesAdjusted says."""
    return tuple(
        Adjustment(fields["client"], fields["creditedMs"], fields["slashRate"])
        for fields in event.arguments["adjustments"]
    )


def outcome_in(event: Event, adjustments: tuple[Adjustment, ...]) -> Outcome:
    """What a RoundFinalized says, with the adjustments that were said before it."""
    values = event.arguments
    model, report = _artifact(event, "modelCid"), _artifact(event, "reportCid")
    return Outcome(model, report, bytes(values["secret"]), values["creditedMs"], adjustments)


@dataclass(frozen=True)
class Counts:
    """What the events add up to, and what the contract says of itself: members, rounds opened, the digest of the latest
    round and whether it was finalized, and the record of those that are over."""

    members: int = 0
    rounds: int = 0
    digest: bytes = bytes(commitments.DIGEST_SIZE)
    finalized: bool = False
    record: bytes = commitments.NO_RECORD


@dataclass(frozen=True)
class Tally:
    """Counts as the events make them, one after the other."""

    counts: Counts = Counts()
    updates: int = 0
    claimed_ms: int = 0
    adjustments: tuple[Adjustment, ...] = ()

    def after(self, events: Iterable[Event]) -> Tally:
        """What is counted once the events are, too."""
        tally = self
        for event in events:
            tally = tally._next(event)
        return tally

    def _next(self, event: Event) -> Tally:
        counts, values = self.counts, event.arguments
        match event.name:
            case "Registered":
                return replace(self, counts=replace(counts, members=counts.members + 1))
            case "Left":
                return replace(self, counts=replace(counts, members=counts.members - 1))
            case "RoundOpened":
                digest = bytes(values["digest"])
                opened = replace(counts, rounds=counts.rounds + 1, digest=digest, finalized=False)
                return Tally(opened)
            case "UpdateSubmitted":
                submitted = submitted_in(event)
                digest = commitments.next_digest(counts.digest, submitted)
                claimed_ms = self.claimed_ms + submitted.compute_ms
                return replace(
                    self, counts=replace(counts, digest=digest), updates=self.updates + 1, claimed_ms=claimed_ms
                )
            case "UpdatesAdjusted":
                return replace(self, adjustments=adjustments_in(event))
            case "RoundFinalized":
                outcome = commitments.outcome_of(outcome_in(event, self.adjustments))
                return replace(self, counts=replace(counts, record=self._chained(outcome), finalized=True))
            case "RoundAbandoned":
                return replace(self, counts=replace(counts, record=self._chained(commitments.ABANDONED)))
        return self

    def _chained(self, outcome: bytes) -> bytes:
        counts = self.counts
        return commitments.next_record(
            counts.record, counts.rounds, counts.digest, self.updates, self.claimed_ms, outcome
        )


def counts_at(federation: Federation, at: Block) -> Counts:
    """What the contract says of itself at a block."""
    view = federation.round_view(at=at)
    return Counts(
        members=federation.member_count(at),
        rounds=view.round,
        digest=view.digest,
        finalized=view.phase is Phase.FINALIZED,
        record=federation.record(at),
    )


class History:
    """The events of a federation from the block `start` on, at or before its creation, each given once.

    Keeps a cursor, and what was counted so far: a node that leaves out logs, or gives those of another fork, is
    noticed.
    """

    def __init__(self, federation: Federation, start: int = 0) -> None:
        self._federation = federation
        self._start = self._next = start
        self._tally = Tally()

    def read(self, at: Block) -> list[Event]:
        """The events up to the block that are new since the last read, all of them.

        Where they do not add up to what the contract says, they are asked for again from the start in shorter ranges;
        after a reorganization, an event that moved to a later block is given again. Raises ChainError where that gives
        no other picture; the next read then begins where this one did.
        """
        if at.number < self._next:
            return []
        found = self._events(self._next, at, LONGEST_RANGE)
        tally, expected = self._tally.after(found), counts_at(self._federation, at)
        if tally.counts != expected:
            shorter = max(1, min(at.number - self._start + 1, LONGEST_RANGE) // _CLOSER)
            everything = self._events(self._start, at, shorter)
            tally = Tally().after(everything)
            if tally.counts != expected:
                raise ChainError(
                    f"the node's logs up to block {at.number} do not tell what the contract says there: it has "
                    f"{_words(expected)}, and the logs give {_words(tally.counts)}. The node leaves out logs, or the "
                    "chain was just reorganized: try again, or use another node"
                )
            found = [event for event in everything if event.block >= self._next]
        self._next, self._tally = at.number + 1, tally
        return found

    def _events(self, first: int, at: Block, longest: int) -> list[Event]:
        federation = self._federation
        return list(events(federation.web3, federation.address, first, at.number, longest))


def _words(counts: Counts) -> str:
    return (
        f"{counted(counts.members, 'member')}, {counted(counts.rounds, 'round')}, of which the last has the digest "
        f"0x{counts.digest.hex()} and is{'' if counts.finalized else ' not'} finalized, and the record "
        f"0x{counts.record.hex()}"
    )


def _artifact(event: Event, name: str) -> Cid:
    cid = cid_from_digest(event.arguments[name])
    if cid is None:
        raise _no_artifact(event)
    return cid


def _no_artifact(event: Event) -> ChainError:
    return ChainError(f"the node's log of {event.name} in block {event.block} names no artifact: ask another node")
