"""The plan: everything about a round's learning that clients, organization and auditors must agree on.

It is published once, and every round names its CID. Only shapes and ranges are checked here; whether the named task
and model exist is for the learning code to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, ValidationInfo

from processor.artifacts.buffers import Buffers
from processor.artifacts.canonical import Count, Fields, checked_cid, read
from processor.artifacts.versions import Kind, Older
from processor.errors import ArtifactError, ConfigurationError

PRIVATE = "private"
"""What a plan says of validation data that is not published."""

Argument = int | float | str | bool | list[int]


def _argument(value: Any) -> Argument:
    integers = isinstance(value, list) and len(value) <= 64 and all(type(item) is int for item in value)
    if integers or (isinstance(value, int | float | str) and len(str(value)) <= 256):
        return value
    raise ValueError("should be a number, true or false, a text of at most 256 characters or a list of integers")


def _one_of_steps_and_epochs(epochs: int | None, info: ValidationInfo) -> int | None:
    if "steps" in info.data and (epochs is None) == (info.data["steps"] is None):
        raise ValueError("exactly one of steps and epochs should be a number, the other null")
    return epochs


def _not_below_min_rounds(max_rounds: int, info: ValidationInfo) -> int:
    if max_rounds < info.data.get("min_rounds", 0):
        raise ValueError(f"should be at least min_rounds, {info.data['min_rounds']}")
    return max_rounds


def _public(public_data: bool) -> bool:
    if not public_data:
        raise ValueError("should be true: without noise, updates may only come from data that is public anyway")
    return public_data


def _validation(value: str) -> str:
    return value if value == PRIVATE else checked_cid(value)


Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
ArgumentField = Annotated[Argument, PlainValidator(_argument)]


@dataclass(frozen=True)
class Factory(Fields):
    """A registered task or model, and what it is called with."""

    name: Identifier
    arguments: Annotated[dict[Identifier, ArgumentField], Field(max_length=64)]


@dataclass(frozen=True)
class Optimizer(Fields):
    """The clients' optimizer: stochastic gradient descent."""

    name: Literal["sgd"]
    learning_rate: Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)]
    momentum: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class LocalWork(Fields):
    """How much a client trains per round: optimizer steps, the same for all, or epochs over its own samples."""

    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None
    epochs: Annotated[
        Annotated[int, Field(ge=1, le=10_000)] | None,
        AfterValidator(_one_of_steps_and_epochs),
    ]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]

    def samples_of(self, count: int) -> int:
        """Samples to train on, each as often as it comes, for a client that has `count`."""
        return self.steps * self.batch_size if self.steps is not None else (self.epochs or 0) * count

    def steps_of(self, count: int) -> int:
        """Optimizer steps for a client that has `count` samples."""
        return -(-self.samples_of(count) // self.batch_size)


@dataclass(frozen=True)
class Ewc(Fields):
    """Elastic weight consolidation (Kirkpatrick et al. 2017): lambda/2 * sum F (theta - theta*)^2.

    `strength` is lambda, 0 for plain federated averaging; `decay` is the gamma by which the federation's Fisher
    information fades each round; `fisher_samples` the most samples an estimate uses; `fisher_cap` the largest L2 norm
    of one client's Fisher information, to which a larger one is scaled down.
    """

    strength: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
    decay: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    fisher_samples: Annotated[int, Field(ge=1, le=1_000_000)]
    fisher_cap: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]


@dataclass(frozen=True)
class Privacy(Fields):
    """Where noise is added: nowhere, which only public data allows."""

    where: Literal["none"]


@dataclass(frozen=True)
class FedAvg(Fields):
    """Federated averaging (McMahan et al. 2017): the mean of all updates, weighted by their samples."""

    kind: Literal["fedavg"]


FEDAVG = FedAvg("fedavg")

Rule = FedAvg
"""The rules that a plan can name, each with its own arguments."""


@dataclass(frozen=True)
class Aggregation(Fields):
    """How accepted updates become a model: weights are samples, at most `max_weight` each.

    With fewer than `min_updates` accepted updates the base model stays. An update whose delta has an L2 norm above
    `max_norm` is rejected: one that is absurdly large would destroy the model for good.
    """

    rule: Rule
    max_weight: Annotated[int, Field(ge=1, le=1_000_000_000)]
    max_norm: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    min_updates: Annotated[int, Field(ge=1, le=1_000)]


@dataclass(frozen=True)
class Metering(Fields):
    """Compute times above `tolerance_percent` % of the median of the accepted claims are lowered to it, none below
    `floor_ms`: what the plan's work may take whatever others claim."""

    tolerance_percent: Annotated[int, Field(ge=100, le=1_000_000)]
    floor_ms: Annotated[int, Field(ge=1, le=2**32 - 1)]


@dataclass(frozen=True)
class Slashing(Fields):
    """What an update that only its own client can have broken costs: `rate` is in basis points of what is left of the
    client's stake, 0 for nothing."""

    rate: Annotated[int, Field(ge=0, le=10_000)]


@dataclass(frozen=True)
class Stopping(Fields):
    """Rounds end after `max_rounds`, or once at least `min_rounds` are done and the metric has not improved by
    `min_improvement` for `patience` rounds."""

    min_rounds: Annotated[int, Field(ge=1, le=1_000_000)]
    max_rounds: Annotated[int, Field(ge=1, le=1_000_000), AfterValidator(_not_below_min_rounds)]
    patience: Annotated[int, Field(ge=1, le=1_000_000)]
    min_improvement: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


@dataclass(frozen=True)
class Plan(Fields):
    """All rules of the learning; `validation` is `private` or the CID of the validation data.

    `buffers` declares each of the model's buffers by its name. None, as in every plan of version 1, leaves them
    unchecked: those of integers become the largest of all, the others the weighted mean.
    """

    task: Factory
    model: Factory
    initialization_seed: Count
    optimizer: Optimizer
    local: LocalWork
    ewc: Ewc
    privacy: Privacy
    aggregation: Aggregation
    metering: Metering
    slashing: Slashing
    stopping: Stopping
    validation: Annotated[str, AfterValidator(_validation)]
    public_data: Annotated[bool, AfterValidator(_public)]
    buffers: Buffers | None

    @property
    def anchored(self) -> bool:
        """Whether a round's training is anchored to its base model, weighted by the Fisher information of that."""
        return self.ewc.strength > 0

    @property
    def measures_fisher(self) -> bool:
        """Whether a client measures the Fisher information of its data once it has trained."""
        return self.ewc.strength > 0

    @property
    def sends_fisher(self) -> bool:
        """Whether an update, and so the next model, carries Fisher information."""
        return self.ewc.strength > 0

    @staticmethod
    def from_table(table: Mapping[str, Any]) -> Plan:
        """The plan of a configuration file, which has no null: of steps and epochs it names one, and it may have no
        buffers. A rule without arguments may be its name alone.

        Raises ConfigurationError for all mistakes together.
        """
        complete = {"buffers": None, **table}
        local, aggregation = table.get("local"), table.get("aggregation")
        if isinstance(local, Mapping):
            complete["local"] = {"steps": None, "epochs": None, **local}
        if isinstance(aggregation, Mapping) and isinstance(aggregation.get("rule"), str):
            complete["aggregation"] = {**aggregation, "rule": {"kind": aggregation["rule"]}}
        try:
            return read(Plan, PLAN.name, complete)
        except ArtifactError as error:
            raise ConfigurationError(f"the [plan] of the configuration cannot be used: {error}") from None


@dataclass(frozen=True)
class Aggregation1(Fields):
    """The aggregation of a plan of version 1, which knows one rule."""

    rule: Literal["fedavg"]
    max_weight: Annotated[int, Field(ge=1, le=1_000_000_000)]
    max_norm: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    min_updates: Annotated[int, Field(ge=1, le=1_000)]


@dataclass(frozen=True)
class Plan1(Fields):
    """A plan of version 1, which says nothing of buffers."""

    task: Factory
    model: Factory
    initialization_seed: Count
    optimizer: Optimizer
    local: LocalWork
    ewc: Ewc
    privacy: Privacy
    aggregation: Aggregation1
    metering: Metering
    slashing: Slashing
    stopping: Stopping
    validation: Annotated[str, AfterValidator(_validation)]
    public_data: Annotated[bool, AfterValidator(_public)]


def _from_1(plan: Plan1) -> Plan:
    old = plan.aggregation
    aggregation = Aggregation(FEDAVG, old.max_weight, old.max_norm, old.min_updates)
    return Plan(**{**_values(plan), "aggregation": aggregation, "buffers": None})


def _to_1(plan: Plan) -> Plan1 | None:
    if plan.buffers is not None:
        return None
    new = plan.aggregation
    values = {**_values(plan), "aggregation": Aggregation1("fedavg", new.max_weight, new.max_norm, new.min_updates)}
    del values["buffers"]
    return Plan1(**values)


def _values(plan: Fields) -> dict[str, Any]:
    return {field.name: getattr(plan, field.name) for field in fields(plan)}


PLAN = Kind("plan", 256 << 10, Plan, version=2, older=(Older(Plan1, up=_from_1, down=_to_1),))
