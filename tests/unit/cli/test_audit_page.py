"""What `koinon audit` prints: violations and what is not proved are told apart, and what nobody knows is no number."""

from __future__ import annotations

import json

from processor.chain.asset import Asset
from processor.cli.audit_page import as_json, as_text
from processor.protocol.audit import Audit, Lowered, RoundAudit, Unproved, Violation
from processor.types import ZERO_ADDRESS, Phase
from tests.unit.artifacts.examples import CLIENTS, FEDERATION

KNOWN = RoundAudit(
    round=1,
    phase=Phase.FINALIZED,
    updates=3,
    rejected=1,
    metric=0.875,
    pool=2 * 10**18,
    paid=10**18,
    carried=5 * 10**17,
    forfeited=25 * 10**16,
    lowered=(Lowered(CLIENTS[0], 900, 0, 2_500, "norm"),),
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
    pool=None,
    paid=None,
    carried=None,
    forfeited=None,
    lowered=(),
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
