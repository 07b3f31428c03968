"""What an audit checks of a round and between rounds: each rule holds for a true one, and each breach is named."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from processor.artifacts.plan import Factory, Plan
from processor.artifacts.report import Report
from processor.chain.asset import Asset
from processor.privacy.sealing import public_key_of
from processor.protocol.audit.between import FIRST, Lineage, Reached, check_follows, check_same_metric
from processor.protocol.audit.chain import (
    check_credits,
    check_keys,
    check_result,
    check_terms,
    credits_of,
)
from processor.protocol.audit.money import Balance, Settled, check_money, clients_of
from processor.protocol.audit.on_chain import ChainState
from processor.protocol.audit.verdict import Checks, describe
from processor.protocol.rewards import least_pool, payable
from processor.protocol.walk.claims import RoundList, Step, walk
from processor.types import (
    ZERO_ADDRESS,
    Adjustment,
    FederationTerms,
    Opening,
    Phase,
    Release,
    Result,
    Submitted,
)
from tests.unit.artifacts.examples import CLIENTS, OPENING, PLAN, REPORT
from tests.unit.protocol.histories import History, cid

KEY = public_key_of(b"k" * 32)
TERMS = FederationTerms(stake=10**18, max_slash_rate=5_000, max_spread=2)
LEAST = least_pool(OPENING.reward_rate_cap, OPENING.selected_count, OPENING.max_compute_ms, TERMS.max_spread)
LINES = tuple(
    Submitted(client, cid(f"update of {client}", OPENING.round), 300 + place) for place, client in enumerate(CLIENTS)
)


@pytest.fixture
def checks() -> Checks:
    return Checks(Asset(ZERO_ADDRESS, "ETH", 18))


def said(checks: Checks) -> list[str]:
    return [describe(violation) for violation in checks.violations]


# ----------------------------------------------------------------------------------------------------------- openings


@pytest.mark.parametrize("pool", [0, LEAST, 2 * LEAST])
def test_a_pool_pays_what_the_selected_may_claim_or_is_empty(checks: Checks, pool: int) -> None:
    check_terms(checks, TERMS, replace(OPENING, pool=pool))
    assert said(checks) == []


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"pool": LEAST - 1}, "pool under a spread of 2"),
        ({"selected_count": 0, "pool": 0}, "number of selected members"),
        ({"selected_count": OPENING.member_count + 1, "pool": 0}, "number of selected members"),
        ({"max_updates": OPENING.selected_count - 1, "pool": 0}, "number of selected members"),
        (
            {"training_deadline": OPENING.opened_at + 29, "pool": 0},
            "training period: expected 30 to 2592000 s",
        ),
        ({"aggregation_deadline": OPENING.training_deadline, "pool": 0}, "aggregation period"),
    ],
)
def test_an_opening_against_the_rules_is_named(checks: Checks, changes: dict[str, Any], subject: str) -> None:
    check_terms(checks, TERMS, replace(OPENING, **changes))
    (found,) = said(checks)
    assert found.startswith(f"round {OPENING.round}: ") and subject in found


def follows(checks: Checks, before: Lineage, opening: Opening) -> list[str]:
    check_follows(checks, before, opening)
    return said(checks)


BEFORE = replace(
    FIRST,
    release=Release(OPENING.base_model, OPENING.base_report),
    carried=OPENING.pool - 5,
    offset=OPENING.member_count - 1,
)


def test_a_round_goes_on_from_what_the_round_before_left(checks: Checks) -> None:
    assert OPENING.selection_offset == (BEFORE.offset or 0) + OPENING.selected_count - OPENING.member_count
    assert follows(checks, BEFORE, OPENING) == []
    assert checks.count == 4


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"base_model": cid("other model", 4)}, "base model"),
        ({"base_report": cid("other report", 4)}, "report of the base model"),
        ({"pool": OPENING.pool - 6}, "pool holds what the round before carried"),
        ({"selection_offset": OPENING.selection_offset + 1}, "selection offset: expected 2, found 3"),
        ({"selected_count": OPENING.selected_count - 1}, "selection offset: expected 1, found 2"),
    ],
)
def test_a_round_that_does_not_go_on_from_there_is_named(checks: Checks, changes: dict[str, Any], subject: str) -> None:
    (found,) = follows(checks, BEFORE, replace(OPENING, **changes))
    assert f"round {OPENING.round}: {subject}" in found


def test_what_is_not_known_of_the_round_before_is_not_checked(checks: Checks) -> None:
    unknown = Lineage(release=None, state=None, carried=None, offset=None)
    assert follows(checks, unknown, replace(OPENING, pool=0, selection_offset=1)) == []
    assert checks.count == 0


# ------------------------------------------------------------------------------------------------- updates and results


@pytest.mark.parametrize(
    ("lines", "adjustments", "subject"),
    [
        (LINES, (Adjustment(CLIENTS[0], 299, 5_001),), "slash rate of"),
        (LINES, (Adjustment(CLIENTS[0], 301, 0),), "credited compute time of"),
        ((replace(LINES[0], compute_ms=OPENING.max_compute_ms + 1),), (), "claimed compute time of"),
        ((replace(LINES[0], compute_ms=0),), (), "claimed compute time of"),
        (LINES * 2, (), "number of updates"),
    ],
)
def test_credits_against_the_rules_are_named(
    checks: Checks, lines: tuple[Submitted, ...], adjustments: tuple[Adjustment, ...], subject: str
) -> None:
    known = RoundList(OPENING, lines)
    check_credits(checks, TERMS, known, credits_of(known, adjustments))
    assert [line for line in said(checks) if subject in line]


def test_credits_within_the_rules_are_found_so(checks: Checks) -> None:
    known = RoundList(OPENING, LINES)
    check_credits(checks, TERMS, known, credits_of(known, (Adjustment(CLIENTS[0], 0, 5_000),)))
    assert said(checks) == []


def result_of(letters: str, round: int, **wrong: Any) -> list[str]:
    """What is found where state left `wrong` instead of a true result of one of the rounds."""
    history, checks = History.of(letters), Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    claims = history.claims()
    for file in history.files:
        claims.add_file(file)
    state = history.state()
    step = next(step for step in walk(state, claims, {}) if step.round == round)
    assert step.list is not None
    outcome = None if step.link is None else step.link.outcome
    credits = credits_of(step.list, () if outcome is None else outcome.adjustments)
    opening = step.list.opening
    due = payable(opening.pool, opening.reward_rate_cap, credits.credited_ms)
    true = Result(due, credits.credited_ms, bytes(12))
    if outcome is not None:
        true = replace(true, sealing_key=opening.sealing_key[:12])
    elif round > state.view.chained:
        true = Result(0, 0, bytes(12))
    results = [*state.results]
    results[round - 1] = replace(true, **wrong)
    check_result(checks, replace(state, results=tuple(results)), step, opening, credits)
    return said(checks)


@pytest.mark.parametrize(("letters", "round"), [("FAF", 3), ("FAF", 2), ("FA", 2), ("FA", 1)])
def test_results_are_what_each_round_left(letters: str, round: int) -> None:
    assert result_of(letters, round) == []
    for wrong, subject in (
        ({"payable": 1}, "amount payable in results"),
        ({"credited_ms": 1}, "credited compute time in results"),
        ({"sealing_key": b"k" * 12}, "sealing key in results"),
    ):
        (found,) = result_of(letters, round, **wrong)
        assert found.startswith(f"round {round}: {subject}")


# -------------------------------------------------------------------------------------------------------- sealing keys


def keys_found(state: ChainState, steps: dict[int, Step]) -> list[str]:
    checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    check_keys(checks, state, steps)
    return said(checks)


def test_a_key_that_serves_twice_is_found_in_lists_and_in_results() -> None:
    history = History.of("FAF")
    claims = history.claims()
    for file in history.files:
        claims.add_file(file)
    state = history.state()
    steps = {step.round: step for step in walk(state, claims, {})}
    assert keys_found(state, steps) == []

    first = history.files[0].opening.value().sealing_key
    unknown = {round: replace(step, list=None) for round, step in steps.items()}
    used = tuple(Result(1, 1, first[:12]) if number < 2 else Result(0, 0, bytes(12)) for number in range(3))
    expected = ["round 2: sealing key: expected one of its own, found the key of round 1"]
    assert keys_found(replace(state, results=used), unknown) == expected

    assert steps[2].list is not None
    repeated = replace(steps[2], list=replace(steps[2].list, opening=replace(steps[2].list.opening, sealing_key=first)))
    assert keys_found(state, steps | {2: repeated}) == expected

    live = replace(state, view=replace(state.view, sealing_key=first))
    assert keys_found(live, steps) == ["round 3: sealing key: expected one of its own, found the key of round 1"]


@pytest.mark.parametrize(
    ("key", "said_of_it"),
    [
        (bytes(31) + b"\x80", "low order|one form"),
        (bytes(32), "low order"),
        (KEY[:31] + bytes([KEY[31] | 0x80]), "one form"),
    ],
    ids=["another zero", "zero", "another form of a key"],
)
def test_a_key_that_no_honest_pair_has_is_named(key: bytes, said_of_it: str) -> None:
    state = History.of("F").state()
    state = replace(state, view=replace(state.view, sealing_key=key), results=(Result(1, 1, key[:12]),))
    (found,) = keys_found(state, {1: Step(1, None, None, None, None)})
    assert found.startswith("round 1: form of the sealing key: expected that of a fresh key pair")
    assert re.search(said_of_it, found)


def test_a_key_in_another_form_is_the_same_key() -> None:
    history = History.of("FF")
    claims = history.claims()
    for file in history.files:
        claims.add_file(file)
    state = history.state()
    first = history.files[0].opening.value().sealing_key
    other = first[:31] + bytes([first[31] ^ 0x80])
    used = tuple(Result(1, 1, key[:12]) for key in (first, other))
    again = replace(state, view=replace(state.view, sealing_key=other), results=used)
    found = keys_found(again, {step.round: step for step in walk(state, claims, {})})
    assert found[0] == "round 2: sealing key: expected one of its own, found the key of round 1"
    assert found[1].startswith("round 2: form of the sealing key")


# -------------------------------------------------------------------------------------------------------------- metrics


REACHED = Reached(3, OPENING.base_model, PLAN.validation, PLAN.task, 0.5)


def metrics_found(before: Reached | None, report: Report = REPORT, plan: Plan = PLAN) -> list[str]:
    checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    reached = check_same_metric(checks, before, OPENING, plan, report, report.model)
    assert (reached.round, reached.model, reached.metric) == (OPENING.round, report.model, report.metrics.after)
    return said(checks)


def test_a_model_has_the_metric_that_the_report_before_gave_it() -> None:
    assert REPORT.metrics.before == 0.5
    assert metrics_found(REACHED) == metrics_found(None) == []


def test_another_metric_of_the_same_model_is_named_however_small_the_difference() -> None:
    (found,) = metrics_found(replace(REACHED, metric=0.5 + 1e-15))
    assert found.startswith(f"round {OPENING.round}: accuracy of the base model next to the report of round 3: ")
    assert found.endswith("found 0.5")


@pytest.mark.parametrize(
    "before",
    [
        replace(REACHED, metric=0.7, model=cid("another model", 3)),
        replace(REACHED, metric=0.7, validation=cid("validation data", 3)),
        replace(REACHED, metric=0.7, task=Factory("classification", {})),
    ],
    ids=["model", "validation data", "task"],
)
def test_where_something_else_was_measured_the_metric_may_be_another(before: Reached) -> None:
    assert metrics_found(before) == []


def test_a_model_that_no_update_changed_has_one_metric() -> None:
    unchanged = replace(REPORT, model=OPENING.base_model)
    (found,) = metrics_found(REACHED, unchanged)
    assert "accuracy of a model that is the base model: expected 0.5, found 0.875" in found
    assert metrics_found(REACHED, replace(unchanged, metrics=replace(REPORT.metrics, after=0.5))) == []


# --------------------------------------------------------------------------------------------------------------- money


def settled() -> list[Settled]:
    known = RoundList(OPENING, LINES)
    return [Settled(known, credits_of(known, (Adjustment(CLIENTS[1], 0, 5_000),)))]


def money_found(whole: bool = True, holdings: int | None = None, **changes: Any) -> list[str]:
    reward = payable(OPENING.pool, OPENING.reward_rate_cap, LINES[0].compute_ms)
    balances = {
        CLIENTS[0]: Balance(changes.get("owed", reward), TERMS.stake),
        CLIENTS[1]: Balance(0, changes.get("stake", TERMS.stake // 2)),
    }
    needed = sum(balance.owed + balance.stake for balance in balances.values()) + 77
    view = replace(History.of("F").state().view, phase=Phase.FINALIZED)
    state = replace(
        History.of("F").state(),
        terms=TERMS,
        view=view,
        carried=77,
        holdings=needed if holdings is None else needed + holdings,
    )
    checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))
    check_money(checks, state, balances, settled(), whole)
    return said(checks)


def test_money_that_is_all_there_is_found_so() -> None:
    assert money_found() == []
    assert money_found(holdings=1) == []


def test_a_contract_that_holds_less_than_it_owes_is_found() -> None:
    (found,) = money_found(holdings=-1)
    assert found.startswith("federation: balance of the contract: expected at least ")


def test_a_client_that_is_owed_more_than_its_rounds_brought_is_found_where_all_rounds_are_known() -> None:
    (found,) = money_found(owed=10**30)
    assert f"owed to {CLIENTS[0]}" in found
    assert money_found(owed=10**30, whole=False) == []


def test_a_stake_that_no_slashes_leave_is_found_where_all_rounds_are_known() -> None:
    (found,) = money_found(stake=TERMS.stake // 3)
    assert f"stake of {CLIENTS[1]}" in found
    assert money_found(stake=TERMS.stake // 3, whole=False) == []
    (found,) = money_found(stake=TERMS.stake + 1, whole=False)
    assert f"stake of {CLIENTS[1]}" in found


def test_everybody_in_a_list_is_known_and_every_member() -> None:
    state = replace(History.of("F").state(), members=(CLIENTS[0],))
    assert clients_of(state, [RoundList(OPENING, LINES)]) == list(CLIENTS)
