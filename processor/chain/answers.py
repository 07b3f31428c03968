"""What requests to an Ethereum node ask for, and what its answers mean: every kind of node has words of its own."""

from __future__ import annotations

import re
from typing import Any

from web3.types import RPCResponse

NOT_FOUND = -32001
"""The code of what a node has not (EIP-1474)."""

_REVERTED = 3  # the code of geth, anvil and most others
_NO_METHOD = -32601
_LIMIT_EXCEEDED = -32005
_TOO_LARGE = 2**63

# The place of the block among the parameters.
_NAMES_BLOCK = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getStorageAt": 2,
    "eth_getTransactionCount": 1,
}

# Where null says that this node knows of none: another may.
_NULL_IS_UNKNOWN = (
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
)

_HAS_NOT = re.compile(
    r"header .*not found|block .*not found|unknown block|block ?out ?of ?range|invalid block range|beyond current head"
    r"|missing trie node|state .*(not |un)available|not currently canonical|prun(ed|ing)|indexing is in progress"
    r"|limit exceeded|archive|metadata is not found|history .*(not |un)available"
)
_TOO_OFTEN = re.compile(
    r"too many requests|\brate[- ]?limit|request rate|(requests?|compute units?|capacity) per second|capacity exceeded"
)


def repeatable(method: str) -> bool:
    """Whether a request may be sent twice: a read, or a signed transaction, which has one effect however often it is
    sent."""
    return method.startswith(("eth_", "net_", "web3_")) and method != "eth_sendTransaction"


def number(value: Any) -> int | None:
    """A number as JSON-RPC has it, or web3 makes of it; None for everything else, names and hashes of blocks among it,
    and for what no chain counts to and no journal holds."""
    if isinstance(value, str) and re.fullmatch("0x[0-9a-fA-F]{1,16}", value):
        value = int(value, 16)
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_LARGE
    return value if fits else None


def hash_in(value: Any) -> str | None:
    """A hash of 32 bytes as JSON-RPC has it, in lower case; None for everything else."""
    return value.lower() if isinstance(value, str) and re.fullmatch("0x[0-9a-fA-F]{64}", value) else None


def newest_named(method: str, params: Any) -> int | None:
    """The number of the newest block whose state or logs a request asks for; None where it names none by number."""
    if method == "eth_getLogs":
        wanted = params[0] if params and isinstance(params[0], dict) else {}
        numbers = (number(wanted.get("fromBlock")), number(wanted.get("toBlock")))
        return max((each for each in numbers if each is not None), default=None)
    place = _NAMES_BLOCK.get(method)
    return number(params[place]) if place is not None and len(params) > place else None


def head_in(method: str, params: Any, response: RPCResponse) -> int | None:
    """The number of the node's latest block, where that is what was asked for."""
    result: Any = response.get("result")
    if method == "eth_blockNumber":
        return number(result)
    if method == "eth_getBlockByNumber" and params and params[0] == "latest" and isinstance(result, dict):
        return number(result.get("number"))
    return None


def has_not(method: str, response: RPCResponse) -> bool:
    """Whether an answer means no more than that this node has not what another may have: it is behind, it has dropped
    it, or it gives less at a time."""
    error: Any = response.get("error")
    if error is None:
        return method in _NULL_IS_UNKNOWN and response.get("result") is None
    words = _words(error)
    if method == "eth_sendRawTransaction" or error.get("code") == _NO_METHOD or not words:
        return False
    return error.get("code") in (NOT_FOUND, _LIMIT_EXCEEDED) or _HAS_NOT.search(words) is not None


def too_often(response: RPCResponse) -> bool:
    """Whether a node turned a request away because it was asked too often."""
    error: Any = response.get("error")
    return error is not None and (error.get("code") == 429 or _TOO_OFTEN.search(_words(error)) is not None)


def _words(error: dict[str, Any]) -> str:
    """What an error says in lower case; nothing for a revert, whose words are the contract's."""
    words = str(error.get("message")).lower()
    return "" if error.get("code") == _REVERTED or "revert" in words else words
