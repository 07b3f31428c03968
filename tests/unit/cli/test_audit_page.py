"""What `koinon audit` prints: violations and what is not proved are told apart, and what nobody knows is no number."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from processor.chain.asset import Asset
from processor.cli.audit_page import as_json, as_text
from processor.protocol.audit import Audit, Lowered, PlanChange, RoundAudit, Stop, Unproved, Violation
from processor.types import ZERO_ADDRESS, Phase
from tests.unit.artifacts.examples import CID, CLIENTS, FEDERATION

KNOWN = RoundAudit(
    round=1,
    phase=Phase.FINALIZED,
    updates=3,
    rejected=1,
    metric=0.875,
    measured=None,
    stop=None,
    pool=2 * 10**18,
    paid=10**18,
    carried=5 * 10**17,
    forfeited=25 * 10**16,
    lowered=(Lowered(CLIENTS[0], 900, 0, 2_500, "norm"),),
    versions={"koinon": "0.1.0"},
    change=None,
    checks=40,
    proved=True,
    recomputed=True,
)
UNKNOWN = RoundAudit(
    round=2,
    phase=None,
    updates=None,
    rejected=None,
    metric=None,
    measured=None,
    stop=None,
    pool=None,
    paid=None,
    carried=None,
    forfeited=None,
    lowered=(),
    versions={},
    change=None,
    checks=0,
    proved=False,
    recomputed=False,
)
RESULT = Audit(
    federation=FEDERATION,
    chain_id=31337,
    block=77,
    asset=Asset(ZERO_ADDRESS, "ETH", 18),
    rounds=(KNOWN, UNKNOWN),
    checks=41,
    violations=(Violation(1, "model in the report", "one", "another"),),
    unproved=(Unproved(2, "nobody has it"), Unproved(3, "nobody has it"), Unproved(4, "it is withheld")),
)


def test_text_tells_violations_from_what_is_not_proved() -> None:
    lines = as_text(RESULT).splitlines()
    assert "not proved: round 2, 3, because nobody has it" in lines
    assert "not proved: round 4, because it is withheld" in lines
    assert "41 checks, 1 violations, 3 rounds not proved" in lines
    assert lines[-1] == "VIOLATION round 1: model in the report: expected one, found another"
    assert any(line.startswith(f"round 1: {CLIENTS[0]} is credited 0 of 900 ms, and loses 25 %") for line in lines)
    assert any(line.split()[:5] == ["2", "?", "?", "?", "?"] for line in lines)


def test_a_metric_is_marked_as_claimed_where_it_was_not_measured() -> None:
    assert "metric as this audit measured it, * as the organization claims" in as_text(RESULT).splitlines()[1]
    assert " 0.8750* " in as_text(RESULT)
    text = as_text(replace(RESULT, rounds=(replace(KNOWN, measured=0.8712),)))
    assert " 0.8712 " in text and "0.8750" not in text
    known, unknown = as_json(replace(RESULT, rounds=(replace(KNOWN, measured=0.8712), UNKNOWN)))["rounds"]
    assert (known["claimed_metric"], known["measured_metric"]) == (0.875, 0.8712)
    assert (unknown["claimed_metric"], unknown["measured_metric"]) == (None, None)


@pytest.mark.parametrize(("measured", "by"), [(True, "this audit measured"), (False, "the organization claims")])
def test_the_end_of_a_plan_is_said_with_whose_metrics_decided_it(measured: bool, by: str) -> None:
    stop = Stop("patience", "patience", measured, frozenset({"patience"}))
    result = replace(RESULT, rounds=(replace(KNOWN, stop=stop),), unproved=())
    assert f"round 1: no round follows under its plan (patience), by metrics that {by}" in as_text(result).splitlines()
    assert result.complete


def test_an_undecided_stop_is_told_from_a_violation_and_keeps_the_audit_from_being_complete() -> None:
    stop = Stop(None, "patience", True, frozenset({None, "patience"}))
    result = replace(RESULT, rounds=(replace(KNOWN, stop=stop),), unproved=(), violations=())
    assert result.ok and not result.complete
    lines = as_text(result).splitlines()
    assert "41 checks, 0 violations, 1 stopping decisions undecided" in lines
    (line,) = [line for line in lines if line.startswith("UNDECIDED round 1: ")]
    assert "the report says go on" in line and "follows stop (patience)" in line
    page = as_json(result)
    assert page["undecided"] == [1]
    assert page["rounds"][0]["stop"] == {
        "reported": None,
        "decided": "patience",
        "by": "measured",
        "undecided": True,
    }


def test_a_changed_plan_is_listed_with_its_difference_and_where_it_was_announced() -> None:
    differences = (("stopping.patience", "5", "6"), ("task.arguments.names", '"a\u001b"', '"b"'))
    change = PlanChange(2, 1, CID, differences, compared=True, announced="by the report of round 1")
    row = replace(KNOWN, round=2, change=change)
    lines = as_text(replace(RESULT, rounds=(row,))).splitlines()
    assert f"round 2: another plan than round 1, {CID}; announced by the report of round 1" in lines
    assert "  stopping.patience: 5 before, now 6" in lines
    assert as_json(replace(RESULT, rounds=(row,)))["rounds"][0]["plan_change"] == {
        "since": 1,
        "plan": CID,
        "compared": True,
        "announced": "by the report of round 1",
        "differences": [{"name": name, "before": old, "after": new} for name, old, new in differences],
    }
    silent = replace(change, announced=None, compared=False, differences=())
    (line,) = [
        line for line in as_text(replace(RESULT, rounds=(replace(row, change=silent),))).splitlines() if CID in line
    ]
    assert line.endswith("no announcement of it was found; one of the two cannot be read")


def test_a_long_difference_is_cut_on_the_page_and_whole_in_json() -> None:
    differences = tuple((f"buffers.{number}", "1" * 1000, "2" * 1000) for number in range(50))
    row = replace(KNOWN, change=PlanChange(1, 0, CID, differences, compared=True, announced=None))
    text = as_text(replace(RESULT, rounds=(row,)))
    assert "  and 30 more" in text.splitlines() and max(map(len, text.splitlines())) < 400
    assert len(as_json(replace(RESULT, rounds=(row,)))["rounds"][0]["plan_change"]["differences"]) == 50


def test_versions_are_shown_as_claims_once_for_all_rounds_that_share_them_and_steer_no_terminal() -> None:
    same = replace(KNOWN, round=2)
    other = replace(KNOWN, round=3, versions={"koinon": "9\x1b[2J\nVIOLATION"})
    lines = as_text(replace(RESULT, rounds=(KNOWN, same, other))).splitlines()
    assert "made by koinon 0.1.0, as the organization claims: round 1, 2" in lines
    assert any(line.startswith("made by koinon 9\\x1b[2J\\nVIOLATION, as the organization claims") for line in lines)
    assert as_json(RESULT)["rounds"][0]["claimed_versions"] == {"koinon": "0.1.0"}


def test_text_of_a_complete_audit_says_nothing_of_proofs() -> None:
    complete = Audit(FEDERATION, 31337, 77, RESULT.asset, (KNOWN,), 40, ())
    assert "not proved" not in as_text(complete)
    assert as_text(complete).splitlines()[-1] == "40 checks, 0 violations"


def test_json_says_the_same() -> None:
    page = json.loads(json.dumps(as_json(RESULT)))
    assert (page["ok"], page["complete"]) == (False, False)
    assert page["unproved"][2] == {"round": 4, "because": "it is withheld"}
    known, unknown = page["rounds"]
    assert (known["pool"], known["paid"], known["proved"]) == (str(2 * 10**18), str(10**18), True)
    assert (unknown["phase"], unknown["pool"], unknown["updates"], unknown["proved"]) == (None, None, None, False)
