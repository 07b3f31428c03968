"""What happens in the federation, a line an event, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from web3 import Web3

from processor.artifacts.report import REPORT_LIMIT, Report
from processor.chain.federation import Federation
from processor.chain.logs import Event, History
from processor.cid import cid_from_digest
from processor.demo.page import RoundLine
from processor.errors import StorageError
from processor.storage.base import Storage, get_bytes


@dataclass
class Watch:
    """Follows a federation from block to block; keeps the finalized rounds."""

    web3: Web3
    federation: Federation
    storage: Storage
    names: dict[str, str]
    say: Callable[[str], None]
    rounds: list[RoundLine] = field(default_factory=list)
    _history: History = field(init=False)

    def __post_init__(self) -> None:
        self._history = History(self.federation)

    def look(self) -> None:
        """Says what is new since the last look."""
        for event in self._history.read(self.federation.block()):
            for line in self._lines(event):
                self.say(line)

    def _lines(self, event: Event) -> Iterator[str]:
        values, say = event.arguments, self.federation.asset().format
        who = self.names.get(values.get("client", ""), values.get("client", ""))
        match event.name:
            case "Registered":
                yield f"{who} registered"
            case "InitialModelSet":
                yield f"initial model {cid_from_digest(values['modelCid'])}"
            case "RoundOpened":
                yield (
                    f"round {values['round']} opened: pool {say(values['pool'])}, "
                    f"{values['selectedCount']} of {values['memberCount']} members selected"
                )
            case "UpdateSubmitted":
                yield (
                    f"round {values['round']}: {who} submitted an update, "
                    f"{values['computeMs']} ms of compute on {values['samples']} samples"
                )
            case "UpdateAdjusted":
                yield f"round {values['round']}: {who} is credited {values['creditedMs']} ms, less than it claimed"
            case "Slashed":
                yield f"round {values['round']}: {who} is slashed {say(values['amount'])} of its stake"
            case "RoundFinalized":
                line = self._finalized(event)
                self.rounds.append(line)
                yield f"round {line.round} finalized: accuracy {line.accuracy:.3f}, model {line.model}"
            case "RewardClaimed":
                yield f"{who} was paid {say(values['amount'])} for round {values['round']}"

    def _finalized(self, event: Event) -> RoundLine:
        view = self.federation.round_view(event.arguments["round"])
        if view.base.model is None or view.released.model is None or view.released.report is None:
            raise StorageError(f"round {view.round} is not finalized any more: was the chain reorganized?")
        report = Report.decode(get_bytes(self.storage, view.released.report, REPORT_LIMIT))
        finalized_at = self.web3.eth.get_block(event.block)["timestamp"]
        return RoundLine(
            round=view.round,
            base_model=view.base.model,
            model=view.released.model,
            updates=view.update_count,
            accuracy=report.metrics.after,
            seconds=finalized_at - view.opened_at,
        )
