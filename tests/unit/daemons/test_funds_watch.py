"""A look at the wallet costs a cycle one request, once the first has been taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import structlog
from web3 import Web3
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from processor.chain.federation import Federation
from processor.daemons.funds_watch import EVERY, FundsWatch
from processor.metrics import Metrics
from processor.protocol.funds import funds_needed
from processor.types import Block

WALLET = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
GAS, BALANCE, REWARD = 100_000, 10**18, 7


class Node(BaseProvider):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.priority_fee = 2

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        self.asked.append(method)
        said = {
            "eth_getBalance": hex(BALANCE),
            "eth_maxPriorityFeePerGas": hex(self.priority_fee),
            "eth_getBlockByNumber": {"number": "0x1", "baseFeePerGas": "0x5"},
        }
        return {"jsonrpc": "2.0", "id": 1, "result": said[method]}


@dataclass
class Place:
    """A federation that is watched from; `head` is the block that its daemon read last."""

    web3: Web3
    head: Block | None = None


class Watched:
    def __init__(self, gas: int) -> None:
        self.node, self.metrics, self.now = Node(), Metrics(), 0.0
        self.place = Place(Web3(self.node))
        federation = cast(Federation, self.place)
        watch = FundsWatch(
            federation, WALLET, gas, REWARD, self.metrics, structlog.get_logger(), ticks=lambda: self.now
        )
        self._cycle = watch.before(lambda: None)

    def asked(self, seconds: float = 0.0) -> list[str]:
        """What the next cycle asks after so many seconds."""
        self.now += seconds
        self.node.asked.clear()
        self._cycle()
        return list(self.node.asked)

    @property
    def needed(self) -> float | None:
        return self.metrics.registry.get_sample_value("koinon_balance_needed_wei")


def test_after_the_first_look_no_cycle_waits_for_more_than_one_request() -> None:
    watched = Watched(GAS)
    assert watched.asked() == ["eth_getBalance", "eth_getBlockByNumber", "eth_maxPriorityFeePerGas"]
    watched.place.head = Block(1, "0x1", 0, base_fee=5)
    assert watched.asked() == ["eth_maxPriorityFeePerGas"]
    assert watched.asked() == []
    for _ in range(2):
        assert watched.asked(EVERY) == ["eth_getBalance"]
        assert watched.asked(EVERY) == ["eth_maxPriorityFeePerGas"]


def test_what_is_needed_follows_the_head_and_the_priority_fee_of_the_look_before() -> None:
    watched = Watched(GAS)
    watched.asked()
    assert watched.needed == funds_needed(GAS, 2 * 5 + 2, REWARD)
    watched.place.head, watched.node.priority_fee = Block(2, "0x2", 0, base_fee=9), 4
    watched.asked()
    watched.asked(EVERY)
    assert watched.needed == funds_needed(GAS, 2 * 9 + 4, REWARD)


def test_where_others_pay_for_the_gas_nothing_asks_for_its_price() -> None:
    watched = Watched(0)
    assert watched.asked() == ["eth_getBalance"]
    assert watched.asked() == []
    assert watched.needed == REWARD
