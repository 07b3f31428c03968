"""A negative number is said to be one, and not taken for an option that does not exist."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tests.unit.cli.command_lines import ROOT


@pytest.mark.parametrize("words", [["organization", "fund"], ["organization", "pay"], ["organization", "fund", "1"]])
@pytest.mark.parametrize("number", ["-5", "-0.5", "-.5", "-1e18", "-0.5 ETH"])
def test_a_negative_number_is_refused_as_that(words: list[str], number: str) -> None:
    result = CliRunner().invoke(ROOT, [*words, number])
    assert result.exit_code == 2
    assert f"{number} is negative: expected a number of 0 or more" in result.output
    assert "No such option" not in result.output


def test_an_option_that_does_not_exist_is_still_that() -> None:
    result = CliRunner().invoke(ROOT, ["organization", "fund", "--bogus", "-5"])
    assert result.exit_code == 2 and "No such option: --bogus" in result.output
