"""A person at a terminal is asked; where nobody is there, nothing that is piped in stands for a person."""

from __future__ import annotations

import io

import pytest

from processor.cli.asking import confirm
from processor.errors import KoinonError


class Typed(io.StringIO):
    """What stands for a terminal in which somebody types."""

    def isatty(self) -> bool:
        return True


class Interrupted(Typed):
    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        raise KeyboardInterrupt


def ask() -> None:
    confirm("Go on?", "nothing was sent", "--yes")


@pytest.mark.parametrize("answer", ["y\n", "Y\n", "yes\n"])
def test_yes_goes_on(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typed(answer))
    ask()


@pytest.mark.parametrize("stdin", [Typed("n\n"), Typed("\n"), Typed(""), Typed("what?\nn\n"), Interrupted()])
def test_every_other_answer_and_none_is_a_no_in_one_sentence(
    stdin: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(KoinonError) as refused:
        ask()
    assert str(refused.value) == "nothing was sent"
    assert capsys.readouterr().out == "", "a question is no result"


@pytest.mark.parametrize("stdin", [io.StringIO("y\n"), io.StringIO(""), None])
def test_without_a_terminal_nobody_is_asked_and_the_option_is_named(
    stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(KoinonError, match="nothing was sent: without a terminal .* To agree, give --yes$"):
        ask()
