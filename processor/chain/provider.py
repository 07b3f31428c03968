"""The connection to an Ethereum node, and what can go wrong with it in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Any
from urllib.parse import urlsplit

import requests
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError, Web3Exception, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.rpc.utils import REQUEST_RETRY_ALLOWLIST, ExceptionRetryConfiguration
from web3.types import RPCEndpoint, RPCResponse

from processor.chain.reverts import revert_of
from processor.errors import ChainError
from processor.types import Block

_RETRIED = [method for method in REQUEST_RETRY_ALLOWLIST if method != "eth_sendRawTransaction"]


class _Node(HTTPProvider):
    """A node over HTTP that fails with a `ChainError` and never shows more of its address than scheme, host and port:
    user, password, path and query may all carry a key."""

    def __init__(self, rpc: str, timeout: float) -> None:
        session = requests.Session()  # web3 logs the whole address of sessions that it makes
        session.trust_env = urlsplit(rpc).hostname not in ("localhost", "127.0.0.1", "::1")  # no proxy leads back here
        super().__init__(
            rpc,
            request_kwargs={"timeout": timeout},
            session=session,
            # Retries what a busy node turned away, never a broadcast.
            exception_retry_configuration=ExceptionRetryConfiguration(
                errors=[requests.HTTPError], retries=3, backoff_factor=0.25, method_allowlist=_RETRIED
            ),
        )
        self._timeout = timeout
        self._shown = _shown(rpc)

    def __str__(self) -> str:
        return self._shown

    __repr__ = __str__

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        request = self.encode_rpc_request(method, params)
        try:
            response = self.decode_rpc_response(self._make_request(method, request))
        except requests.Timeout:
            raise ChainError(
                f"the Ethereum node at {self._shown} did not answer within {self._timeout:g} s: "
                "check that it runs and that the address is right"
            ) from None
        except requests.HTTPError as error:
            raise ChainError(
                f"the Ethereum node at {self._shown} answered with HTTP status {error.response.status_code} "
                f"({error.response.reason}): check the address and the access it needs"
            ) from None
        except requests.RequestException:
            raise ChainError(
                f"cannot reach an Ethereum node at {self._shown}: check that it runs and that the address is right"
            ) from None
        except (JSONDecodeError, UnicodeDecodeError):
            raise self._no_node() from None
        if not isinstance(response, dict) or response.get("jsonrpc") != "2.0":
            raise self._no_node()
        return response

    def _no_node(self) -> ChainError:
        return ChainError(
            f"{self._shown} answers, but not as an Ethereum node does: give the address of a node's JSON-RPC interface"
        )


def _shown(rpc: str) -> str:
    url = urlsplit(rpc)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return f"{url.scheme}://{host}" + (f":{url.port}" if url.port else "")


def _check_address(rpc: str) -> None:
    try:
        url = urlsplit(rpc)
        scheme, complete = url.scheme, bool(url.hostname) and url.port != 0
    except ValueError:
        scheme, complete = "", False
    if scheme in ("ws", "wss", "ipc") or rpc.endswith(".ipc"):
        raise ChainError(
            "WebSocket and IPC are not supported: give the address of the node's HTTP interface, http://HOST:PORT"
        )
    if scheme not in ("http", "https") or not complete:
        raise ChainError(
            "the node's address must be http://HOST:PORT or https://HOST; for example http://127.0.0.1:8545"
        )


def connect(rpc: str, timeout: float = 10, chain_id: int | None = None) -> Web3:
    """Connects to the node at the HTTP address `rpc`.

    `timeout` in seconds bounds every request. Raises ChainError where no node answers, or where it is not on the chain
    `chain_id`.
    """
    _check_address(rpc)
    node = _Node(rpc, timeout)
    # A contract could otherwise make this machine send requests to addresses of its choice (EIP-3668).
    node.global_ccip_read_enabled = False
    web3 = Web3(node)
    # It asks for the chain's id twice with every call.
    web3.middleware_onion.remove("validation")
    # Without it web3 refuses the blocks of chains with proof of authority.
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    with node_errors("name its chain"):
        actual = web3.eth.chain_id
    if chain_id is not None and actual != chain_id:
        raise ChainError(f"the node at {node} is on chain {actual}; chain {chain_id} was expected")
    return web3


@contextmanager
def node_errors(doing: str, at: Block | None = None) -> Iterator[None]:
    """Turns what web3 raises inside into a `ChainError` or `Reverted` that says what the node was `doing`, and at which
    block."""
    try:
        yield
    except ContractLogicError as error:
        raise revert_of(error) from None
    except (Web3Exception, ValueError, TypeError, OverflowError) as error:
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
    return str(error)
