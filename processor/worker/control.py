"""What a job has of the world outside its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from processor.protocol.jobs.worker import Progress


@dataclass(frozen=True)
class Control:
    """`tell` says how far the job is, and never waits: as often as it likes. Once `stopping` answers True the job is to
    write its checkpoint and raise Interrupted."""

    tell: Callable[[Progress], None]
    stopping: Callable[[], bool]
