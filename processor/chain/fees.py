"""What gas costs: EIP-1559 fees as the chain asks them, within a ceiling, and as they have to rise to replace a
transaction."""

from __future__ import annotations

from dataclasses import dataclass

from web3 import Web3

from processor.chain.answers import number
from processor.chain.provider import node_errors
from processor.errors import ChainError
from processor.types import Block

STEP_PERCENT = 13
"""How much more a replacement offers: nodes ask for 10 %, some for an eighth."""


@dataclass(frozen=True)
class Fees:
    """Wei for a unit of gas: the most, and the part of that for the block's proposer."""

    max_fee: int
    priority_fee: int


def market_fees(web3: Web3, ceiling: int | None, head: Block | None = None) -> Fees:
    """What gets a transaction into one of the next blocks. Raises ChainError where that is above the ceiling.

    The base fee is that of the `head`, where the caller has just read it.
    """
    return offered(*_prices(web3, head), ceiling)


def gas_price(web3: Web3, head: Block | None = None) -> int:
    """What a unit of gas costs in the latest block, in wei."""
    return sum(_prices(web3, head))


def _prices(web3: Web3, head: Block | None) -> tuple[int, int]:
    """The base fee and the part for the block's proposer."""
    base_fee = None if head is None else head.base_fee
    with node_errors("name the price of gas"):
        if base_fee is None:
            base_fee = web3.eth.get_block("latest").get("baseFeePerGas")
            if base_fee is not None and number(base_fee) is None:
                raise ValueError(f"{str(base_fee)[:80]} is no price")
    tip = priority_fee(web3)
    if base_fee is None:
        raise ChainError("the chain has no fee market (EIP-1559), which transactions here rely on")
    return base_fee, tip


def priority_fee(web3: Web3) -> int:
    """What gets a unit of gas into one of the next blocks, in wei on top of the base fee. Raises ChainError."""
    with node_errors("name the price of gas"):
        if (found := number(web3.eth.max_priority_fee)) is None:
            raise ValueError("its answer is no price")
        return found


def offered(base_fee: int, priority_fee: int, ceiling: int | None) -> Fees:
    """Fees that last: twice the base fee holds out six full blocks in a row, of which each raises it by an eighth.

    `ceiling` is the most to pay for a unit of gas. Raises ChainError where it does not suffice now.
    """
    fees = Fees(2 * base_fee + priority_fee, priority_fee)
    if ceiling is None or fees.max_fee <= ceiling:
        return fees
    if base_fee + priority_fee > ceiling:
        raise ChainError(
            f"a unit of gas costs {base_fee + priority_fee} wei now, more than the {ceiling} wei allowed: "
            "wait until it is cheaper, or allow more (max_fee_per_gas)"
        )
    return Fees(ceiling, priority_fee)


def outbid(last: Fees, market: Fees, ceiling: int | None) -> Fees:
    """Fees that replace a transaction that offers `last`: a step above it in both parts, and no less than the market.

    Raises ChainError where that is above the ceiling.
    """
    fees = Fees(max(_step(last.max_fee), market.max_fee), max(_step(last.priority_fee), market.priority_fee))
    fees = Fees(max(fees.max_fee, fees.priority_fee), fees.priority_fee)
    if ceiling is not None and _step(last.max_fee) <= ceiling < fees.max_fee and fees.priority_fee <= ceiling:
        return Fees(ceiling, fees.priority_fee)
    if ceiling is not None and fees.max_fee > ceiling:
        raise ChainError(
            f"a transaction on its way offers {last.max_fee} wei for a unit of gas, and what replaces it has to offer "
            f"{fees.max_fee} wei, more than the {ceiling} wei allowed: wait, or allow more (max_fee_per_gas)"
        )
    return fees


def _step(fee: int) -> int:
    return fee + -(-fee * STEP_PERCENT // 100) + 1
