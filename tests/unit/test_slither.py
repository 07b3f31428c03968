"""Findings of slither and the reasons for them."""

from __future__ import annotations

from typing import Any

import pytest

from tools.slither import Finding, read_findings, read_triage, review

CONTRACT = {"type": "contract", "name": "Rounds"}
FUNCTION = {
    "type": "function",
    "name": "phase",
    "type_specific_fields": {"parent": CONTRACT, "signature": "phase(Round)"},
    "source_mapping": {"lines": [56]},
}
LIBRARY_CALL = {"type": "node", "name": "block.timestamp >= deadline", "type_specific_fields": {"parent": FUNCTION}}
VARIABLE = {"type": "variable", "name": "count", "type_specific_fields": {"parent": FUNCTION}}
TIMESTAMP = Finding("timestamp", "Rounds.phase(Round)", "block.timestamp >= deadline")
UNINITIALIZED = Finding("uninitialized-local", "Rounds.phase(Round).count")


def report(*found: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"results": {"detectors": [{"check": check, "elements": elements} for check, elements in found]}}


def test_a_finding_is_known_by_detector_place_and_code() -> None:
    found = report(("timestamp", [FUNCTION, LIBRARY_CALL]), ("uninitialized-local", [VARIABLE]))
    assert read_findings(found) == [TIMESTAMP, UNINITIALIZED]


def test_a_contract_without_findings_has_none() -> None:
    assert read_findings({"results": {}}) == []


def test_a_finding_is_printed_as_the_entry_that_it_needs() -> None:
    assert read_triage(f"{TIMESTAMP}reason = 'Because.'\n{UNINITIALIZED}reason = 'So.'") == {
        TIMESTAMP: "Because.",
        UNINITIALIZED: "So.",
    }


def test_every_finding_needs_a_reason_and_every_reason_a_finding() -> None:
    [nothing_known, nothing_found] = review([TIMESTAMP], {UNINITIALIZED: "So."})
    assert nothing_known.startswith("no reason is given for") and str(TIMESTAMP) in nothing_known
    assert nothing_found.startswith("slither does not find this") and str(UNINITIALIZED) in nothing_found
    assert review([TIMESTAMP], {TIMESTAMP: "Because."}) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (str(TIMESTAMP), "no reason is given"),
        (f"{TIMESTAMP}reason = ' '", "no reason is given"),
        (f"{TIMESTAMP}reason = 'a'\n{TIMESTAMP}reason = 'b'", "twice"),
    ],
)
def test_an_entry_has_one_reason(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_triage(text)
