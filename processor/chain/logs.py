"""The events of a contract over ranges of blocks: for showing what happens. What is true is read from its views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import FilterParams

from processor.chain import contracts
from processor.chain.provider import node_errors
from processor.types import Address

LONGEST_RANGE = 10_000


@dataclass(frozen=True)
class Event:
    """An event of a federation. CIDs in `arguments` are digests, as the chain has them."""

    name: str
    block: int
    tx_hash: str
    arguments: dict[str, Any]


def events(web3: Web3, federation: Address, first: int, last: int) -> Iterator[Event]:
    """The federation's events in the blocks `first` to `last`, in order.

    Nodes refuse ranges with too many logs, each by a limit of its own: a range that is refused is halved. Raises
    ChainError where a single block is refused.
    """
    contract = web3.eth.contract(Web3.to_checksum_address(federation), abi=contracts.load("Federation").abi)
    names = [entry["name"] for entry in contract.abi if entry["type"] == "event"]
    known = {HexBytes(event.topic): event for event in (contract.get_event_by_name(name)() for name in names)}
    length = LONGEST_RANGE
    while first <= last:
        end = min(last, first + length - 1)
        wanted: FilterParams = {"address": contract.address, "fromBlock": first, "toBlock": end}
        with node_errors(f"list the events of block {first}"):
            try:
                found = web3.eth.get_logs(wanted)
            except Web3RPCError:
                if end == first:
                    raise
                length = (end - first + 1) // 2
                continue
        for log in found:
            event = known.get(log["topics"][0])
            if event is not None:
                values = dict(event.process_log(log)["args"])
                yield Event(event.event_name, log["blockNumber"], "0x" + log["transactionHash"].hex(), values)
        first = end + 1
