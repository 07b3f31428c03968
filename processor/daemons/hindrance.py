"""What keeps a daemon from its work until somebody changes something on this machine: said once, and shown to whoever
asks for its health."""

from __future__ import annotations

from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from processor.metrics import Metrics


@dataclass
class Hindrance:
    """`say` may be called at every look; it logs what is new alone."""

    metrics: Metrics
    log: FilteringBoundLogger
    reason: str | None = field(default=None, init=False)

    def say(self, reason: str | None) -> None:
        """Why the daemon cannot do its work; None once it can."""
        if reason == self.reason:
            return
        self.metrics.hindered(reason)
        if reason is None:
            self.log.info("the data can be used again")
        else:
            self.log.error("the data cannot be used", error=reason)
        self.reason = reason
