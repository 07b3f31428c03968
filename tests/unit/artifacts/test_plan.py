"""A plan is read whole or refused, with all its mistakes at once."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import jcs
from processor.artifacts.buffers import FLOAT32_MAX, Average, Buffer, Counter, Pooled
from processor.artifacts.plan import (
    FEDAVG,
    Aggregation,
    Ewc,
    Factory,
    LocalWork,
    Metering,
    Optimizer,
    Plan,
    Plan1,
    Privacy,
    Slashing,
    Stopping,
)
from processor.artifacts.plan import PLAN as PLANS
from processor.errors import ArtifactError, ArtifactTooLarge, ConfigurationError
from tests.unit.artifacts.examples import CID, PLAN

NAMES = st.from_regex(r"\A[a-z][a-z0-9_-]{0,63}\Z")
ARGUMENTS = (
    st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.text('aé"\\', max_size=9)
    | st.lists(st.integers(0, 9), max_size=3)
)
FACTORIES = st.builds(Factory, NAMES, st.dictionaries(NAMES, ARGUMENTS, max_size=3))
ROUNDS = st.integers(1, 1_000_000)
LOCAL = st.builds(LocalWork, ROUNDS, st.none(), st.integers(1, 65_536)) | st.builds(
    LocalWork, st.none(), st.integers(1, 10_000), st.integers(1, 65_536)
)
FLOATS = st.floats(-FLOAT32_MAX, FLOAT32_MAX)
COUNTERS = st.tuples(st.integers(-(2**53) + 1, 2**53 - 1), st.integers(-(2**53) + 1, 2**53 - 1)).map(
    lambda bounds: Counter("counter", min(bounds), max(bounds))
)
AVERAGES = st.tuples(FLOATS, FLOATS).map(lambda bounds: Average("average", min(bounds), max(bounds)))
POOLED = st.tuples(st.floats(0, 1), st.floats(1, FLOAT32_MAX)).map(lambda bounds: Pooled("pooled", "mean", *bounds))
BUFFERS = st.none() | st.builds(
    lambda mean, others: {"mean": mean, **others},
    AVERAGES,
    st.dictionaries(st.text('aé"\\.', min_size=1, max_size=9), COUNTERS | AVERAGES | POOLED, max_size=3),
)
ANY_PLAN = st.builds(
    Plan,
    task=FACTORIES,
    model=FACTORIES,
    initialization_seed=st.integers(0, 2**53 - 1),
    optimizer=st.builds(Optimizer, st.just("sgd"), st.floats(1e-300, 1e3), st.floats(0, 1, exclude_max=True)),
    local=LOCAL,
    ewc=st.builds(Ewc, st.floats(0, 1e12), st.floats(0, 1, exclude_max=True), ROUNDS, st.floats(1e-300, 1e12)),
    privacy=st.just(Privacy("none")),
    aggregation=st.builds(
        Aggregation, st.just(FEDAVG), st.integers(1, 10**9), st.floats(1e-9, 1e12), st.integers(1, 1_000)
    ),
    metering=st.builds(Metering, st.integers(100, 1_000_000), st.integers(1, 2**32 - 1)),
    slashing=st.builds(Slashing, st.integers(0, 10_000)),
    stopping=st.builds(Stopping, st.integers(1, 10), st.integers(10, 1_000_000), ROUNDS, st.floats(0, 1e6)),
    validation=st.sampled_from(["private", CID]),
    public_data=st.just(True),
    buffers=BUFFERS,
)

NORMALIZED: dict[str, Buffer] = {
    "1.running_mean": Average("average", -10.0, 10.0),
    "1.running_var": Pooled("pooled", "1.running_mean", 0.0, 100.0),
    "1.num_batches_tracked": Counter("counter", 0, 1_000_000),
}
DECLARED = replace(PLAN, buffers=NORMALIZED)


def altered(path: str, value: object, plan: Plan = PLAN) -> bytes:
    """The plan's bytes, canonical, with the member at the dotted `path` set to `value`."""
    document = json.loads(PLANS.encode(plan))
    *sections, last = path.split(".")
    section: dict[str, Any] = document
    for name in sections:
        section = section[name]
    section[last] = value
    return jcs.dumps(document)


@settings(deadline=None)
@given(ANY_PLAN)
def test_a_plan_that_was_written_is_read(plan: Plan) -> None:
    assert PLANS.decode(PLANS.encode(plan)) == plan


def test_whole_numbers_are_floats_again_where_floats_belong() -> None:
    plan = PLANS.decode(PLANS.encode(replace(PLAN, optimizer=Optimizer("sgd", 1.0, 0.0))))
    assert isinstance(plan.optimizer.learning_rate, float)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("task.name", "", "task.name: String should match pattern"),
        ("task.name", "Digits", "task.name: String should match pattern"),
        ("model.name", "../mlp", "model.name: String should match pattern"),
        ("model.arguments", [], "model.arguments: should be"),
        ("model.arguments", {"hidden": [1.5]}, "model.arguments.hidden: should be a number, true or false, a text"),
        ("model.arguments", {"hidden": [True]}, "model.arguments.hidden: should be a number"),
        ("model.arguments", {"hidden": [1] * 65}, "model.arguments.hidden: should be a number"),
        ("model.arguments", {"hidden": {"a": 1}}, "model.arguments.hidden: should be a number"),
        ("model.arguments", {"hidden": None}, "model.arguments.hidden: should be a number"),
        ("model.arguments", {"hidden": "x" * 257}, "model.arguments.hidden: should be a number"),
        ("model.arguments", {f"a{index}": 1 for index in range(65)}, "should have at most 64 items"),
        ("initialization_seed", -1, "initialization_seed: should be greater than or equal to 0 (found -1)"),
        ("initialization_seed", 1.5, "initialization_seed: should be a valid integer (found 1.5)"),
        ("optimizer.name", "adam", "optimizer.name: should be 'sgd' (found 'adam')"),
        ("optimizer.learning_rate", 0, "optimizer.learning_rate: should be greater than 0 (found 0)"),
        ("optimizer.learning_rate", -0.1, "optimizer.learning_rate: should be greater than 0 (found -0.1)"),
        ("optimizer.learning_rate", 1e300, "optimizer.learning_rate: should be less than or equal to 1000"),
        ("optimizer.learning_rate", "0.1", "optimizer.learning_rate: should be a valid number (found '0.1')"),
        ("optimizer.learning_rate", True, "optimizer.learning_rate: should be a valid number (found True)"),
        ("optimizer.momentum", 1, "optimizer.momentum: should be less than 1 (found 1)"),
        ("local.steps", 5, "local.epochs: exactly one of steps and epochs should be a number, the other null"),
        ("local.epochs", None, "local.epochs: exactly one of steps and epochs"),
        ("local.epochs", 0, "local.epochs: should be greater than or equal to 1"),
        ("local.batch_size", 0, "local.batch_size: should be greater than or equal to 1"),
        ("local.batch_size", 65_537, "local.batch_size: should be less than or equal to 65536"),
        ("local.batch_size", 64.5, "local.batch_size: should be a valid integer"),
        ("ewc.strength", -1, "ewc.strength: should be greater than or equal to 0"),
        ("ewc.decay", 1, "ewc.decay: should be less than 1"),
        ("ewc.fisher_samples", 0, "ewc.fisher_samples: should be greater than or equal to 1"),
        ("ewc.fisher_cap", 0, "ewc.fisher_cap: should be greater than 0"),
        ("privacy.where", "client", "privacy.where: should be 'none' (found 'client')"),
        ("privacy.where", "organization", "privacy.where: should be 'none' (found 'organization')"),
        ("privacy.where", "moon", "privacy.where: should be 'none' (found 'moon')"),
        ("public_data", False, "public_data: should be true: without noise, updates may only come from data that"),
        ("public_data", 1, "public_data: should be a valid boolean"),
        ("aggregation.rule", "median", "aggregation.rule: should be 'fedavg'"),
        ("aggregation.max_weight", 0, "aggregation.max_weight: should be greater than or equal to 1"),
        ("aggregation.min_updates", 1_001, "aggregation.min_updates: should be less than or equal to 1000"),
        ("metering.tolerance_percent", 99, "metering.tolerance_percent: should be greater than or equal to 100"),
        ("slashing.rate", -1, "slashing.rate: should be greater than or equal to 0 (found -1)"),
        ("slashing.rate", 10_001, "slashing.rate: should be less than or equal to 10000 (found 10001)"),
        ("stopping.max_rounds", 9, "stopping.max_rounds: should be at least min_rounds, 10 (found 9)"),
        ("stopping.patience", 0, "stopping.patience: should be greater than or equal to 1"),
        ("stopping.min_improvement", -0.1, "stopping.min_improvement: should be greater than or equal to 0"),
        ("validation", "public", "validation: 'public' is not a CIDv0"),
        ("validation", None, "validation: should be a valid string"),
        ("task", None, "task: should be"),
        ("task.extra", 1, "task.extra: is unknown"),
        ("extra", {"a": [1]}, "extra: is unknown"),
        ("kind", "report", "this is no plan: its kind is 'report'"),
        ("kind", None, "this is no plan: its kind is None"),
        ("buffers", None, "buffers: is unknown"),
        ("version", 0, "this plan has version 0: expected a whole number from 1"),
        ("version", 3, "this plan has version 3, this program reads up to 2: update Koinon"),
        ("version", True, "this plan has version True"),
        ("version", "1", "this plan has version '1'"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_plan_out_of_range_is_refused_in_words(path: str, value: object, reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        PLANS.decode(altered(path, value))
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("plan", "field"),
    [(PLAN, field.name) for field in fields(Plan1)] + [(DECLARED, field.name) for field in fields(Plan)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_field_is_required(plan: Plan, field: str) -> None:
    document = json.loads(PLANS.encode(plan))
    del document[field]
    with pytest.raises(ArtifactError, match=f"{field}: is missing"):
        PLANS.decode(jcs.dumps(document))


def test_a_plan_that_says_nothing_of_buffers_is_of_version_1() -> None:
    document = json.loads(PLANS.encode(PLAN))
    assert document["version"] == 1 and document["aggregation"]["rule"] == "fedavg" and "buffers" not in document
    assert PLANS.decode(PLANS.encode(PLAN)).buffers is None


def test_a_plan_with_buffers_is_of_version_2() -> None:
    document = json.loads(PLANS.encode(DECLARED))
    assert document["version"] == 2 and document["aggregation"]["rule"] == {"kind": "fedavg"}
    assert document["buffers"]["1.running_var"] == {"kind": "pooled", "mean": "1.running_mean", "least": 0, "most": 100}
    assert PLANS.decode(PLANS.encode(DECLARED)) == DECLARED


def test_a_plan_has_one_spelling_so_that_consents_to_it_are_for_one_cid() -> None:
    with pytest.raises(ArtifactError, match="has version 2, and version 1 holds what it says: expected that"):
        PLANS.decode(altered("buffers", None, DECLARED))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("buffers", {}, "buffers: Dictionary should have at least 1 item"),
        ("buffers.x", {"kind": "sum", "least": 0, "most": 1}, "'counter', 'average', 'pooled'"),
        ("buffers.x", {"least": 0, "most": 1}, "buffers.x: Unable to extract tag using discriminator 'kind'"),
        ("buffers.x", {"kind": "average", "least": 0}, "buffers.x.average.most: is missing"),
        ("buffers.x", {"kind": "average", "least": 1, "most": 0.5}, "most: should be at least least, 1.0 (found 0.5)"),
        (
            "buffers.x",
            {"kind": "average", "least": 0.1, "most": 0.1},
            "most: should leave room for a float32 from least",
        ),
        (
            "buffers.x",
            {"kind": "pooled", "mean": "1.running_mean", "least": 1e-60, "most": 1e-50},
            "most: should leave room for a float32 from least, 1e-60, on: the next one is 1.4",
        ),
        ("buffers.x", {"kind": "average", "least": 0, "most": 1e39}, "buffers.x.average.most: should be less than"),
        ("buffers.x", {"kind": "average", "least": 0, "most": 1, "mean": "y"}, "buffers.x.average.mean: is unknown"),
        (
            "buffers.x",
            {"kind": "counter", "least": 0, "most": 1.5},
            "buffers.x.counter.most: should be a valid",
        ),
        (
            "buffers.x",
            {"kind": "pooled", "mean": "y", "least": 0, "most": 1},
            "'x' is pooled around 'y': that should",
        ),
        (
            "buffers.x",
            {"kind": "pooled", "mean": "1.num_batches_tracked", "least": 0, "most": 1},
            "'x' is pooled around '1.num_batches_tracked': that should be a buffer of kind 'average'",
        ),
        (
            "buffers.x",
            {"kind": "pooled", "mean": "1.running_mean", "least": -1, "most": 1},
            "buffers.x.pooled.least: should be greater than or equal to 0",
        ),
        ("aggregation.rule", "fedavg", "aggregation.rule: should be an object"),
        ("aggregation.rule", {"kind": "median"}, "aggregation.rule.kind: should be 'fedavg' (found 'median')"),
        ("aggregation.rule", {}, "aggregation.rule.kind: is missing"),
        ("aggregation.rule", {"kind": "fedavg", "momentum": 0}, "aggregation.rule.momentum: is unknown"),
    ],
)
def test_a_plan_of_version_2_out_of_range_is_refused_in_words(path: str, value: object, reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        PLANS.decode(altered(path, value, DECLARED))
    assert reason in str(refusal.value)


def table(**changes: object) -> dict[str, Any]:
    """The [plan] of a configuration that means the example."""
    document = json.loads(PLANS.encode(PLAN))
    del document["kind"], document["version"]
    return {**document, "local": {"epochs": 1, "batch_size": 64}, **changes}


def test_a_configuration_names_its_rule_as_a_text_and_need_not_speak_of_buffers() -> None:
    assert Plan.from_table(table()) == PLAN


def test_a_configuration_declares_each_buffer_in_a_table_of_its_own() -> None:
    declared = Plan.from_table(table(buffers={name: asdict(buffer) for name, buffer in NORMALIZED.items()}))
    assert declared == DECLARED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"buffers": {"x": {"kind": "counter", "least": 2, "most": 1}}}, "buffers.x.counter.most: should be at least"),
        ({"buffers": {"x": 1}}, "buffers.x: "),
        ({"aggregation": {"rule": "median"}}, "aggregation.rule.kind: should be 'fedavg' (found 'median')"),
        ({"aggregation": 1}, "aggregation: "),
        ({"local": None}, "local: "),
        ({"version": 2}, "version: is unknown"),
    ],
)
def test_a_configuration_that_makes_no_plan_is_refused_in_words(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Plan.from_table(table(**changes))
    assert reason in str(refusal.value)


@pytest.mark.parametrize(("strength", "asked"), [(0.0, False), (0.1, True)])
def test_rounds_are_anchored_and_fisher_information_is_measured_and_sent_where_ewc_is_on(
    strength: float, asked: bool
) -> None:
    plan = replace(PLAN, ewc=replace(PLAN.ewc, strength=strength))
    assert (plan.anchored, plan.measures_fisher, plan.sends_fisher) == (asked, asked, asked)


def test_all_mistakes_are_named_together() -> None:
    document = json.loads(PLANS.encode(PLAN))
    document["optimizer"]["learning_rate"] = -1
    document["privacy"]["where"] = "client"
    document["local"] |= {"steps": 1, "batch_size": 0}
    document["surprise"] = 1
    del document["metering"]
    with pytest.raises(ArtifactError) as refusal:
        PLANS.decode(jcs.dumps(document))
    mistakes = str(refusal.value).splitlines()
    assert mistakes[0] == "the plan is not valid:"
    assert sorted(line.split(":")[0].strip() for line in mistakes[1:]) == [
        "local.batch_size",
        "local.epochs",
        "metering",
        "optimizer.learning_rate",
        "privacy.where",
        "surprise",
    ]


def test_hundreds_of_mistakes_are_summed_up() -> None:
    document = json.loads(PLANS.encode(PLAN)) | {f"x{index}": "y" * 30 for index in range(900)}
    with pytest.raises(ArtifactError, match="and 880 more") as refusal:
        PLANS.decode(jcs.dumps(document))
    assert len(str(refusal.value)) < 1_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the plan is not JSON"),
        (b"[]", "this is no plan: expected a JSON object"),
        (PLANS.encode(PLAN)[:-1], "the plan is not JSON"),
        (PLANS.encode(PLAN) + b"\n", "the plan is JSON, but not canonical"),
        (PLANS.encode(PLAN).replace(b":0.4", b":0.40"), "the plan is JSON, but not canonical"),
        (PLANS.encode(PLAN).replace(b":0.4", b":NaN"), "the plan has NaN"),
        (PLANS.encode(PLAN).replace(b":0.4", b":-Infinity"), "the plan has -Infinity"),
        (PLANS.encode(PLAN).replace(b":0.4", b":1e999"), "the plan has a number that no float64 holds"),
        (PLANS.encode(PLAN).replace(b":7,", b":9007199254740993,"), "the plan has an integer beyond 2^53"),
        (PLANS.encode(PLAN)[:-1] + b',"version":1}', "the plan has the key 'version' twice"),
        (b'{"kind":' + b"[" * 50 + b"]" * 50 + b"}", "the plan is nested more than 16 levels deep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_that_are_not_a_canonical_plan_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        PLANS.decode(data)
    assert str(refusal.value).startswith(reason)


def test_a_plan_over_the_limit_is_not_parsed() -> None:
    with pytest.raises(ArtifactTooLarge, match=f"over the limit of {PLANS.limit}"):
        PLANS.decode(b"[" * (PLANS.limit + 1))


def test_a_plan_has_room_for_all_the_buffers_that_it_may_declare() -> None:
    names = [f"layer{number:04d}.".ljust(60, "x") for number in range(1_000)]
    plan = replace(PLAN, buffers={name: Average("average", -FLOAT32_MAX, FLOAT32_MAX) for name in names})
    assert PLANS.decode(PLANS.encode(plan)) == plan


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_plan_that_could_not_be_read_is_not_written(rate: float) -> None:
    with pytest.raises(ArtifactError):
        PLANS.encode(replace(PLAN, optimizer=Optimizer("sgd", rate, 0.0)))


def test_steps_are_those_of_the_plan_or_as_many_as_its_epochs_make() -> None:
    assert LocalWork(steps=7, epochs=None, batch_size=64).steps_of(1000) == 7
    assert LocalWork(steps=None, epochs=2, batch_size=64).steps_of(65) == 3
