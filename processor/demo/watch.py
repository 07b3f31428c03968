"""What happens in the federation, a line an event, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from web3 import Web3

from processor.artifacts.report import REPORT
from processor.chain.federation import Federation
from processor.chain.logs import Event, History, LoggedRound, adjustments_in, opening_in, rounds_in
from processor.cid import cid_from_digest
from processor.demo.page import RoundLine
from processor.errors import StorageError
from processor.storage.library import Library


@dataclass
class Watch:
    """Follows a federation from block to block; keeps the finalized rounds."""

    web3: Web3
    federation: Federation
    library: Library
    names: dict[str, str]
    say: Callable[[str], None]
    rounds: list[RoundLine] = field(default_factory=list)
    _history: History = field(init=False)
    _events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._history = History(self.federation)

    def look(self) -> None:
        """Says what is new since the last look."""
        for event in self._history.read(self.federation.block()):
            self._events.append(event)
            for line in self._lines(event):
                self.say(line)

    def history(self) -> list[LoggedRound]:
        """The rounds that were seen."""
        return rounds_in(self._events)

    def _lines(self, event: Event) -> Iterator[str]:
        values, say = event.arguments, self.federation.asset().format
        who = self.names.get(values.get("client", ""), values.get("client", ""))
        match event.name:
            case "Registered":
                yield f"{who} registered"
            case "InitialModelSet":
                yield f"initial model {cid_from_digest(values['modelCid'])}"
            case "RoundOpened":
                opening = opening_in(event)
                yield (
                    f"round {opening.round} opened: pool {say(opening.pool)}, "
                    f"{opening.selected_count} of {opening.member_count} members selected"
                )
            case "UpdateSubmitted":
                yield f"round {values['round']}: {who} submitted an update, {values['computeMs']} ms of compute"
            case "Declined":
                yield f"round {values['round']}: {who} declined"
            case "UpdatesAdjusted":
                for lowered in adjustments_in(event):
                    name = self.names.get(lowered.client, lowered.client)
                    yield (
                        f"round {values['round']}: {name} is credited {lowered.credited_ms} ms, less than it claimed"
                    )
            case "Slashed":
                yield f"round {values['round']}: {who} is slashed {say(values['amount'])} of its stake"
            case "RoundFinalized":
                line = self._finalized(event)
                self.rounds.append(line)
                yield f"round {line.round} finalized: accuracy {line.accuracy:.3f}, model {line.model}"
            case "Paid":
                yield f"{who} was paid {say(values['reward'])}"

    def _finalized(self, event: Event) -> RoundLine:
        logged = self.history()[-1]
        if logged.outcome is None or logged.opening.round != event.arguments["round"]:
            raise StorageError(f"round {event.arguments['round']} was finalized, and the events before do not say so")
        report = self.library.read(REPORT, logged.outcome.report)
        finalized_at = self.web3.eth.get_block(event.block)["timestamp"]
        return RoundLine(
            round=logged.opening.round,
            base_model=logged.opening.base_model,
            model=logged.outcome.model,
            report=logged.outcome.report,
            updates=len(logged.updates),
            accuracy=report.metrics.after,
            seconds=finalized_at - logged.opening.opened_at,
        )
