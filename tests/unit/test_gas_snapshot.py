"""Figures of gas against the figures that are kept."""

from __future__ import annotations

import json
from pathlib import Path

from tools.gas import AFTER, KEPT, TODAY, differences, read_figures, table


def test_figures_are_named_by_their_group(tmp_path: Path) -> None:
    (tmp_path / "native.json").write_text(json.dumps({"claim": "42", "register": "7"}))
    (tmp_path / "token.json").write_text(json.dumps({"claim": "51"}))
    assert read_figures(tmp_path) == {"native: claim": 42, "native: register": 7, "token: claim": 51}


def test_a_transaction_is_one_line_of_two_prices() -> None:
    figures = {"native: leave: after the fork": 89_136, "native: leave: today": 69_120}
    assert [line.split() for line in table(figures)] == [["today", "after"], ["native:", "leave", "69,120", "89,136"]]


def test_what_is_kept_has_both_prices() -> None:
    kept = read_figures(KEPT)
    today = {name.removesuffix(TODAY) for name in kept if name.endswith(TODAY)}
    assert len(today) > 40
    assert kept.keys() == {name + price for name in today for price in (TODAY, AFTER)}


def test_every_figure_that_is_not_what_it_was_is_told() -> None:
    kept = {"claim": 1000, "leave": 500, "open": 9, "same": 1}
    measured = {"claim": 1010, "leave": 400, "submit": 88_000, "same": 1}
    assert list(differences(kept, measured)) == [
        "claim: 1,010 gas, 10 more than before",
        "leave: 400 gas, 100 less than before",
        "open: not measured, was 9 gas",
        "submit: 88,000 gas, of which snapshots/ knows nothing",
    ]


def test_the_same_figures_need_nothing() -> None:
    assert list(differences({"claim": 1}, {"claim": 1})) == []
