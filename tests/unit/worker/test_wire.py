"""What daemon, parent and children tell each other: lines that arrive whole, whatever arrives with them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.jobs.worker import Progress
from processor.worker.wire import (
    LINE,
    Alive,
    Begin,
    Begun,
    End,
    Ended,
    Lines,
    Logged,
    Message,
    Ready,
    alive,
    decode,
    encode,
)

RUN = st.integers(1, 2**31)
NAMES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=100)
LOSSES = st.none() | st.floats(allow_nan=False)
MESSAGES = st.one_of(
    st.builds(Begin, RUN, NAMES),
    st.builds(End, RUN),
    st.just(Ready()),
    st.builds(Begun, RUN, RUN),
    st.builds(Alive, RUN, RUN, RUN, LOSSES, RUN, RUN),
    st.builds(Logged, RUN, st.sampled_from(["info", "warning"]), NAMES, st.dictionaries(NAMES, NAMES, max_size=3)),
    st.builds(Ended, RUN, st.integers(-64, 255), NAMES),
)


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 200))
def test_messages_arrive_as_they_were_sent_in_whatever_pieces(messages: list[Message], size: int) -> None:
    data, lines = b"".join(map(encode, messages)), Lines()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [message for piece in pieces for message in lines.messages(piece)] == messages


@given(st.binary(max_size=200).map(lambda noise: noise.replace(b"\n", b" ")), MESSAGES)
def test_what_is_no_message_says_nothing_and_harms_no_other(noise: bytes, message: Message) -> None:
    assert list(Lines().messages(noise + b"\n" + encode(message))) == [message]


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=6000))
def test_of_what_a_process_said_the_end_is_told_in_a_line_that_fits(said: str) -> None:
    line = encode(Ended(1, -9, said))
    ended = decode(line)
    assert len(line) <= LINE
    assert isinstance(ended, Ended)
    assert said.endswith(ended.said)
    assert ended.said == said or len(line) > LINE // 4


def test_a_line_that_does_not_end_takes_no_more_memory() -> None:
    lines = Lines()
    for _ in range(100):
        assert list(lines.messages(b"x" * 65536)) == []
    assert len(lines._rest) <= 65536 + LINE
    assert list(lines.messages(b"\n" + encode(Ready()))) == [Ready()]


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match="expected 4096 at most"):
        encode(Begin(1, "x" * LINE))


@pytest.mark.parametrize(
    "value",
    [
        {"message": "Begin", "run": "1", "name": "x"},
        {"message": "Begin", "run": 1},
        {"message": "Begin", "run": True, "name": "x"},
        {"message": "Begin", "run": 1, "name": "x", "more": 1},
        {"message": "Unknown"},
        {},
        [],
        None,
    ],
)
def test_a_message_with_other_fields_is_none(value: object) -> None:
    assert decode(json.dumps(value).encode()) is None


def test_progress_comes_back() -> None:
    progress = Progress(7, 10, 0.25, 1200, 5)
    told = decode(encode(alive(3, progress)))
    assert isinstance(told, Alive)
    assert told.progress == progress


def test_a_loss_that_is_no_number_is_told_as_it_is() -> None:
    told = decode(encode(alive(3, Progress(loss=float("inf")))))
    assert isinstance(told, Alive)
    assert told.loss == float("inf")
