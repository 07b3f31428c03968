"""Many reads of one contract in one request, for what comes in pages.

A node executes the data of an `eth_call` without a recipient as creation code, and answers with what that returns. The
code here makes one call after the other and returns all answers, so nothing has to be deployed for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from web3 import Web3

from processor.chain.provider import block_named, node_errors
from processor.errors import ChainError
from processor.types import Address, Block

MOST = 64
"""Calls in one request: a node refuses creation code above 48 KiB (EIP-3860), and an answer above 24 KiB (EIP-170)."""

_WORD = 32
_HEADER = 2 * _WORD  # before every answer: whether the call succeeded, and how many bytes follow

# Opcodes, as the yellow paper names them.
_SUB, _ADD, _CODECOPY, _RETURNDATASIZE, _RETURNDATACOPY = 0x03, 0x01, 0x39, 0x3D, 0x3E
_MSTORE, _GAS, _RETURN, _STATICCALL = 0x52, 0x5A, 0xF3, 0xFA
_PUSH1, _DUP2, _DUP3, _SWAP1 = 0x60, 0x81, 0x82, 0x90


def ask(web3: Web3, to: Address, calls: Sequence[bytes], at: Block | None) -> list[bytes]:
    """What the contract answers to each of at most `MOST` calls.

    Raises ChainError where the node does not answer, answers with something else, or a call is reverted.
    """
    code = "0x" + program(to, calls).hex()
    with node_errors("answer several questions at once", at):
        found = bytes(web3.eth.call({"data": code}, block_named(at)))  # type: ignore[typeddict-item]
    return answers_in(found, len(calls))


def program(to: Address, calls: Sequence[bytes]) -> bytes:
    """Creation code that makes the calls in order and returns their answers. One place of the stack has the address in
    memory at which the next answer goes; the data of a call lies below all of them, and after the code."""
    room = -(-max((len(call) for call in calls), default=0) // _WORD) * _WORD
    target = bytes.fromhex(to.removeprefix("0x"))
    codes = [_one(target, len(call), 0) for call in calls]
    end = _push(room, 2) + bytes([_SWAP1, _SUB]) + _push(room, 2) + bytes([_RETURN])
    place = len(_push(room, 2)) + sum(map(len, codes)) + len(end)
    code = _push(room, 2)
    for call in calls:
        code += _one(target, len(call), place)
        place += len(call)
    return code + end + b"".join(calls)


def answers_in(data: bytes, count: int) -> list[bytes]:
    """The answers of so many calls. Raises ChainError for anything else, and where a call did not succeed."""
    found = []
    while data:
        succeeded, size = (int.from_bytes(data[start : start + _WORD]) for start in (0, _WORD))
        if succeeded != 1 or len(data) < _HEADER + size:
            break
        found.append(data[_HEADER : _HEADER + size])
        data = data[_HEADER + size :]
    if data or len(found) != count:
        raise ChainError(f"the node answered {len(found)} of {count} questions that were asked at once")
    return found


def _one(to: bytes, size: int, place: int) -> bytes:
    """Copies a call's data to the start of memory, makes the call, and writes success, size and answer."""
    return b"".join(
        [
            _push(size, 2) + _push(place, 3) + _push(0, 1) + bytes([_CODECOPY]),
            _push(0, 1) * 2 + _push(size, 2) + _push(0, 1) + bytes([_PUSH1 + len(to) - 1]) + to,
            bytes([_GAS, _STATICCALL]),
            bytes([_DUP2, _MSTORE]),
            bytes([_RETURNDATASIZE, _DUP2]) + _push(_WORD, 1) + bytes([_ADD, _MSTORE]),
            bytes([_RETURNDATASIZE]) + _push(0, 1),
            bytes([_DUP3]) + _push(_HEADER, 1) + bytes([_ADD, _RETURNDATACOPY]),
            bytes([_RETURNDATASIZE, _ADD]) + _push(_HEADER, 1) + bytes([_ADD]),
        ]
    )


def _push(value: int, size: int) -> bytes:
    return bytes([_PUSH1 + size - 1]) + value.to_bytes(size, "big")
