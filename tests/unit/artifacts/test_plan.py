"""A plan is read whole or refused, with all its mistakes at once."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import jcs
from processor.artifacts.plan import (
    PLAN_LIMIT,
    Aggregation,
    Ewc,
    Factory,
    LocalWork,
    Metering,
    Optimizer,
    Plan,
    Privacy,
    Slashing,
    Stopping,
)
from processor.errors import ArtifactError, ArtifactTooLarge
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
PLANS = st.builds(
    Plan,
    task=FACTORIES,
    model=FACTORIES,
    initialization_seed=st.integers(0, 2**53 - 1),
    optimizer=st.builds(Optimizer, st.just("sgd"), st.floats(1e-300, 1e3), st.floats(0, 1, exclude_max=True)),
    local=LOCAL,
    ewc=st.builds(Ewc, st.floats(0, 1e12), st.floats(0, 1, exclude_max=True), ROUNDS, st.floats(1e-300, 1e12)),
    privacy=st.just(Privacy("none")),
    aggregation=st.builds(
        Aggregation, st.just("fedavg"), st.integers(1, 10**9), st.floats(1e-9, 1e12), st.integers(1, 1_000)
    ),
    metering=st.builds(Metering, st.integers(100, 1_000_000), st.integers(1, 2**32 - 1)),
    slashing=st.builds(Slashing, st.integers(0, 10_000)),
    stopping=st.builds(Stopping, st.integers(1, 10), st.integers(10, 1_000_000), ROUNDS, st.floats(0, 1e6)),
    validation=st.sampled_from(["private", CID]),
    public_data=st.just(True),
)


def altered(path: str, value: object) -> bytes:
    """The example's bytes, canonical, with the member at the dotted `path` set to `value`."""
    document = json.loads(PLAN.encode())
    *sections, last = path.split(".")
    section: dict[str, Any] = document
    for name in sections:
        section = section[name]
    section[last] = value
    return jcs.dumps(document)


@settings(deadline=None)
@given(PLANS)
def test_a_plan_that_was_written_is_read(plan: Plan) -> None:
    assert Plan.decode(plan.encode()) == plan


def test_whole_numbers_are_floats_again_where_floats_belong() -> None:
    plan = Plan.decode(replace(PLAN, optimizer=Optimizer("sgd", 1.0, 0.0)).encode())
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
        ("privacy.where", "client", "privacy.where: noise is not supported by this version: should be 'none'"),
        ("privacy.where", "organization", "privacy.where: noise is not supported by this version"),
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
        ("version", 2, "this plan has version 2: this program reads version 1"),
        ("version", True, "this plan has version True"),
        ("version", "1", "this plan has version '1'"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_plan_out_of_range_is_refused_in_words(path: str, value: object, reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        Plan.decode(altered(path, value))
    assert reason in str(refusal.value)


@pytest.mark.parametrize("field", [field.name for field in fields(Plan)])
def test_every_field_is_required(field: str) -> None:
    document = json.loads(PLAN.encode())
    del document[field]
    with pytest.raises(ArtifactError, match=f"{field}: is missing"):
        Plan.decode(jcs.dumps(document))


def test_all_mistakes_are_named_together() -> None:
    document = json.loads(PLAN.encode())
    document["optimizer"]["learning_rate"] = -1
    document["privacy"]["where"] = "client"
    document["local"] |= {"steps": 1, "batch_size": 0}
    document["surprise"] = 1
    del document["metering"]
    with pytest.raises(ArtifactError) as refusal:
        Plan.decode(jcs.dumps(document))
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


def test_a_thousand_mistakes_are_summed_up() -> None:
    document = json.loads(PLAN.encode()) | {f"x{index}": "y" * 30 for index in range(1_000)}
    with pytest.raises(ArtifactError, match="and 980 more") as refusal:
        Plan.decode(jcs.dumps(document))
    assert len(str(refusal.value)) < 1_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the plan is not JSON"),
        (b"[]", "this is no plan: expected a JSON object"),
        (PLAN.encode()[:-1], "the plan is not JSON"),
        (PLAN.encode() + b"\n", "the plan is JSON, but not canonical"),
        (PLAN.encode().replace(b":0.4", b":0.40"), "the plan is JSON, but not canonical"),
        (PLAN.encode().replace(b":0.4", b":NaN"), "the plan has NaN"),
        (PLAN.encode().replace(b":0.4", b":-Infinity"), "the plan has -Infinity"),
        (PLAN.encode().replace(b":0.4", b":1e999"), "the plan has a number that no float64 holds"),
        (PLAN.encode().replace(b":7,", b":9007199254740993,"), "the plan has an integer beyond 2^53"),
        (PLAN.encode()[:-1] + b',"version":1}', "the plan has the key 'version' twice"),
        (b'{"kind":' + b"[" * 50 + b"]" * 50 + b"}", "the plan is nested more than 16 levels deep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_that_are_not_a_canonical_plan_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        Plan.decode(data)
    assert str(refusal.value).startswith(reason)


def test_a_plan_over_the_limit_is_not_parsed() -> None:
    with pytest.raises(ArtifactTooLarge, match=f"over the limit of {PLAN_LIMIT}"):
        Plan.decode(b"[" * (PLAN_LIMIT + 1))


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_plan_that_could_not_be_read_is_not_written(rate: float) -> None:
    with pytest.raises(ArtifactError):
        replace(PLAN, optimizer=Optimizer("sgd", rate, 0.0)).encode()


def test_steps_are_those_of_the_plan_or_as_many_as_its_epochs_make() -> None:
    assert LocalWork(steps=7, epochs=None, batch_size=64).steps_of(1000) == 7
    assert LocalWork(steps=None, epochs=2, batch_size=64).steps_of(65) == 3
