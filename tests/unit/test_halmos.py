"""How the claims of symbolic tests have to end."""

from __future__ import annotations

import re

from tools.forge import ROOT
from tools.halmos import FOLDER, SOLVERS, judge


def report(**codes: int) -> dict[str, object]:
    results = [{"name": f"{name}(uint112,uint48)", "exitcode": code} for name, code in codes.items()]
    return {"test_results": {"tests/foundry/symbolic/Rewards.t.sol:RewardsSymbolic": results}}


def test_a_claim_has_to_be_proved() -> None:
    verdicts = list(judge(report(check_proved=0, check_wrong=1, check_too_hard=2)))
    assert verdicts == [
        (True, "check_proved: proved"),
        (False, "check_wrong: refuted by an example"),
        (False, "check_too_hard: neither proved nor refuted"),
    ]


def test_a_false_claim_has_to_be_refuted() -> None:
    verdicts = list(judge(report(refute_it=1, refute_true=0)))
    assert verdicts == [(True, "refute_it: refuted by an example"), (False, "refute_true: proved")]


def test_every_contract_of_claims_has_a_solver() -> None:
    sources = [path.read_text() for path in (ROOT / FOLDER).glob("*.sol")]
    assert {name for source in sources for name in re.findall(r"^contract (\w+)", source, re.MULTILINE)} == set(SOLVERS)
