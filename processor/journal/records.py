"""What a journal holds, as its callers see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from processor.types import Cid

MINED, FAILED, CANCELLED, DROPPED = "mined", "failed", "cancelled", "dropped"


@dataclass(frozen=True)
class Broadcast:
    """One signed form of a transaction; a later one of the same nonce pays more for its gas, or `cancels` it.

    Fees are wei for a unit of gas, `sent_at` is the chain's time in seconds. `encrypted` holds the signed bytes, which
    may carry a round's secret.
    """

    tx_hash: str
    max_fee: int
    priority_fee: int
    cancels: bool
    sent_at: int
    encrypted: bytes = field(repr=False)


@dataclass(frozen=True)
class Intent:
    """A transaction that was signed, written down before it was broadcast.

    `status` is None until its nonce is used in a block (`mined`, `failed`, `cancelled`) or it was given up (`dropped`);
    it is `final` once that block, or the one at which it was given up, is as deep as a reorganization may reach.
    `tx_hash` is the form that is in the block.
    """

    id: int
    kind: str
    round: int | None
    nonce: int
    status: str | None
    tx_hash: str | None
    block: int | None
    block_hash: str | None
    final: bool


@dataclass(frozen=True)
class SavedUpdate:
    """A sealed update as it was or will be submitted: to be sent again, never to be made again.

    Round, sealing key and base model together name it: after a reorganization a round of the same number may be another
    one. `ends_at` is the block time by which its round is over. It is sealed first; then the chain shows it, with
    `claimed_ms` since the block `seen_at`, and it is `published`; and it is `final` once no reorganization can take it
    away.

    `state` is the private state after its release, which the next release begins with, and `epsilon` what the release
    spent of privacy: None of both where nothing bounds it, and of updates that were made before there were any.
    """

    round: int
    sealing_key: bytes
    base: Cid
    cid: Cid
    path: Path
    compute_ms: int
    samples: int
    ends_at: int
    claimed_ms: int | None = None
    seen_at: int | None = None
    final: bool = False
    published: bool = False
    state: Cid | None = None
    epsilon: float | None = None


@dataclass(frozen=True)
class SavedSecret:
    """The secret of a sealing key, encrypted by the caller, and the opening that it was made for. Once it was
    `broadcast`, anybody may know it, whatever became of the transaction."""

    public_key: bytes
    round: int
    base: Cid
    plan: Cid
    encrypted: bytes = field(repr=False)
    broadcast: bool = False
