"""Calls and transactions without brownie's books, traces and snapshots: twenty times as fast, for long searches."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import brownie
from brownie.network.contract import ProjectContract
from eth_utils import abi_to_signature, function_signature_to_4byte_selector

from .helpers import ZERO_ADDRESS

GAS = hex(10_000_000)


class Refused(Exception):
    """The contract reverts; the message is the name of its error."""


class Node:
    """The development chain, and its clock: time stands still but where somebody moves it."""

    def __init__(self) -> None:
        address = urllib.parse.urlsplit(brownie.web3.provider.endpoint_uri)
        self._connection = http.client.HTTPConnection(address.hostname, address.port)
        self.now = int(brownie.chain[-1].timestamp)

    def move_to(self, moment: int) -> None:
        self.request("evm_mine", moment)
        self.now = moment

    def request(self, method: str, *parameters: Any) -> Any:
        response = self.ask(method, *parameters)
        assert "error" not in response, response["error"]
        return response["result"]

    def latest_hash(self) -> bytes:
        return bytes.fromhex(self.request("eth_getBlockByNumber", "latest", False)["hash"][2:])

    def ask(self, method: str, *parameters: Any) -> dict[str, Any]:
        """The response: a result or an error."""
        question = {"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters}
        self._connection.request("POST", "/", json.dumps(question), {"Content-Type": "application/json"})
        return json.loads(self._connection.getresponse().read())

    @contextlib.contextmanager
    def imagined(self) -> Iterator[None]:
        """What happens within has not happened afterwards."""
        snapshot, moment = self.request("evm_snapshot"), self.now
        try:
            yield
        finally:
            self.request("evm_revert", snapshot)
            self.now = moment


class Direct:
    """One contract, spoken to directly."""

    def __init__(self, contract: ProjectContract, node: Node) -> None:
        self.address = str(contract)
        self._contract = contract
        self._node = node
        self._errors = {
            function_signature_to_4byte_selector(abi_to_signature(entry)): entry["name"]
            for entry in contract.abi
            if entry["type"] == "error"
        }

    def call(self, function: str, *arguments: Any, sender: Any = ZERO_ADDRESS, value: int = 0) -> Any:
        """What the function returns at this time. Raises Refused."""
        return self._simulate(function, self._transaction(function, arguments, sender, value))

    def send(self, function: str, *arguments: Any, sender: Any, value: int = 0) -> Any:
        """Sends what is not refused, and returns what it returns. Raises Refused."""
        transaction = self._transaction(function, arguments, sender, value)
        returned = self._simulate(function, transaction)
        self._node.request("evm_setNextBlockTimestamp", self._node.now)
        hash = self._node.request("eth_sendTransaction", transaction)
        while (receipt := self._node.request("eth_getTransactionReceipt", hash)) is None:
            time.sleep(0.001)  # anvil answers a moment before it has mined
        assert int(receipt["status"], 16) == 1, function
        return returned

    def _transaction(self, function: str, arguments: tuple[Any, ...], sender: Any, value: int) -> dict[str, str]:
        data = getattr(self._contract, function).encode_input(*arguments)
        return {
            "from": str(sender),
            "to": self.address,
            "data": data,
            "value": hex(value),
            "gas": GAS,
            "gasPrice": "0x0",
        }

    def _simulate(self, function: str, transaction: dict[str, str]) -> Any:
        response = self._node.ask("eth_call", transaction, "latest")
        if "error" in response:
            data = response["error"].get("data", "0x")
            raise Refused(self._errors.get(bytes.fromhex(data[2:10]), f"{response['error']['message']}: {data}"))
        returned = response["result"]
        return None if returned == "0x" else getattr(self._contract, function).decode_output(returned)
