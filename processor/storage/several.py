"""Several IPFS nodes, folders and gateways as one storage: read from whichever serves, published to a quorum."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from processor.cid import digest_of
from processor.errors import ArtifactError, ConfigurationError, Interrupted, StorageError
from processor.exchange import Stop, never
from processor.exchange.limits import SLICE
from processor.storage.background import begin
from processor.storage.base import Storage
from processor.storage.cooldown import Cooldowns
from processor.storage.download import Download, Source, fetch
from processor.storage.patience import patient, together
from processor.types import Cid

GRACE = 1.0
"""Seconds that nodes are waited for once a quorum has what is published; as long again as the quorum took, if that is
more."""

_log = structlog.get_logger()
Did = TypeVar("Did")


class Node(Storage, Source, Protocol):
    """A place that artifacts are kept in and read from."""


class SeveralStorage:
    """What is put or pinned must be on `quorum` of the nodes, None for more than half of them; those that miss it, or
    do not say in time that they have it, are warned about. Artifacts are read from the nodes in their order, then from
    the gateways.

    Who let us wait for nothing is left alone for a while: it is read from last, and written to only where the others
    are fewer than the quorum. Trouble that may pass is waited out: nothing is tried again that began `patience` seconds
    ago, unless bytes still arrive. Once `stop` says so, every call ends with Interrupted. Raises ConfigurationError for
    a quorum of more nodes than there are.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        gateways: Sequence[Source],
        quorum: int | None,
        patience: float,
        stop: Stop = never,
    ) -> None:
        self._nodes = tuple(nodes)
        self._sources = (*nodes, *gateways)
        self._quorum = quorum or len(nodes) // 2 + 1
        self._patience = patience
        self._stop = stop
        self._reading, self._writing = Cooldowns[Source](), Cooldowns[Node]()
        if nodes and self._quorum > len(nodes):
            raise ConfigurationError(
                f"the quorum is {quorum}, but {len(nodes)} nodes and folders are named: lower network.quorum, or name "
                "more"
            )

    def put(self, path: Path) -> Cid:
        return self._everywhere(f"publish {path.name}", lambda node: node.put(path))

    def get(self, cid: Cid, to: Path, limit: int, seconds: float | None = None) -> None:
        sources = [_Watched(source, self._reading) for source in self._reading.in_order(self._sources)]
        fetch(sources, cid, to, limit, self._patience, seconds, self._stop)

    def pin(self, cid: Cid) -> None:
        digest_of(cid)
        self._everywhere(f"pin {cid}", lambda node: node.pin(cid))

    def unpin(self, cid: Cid) -> None:
        """A node that misses it keeps its pin, which costs room there and nothing else."""
        digest_of(cid)
        self._everywhere(f"unpin {cid}", lambda node: node.unpin(cid))

    def _everywhere(self, wish: str, act: Callable[[Node], Did]) -> Did:
        """What comes of `act` on a quorum of the nodes. Raises one error about all that failed where fewer succeeded;
        nodes that failed before are tried again until there are enough. A node that is late goes on by itself."""
        if not self._nodes:
            raise ConfigurationError(
                f"cannot {wish}: gateways can only be read from; name an IPFS node (--ipfs) or a folder (--store)"
            )
        done: dict[Node, Did] = {}
        missed: dict[Node, StorageError | ArtifactError] = {}

        def attempt(node: Node) -> Did:
            with self._writing.watching(node):
                return act(node)

        def ask(nodes: Sequence[Node]) -> None:
            missed.update({node: StorageError(f"{node.name} did not answer in time") for node in nodes})
            begun = dict(zip(begin([partial(attempt, node) for node in nodes], len(nodes)), nodes, strict=True))
            for future in _as_they_end(begun, lambda: len(done) >= self._quorum, self._stop):
                node = begun[future]
                try:
                    done[node] = future.result()
                    del missed[node]
                except (StorageError, ArtifactError) as error:
                    missed[node] = error

        def on_those_left() -> None:
            left = [node for node in self._nodes if node not in done]
            ready = [node for node in left if not self._writing.cooling(node)]
            if len(done) + len(ready) < self._quorum:
                ready = left
            resting = [node for node in left if node not in ready]
            ask(ready)
            if len(done) < self._quorum:
                ask(resting)
            else:
                missed.update({node: StorageError(f"{node.name} let us wait for nothing before") for node in resting})
            if len(done) < self._quorum:
                what = f"{len(done)} of {len(self._nodes)} nodes could {wish}, expected at least {self._quorum}"
                raise together(what, list(missed.values()))

        patient(self._patience, stop=self._stop)(on_those_left)
        for node, error in missed.items():
            _log.warning("node missed", node=node.name, wish=wish, error=str(error))
        return next(iter(done.values()))


@dataclass(frozen=True)
class _Watched:
    """A source that is left alone after it let us wait for nothing."""

    source: Source
    cooldowns: Cooldowns[Source]

    @property
    def name(self) -> str:
        return self.source.name

    def supply(self, download: Download) -> None:
        with self.cooldowns.watching(self.source):
            self.source.supply(download)


def _as_they_end(futures: Collection[Future[Did]], enough: Callable[[], bool], stop: Stop) -> Iterator[Future[Did]]:
    """All of them in the order in which they end; once there are enough, those that end soon. Raises Interrupted."""
    started, until, pending = time.monotonic(), math.inf, set(futures)
    while pending:
        now = time.monotonic()
        if until == math.inf and enough():
            until = now + max(GRACE, now - started)
        if now >= until:
            return
        if stop():
            raise Interrupted("stopped before enough nodes had answered")
        ended, pending = wait(pending, min(SLICE, until - now), FIRST_COMPLETED)
        yield from ended
