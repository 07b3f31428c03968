"""What a journal holds, as its callers see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from processor.types import Cid

MINED, FAILED, CANCELLED, DROPPED, UNKNOWN = "mined", "failed", "cancelled", "dropped", "unknown"


@dataclass(frozen=True)
class Broadcast:
    """One signed form of a transaction; a later one of the same nonce pays more for its gas, or `cancels` it.

    Fees are wei for a unit of gas, `sent_at` is the chain's time in seconds. `encrypted` holds the signed bytes, which
    may carry a round's secret. `gas_limit` is the most gas that it can use, None of those written before that was kept.
    """

    tx_hash: str
    max_fee: int
    priority_fee: int
    cancels: bool
    sent_at: int
    encrypted: bytes = field(repr=False)
    gas_limit: int | None = None


@dataclass(frozen=True)
class Intent:
    """A transaction that was signed, written down before it was broadcast.

    `status` is None until one of its forms is in a block (`mined`, `failed`, `cancelled`), it was given up (`dropped`:
    another transaction used its nonce, or no node took it), or no node can say any more what used its nonce
    (`unknown`: it may have had its effect). It is `final` once that block, or the one at which it was given up, is as
    deep as a reorganization may reach. `tx_hash` is the transaction that used the nonce in `block`, None where that is
    not known.

    `gas` is what it used in its block, in units, None where that is not known. `most_fee` is the most that it may offer
    for one, in wei, before it is cancelled rather: None where only the account's own ceiling bounds it.
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
    gas: int | None = None
    most_fee: int | None = None

    @property
    def refused(self) -> bool:
        """Whether it was given up for no more than that a node did not take it, as far as that said."""
        return self.status == DROPPED and self.block_hash is None


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


@dataclass(frozen=True)
class ReadReport:
    """What a report said that was read: of which `round` it is, under which `plan`, why no round follows, if none does,
    and which reports came `before`."""

    cid: Cid
    round: int
    plan: Cid
    stop: str | None
    before: tuple[Cid, ...]


@dataclass(frozen=True)
class NamedList:
    """How a report names the list of an abandoned round; `digest` is that of the round."""

    cid: Cid
    round: int
    digest: bytes
