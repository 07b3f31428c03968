"""What an audit says of a report's metrics: measured again where the validation data is published, else a claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.dataset import DatasetHeader, write_dataset
from processor.artifacts.model import ModelHeader, write_model
from processor.artifacts.plan import PLAN, Factory, Plan
from processor.artifacts.report import Metrics, Report
from processor.artifacts.state import FIRST_STATE
from processor.chain.asset import Asset
from processor.errors import ArtifactError, DatasetError, KoinonError, MachineError, OutOfMemory, WorkerDied
from processor.privacy.sealing import generate_key_pair
from processor.protocol.audit.artifacts import Made, Workplace, check_metric_name, check_recomputed, check_task
from processor.protocol.audit.verdict import Checks, describe
from processor.protocol.measuring import Measure, Measured, Models, measure_by
from processor.protocol.opened import Identity
from processor.protocol.walk.claims import RoundList
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import ZERO_ADDRESS, Opening, Outcome
from tests.in_process import InProcess
from tests.unit.artifacts import examples

KEYS = generate_key_pair()
WEIGHTS = {"layer1.weight": np.eye(3, 2, dtype=np.float32), "layer1.bias": np.zeros(3, np.float32)}
FEATURES = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
LABELS = np.array([0, 1, 2, 1], np.int64)
ACCURACY = 0.75
"""Of the model with these weights, which never answers 2."""


class Round:
    """A finalized round of one federation in which nobody submitted: its model is its base model."""

    def __init__(self, folder: Path, published: bool = True, task: str = "classification") -> None:
        self.folder, self.library = folder, Library(LocalStorage(folder / "store"))
        self.storage = self.library.storage
        plan = replace(
            examples.PLAN,
            task=Factory("classification", {"features": 2, "classes": 3}),
            model=Factory("mlp", {"inputs": 2, "hidden": [], "outputs": 3}),
        )
        write_dataset(folder / "dataset", DatasetHeader(task), FEATURES, LABELS)
        if published:
            plan = replace(plan, validation=self.storage.put(folder / "dataset"))
        self.plan = plan
        header = ModelHeader(round=0, parent=None, plan=self.library.publish(PLAN, plan))
        write_model(folder / "base", header, WEIGHTS, {}, {})
        base = self.storage.put(folder / "base")
        opening = replace(examples.OPENING, plan=header.plan, base_model=base, sealing_key=KEYS.public)
        self.opening: Opening = opening
        self.checks = Checks(Asset(ZERO_ADDRESS, "ETH", 18))

    def audited(
        self, measure: Measure, claimed: float = ACCURACY, name: str = "accuracy", plan: Plan | None = None
    ) -> Made | None:
        metrics = Metrics(before=claimed, after=claimed, name=name)
        report: Report = replace(examples.REPORT, updates=(), model=self.opening.base_model, metrics=metrics)
        outcome = Outcome(self.opening.base_model, examples.CID, KEYS.secret, 0, ())
        identity = Identity(31337, examples.FEDERATION)
        place = Workplace(identity, self.library, self.folder, measure, lambda cid, plan: None)
        known = RoundList(self.opening, ())
        check_metric_name(self.checks, self.opening, plan or self.plan, report)
        return check_recomputed(self.checks, known, plan or self.plan, outcome, report, FIRST_STATE, place)

    @property
    def violations(self) -> list[str]:
        return [describe(violation) for violation in self.checks.violations]

    @property
    def unproved(self) -> list[str]:
        return [one.because for one in self.checks.unread]


def saying(*values: float, metric: str = "accuracy") -> Measure:
    return lambda plan, models, dataset: Measured(metric, values)


def failing(error: Exception) -> Measure:
    def measure(plan: Plan, models: Models, dataset: Path) -> Measured:
        raise error

    return measure


def test_true_metrics_on_published_data_are_found_so(tmp_path: Path) -> None:
    round = Round(tmp_path)
    assert round.audited(measure_by(InProcess(), tmp_path / "jobs" / "evaluate")) is not None
    assert (round.violations, round.unproved) == ([], [])


def test_nothing_is_measured_where_the_validation_data_is_private(tmp_path: Path) -> None:
    round = Round(tmp_path, published=False)
    assert round.audited(failing(AssertionError("measured")), claimed=0.1) is not None
    assert (round.violations, round.unproved) == ([], [])


def test_base_model_and_model_are_measured_on_the_published_dataset(tmp_path: Path) -> None:
    round, asked = Round(tmp_path), []

    def measure(plan: Plan, models: Models, dataset: Path) -> Measured:
        asked.append((plan, [cid for cid, _ in models], dataset.read_bytes()))
        assert all(path.is_file() for _, path in models)
        return Measured("accuracy", (ACCURACY, ACCURACY))

    round.audited(measure)
    base = round.opening.base_model
    assert asked == [(round.plan, [base, base], (tmp_path / "dataset").read_bytes())]
    assert not (tmp_path / "validation").exists()


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((ACCURACY, ACCURACY - 0.011), "accuracy of the model in the report: expected 0.7390, give or take 0.01"),
        ((ACCURACY + 0.011, ACCURACY), "accuracy of the base model in the report: expected 0.7610, give or take 0.01"),
    ],
)
def test_a_metric_that_differs_is_a_violation(tmp_path: Path, values: tuple[float, ...], found: str) -> None:
    round = Round(tmp_path)
    round.audited(saying(*values))
    assert round.violations == [f"round {round.opening.round}: {found}, found {ACCURACY:.4f}"]


def test_a_difference_that_rounding_explains_is_none(tmp_path: Path) -> None:
    round = Round(tmp_path)
    round.audited(saying(ACCURACY - 0.009, ACCURACY + 0.009))
    assert round.violations == []


@pytest.mark.parametrize("published", [True, False])
def test_a_metric_under_another_name_is_a_violation(tmp_path: Path, published: bool) -> None:
    round = Round(tmp_path, published)
    round.audited(saying(ACCURACY, ACCURACY), name="recall")
    assert [line.partition(": ")[2] for line in round.violations] == [
        "name of the metric in the report: expected accuracy, found recall"
    ]


@pytest.mark.parametrize(
    "error", [WorkerDied("the worker was ended by signal 9"), OutOfMemory("there is too little memory to measure")]
)
def test_a_worker_that_dies_leaves_the_metrics_without_a_proof_and_everything_else_checked(
    tmp_path: Path, error: KoinonError
) -> None:
    round = Round(tmp_path)
    assert round.audited(failing(error)) is not None
    assert (round.violations, round.unproved) == ([], [f"its models cannot be measured again: {error}"])
    assert not (tmp_path / "validation").exists()


def test_what_cannot_be_measured_for_what_it_is_is_a_violation(tmp_path: Path) -> None:
    round = Round(tmp_path)
    round.audited(failing(ArtifactError("model-0: holds something else")))
    (found,) = round.violations
    assert found.endswith("found model-0: holds something else")


def test_a_machine_that_fails_is_not_the_organizations_fault(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="rounds otherwise"):
        Round(tmp_path).audited(failing(MachineError("this machine rounds otherwise")))


def test_a_dataset_of_another_task_is_a_violation(tmp_path: Path) -> None:
    round = Round(tmp_path, task="digits")
    round.audited(measure_by(InProcess(), tmp_path / "jobs" / "evaluate"))
    (found,) = round.violations
    assert "the validation data is for the task digits: expected classification" in found
    assert found.startswith(f"round {round.opening.round}: validation data {round.plan.validation}: ")


def test_a_dataset_that_nobody_serves_is_a_violation_and_nothing_is_measured(tmp_path: Path) -> None:
    round = Round(tmp_path)
    (tmp_path / "store" / round.plan.validation).unlink()
    made = round.audited(failing(DatasetError("measured all the same")))
    (found,) = round.violations
    assert found.startswith(f"round {round.opening.round}: validation data {round.plan.validation}: ")
    assert made is not None and made.measured is None


def test_damaged_validation_data_is_named_as_what_it_is_and_the_model_is_made_again_all_the_same(
    tmp_path: Path,
) -> None:
    round = Round(tmp_path)
    stored = tmp_path / "store" / round.plan.validation
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    made = round.audited(failing(DatasetError("measured all the same")))
    (found,) = round.violations
    assert found.startswith(f"round {round.opening.round}: validation data {round.plan.validation}: ")
    assert made is not None and made.measured is None


def test_published_data_that_is_no_dataset_is_named_as_what_it_is(tmp_path: Path) -> None:
    round = Round(tmp_path)
    (tmp_path / "noise").write_bytes(b"no file of tensors")
    plan = replace(round.plan, validation=round.storage.put(tmp_path / "noise"))
    made = round.audited(measure_by(InProcess(), tmp_path / "jobs" / "evaluate"), plan=plan)
    (found,) = round.violations
    assert found.startswith(f"round {round.opening.round}: validation data {plan.validation}: ")
    assert made is not None


def test_what_was_measured_is_told_next_to_what_is_claimed(tmp_path: Path) -> None:
    made = Round(tmp_path).audited(saying(ACCURACY + 0.001, ACCURACY + 0.002))
    assert made is not None and made.measured == (ACCURACY + 0.001, ACCURACY + 0.002)


def test_a_model_that_is_not_the_plans_is_a_violation(tmp_path: Path) -> None:
    round = Round(tmp_path)
    other = replace(round.plan, model=replace(round.plan.model, arguments={"inputs": 2, "hidden": [4], "outputs": 3}))
    round.audited(measure_by(InProcess(), tmp_path / "jobs" / "evaluate"), plan=other)
    (found,) = round.violations
    assert "does not fit the plan's model: parameter" in found


def test_a_task_that_this_version_does_not_know_leaves_the_round_without_a_proof(tmp_path: Path) -> None:
    round = Round(tmp_path)
    check_task(round.checks, round.opening, round.plan)
    assert round.checks.readable(round.opening.round)
    check_task(round.checks, round.opening, replace(round.plan, task=Factory("guessing", {})))
    assert not round.checks.readable(round.opening.round)
    assert "no metric for a task called 'guessing'" in round.unproved[0]
