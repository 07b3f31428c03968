"""Speaks with the development chain itself, without brownie's books, traces and threads.

brownie watches every transaction on a thread of its own, which asks for the sender's nonce and then for the receipt.
Where the block is mined and its receipt not indexed yet, as happens on a busy machine, the nonce has moved and the
receipt is missing: "Tx dropped without known replacement". Here a receipt is asked for until it is there.

Time stands still but where a test moves it: what a test sees does not depend on how fast it runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import brownie
import eth_abi
import eth_account
from eth_utils import keccak, to_checksum_address

PATIENCE = 120  # seconds for a receipt: for ever, on any machine that still moves
GAS = hex(11_000_000)  # below brownie's block


class Refused(Exception):
    """The contract reverts. `error` is the name of its error, `values` are what comes with it."""

    def __init__(self, error: str, values: tuple[Any, ...] = ()) -> None:
        super().__init__(f"{error}: {', '.join(map(str, values))}")
        self.error = error
        self.values = values


class Chain:
    """The development chain that brownie started, and its clock."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self.now = 0  # the time of the latest block, and of the next

    def connect(self) -> None:
        address = urllib.parse.urlsplit(brownie.web3.provider.endpoint_uri)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
        self.request("anvil_setBlockTimestampInterval", 0)
        self.request("anvil_autoImpersonateAccount", True)
        self.now = int(self.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def ask(self, method: str, *parameters: Any) -> dict[str, Any]:
        """The response: a result or an error."""
        assert self._connection
        question = {"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters}
        self._connection.request("POST", "/", json.dumps(question), {"Content-Type": "application/json"})
        response: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return response

    def request(self, method: str, *parameters: Any) -> Any:
        response = self.ask(method, *parameters)
        assert "error" not in response, response["error"]
        return response["result"]

    def move_to(self, moment: int) -> None:
        """Views see this time, and the next transaction happens at it."""
        self.request("evm_mine", moment)
        self.now = moment

    @contextlib.contextmanager
    def imagined(self) -> Iterator[None]:
        """What happens within has not happened afterwards."""
        snapshot, moment = self.request("evm_snapshot"), self.now
        try:
            yield
        finally:
            self.request("evm_revert", snapshot)
            self.now = moment

    def call(self, transaction: Mapping[str, str]) -> bytes:
        """What the transaction would return now. Raises Refused."""
        response = self.ask("eth_call", transaction, "latest")
        if "error" in response:
            data = bytes.fromhex((response["error"].get("data") or "0x").removeprefix("0x"))
            abi = _errors().get(data[:4])
            if abi is None:
                raise Refused("0x" + data[:4].hex())
            raise Refused(abi["name"], tuple(_decode(abi["inputs"], data[4:])))
        return bytes.fromhex(response["result"].removeprefix("0x"))

    def send(self, transaction: Mapping[str, str]) -> Transaction:
        """Sends what is not refused. Raises Refused."""
        returned = self.call(transaction)
        hash, until = self.request("eth_sendTransaction", transaction), time.monotonic() + PATIENCE
        while (receipt := self.request("eth_getTransactionReceipt", hash)) is None:
            assert time.monotonic() < until, f"transaction {hash} is in no block"
            time.sleep(0.0005)
        assert int(receipt["status"], 16) == 1, f"transaction {hash} was refused, and its call was not"
        return Transaction(returned, receipt, self.now)

    def balance_of(self, holder: Any) -> int:
        return int(self.request("eth_getBalance", str(holder), "latest"), 16)

    def set_balance(self, holder: Any, amount: int) -> None:
        self.request("anvil_setBalance", str(holder), hex(amount))


CHAIN = Chain()


class Struct(tuple[Any, ...]):
    """A struct of the contract: a tuple, whose fields have names."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str], values: Sequence[Any]) -> Struct:
        struct = cls(values)
        struct.names = tuple(names)
        return struct

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)

    def dict(self) -> dict[str, Any]:
        return dict(zip(self.names, self, strict=True))


class Person(str):
    """The address of somebody whose key the tests have."""

    key: bytes

    @classmethod
    @functools.cache
    def named(cls, name: str) -> Person:
        account = eth_account.Account.from_key(keccak(text=f"key of {name}"))
        person = cls(account.address)
        person.key = bytes(account.key)
        return person

    def balance(self) -> int:
        return CHAIN.balance_of(self)


@dataclasses.dataclass(frozen=True)
class Transaction:
    returned: bytes
    receipt: dict[str, Any]
    timestamp: int
    outputs: Sequence[dict[str, Any]] = ()

    @property
    def gas_used(self) -> int:
        return int(self.receipt["gasUsed"], 16)

    @property
    def return_value(self) -> Any:
        return _decode_outputs(self.outputs, self.returned)

    @functools.cached_property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Names and values, in their order."""
        return [_decode_event(log) for log in self.receipt["logs"]]

    def all(self, name: str) -> list[dict[str, Any]]:
        return [values for event, values in self.events if event == name]

    def event(self, name: str) -> dict[str, Any]:
        """The only event of that name."""
        (values,) = self.all(name)
        return values


class Contract:
    """A contract whose functions are called as brownie's: `federation.leave(to, {"from": client})`."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind = kind
        self.address = to_checksum_address(address)

    def __str__(self) -> str:
        return str(self.address)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.address}>"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(self.address)

    def __getattr__(self, name: str) -> Function:
        abi = _functions(self.kind).get(name)
        if abi is None:
            raise AttributeError(f"{self.kind} has no function {name}")
        return Function(self.address, abi)

    def balance(self) -> int:
        return CHAIN.balance_of(self)

    def code(self) -> bytes:
        return bytes.fromhex(CHAIN.request("eth_getCode", self.address, "latest")[2:])


@dataclasses.dataclass(frozen=True)
class Function:
    address: str
    abi: dict[str, Any]

    def __call__(self, *arguments: Any) -> Any:
        """A transaction where the last argument says who sends it, or a view."""
        if arguments and isinstance(arguments[-1], dict):
            return self.send(*arguments)
        assert self.abi["stateMutability"] in ("view", "pure"), f"{self.abi['name']}: nobody sends it"
        return self.call(*arguments)

    def call(self, *arguments: Any) -> Any:
        """What it would return; `{"from": ...}` may come last."""
        return _decode_outputs(self.abi["outputs"], CHAIN.call(self._transaction(arguments)))

    def send(self, *arguments: Any) -> Transaction:
        sent = CHAIN.send(self._transaction(arguments))
        return dataclasses.replace(sent, outputs=self.abi["outputs"])

    def encode_input(self, *arguments: Any) -> str:
        return "0x" + (_selector(self.abi) + _encode(self.abi["inputs"], arguments)).hex()

    def _transaction(self, arguments: tuple[Any, ...]) -> dict[str, str]:
        means: dict[str, Any] = {}
        if arguments and isinstance(arguments[-1], dict):
            *rest, means = arguments
            arguments = tuple(rest)
        return {
            "from": str(means.get("from", "0x" + "0" * 40)),
            "to": self.address,
            "data": self.encode_input(*arguments),
            "value": hex(means.get("value", 0)),
            "gas": GAS,
            "gasPrice": "0x0",
        }


def deploy(kind: str, *arguments: Any) -> Contract:
    """Makes a contract; who deploys it comes last."""
    *values, means = arguments
    build = _build(kind)
    inputs = next((entry["inputs"] for entry in build["abi"] if entry["type"] == "constructor"), [])
    data = "0x" + build["bytecode"].removeprefix("0x") + _encode(inputs, tuple(values)).hex()
    sent = CHAIN.send({"from": str(means["from"]), "data": data, "gas": GAS, "gasPrice": "0x0"})
    return Contract(kind, sent.receipt["contractAddress"])


# ----------------------------------------------------------------------------------------------------------- ABI


@functools.cache
def _build(kind: str) -> dict[str, Any]:
    (project,) = brownie.project.get_loaded_projects()
    build: dict[str, Any] = project[kind]._build
    return build


@functools.cache
def _functions(kind: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in _build(kind)["abi"] if entry["type"] == "function"}


@functools.cache
def _all(type: str) -> list[dict[str, Any]]:
    (project,) = brownie.project.get_loaded_projects()
    return [entry for container in project for entry in container.abi if entry["type"] == type]


@functools.cache
def _errors() -> dict[bytes, dict[str, Any]]:
    known = {_selector(entry): entry for entry in _all("error")}
    for name, type in (("Error", "string"), ("Panic", "uint256")):
        entry = {"name": name, "inputs": [{"name": "reason", "type": type}]}
        known[_selector(entry)] = entry
    return known


@functools.cache
def _events() -> dict[str, dict[str, Any]]:
    return {"0x" + keccak(text=_signature(entry)).hex(): entry for entry in _all("event")}


def _signature(abi: Mapping[str, Any]) -> str:
    return f"{abi['name']}({','.join(_type(entry) for entry in abi['inputs'])})"


def _selector(abi: Mapping[str, Any]) -> bytes:
    return keccak(text=_signature(abi))[:4]


def _type(entry: Mapping[str, Any]) -> str:
    """Structs as tuples: `(uint24,bytes32)[]`."""
    type: str = entry["type"]
    if not type.startswith("tuple"):
        return type
    return f"({','.join(_type(component) for component in entry['components'])}){type.removeprefix('tuple')}"


def _encode(inputs: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> bytes:
    prepared = [_prepared(entry, value) for entry, value in zip(inputs, values, strict=True)]
    encoded: bytes = eth_abi.encode([_type(entry) for entry in inputs], prepared)
    return encoded


def _prepared(entry: Mapping[str, Any], value: Any) -> Any:
    type: str = entry["type"]
    if type.endswith("[]"):
        element = {**entry, "type": type[:-2]}
        return [_prepared(element, item) for item in value]
    if type == "tuple":
        return [_prepared(component, item) for component, item in zip(entry["components"], value, strict=True)]
    if type == "address":
        return str(value)
    if type.startswith("bytes") and isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x"))
    return value


def _decode(outputs: Sequence[Mapping[str, Any]], data: bytes) -> list[Any]:
    values = eth_abi.decode([_type(entry) for entry in outputs], data)
    return [_named(entry, value) for entry, value in zip(outputs, values, strict=True)]


def _decode_outputs(outputs: Sequence[Mapping[str, Any]], data: bytes) -> Any:
    if not outputs:
        return None
    values = _decode(outputs, data)
    return values[0] if len(values) == 1 else Struct.of([entry["name"] for entry in outputs], values)


def _named(entry: Mapping[str, Any], value: Any) -> Any:
    type: str = entry["type"]
    if type.endswith("[]"):
        element = {**entry, "type": type[:-2]}
        return [_named(element, item) for item in value]
    if type == "tuple":
        components = entry["components"]
        values = [_named(component, item) for component, item in zip(components, value, strict=True)]
        return Struct.of([component["name"] for component in components], values)
    if type == "address":
        return to_checksum_address(value)
    if type.startswith("bytes"):
        return "0x" + value.hex()
    return value


def _decode_event(log: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    abi = _events()[log["topics"][0]]
    topics = iter(log["topics"][1:])
    rest = [entry for entry in abi["inputs"] if not entry["indexed"]]
    plain = iter(_decode(rest, bytes.fromhex(log["data"][2:])))
    values = {
        entry["name"]: _decode([entry], bytes.fromhex(next(topics)[2:]))[0] if entry["indexed"] else next(plain)
        for entry in abi["inputs"]
    }
    return abi["name"], values
