"""What a node says of a transaction that is in a block.

Only what decides something has to be in a receipt: chains leave out, or give as null, much of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hexbytes import HexBytes
from web3 import Web3
from web3.datastructures import AttributeDict
from web3.exceptions import Web3RPCError
from web3.types import RPCEndpoint

from processor.chain import answers
from processor.chain.provider import node_errors, reason
from processor.errors import ChainError
from processor.types import Address


@dataclass(frozen=True)
class Receipt:
    """A transaction that is in a block. `contract` is the address of the contract it created.

    `gas_used`, in units, and `fee_wei` are None where the node does not say.
    """

    tx_hash: str
    block: int
    block_hash: str
    succeeded: bool
    gas_used: int | None
    fee_wei: int | None
    contract: Address | None
    logs: tuple[Any, ...] = field(repr=False)


def receipt_of(web3: Web3, tx_hash: str) -> Receipt | None:
    """What became of a transaction; None while it is in no block that the node knows. Raises ChainError."""
    with node_errors("look for a transaction"):
        try:
            found = raw(web3, "eth_getTransactionReceipt", tx_hash)
        except Web3RPCError as error:
            if "indexing is in progress" in reason(error).lower():
                return None
            raise
    receipt = receipt_in(tx_hash, found)
    if receipt is None or receipt.gas_used is None or receipt.fee_wei is not None:
        return receipt
    price = _price(web3, tx_hash)
    return receipt if price is None else replace(receipt, fee_wei=receipt.gas_used * price)


def receipt_in(tx_hash: str, found: Any) -> Receipt | None:
    """A node's answer as a receipt; None where that says that the transaction is in no block. Raises ChainError where
    it is no receipt."""
    if found is None:
        return None
    if isinstance(found, Mapping) and "blockNumber" in found and found["blockNumber"] is found.get("blockHash") is None:
        return None
    fields = found if isinstance(found, Mapping) else {}
    block, status = answers.number(fields.get("blockNumber")), answers.number(fields.get("status"))
    block_hash = answers.hash_in(fields.get("blockHash"))
    if block is None or block_hash is None or status is None:
        raise ChainError(
            f"the node gives a receipt of transaction {tx_hash} that does not say in which block it is and whether it "
            "succeeded: ask another node"
        )
    gas, price = answers.number(fields.get("gasUsed")), answers.number(fields.get("effectiveGasPrice"))
    logs = fields.get("logs")
    return Receipt(
        tx_hash=tx_hash,
        block=block,
        block_hash=block_hash,
        succeeded=status == 1,
        gas_used=gas,
        fee_wei=None if gas is None or price is None else gas * price,
        contract=_address(fields.get("contractAddress")),
        logs=tuple(filter(None, map(_log, logs if isinstance(logs, list | tuple) else ()))),
    )


def raw(web3: Web3, method: str, *params: Any) -> Any:
    """A node's answer as it gave it: what web3 makes of one takes its shape on trust."""
    return web3.manager.request_blocking(RPCEndpoint(method), list(params))


def _price(web3: Web3, tx_hash: str) -> int | None:
    """What a mined transaction paid for a unit of gas; None where the node does not say."""
    try:
        with node_errors("look for a transaction"):
            found = raw(web3, "eth_getTransactionByHash", tx_hash)
    except ChainError:
        return None
    return answers.number(found.get("gasPrice")) if isinstance(found, Mapping) else None


def _address(value: Any) -> Address | None:
    return Web3.to_checksum_address(value) if isinstance(value, str) and Web3.is_address(value) else None


def _log(log: Any) -> Any:
    """An event as web3 reads it; None for what has not the shape of one."""
    try:
        return AttributeDict(
            {
                "address": Web3.to_checksum_address(log["address"]),
                "topics": [HexBytes(topic) for topic in log["topics"]],
                "data": HexBytes(log["data"]),
                "blockNumber": answers.number(log.get("blockNumber")),
                "blockHash": log.get("blockHash"),
                "logIndex": answers.number(log.get("logIndex")),
                "transactionHash": log.get("transactionHash"),
                "transactionIndex": answers.number(log.get("transactionIndex")),
            }
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
