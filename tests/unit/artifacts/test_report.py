"""A report explains a round: every update once, every rejection with its reason."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import jcs
from processor.artifacts.committed import AdjustmentFields
from processor.artifacts.report import (
    MAX_ABANDONED,
    AbandonedRound,
    Metrics,
    Report,
    ReportedUpdate,
)
from processor.artifacts.report import REPORT as REPORTS
from processor.cid import cid_of
from processor.errors import ArtifactError, ArtifactTooLarge
from processor.types import Adjustment
from tests.unit.artifacts.examples import CLIENTS, OPENING, REPORT

REJECTED, ACCEPTED = REPORT.updates
LATER, EARLIER = REPORT.before
ADDRESSES = st.integers(0, 2**160 - 1)
TEXT_WEIGHT: dict[str, Any] = {"weight": "300"}
PART_OF_A_MS: dict[str, Any] = {"credited_ms": 1.5}
REASONS = st.sampled_from(["header", "not_finite", "metering"])


def address(number: int) -> str:
    return to_checksum_address(number.to_bytes(20, "big"))


@st.composite
def reported_updates(draw: Any) -> tuple[ReportedUpdate, ...]:
    clients = draw(st.lists(ADDRESSES, max_size=5, unique=True))
    return tuple(draw(reported_update(address(client))) for client in clients)


@st.composite
def reported_update(draw: Any, client: str) -> ReportedUpdate:
    claimed_ms = draw(st.integers(1, 2**32 - 1))
    update = cid_of(client.encode())
    if draw(st.booleans()):
        rejected = (0, 0, draw(REASONS), draw(st.integers(0, 10_000)))
        return ReportedUpdate(client, update, claimed_ms, *rejected)
    accepted = (draw(st.integers(1, 2**53 - 1)), draw(st.integers(1, claimed_ms)), draw(st.none() | REASONS), 0)
    return ReportedUpdate(client, update, claimed_ms, *accepted)


METRICS = st.builds(Metrics, st.floats(-1e15, 1e15), st.floats(0, 1), st.just("accuracy"))
STOPS = st.sampled_from([None, "max_rounds", "patience"])


@settings(deadline=None)
@given(reported_updates(), METRICS, STOPS, st.integers(1, 2**53 - 1))
def test_a_report_that_was_written_is_read(
    updates: tuple[ReportedUpdate, ...], metrics: Metrics, stop: str | None, chain_id: int
) -> None:
    report = replace(REPORT, updates=updates, metrics=metrics, stop=stop, chain_id=chain_id)
    assert REPORTS.decode(REPORTS.encode(report)) == report


def test_the_longest_report_is_within_the_limit() -> None:
    """A thousand updates, a thousand adjustments in both rounds before, and a thousand abandoned rounds before each."""
    clients = [address(2**159 + client) for client in range(1_000)]
    updates = tuple(
        ReportedUpdate(client, cid_of(client.encode()), 2**32 - 1, 2**53 - 1, 2**32 - 1, "negative_fisher", 0)
        for client in clients
    )
    adjustments = tuple(AdjustmentFields(client, 2**32 - 2, 0) for client in clients)
    first, second, third = (abandoned_from(start) for start in (1, 1_100, 2_200))
    later = replace(LATER, round=2_100, adjustments=adjustments, abandoned=second)
    earlier = replace(EARLIER, round=1_001, adjustments=adjustments, abandoned=first)
    opening = replace(REPORT.opening, round=2**24 - 1)
    report = replace(REPORT, opening=opening, updates=updates, before=(later, earlier), abandoned=third)
    assert REPORTS.decode(REPORTS.encode(report)) == report


def abandoned_from(start: int) -> tuple[AbandonedRound, ...]:
    return tuple(
        AbandonedRound(round, f"{round:040x}", 1_000, 1_000 * (2**32 - 1), cid_of(str(round).encode()))
        for round in range(start, start + MAX_ABANDONED)
    )


def test_a_report_of_version_1_is_refused_by_name() -> None:
    document = json.loads(REPORTS.encode(REPORT)) | {"version": 1}
    with pytest.raises(ArtifactError, match="this report has version 1, of contracts before those that this"):
        REPORTS.decode(jcs.dumps(document))


def test_a_report_gives_its_list_in_the_order_of_submission_and_its_adjustments_in_that_of_addresses() -> None:
    assert [line.client for line in REPORT.submitted] == [CLIENTS[1], CLIENTS[0]]
    assert [(line.update, line.compute_ms) for line in REPORT.submitted] == [
        (REJECTED.update, 977),
        (ACCEPTED.update, 812),
    ]
    assert (REPORT.claimed_ms, REPORT.credited_ms) == (977 + 812, 812)
    assert REPORT.adjustments == (Adjustment(CLIENTS[1], 0, 2_500),)
    lowered = replace(ACCEPTED, credited_ms=400, reason="metering")
    assert replace(REPORT, updates=(REJECTED, lowered)).adjustments == (
        Adjustment(CLIENTS[0], 400, 0),
        Adjustment(CLIENTS[1], 0, 2_500),
    )


def test_readers_find_round_plan_and_base_model_in_the_opening() -> None:
    assert (REPORT.round, REPORT.plan, REPORT.base_model) == (OPENING.round, OPENING.plan, OPENING.base_model)
    assert REPORT.opening.value() == OPENING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"updates": (ACCEPTED, ACCEPTED)}, "stands there twice: expected each client once"),
        ({"before": (EARLIER, LATER)}, "round 3 follows round 1: expected the newest first"),
        ({"before": (LATER, EARLIER, EARLIER)}, "before: Tuple should have at most 2 items"),
        ({"before": (replace(LATER, secret="5E" * 32),)}, "before.0.secret: String should match pattern"),
        ({"before": (replace(LATER, digest="5e" * 32),)}, "before.0.digest: String should match pattern"),
        ({"abandoned": (*REPORT.abandoned, *LATER.abandoned)}, "round 2 follows round 4: expected them in their order"),
        ({"record_before": "44"}, "record_before: String should match pattern"),
        ({"opening": replace(REPORT.opening, pool=str(2**112))}, "opening.pool: should be below 2^112"),
        ({"opening": replace(REPORT.opening, pool="01")}, "opening.pool: String should match pattern"),
        ({"opening": replace(REPORT.opening, round=0)}, "opening.round: should be greater than or equal to 1"),
        ({"updates": (replace(ACCEPTED, claimed_ms=811),)}, "credited_ms: should be at most the 811 ms claimed"),
        ({"updates": (replace(ACCEPTED, claimed_ms=0),)}, "claimed_ms: should be greater than or equal to 1"),
        (
            {"updates": (replace(REJECTED, reason=None),)},
            "updates.0.reason: a rejected update (weight 0) needs a reason",
        ),
        (
            {"updates": (replace(REJECTED, credited_ms=1),)},
            "weight 0 with credited_ms 1: a rejected update has neither",
        ),
        ({"updates": (replace(ACCEPTED, credited_ms=0),)}, "weight 300 with credited_ms 0"),
        ({"updates": (replace(ACCEPTED, weight=-1),)}, "updates.0.weight: should be greater than or equal to 0"),
        ({"updates": (replace(ACCEPTED, **TEXT_WEIGHT),)}, "updates.0.weight: should be a valid integer (found '300')"),
        ({"updates": (replace(ACCEPTED, credited_ms=2**32),)}, "updates.0.credited_ms: should be less than"),
        ({"updates": (replace(ACCEPTED, **PART_OF_A_MS),)}, "updates.0.credited_ms: should be a valid integer"),
        ({"updates": (replace(ACCEPTED, client=CLIENTS[0].lower()),)}, "updates.0.client: expected an address"),
        ({"updates": (replace(ACCEPTED, update="Qm"),)}, "updates.0.update: 'Qm' is not a CIDv0"),
        ({"updates": (replace(REJECTED, reason="Not a code"),)}, "updates.0.reason: String should match pattern"),
        ({"updates": (replace(ACCEPTED, slash_rate=1),)}, "slash_rate: should be 0 with weight 300"),
        ({"updates": (replace(REJECTED, slash_rate=10_001),)}, "slash_rate: should be less than or equal to 10000"),
        ({"metrics": Metrics("0.5", 0.5, "accuracy")}, "metrics.before: should be a valid number (found '0.5')"),  # type: ignore[arg-type]
        ({"metrics": Metrics(0.5, 5e15, "accuracy")}, "metrics.after: should be less than or equal to"),
        ({"metrics": Metrics(0.5, float("nan"), "accuracy")}, "cannot be written as canonical JSON"),
        ({"metrics": Metrics(0.5, 0.5, "")}, "metrics.name: String should match pattern"),
        ({"privacy": {"where": "client"}}, "privacy: should be exactly where: none"),
        ({"privacy": {}}, "privacy: should be exactly where: none"),
        ({"privacy": {"where": "none", "epsilon": "1"}}, "privacy: should be exactly where: none"),
        ({"versions": {"torch": 2}}, "versions.torch: should be a valid string (found 2)"),
        ({"versions": {"torch": "x" * 129}}, "versions.torch: String should have at most 128 characters"),
        ({"federation": "0x"}, "federation: expected an address with an EIP-55 checksum"),
        ({"chain_id": 2**53}, "cannot be written as canonical JSON"),
        ({"chain_id": "31337"}, "chain_id: should be a valid integer (found '31337')"),
        ({"model": None}, "model: should be a valid string"),
        ({"server_state": "Q" * 46}, "server_state: 'QQQ"),
        ({"stop": "Because"}, "stop: String should match pattern"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_report_out_of_order_is_not_written(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        REPORTS.encode(replace(REPORT, **changes))
    assert reason in str(refusal.value)


ANNOUNCING = replace(REPORT, next_plan=REPORT.model)


@pytest.mark.parametrize("field", [field.name for field in fields(Report)])
def test_every_field_is_required(field: str) -> None:
    document = json.loads(REPORTS.encode(ANNOUNCING))
    del document[field]
    with pytest.raises(ArtifactError, match=f"{field}: is missing"):
        REPORTS.decode(jcs.dumps(document))


def test_a_report_that_announces_no_plan_keeps_the_version_and_the_bytes_that_it_had() -> None:
    silent, announcing = (json.loads(REPORTS.encode(each)) for each in (REPORT, ANNOUNCING))
    assert (silent["version"], announcing["version"]) == (2, 3)
    assert "next_plan" not in silent and announcing["next_plan"] == ANNOUNCING.next_plan
    for report in (REPORT, ANNOUNCING):
        assert REPORTS.decode(REPORTS.encode(report)) == report


def test_all_mistakes_are_named_together() -> None:
    document = json.loads(REPORTS.encode(REPORT))
    document["updates"][0]["reason"] = None
    document["metrics"]["after"] = "better"
    document["extra"] = 1
    with pytest.raises(ArtifactError) as refusal:
        REPORTS.decode(jcs.dumps(document))
    assert [line.split(":")[0].strip() for line in str(refusal.value).splitlines()] == [
        "the report is not valid",
        "updates.0.reason",
        "metrics.after",
        "extra",
    ]


def test_a_report_over_the_limit_is_not_parsed() -> None:
    with pytest.raises(ArtifactTooLarge, match=f"over the limit of {REPORTS.limit}"):
        REPORTS.decode(b"[" * (REPORTS.limit + 1))


def test_a_plan_is_no_report() -> None:
    with pytest.raises(ArtifactError, match="this is no report: its kind is 'plan'"):
        REPORTS.decode(b'{"kind":"plan","version":1}')
