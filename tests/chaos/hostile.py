"""A member who submits something else than what it trained: one thing in every round, wrong in a way that is asked for.

It is driven by the harness and sends its transactions as somebody would who does not care: again and again, with high
fees, under the same nonce until one is mined.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3

from processor.artifacts.model import MODEL, Model, load_model
from processor.artifacts.update import UPDATE, UpdateHeader
from processor.chain.federation import Federation
from processor.chain.transactions import Call
from processor.cid import cid_of_file
from processor.errors import KoinonError
from processor.jcs import INTEGER_LIMIT
from processor.privacy.sealing import generate_key_pair, seal_file
from processor.protocol.judge import METERING, UNAVAILABLE
from processor.protocol.opened import Identity, OpenedRound
from processor.storage import Storage
from processor.storage.library import Library
from processor.tensors import write_tensors
from processor.types import Cid, Phase, RoundView

LARGER_THAN_ANY_UPDATE = 8 << 20
GAS, FEE, TIP = 1_000_000, 500 * 10**9, 5 * 10**9
_LOOK = 0.5  # seconds between two looks at the chain
_PATIENCE = 5.0  # seconds until it sends its transaction again


@dataclass(frozen=True)
class Update:
    """What is submitted: a CID, and the time that is claimed with it."""

    cid: Cid
    compute_ms: int = 100


@dataclass(frozen=True)
class Submission:
    """What it did in a round, which its number and its sealing key name."""

    round: int
    sealing_key: bytes
    kind: str
    update: Update


class Forge:
    """Makes bad updates for one round."""

    def __init__(self, view: RoundView, federation: Federation, storage: Storage, client: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.view, self.federation, self.storage, self.client, self.folder = view, federation, storage, client, folder
        storage.get(view.base.model or "", folder / "base", MODEL.limit)
        self.base: Model = load_model(folder / "base")
        identity = Identity(federation.chain_id, federation.address)
        round = OpenedRound.read(identity, view.opening, Library(storage))
        self.header = round.update_header(client, samples=10)

    def tensors(self, change: Callable[[np.ndarray], np.ndarray] = lambda array: array) -> dict[str, np.ndarray]:
        zeros = {name: np.zeros_like(value) for name, value in self.base.parameters.items()}
        delta = {f"delta/{name}": change(value) for name, value in zeros.items()}
        buffers = {f"buffer/{name}": value for name, value in self.base.buffers.items()}
        return {**delta, **buffers, **{f"fisher/{name}": value for name, value in zeros.items()}}

    def plain(self, tensors: dict[str, np.ndarray] | None = None, header: UpdateHeader | None = None) -> Path:
        path = self.folder / "plain"
        write_tensors(path, self.tensors() if tensors is None else tensors, UPDATE.tagged(header or self.header))
        return path

    def raw(self, data: bytes) -> Path:
        path = self.folder / "raw"
        path.write_bytes(data)
        return path

    def sealed(self, plain: Path, key: bytes | None = None) -> Path:
        path = self.folder / "sealed"
        path.unlink(missing_ok=True)
        seal_file(plain, path, key or self.view.sealing_key)
        return path

    def put(self, path: Path, **claims: int) -> Update:
        return Update(self.storage.put(path), **claims)

    def update(self, tensors: dict[str, np.ndarray] | None = None, header: UpdateHeader | None = None) -> Update:
        return self.put(self.sealed(self.plain(tensors, header)))

    def copied(self) -> Update:
        """Somebody else's update, or, before there is one, garbage."""
        others = [each.update for each in self.federation.updates() if each.client != self.client]
        return Update(others[0]) if others else self.put(self.raw(b"before anybody else"))

    def withheld(self) -> Update:
        """The CID of bytes that nobody has."""
        return Update(cid_of_file(self.raw(np.random.default_rng().bytes(64))))


def _first(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.flat[0] = value
    return changed


@dataclass(frozen=True)
class Kind:
    """A way to be bad: how such an update is made, and the reasons of which the report must give one."""

    make: Callable[[Forge], Update]
    reasons: frozenset[str | None]


def _kind(make: Callable[[Forge], Update], *reasons: str | None) -> Kind:
    return Kind(make, frozenset(reasons))


KINDS: dict[str, Kind] = {
    "garbage": _kind(lambda forge: forge.put(forge.raw(b"not sealed at all" * 50)), "sealed_wrong"),
    "truncated": _kind(
        lambda forge: forge.put(forge.raw(forge.sealed(forge.plain()).read_bytes()[:-1000])), "sealed_wrong"
    ),
    "undecryptable": _kind(
        lambda forge: forge.put(forge.sealed(forge.plain(), generate_key_pair().public)), "sealed_wrong"
    ),
    "no update inside": _kind(lambda forge: forge.put(forge.sealed(forge.raw(b"noise" * 999))), "malformed"),
    "wrong round": _kind(
        lambda forge: forge.update(header=replace(forge.header, round=forge.view.round + 1)), "header"
    ),
    "wrong sender": _kind(
        lambda forge: forge.update(header=replace(forge.header, client=forge.federation.address)), "header"
    ),
    "wrong model": _kind(
        lambda forge: forge.update(header=replace(forge.header, base_model=forge.view.plan or "")), "header"
    ),
    "wrong shape": _kind(lambda forge: forge.update(forge.tensors(lambda array: array[:1])), "shape"),
    "wrong type": _kind(
        lambda forge: forge.update(forge.tensors(lambda array: array.astype(np.float64))), "dtype", "malformed"
    ),
    "NaN": _kind(lambda forge: forge.update(forge.tensors(lambda array: _first(array, np.nan))), "not_finite"),
    "infinity": _kind(lambda forge: forge.update(forge.tensors(lambda array: _first(array, np.inf))), "not_finite"),
    "far too large a change": _kind(lambda forge: forge.update(forge.tensors(lambda array: array + 1e15)), "norm"),
    "absurd samples": _kind(
        lambda forge: forge.update(header=replace(forge.header, samples=INTEGER_LIMIT)), None, METERING
    ),
    "absurd seconds": _kind(
        lambda forge: forge.put(forge.sealed(forge.plain()), compute_ms=forge.view.max_compute_ms), None, METERING
    ),
    "oversized": _kind(lambda forge: forge.put(forge.raw(b"\0" * LARGER_THAN_ANY_UPDATE)), UNAVAILABLE, "too_large"),
    "copied": _kind(lambda forge: forge.copied(), "header", "sealed_wrong"),
    "withheld": _kind(lambda forge: forge.withheld(), UNAVAILABLE),
}


@dataclass
class Hostile:
    """The member, in a thread of the harness. `wanted` are the kinds for the next rounds; garbage where it is empty."""

    web3: Web3
    federation: Federation
    storage: Storage
    account: LocalAccount
    folder: Path
    stake: int
    wanted: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    done: list[Submission] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK):
            try:
                self._look()
            except KoinonError:  # a chain that is being reorganized, or a store that is away
                continue
            except Exception:
                self.failures.append(traceback.format_exc())
                return

    def _look(self) -> None:
        federation, own = self.federation, self.account.address
        view = federation.round_view(own)
        if not view.client.member:
            self._send(federation.register())
        elif view.phase is Phase.TRAINING and view.client.selected and view.client.update is None:
            self._submit(view)
        elif not view.phase.live and view.client.owed:
            self._send(federation.claim(own))

    def _submit(self, view: RoundView) -> None:
        made = next((each for each in self.done if each.sealing_key == view.sealing_key), None)
        if made is None:
            made = self._made(view)
            self.done.append(made)
        elapsed = (self.federation.block().timestamp - view.opened_at + 1) * 1000
        claim = min(made.update.compute_ms, view.max_compute_ms, elapsed)
        self._send(self.federation.submit_update(view.round, view.sealing_key, made.update.cid, claim))

    def _made(self, view: RoundView) -> Submission:
        forge = Forge(view, self.federation, self.storage, self.account.address, self.folder)
        kind = "garbage"
        with contextlib.suppress(queue.Empty):
            kind = self.wanted.get_nowait()
        try:
            return Submission(view.round, view.sealing_key, kind, KINDS[kind].make(forge))
        except KoinonError:  # it is asked for again
            self.wanted.put(kind)
            raise

    def _send(self, call: Call) -> None:
        """Broadcasts, and waits a little for the block."""
        eth, own = self.web3.eth, Web3.to_checksum_address(self.account.address)
        nonce = eth.get_transaction_count(own)
        priced: Any = {
            "to": call.to,
            "data": HexBytes(call.data),
            "value": call.value,
            "chainId": eth.chain_id,
            "nonce": nonce,
            "gas": GAS,
            "maxFeePerGas": FEE,
            "maxPriorityFeePerGas": TIP,
        }
        with contextlib.suppress(Exception):  # already known, underpriced: it asks again soon
            eth.send_raw_transaction(self.account.sign_transaction(priced).raw_transaction)
        for _ in range(int(_PATIENCE / _LOOK)):
            if self._stopping.wait(_LOOK) or eth.get_transaction_count(own) > nonce:
                return


def pick(seed: random.Random) -> str:
    """A way to be bad."""
    return seed.choice(sorted(KINDS))
