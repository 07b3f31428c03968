"""Several reads in one request: what comes back is taken apart exactly, and anything else is trouble with the node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.together import MOST, answers_in, program
from processor.errors import ChainError

CONTRACT = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"


def answered(*answers: bytes, succeeded: int = 1) -> bytes:
    return b"".join(succeeded.to_bytes(32) + len(answer).to_bytes(32) + answer for answer in answers)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_answers_come_back_as_they_were_given(answers: list[bytes]) -> None:
    assert answers_in(answered(*answers), len(answers)) == answers


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.data())
def test_an_answer_that_is_cut_off_is_trouble(answers: list[bytes], data: st.DataObject) -> None:
    whole = answered(*answers)
    with pytest.raises(ChainError, match="questions that were asked at once"):
        answers_in(whole[: data.draw(st.integers(0, len(whole) - 1))], len(answers))


@pytest.mark.parametrize("found", [answered(b"one"), answered(b"one", b"two", b"three"), answered(b"a", b"b") + b"\0"])
def test_another_number_of_answers_is_trouble(found: bytes) -> None:
    with pytest.raises(ChainError, match="of 2 questions"):
        answers_in(found, 2)


def test_a_call_that_was_reverted_is_trouble() -> None:
    with pytest.raises(ChainError, match="0 of 1 questions"):
        answers_in(answered(b"", succeeded=0), 1)


def test_as_many_calls_as_are_asked_at_once_fit_into_what_a_node_executes() -> None:
    calls = [bytes([number]) * 68 for number in range(MOST)]
    code = program(CONTRACT, calls)
    assert len(code) <= 49_152
    assert code.endswith(b"".join(calls))
    assert code.count(bytes.fromhex(CONTRACT[2:])) == MOST
