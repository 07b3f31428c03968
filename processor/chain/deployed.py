"""A contract at an address: what its views give, in the words of `processor.types`, and who made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi.exceptions import DecodingError
from eth_utils.abi import get_abi_output_types
from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.exceptions import BadFunctionCallOutput, Web3Exception

from processor.chain import contracts, genuine, together
from processor.chain.blocks import latest_block
from processor.chain.contracts import to_address
from processor.chain.provider import block_named, call_at, node_errors
from processor.chain.transactions import Call
from processor.cid import cid_from_digest
from processor.errors import ChainError, WrongAddress
from processor.types import (
    Address,
    Admission,
    AuditPolicy,
    Block,
    ClientView,
    FederationTerms,
    Phase,
    Release,
    RoundView,
    UpdateView,
)

_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (Admission, AuditPolicy, ClientView, FederationTerms, Phase, Release, RoundView, UpdateView)
}


class Deployed:
    """Encoding, decoding and errors, for the classes of single contracts. Every read raises ChainError.

    `head` is the latest block as `block` gave it last, None before.
    """

    def __init__(self, web3: Web3, address: str, artifact: str) -> None:
        self.address: Address = to_address(address)
        self.web3 = web3
        self.head: Block | None = None
        self._artifact = artifact
        self._contract = web3.eth.contract(address=Web3.to_checksum_address(address), abi=contracts.load(artifact).abi)
        with node_errors("name its chain"):
            self.chain_id: int = web3.eth.chain_id

    def block(self) -> Block:
        """The latest block."""
        self.head = latest_block(self.web3)
        return self.head

    @property
    def _place(self) -> str:
        return f"{self.address} on chain {self.chain_id}"

    def _code(self, address: Address, at: Block | None = None) -> bytes:
        with node_errors("read a contract", at):
            return bytes(self.web3.eth.get_code(Web3.to_checksum_address(address), block_named(at)))

    def _existing_code(self) -> bytes:
        code = self._code(self.address)
        if not code:
            raise WrongAddress(f"there is no contract at {self._place}: check the address and the node")
        return code

    def _maker_of(self, federation: Address, at: Block | None = None) -> Address | None:
        """The factory that made the contract at `federation`, by nobody's word; None where that is not genuine."""
        code = self._code(federation, at)
        clone = genuine.clone_in(code)
        if clone is None:
            return None
        shared = self._code(clone.implementation, at)
        factory = genuine.maker_named_in(shared, clone.implementation)
        if factory is None:
            return None
        return genuine.maker_of(federation, code, shared, self._code(factory, at))

    def _read(self, name: str, *arguments: Any, at: Block | None = None) -> Any:
        """What a view gives: one value, or a list of several."""
        function = self._function(name, *arguments)
        with node_errors(f"read {name}", at):
            try:
                values = call_at(function, at)
            except BadFunctionCallOutput:
                when = "now" if at is None else f"at block {at.number}"
                raise ChainError(
                    f"there is no contract at {self.address} {when} that answers {name}: it was deployed later, or the "
                    "node is not synchronized"
                ) from None
            outputs = function.abi["outputs"]
            if len(outputs) == 1:
                return _typed(outputs[0], values)
            return [_typed(output, value) for output, value in zip(outputs, values, strict=True)]

    def _read_each(self, reads: Sequence[tuple[Any, ...]], at: Block) -> list[Any]:
        """What views give that answer with a fixed number of numbers and flags, each as (name, *arguments): in pages of
        one request. A node that does not answer several at once is asked one by one."""
        found: list[Any] = []
        for start in range(0, len(reads), together.MOST):
            page = reads[start : start + together.MOST]
            try:
                found += self._read_together(page, at)
            except ChainError:
                found += [self._read(*read, at=at) for read in page]
        return found

    def _read_together(self, reads: Sequence[tuple[Any, ...]], at: Block) -> list[Any]:
        functions = [self._function(*read) for read in reads]
        calls = [Web3.to_bytes(hexstr=self._contract.encode_abi(name, arguments)) for name, *arguments in reads]
        answers = together.ask(self.web3, self.address, calls, at)
        try:
            return [
                _decoded(self.web3, function.abi, answer) for function, answer in zip(functions, answers, strict=True)
            ]
        except DecodingError as error:
            raise ChainError(f"the node answered several questions with something else: {error}") from None

    def _function(self, name: str, *arguments: Any) -> ContractFunction:
        try:
            return self._contract.get_function_by_name(name)(*arguments)
        except (Web3Exception, ValueError, TypeError):
            raise ChainError(f"cannot read {name}: a value is negative or larger than the contract can hold") from None

    def _call(self, name: str, *arguments: Any, description: str, value: int = 0) -> Call:
        return Call(self.address, contracts.encode(self._artifact, name, *arguments), value, description)


def _decoded(web3: Web3, abi: Any, answer: bytes) -> Any:
    """What a view gives, as `_read` does, from the bytes of its answer. Addresses are not checksummed."""
    values = web3.codec.decode(get_abi_output_types(abi), answer)
    outputs = abi["outputs"]
    typed = [_typed(output, value) for output, value in zip(outputs, values, strict=True)]
    return typed[0] if len(outputs) == 1 else typed


def _typed(output: Any, value: Any) -> Any:
    """A decoded value as `processor.types` has it: its dataclasses carry the fields of the ABI's structs in order.

    Raises ValueError for a number that an enum does not have.
    """
    internal = output.get("internalType", "")
    if internal.endswith("[]"):
        element = {**output, "type": output["type"][:-2], "internalType": internal[:-2]}
        return [_typed(element, item) for item in value]
    kind = _TYPES.get(internal.rpartition(".")[2])
    if internal.startswith("struct ") and kind is not None:
        return kind(*(_typed(component, item) for component, item in zip(output["components"], value, strict=True)))
    if internal.startswith("enum ") and kind is not None:
        return kind(value)
    return cid_from_digest(value) if output["name"].endswith("Cid") else value
