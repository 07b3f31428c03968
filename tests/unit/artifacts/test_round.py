"""A round's file says all that the chain's record commits to, in one spelling."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from processor import jcs
from processor.artifacts.committed import AdjustmentFields, UpdateLine
from processor.artifacts.report import REPORT as REPORTS
from processor.artifacts.round import ROUND as ROUNDS
from processor.artifacts.round import RoundFile
from processor.cid import cid_of
from processor.errors import ArtifactError, ArtifactTooLarge
from processor.types import Submitted
from tests.unit.artifacts.examples import CLIENTS, OPENING, REPORT, ROUND

FIRST, SECOND = ROUND.updates


def test_a_round_that_was_written_is_read() -> None:
    assert ROUNDS.decode(ROUNDS.encode(ROUND)) == ROUND
    live = replace(ROUND, updates=(), outcome=None)
    assert ROUNDS.decode(ROUNDS.encode(live)) == live


def test_a_round_gives_back_what_the_chain_had() -> None:
    assert ROUND.round == OPENING.round
    assert ROUND.opening.value() == OPENING
    assert ROUND.submitted == REPORT.submitted
    assert ROUND.outcome is not None
    outcome = ROUND.outcome.value()
    assert (outcome.credited_ms, outcome.adjustments) == (812, REPORT.adjustments)


def test_a_round_of_a_thousand_updates_all_adjusted_is_within_the_limit() -> None:
    clients = [to_checksum_address((2**159 + number).to_bytes(20, "big")) for number in range(1_000)]
    lines = tuple(UpdateLine(client, cid_of(client.encode()), 2**32 - 1) for client in clients)
    adjustments = tuple(AdjustmentFields(client, 2**32 - 2, 10_000) for client in clients)
    assert ROUND.outcome is not None
    full = replace(ROUND, updates=lines, outcome=replace(ROUND.outcome, adjustments=adjustments))
    assert ROUNDS.decode(ROUNDS.encode(full)) == full


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"updates": (FIRST, FIRST)}, "stands there twice: expected each client once"),
        ({"updates": (replace(FIRST, compute_ms=2**32),)}, "updates.0.compute_ms: should be less than"),
        ({"updates": (replace(FIRST, client=CLIENTS[0].lower()),)}, "updates.0.client: expected an address"),
        ({"record_before": "0x" + "44" * 31}, "record_before: String should match pattern"),
        ({"opening": replace(ROUND.opening, sealing_key="00")}, "opening.sealing_key: String should match pattern"),
        ({"opening": replace(ROUND.opening, reward_rate_cap=str(2**112))}, "opening.reward_rate_cap: should be below"),
        ({"opening": replace(ROUND.opening, base_model="Qm")}, "opening.base_model: 'Qm' is not a CIDv0"),
        ({"opening": replace(ROUND.opening, opened_at=2**40)}, "opening.opened_at: should be less than"),
        ({"opening": replace(ROUND.opening, round=2**24)}, "opening.round: should be less than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_round_that_no_chain_has_is_not_written(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        ROUNDS.encode(replace(ROUND, **changes))
    assert reason in str(refusal.value)


def test_adjustments_of_an_outcome_are_in_the_order_of_the_record() -> None:
    assert ROUND.outcome is not None
    (one,) = ROUND.outcome.adjustments
    for wrong in ((one, replace(one, client=CLIENTS[0])), (one, one)):
        outcome = replace(ROUND.outcome, adjustments=wrong)
        with pytest.raises(ArtifactError, match="each client once, in ascending order of address"):
            ROUNDS.encode(replace(ROUND, outcome=outcome))


@pytest.mark.parametrize("field", [field.name for field in fields(RoundFile)])
def test_every_field_is_required(field: str) -> None:
    document = json.loads(ROUNDS.encode(ROUND))
    del document[field]
    with pytest.raises(ArtifactError, match=f"{field}: is missing"):
        ROUNDS.decode(jcs.dumps(document))


def test_a_report_is_no_round() -> None:
    with pytest.raises(ArtifactError, match="this is no round: its kind is 'report'"):
        ROUNDS.decode(REPORTS.encode(REPORT))


def test_a_round_over_the_limit_is_not_parsed() -> None:
    with pytest.raises(ArtifactTooLarge, match=f"over the limit of {ROUNDS.limit}"):
        ROUNDS.decode(b"[" * (ROUNDS.limit + 1))


def test_amounts_beyond_a_float_are_exact() -> None:
    opening = replace(OPENING, pool=2**112 - 1, reward_rate_cap=2**53 + 1)
    line = Submitted(CLIENTS[0], cid_of(b"update"), 1)
    file = RoundFile.of(1, CLIENTS[1], opening, [line], bytes(32))
    assert ROUNDS.decode(ROUNDS.encode(file)).opening.value() == opening
