"""What a plan says of a model's buffers: the statistics that a model keeps next to its parameters.

Buffers in an update are a stranger's numbers, and a model that took them as they come could be destroyed by one of
them. So each has bounds, and a kind that says how those of a round become the next model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo

from processor import jcs
from processor.artifacts.canonical import Fields

FLOAT32_MAX = 3.4028234663852886e38
"""The largest finite float32."""


def float32_within(least: float, most: float) -> tuple[np.float32, np.float32]:
    """The smallest float32 from `least` on, and the largest up to `most`: the first is larger where there is none."""
    low, high = np.float32(least), np.float32(most)
    if float(low) < least:
        low = np.nextafter(low, np.float32(np.inf))
    if float(high) > most:
        high = np.nextafter(high, np.float32(-np.inf))
    return low, high


def _not_below_least(most: float, info: ValidationInfo) -> float:
    if most < info.data.get("least", most):
        raise ValueError(f"should be at least least, {info.data['least']}")
    return most


def _holds_float32(most: float, info: ValidationInfo) -> float:
    least = info.data.get("least")
    if least is not None and least <= most:
        low, high = float32_within(least, most)
        if low > high:
            raise ValueError(f"should leave room for a float32 from least, {least}, on: the next one is {float(low)}")
    return most


Integer = Annotated[int, Field(ge=-jcs.INTEGER_LIMIT, le=jcs.INTEGER_LIMIT)]
Number = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=FLOAT32_MAX, allow_inf_nan=False)]
BufferName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


@dataclass(frozen=True)
class Counter(Fields):
    """Counts the optimizer's steps: the next model has the largest of its updates, no further ahead of the base model's
    than by the steps that an update's weight makes.

    An update's lies between the base model's and that plus the steps of its round. `most` is for all rounds together.
    """

    kind: Literal["counter"]
    least: Integer
    most: Annotated[Integer, AfterValidator(_not_below_least)]


@dataclass(frozen=True)
class Average(Fields):
    """The next model has the mean of its updates, weighted as their parameters are."""

    kind: Literal["average"]
    least: Number
    most: Annotated[Number, AfterValidator(_not_below_least), AfterValidator(_holds_float32)]


@dataclass(frozen=True)
class Pooled(Fields):
    """Variances around the means that the buffer `mean` has: the next model has the variance of all samples together,
    with what their means differ by. An average would leave that out."""

    kind: Literal["pooled"]
    mean: BufferName
    least: NotNegative
    most: Annotated[NotNegative, AfterValidator(_not_below_least), AfterValidator(_holds_float32)]


Buffer = Counter | Average | Pooled


def _with_their_means(buffers: Mapping[str, Buffer]) -> Mapping[str, Buffer]:
    for name, buffer in buffers.items():
        if isinstance(buffer, Pooled) and not isinstance(buffers.get(buffer.mean), Average):
            raise ValueError(f"{name!r} is pooled around {buffer.mean!r}: that should be a buffer of kind 'average'")
    return buffers


Buffers = Annotated[
    Mapping[BufferName, Annotated[Buffer, Field(discriminator="kind")]],
    Field(min_length=1, max_length=1_000),
    AfterValidator(_with_their_means),
]
"""The buffers of a plan by the names that they have in the model."""
