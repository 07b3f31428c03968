"""The connection to the chain through one Ethereum node or several, and what can go wrong with it in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.contract.utils import call_contract_function
from web3.exceptions import ContractLogicError, Web3Exception, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import BlockIdentifier
from web3.utils.abi import abi_to_signature

from processor.chain.endpoints import endpoint_at
from processor.chain.failover import Failover
from processor.chain.reverts import revert_of
from processor.errors import ChainError
from processor.exchange import Stop, never
from processor.types import Block


def connect(rpc: str | Sequence[str], timeout: float = 10, chain_id: int | None = None, stop: Stop = never) -> Web3:
    """Connects to the node at the address `rpc`, or to several, the preferred first.

    An address is http://, https://, ws:// or wss://, or the path of a socket that ends in .ipc. `timeout` in seconds
    bounds every request to one node; once `stop` says so, every request ends with Interrupted. Raises ChainError where
    no node answers, where nodes are on different chains, or on another than `chain_id`: then it is WrongAddress.
    """
    addresses = [rpc] if isinstance(rpc, str) else list(rpc)
    if not addresses:
        raise ChainError("no Ethereum node is named: expected at least one address, like http://127.0.0.1:8545")
    web3 = Web3(Failover([endpoint_at(address, timeout, stop) for address in addresses], chain_id))
    # It asks for the chain's id twice with every call.
    web3.middleware_onion.remove("validation")
    # Without it web3 refuses the blocks of chains with proof of authority.
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    return web3


def block_named(at: Block | None) -> BlockIdentifier:
    """How a read names its block: by its hash, so that a node on another fork says that it does not know it, instead of
    answering for another block of the same number."""
    return "latest" if at is None else at.hash  # type: ignore[return-value]


def call_at(function: ContractFunction, at: Block | None) -> Any:
    """The values of a view at a block: web3's own `call` would turn the block's hash into its number."""
    arguments = function.args or ()
    return call_contract_function(
        function.w3,
        function.address,
        (),
        abi_to_signature(function.abi),
        {},
        block_named(at),
        function.contract_abi,
        function.abi,
        None,
        False,
        False,
        *arguments,
    )


@contextmanager
def node_errors(doing: str, at: Block | None = None) -> Iterator[None]:
    """Turns what web3 raises inside into a `ChainError` or `Reverted` that says what the node was `doing`, and at which
    block."""
    try:
        yield
    except ContractLogicError as error:
        raise revert_of(error) from None
    except (Web3Exception, ValueError, TypeError, OverflowError, LookupError, AttributeError) as error:
        # The last two, as ValueError and TypeError: web3 takes the shape of a node's answer on trust.
        if at is not None and isinstance(error, Web3RPCError):
            raise ChainError(
                f"the node cannot {doing} at block {at.number}: {reason(error)}. It may have dropped what it knew of "
                "that block, or the block may have been reorganized away: read the latest block, or ask an archive node"
            ) from None
        raise ChainError(f"the node could not {doing}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """The node's own words for an error."""
    if isinstance(error, Web3RPCError) and error.rpc_response is not None:
        described = error.rpc_response.get("error")
        if isinstance(described, dict):
            return str(described.get("message"))
    return repr(error) if isinstance(error, LookupError) else str(error)
