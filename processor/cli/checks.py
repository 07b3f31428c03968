"""What `koinon check` makes of what it finds: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from processor.chain.amounts import format_ether
from processor.chain.asset import Asset
from processor.cli.refused import first_of
from processor.protocol.funds import funds_needed, low_balance
from processor.words import counted

MEBIBYTE = 1 << 20
CLOCK_AHEAD, BLOCK_OLD = 15, 120
"""Seconds that a block may be ahead of this machine's clock, and that the latest one may be old."""
HEADS_APART = 5
"""Blocks between the nodes' heads that are no cause for worry."""
LEAST_SPACE = 256 * MEBIBYTE
"""Bytes that a daemon needs on a disk, whatever the size of its model."""
COPIES = 8
"""Files of the size of an artifact that a daemon has on its disk at a time: base, update in the clear and sealed,
checkpoints, and what is published."""


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """What one check found: `words` say what is, and what to do where that is not as it should be."""

    check: str
    status: Status
    words: str


def ok(check: str, words: str) -> Result:
    return Result(check, Status.OK, words)


def warning(check: str, words: str) -> Result:
    return Result(check, Status.WARNING, words)


def failed(check: str, words: str) -> Result:
    return Result(check, Status.FAILED, words)


def skipped(check: str, words: str) -> Result:
    return Result(check, Status.SKIPPED, words)


@dataclass(frozen=True)
class NodeHead:
    """What a node says of itself: `shown` is as much of its address as anybody may see."""

    shown: str
    chain_id: int
    number: int


def chain_of_all(heads: Sequence[NodeHead], configured: int | None) -> Result:
    """Whether all nodes are on one chain, and none of them is behind."""
    if not heads:
        return skipped("chain", "no node answers")
    ids = {head.chain_id for head in heads}
    if len(ids) > 1:
        said = ", ".join(f"{head.shown} is on {head.chain_id}" for head in heads)
        return failed("chain", f"the nodes are on different chains ({said}): name nodes of one chain as network.rpc")
    (found,) = ids
    if configured is not None and configured != found:
        return failed(
            "chain", f"the nodes are on chain {found}, and network.chain_id is {configured}: change one of them"
        )
    best = max(head.number for head in heads)
    behind = [head for head in heads if best - head.number > HEADS_APART]
    if behind:
        said = ", ".join(f"{head.shown} by {best - head.number}" for head in behind)
        return warning("chain", f"these nodes are blocks behind the others: {said}. They are used last")
    if configured is None:
        return ok("chain", f"chain {found}; set network.chain_id = {found}, so that no other is ever taken for it")
    return ok("chain", f"chain {found}, as configured")


def clock(now: float, block_time: int) -> Result:
    """This machine's clock against the time of the latest block."""
    late = now - block_time
    if late < -CLOCK_AHEAD:
        return failed("clock", f"the latest block is {-late:.0f} s ahead of this machine's clock: synchronize it (NTP)")
    if late > BLOCK_OLD:
        return warning(
            "clock",
            f"the latest block is {late:.0f} s old: the chain is idle, the node is behind, or this machine's clock is "
            "ahead",
        )
    return ok("clock", f"the latest block is {max(late, 0):.0f} s old")


def balance(held: int, gas: int, gas_price: int, reward: int) -> Result:
    """Whether a wallet can pay for the next round, and for those that follow. All in wei, `gas` of a round."""
    round = gas * gas_price + reward
    if held < round:
        return failed(
            "balance",
            f"the wallet holds {format_ether(held)} ETH, and a round needs about {format_ether(round)} ETH at the "
            "present price of gas: send it some",
        )
    needed = funds_needed(gas, gas_price, reward)
    if low := low_balance(held, needed):
        return warning("balance", low)
    return ok("balance", f"{format_ether(held)} ETH, enough for the next rounds")


def pool(asset: Asset, pool: int, least: int, selected: int, spread: int) -> Result:
    """Whether a round opens with a pool for so many selected clients."""
    clients = counted(selected, "selected client")
    if pool == 0:
        return warning("pool", "the next round has an empty pool: nobody is paid for it")
    if pool < least:
        return failed(
            "pool",
            f"the next round's pool is {asset.format(pool)}, and for {clients} the federation's "
            f"max_spread of {spread} asks for {asset.format(least)}: raise round.reward by "
            f"{asset.format(least - pool)}, fund the federation, or lower round.reward_rate_cap, round.max_compute_ms "
            "or round.max_updates",
        )
    return ok("pool", f"{asset.format(pool)} for {clients}; {asset.format(least)} is the least")


def wage(asset: Asset, reward: int, gas: int) -> Result | None:
    """Whether clients skip a round that guarantees an update `reward` at most, where submitting one costs `gas`, in wei
    both; None where they do not."""
    if reward >= gas:
        return None
    return warning(
        "pool",
        f"the next round guarantees {asset.format(reward)} for an update at most, and the gas of submitting one costs "
        f"{asset.format(gas)} now: clients skip it unless they accept unpaid rounds. Raise round.reward_rate_cap, and "
        "round.reward with it",
    )


def limits(of_plan: Sequence[str], of_round: Sequence[str]) -> Result:
    """What a client's own configuration refuses: of the federation's plan, which is every round of it, and of what its
    latest round offers, which the next may not."""
    if of_plan:
        return failed("limits", f"your daemon would refuse every round of the plan: {first_of([*of_plan, *of_round])}")
    if of_round:
        return warning("limits", f"your daemon would refuse a round such as the latest: {first_of(of_round)}")
    return ok("limits", "your configuration refuses nothing of the federation's plan")


def disk(check: str, place: str, free: int, artifact: int) -> Result:
    """Free space, in bytes, where the daemon writes, against the size of an artifact."""
    needed = max(LEAST_SPACE, COPIES * artifact)
    words = f"{_mebibytes(free)} are free at {place}"
    if free < needed // 2:
        return failed(check, f"{words}, and the daemon needs about {_mebibytes(needed)}: make room")
    if free < needed:
        return warning(
            check, f"{words}, a little less than the {_mebibytes(needed)} that the daemon may need: make room"
        )
    return ok(check, words)


def key(address: str, unlocked: bool | None) -> Result:
    """`unlocked` is None where no passphrase was at hand."""
    if unlocked is None:
        return warning(
            "key",
            f"the wallet of {address}; its passphrase would be asked for, so the daemon cannot start by itself: name "
            "a file as passphrase_file",
        )
    return ok("key", f"the wallet of {address} unlocks")


def _mebibytes(count: int) -> str:
    return f"{count / MEBIBYTE:,.0f} MiB"
