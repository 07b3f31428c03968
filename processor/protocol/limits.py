"""A client's own limits: what a round pays and asks for, and why a client takes no part in it. Pure.

What the chain says of a round (`Offer`) costs nothing to know and is judged before its plan is fetched; what the plan
asks for (`Work`) before anything of it is built, trained or published.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from processor.artifacts.artifact_file import BUFFER
from processor.artifacts.model import PARAMETER
from processor.artifacts.plan import Plan
from processor.chain.asset import Asset
from processor.config import ClientSettings
from processor.privacy.sealing import sealed_size
from processor.protocol.rewards import SCALE, rate_in_words
from processor.tensors import Layout
from processor.types import RoundView
from processor.words import counted

SUBMIT_GAS, CLAIM_GAS = 82_000, 51_000
"""Ceilings of what the two transactions of a round use, the claim by itself (docs/protocol.md, the gas snapshot)."""

FISHER_CHUNK = 16
"""Rows that `learning.ewc.fisher_information` takes at a time."""

FLOAT, DOUBLE = 4, 8
"""Bytes of a float32 and a float64."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client agrees to do, by its configuration (`config.ClientSettings`); None, and 0 of a minimum, for no
    limit. `minimum_rate` is in the unit of the chain's rates; `own_gas` says that the client pays for its gas itself,
    as one without relays does."""

    accept_public_updates: bool = True
    minimum_rate: int = 0
    minimum_reward: int = 0
    accept_unpaid_rounds: bool = True
    own_gas: bool = True
    max_fee_per_gas: int | None = None
    max_seconds: float | None = None
    max_steps: int | None = None
    max_parameters: int | None = None
    max_bytes: int | None = None
    max_memory: int | None = None
    max_epsilon: float | None = None

    @staticmethod
    def of(settings: ClientSettings) -> Limits:
        return Limits(
            accept_public_updates=settings.accept_public_updates,
            minimum_rate=settings.minimum_rate,
            minimum_reward=settings.minimum_reward,
            accept_unpaid_rounds=settings.accept_unpaid_rounds,
            own_gas=not settings.relays,
            max_fee_per_gas=settings.network.max_fee_per_gas,
            max_seconds=settings.max_seconds,
            max_steps=settings.max_steps,
            max_parameters=settings.max_parameters,
            max_bytes=settings.max_bytes,
            max_memory=settings.max_memory,
            max_epsilon=settings.max_epsilon,
        )


@dataclass(frozen=True)
class Offer:
    """What the chain says of a round: the `rate` that it guarantees, in the unit of the chain's rates, the `reward`
    that it guarantees for the most compute time it accepts, the `seconds` that its training may take, and the
    `gas_price` in wei now."""

    asset: Asset
    rate: int
    reward: int
    seconds: float
    gas_price: int


@dataclass(frozen=True)
class ModelSize:
    """The parameters that are trained, and the bytes of what is carried next to them."""

    parameters: int
    buffer_bytes: int

    @staticmethod
    def of(layout: Layout) -> ModelSize:
        """The size of a model whose file has these tensors."""
        sizes = {name: (math.prod(shape), np.dtype(dtype).itemsize) for name, (dtype, shape) in layout.items()}
        return ModelSize(
            parameters=sum(count for name, (count, _) in sizes.items() if name.startswith(PARAMETER)),
            buffer_bytes=sum(count * each for name, (count, each) in sizes.items() if name.startswith(BUFFER)),
        )


@dataclass(frozen=True)
class Work:
    """What a plan asks of one client: `bytes` are those of the larger artifact, `memory` is estimated in bytes,
    `epsilon` the privacy that an update spends (differential privacy; infinite where nothing bounds it); `public` where
    updates are published as they are."""

    parameters: int
    bytes: int
    steps: int
    memory: int
    epsilon: float
    public: bool


Demand = Offer | Work


def offer_of(view: RoundView, asset: Asset, gas_price: int) -> Offer:
    """A round's offer. Its most compute time is what it accepts, in the period that it has for training."""
    most_ms = min(view.max_compute_ms, (view.training_deadline - view.opened_at) * 1000)
    share = view.pool // view.selected_count if view.selected_count else 0
    return Offer(
        asset, view.guaranteed_rate, min(view.guaranteed_rate * most_ms // SCALE, share), most_ms / 1000, gas_price
    )


def work_of(plan: Plan, size: ModelSize, example_bytes: int, outputs: int, samples: int) -> Work:
    """The plan's work for a client that has so many samples: each takes `example_bytes` in memory with its label, and
    the model answers it with `outputs` numbers."""
    return Work(
        parameters=size.parameters,
        bytes=artifact_bytes(plan, size),
        steps=plan.local.steps_of(samples),
        memory=estimated_memory(plan, size, example_bytes, outputs, samples),
        epsilon=math.inf,
        public=plan.public_data,
    )


def artifact_bytes(plan: Plan, size: ModelSize) -> int:
    """Bytes of the sealed update, which the base model does not exceed: differences, buffers, and, where it is sent,
    the Fisher information. Headers, some kilobytes, are not counted."""
    arrays = 2 if plan.sends_fisher else 1
    return sealed_size(arrays * FLOAT * size.parameters + size.buffer_bytes)


def estimated_memory(plan: Plan, size: ModelSize, example_bytes: int, outputs: int, samples: int) -> int:
    """Bytes that a round takes in addition to the program itself, at its peak. With P parameters:

    - all the time: base model and module (each 4 P and the buffers), gradients (4 P), momentum (4 P, if any), for an
      anchor the base model's Fisher information (4 P), and the data set with a batch of it. The anchor's centre is the
      base model itself.
    - the larger of the anchor's pull with its intermediates in float64 (24 P), and of the sums of the Fisher
      information that is measured in float64 (8 P) with the Jacobian of a chunk of rows, a gradient for each row and
      output, and its square (2 · 4 P · rows · outputs).

    Activations, which depend on the model's layers and grow with the batch, are not counted.
    """
    count = size.parameters
    held = 2 * (FLOAT * count + size.buffer_bytes) + (samples + plan.local.batch_size) * example_bytes
    held += FLOAT * count * (2 if plan.optimizer.momentum else 1)
    pull = fisher = 0
    if plan.anchored:
        held += FLOAT * count
        pull = 3 * DOUBLE * count
    if plan.measures_fisher:
        rows = min(FISHER_CHUNK, plan.ewc.fisher_samples, samples)
        fisher = DOUBLE * count + 2 * FLOAT * count * rows * outputs
    return held + max(pull, fisher)


def refusal(limits: Limits, demand: Demand) -> str | None:
    """The first reason, in a sentence, not to take part; None where the limits allow it. Completes "round 3 refused:".

    What changes from block to block (the price of gas) is not named, so that a log that repeats only news is quiet.
    """
    return next(refusals(limits, demand), None)


def refusals(limits: Limits, demand: Demand) -> Iterator[str]:
    """Every reason, in order.

    The guaranteed reward is compared after the gas of submission and claim where both are in the chain's own coin. A
    token has no price here: then the reward alone is compared, and gas is limited by `max_fee_per_gas`.
    """
    return _of_offer(limits, demand) if isinstance(demand, Offer) else _of_work(limits, demand)


def _of_offer(limits: Limits, offer: Offer) -> Iterator[str]:
    asset = offer.asset
    if offer.rate < limits.minimum_rate:
        yield (
            f"it guarantees {rate_in_words(asset, offer.rate)} for a second of compute, "
            f"less than the minimum_rate of {rate_in_words(asset, limits.minimum_rate)} that is configured"
        )
    if not limits.accept_unpaid_rounds and (unpaid := _unpaid(limits, offer)) is not None:
        yield f"{unpaid}: set client.accept_unpaid_rounds = true to take part all the same"
    if limits.max_seconds is not None and offer.seconds > limits.max_seconds:
        training = f"{counted(offer.seconds, 'second')} of training"
        yield _over("it may take", training, "max_seconds", f"{limits.max_seconds:g}")
    if limits.minimum_reward:
        least = asset.format(limits.minimum_reward)
        if not asset.native:
            if offer.reward < limits.minimum_reward:
                yield (
                    f"it guarantees {asset.format(offer.reward)} for the most compute time that it accepts, less than "
                    f"the minimum_reward of {least} that is configured"
                )
        elif offer.reward - offer.gas_price * (SUBMIT_GAS + CLAIM_GAS) < limits.minimum_reward:
            yield (
                f"what it guarantees for the most compute time that it accepts, {asset.format(offer.reward)}, is less "
                f"than the minimum_reward of {least} that is configured, once submission and claim are paid at the "
                "price that gas has now"
            )
    if limits.max_fee_per_gas is not None and offer.gas_price > limits.max_fee_per_gas:
        yield (
            f"a unit of gas costs more now than the network.max_fee_per_gas of {limits.max_fee_per_gas} wei that is "
            "configured: it is looked at again when the price has changed"
        )


def _unpaid(limits: Limits, offer: Offer) -> str | None:
    if offer.reward == 0:
        return "it guarantees no reward"
    if offer.asset.native and limits.own_gas and offer.reward < offer.gas_price * SUBMIT_GAS:
        return (
            f"what it guarantees for the most compute time that it accepts, {offer.asset.format(offer.reward)}, is "
            "less than the gas of submitting an update at the price that gas has now"
        )
    return None


def _of_work(limits: Limits, work: Work) -> Iterator[str]:
    if work.public and not limits.accept_public_updates:
        yield (
            "its updates carry no noise and become public when the round is finalized; "
            "set accept_public_updates = true if your data may be"
        )
    if limits.max_epsilon is not None and work.epsilon > limits.max_epsilon:
        spent = (
            f"an epsilon of {work.epsilon:g}"
            if math.isfinite(work.epsilon)
            else "privacy without bound, for want of noise"
        )
        yield _over("its updates spend", spent, "max_epsilon", f"{limits.max_epsilon:g}")
    asked: tuple[tuple[str, int, str, int | None], ...] = (
        ("parameters in the model", work.parameters, "max_parameters", limits.max_parameters),
        ("bytes in an artifact", work.bytes, "max_bytes", limits.max_bytes),
        ("optimizer steps", work.steps, "max_steps", limits.max_steps),
        ("bytes of memory, by estimate", work.memory, "max_memory", limits.max_memory),
    )
    for what, amount, setting, limit in asked:
        if limit is not None and amount > limit:
            yield _over("it asks for", f"{amount} {what}", setting, str(limit))


def _over(asks: str, amount: str, setting: str, limit: str) -> str:
    return f"{asks} {amount}, and client.{setting} allows {limit}: raise that to take part"
