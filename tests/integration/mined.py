"""A development node that mines by itself does so a moment after it has answered: tests that drive daemons by hand look
again once it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from web3 import Web3
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint, RPCResponse

PATIENCE = 2.0
"""Seconds; a transaction that pays too little for its block stays out of one."""


class Mined(Web3Middleware):
    """Returns from sending a transaction once it is in a block, where the node mines whatever it is sent."""

    def wrap_make_request(self, make_request: Callable[[RPCEndpoint, Any], RPCResponse]) -> Any:
        def ask(method: str, *params: Any) -> Any:
            return make_request(RPCEndpoint(method), list(params)).get("result")

        def middleware(method: RPCEndpoint, params: Any) -> RPCResponse:
            answer = make_request(method, params)
            sent: Any = answer.get("result")
            if method == "eth_sendRawTransaction" and isinstance(sent, str) and ask("anvil_getAutomine"):
                until = time.monotonic() + PATIENCE
                while time.monotonic() < until and ask("eth_getTransactionReceipt", sent) is None:
                    time.sleep(0.005)
            return answer

        return middleware


def mining_at_once(web3: Web3) -> Web3:
    if Mined not in web3.middleware_onion:
        web3.middleware_onion.add(Mined)
    return web3
