"""JSON-RPC as a node speaks it: questions and answers as bytes, and what is wrong with an answer in words.

What a node sends is a stranger's: an answer is bounded in bytes and in values before anything is built of it, so that
reading it takes less than a second and 200 MB whatever it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from web3._utils.encoding import FriendlyJsonSerde, Web3JsonEncoder
from web3.types import RPCResponse

from processor.errors import ChainError, Interrupted, KoinonError
from processor.exchange import ExchangeError, Reason

LARGEST_ANSWER = 4 * 2**20
"""Bytes: the logs of many blocks are long, and are asked for in shorter ranges where they are longer than this."""

MOST_VALUES = 1 << 17
"""JSON values in an answer: each takes up to a hundred times the memory of its text."""

DEEPEST = 32
"""Levels of lists and objects in an answer: what reads it further on goes down level by level."""

AROUND = 2**18
"""Bytes that may come with an answer, and are none of it: headers, framing, news."""

_BUSY = (429, 500, 502, 503, 504)  # HTTP statuses of a node that works, but not now
_WHITE = re.compile(r"[ \t\r\n]+")


class NoAnswer(ChainError):
    """The node was not reached, or what it said is no answer.

    `busy` where the same may work in a moment, `too_much` where it may work for a question with a shorter answer.
    """

    def __init__(self, message: str, *, busy: bool = False, too_much: bool = False) -> None:
        super().__init__(message)
        self.busy = busy
        self.too_much = too_much


def encode(id: int, method: str, params: Any) -> bytes:
    """The bytes of a question."""
    request = {"jsonrpc": "2.0", "method": method, "params": params or [], "id": id}
    return FriendlyJsonSerde().json_encode(request, Web3JsonEncoder).encode()


def decode(answer: bytes | bytearray, name: str) -> RPCResponse:
    """The answer that all of the bytes are. Raises NoAnswer, with the `name` of the node."""
    _bound(answer, name)
    try:
        return _checked(json.loads(answer.decode()), name)
    except (ValueError, RecursionError):
        raise no_node(name) from None


def decode_several(answers: bytearray, name: str) -> Iterator[RPCResponse]:
    """The answers that the bytes are, one after the other. Raises NoAnswer, and ValueError where the last is not
    complete."""
    _bound(answers, name)
    decoder = json.JSONDecoder()
    try:
        text = answers.decode()
        place = _space(text, 0)
        while place < len(text):
            document, end = decoder.raw_decode(text, place)
            yield _checked(document, name)
            place = _space(text, end)
    except RecursionError:
        raise no_node(name) from None


def answers_to(id: int, answer: RPCResponse) -> bool:
    """Whether an answer is that to the request `id`: not one that came too late for its own, nor news. A node that
    cannot read a request refuses it without its id; some spell it as a text."""
    found: Any = answer.get("id")
    return found == id or found == str(id) or (found is None and "error" in answer)


def _space(text: str, place: int) -> int:
    """Where the white space ends that begins at a place of a text, if any does."""
    found = _WHITE.match(text, place)
    return place if found is None else found.end()


def _bound(answer: bytes | bytearray, name: str) -> None:
    # Every value but the outermost comes after one of these, so that nothing is built of what has too many.
    if len(answer) > LARGEST_ANSWER or sum(map(answer.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise too_large(name)


def _checked(answer: Any, name: str) -> RPCResponse:
    if not isinstance(answer, dict) or answer.get("jsonrpc") != "2.0" or _is_deep(answer):
        raise no_node(name)
    if answer.get("error") is None:
        answer.pop("error", None)  # some nodes name an error that there is not
    elif not isinstance(answer["error"], dict):
        raise no_node(name)
    return answer  # type: ignore[return-value]


def _is_deep(answer: dict[str, Any]) -> bool:
    level: list[Any] = [answer]
    for _ in range(DEEPEST):
        objects = [part for part in level if isinstance(part, dict)]
        lists = [part for part in level if isinstance(part, list)]
        level = [value for part in objects for value in part.values()] + [value for part in lists for value in part]
        if not level:
            return False
    return True


# ----------------------------------------------------------------------------------------------------- what went wrong


def trouble(error: ExchangeError, name: str, timeout: float) -> KoinonError:
    """What an exchange with a node came to: Interrupted where we were asked to stop, else NoAnswer."""
    match error.reason:
        case Reason.STOPPED:
            return Interrupted(f"stopped while the Ethereum node at {name} was asked")
        case Reason.LATE:
            return late(name, timeout)
        case Reason.TOO_MUCH:
            return too_large(name)
        case Reason.BROKEN:
            return NoAnswer(
                f"the Ethereum node at {name} broke off, or sent what cannot be understood: check that the address is "
                "that of a node's JSON-RPC interface"
            )
    return NoAnswer(
        f"cannot reach an Ethereum node at {name}: {error}; check that it runs and that the address is right"
    )


def status_refused(name: str, status: int, words: str = "") -> NoAnswer:
    """What a node that answers with another HTTP status than it should."""
    said = f" ({words})" if words else ""
    if 300 <= status < 400:
        return NoAnswer(
            f"the Ethereum node at {name} sends us on to another address, with HTTP status {status}{said}: give the "
            "address that it leads to, if you trust it"
        )
    return NoAnswer(
        f"the Ethereum node at {name} answered with HTTP status {status}{said}: check the address and the access it "
        "needs",
        busy=status in _BUSY,
    )


def no_node(name: str) -> NoAnswer:
    """What is at an address speaks another language."""
    return NoAnswer(
        f"{name} answers, but not as an Ethereum node does: give the address of a node's JSON-RPC interface"
    )


def late(name: str, timeout: float) -> NoAnswer:
    return NoAnswer(
        f"the Ethereum node at {name} did not answer within {timeout:g} s: "
        "check that it runs and that the address is right",
        too_much=True,
    )


def too_large(name: str) -> NoAnswer:
    return NoAnswer(
        f"the Ethereum node at {name} answered with more than {LARGEST_ANSWER} bytes, or {MOST_VALUES} values: ask for "
        "less at a time",
        too_much=True,
    )
