"""The buffers of the next model: how those of the accepted updates become one, by what the plan declares."""

from __future__ import annotations

import numpy as np

from processor.aggregation.declared import COUNTS, MOST_STEPS, bounds, declared_of
from processor.aggregation.inputs import Block, Input, Inputs, Values
from processor.artifacts.artifact_file import BUFFER
from processor.artifacts.buffers import Average, Counter, Pooled
from processor.artifacts.model import ModelFile
from processor.artifacts.plan import Plan
from processor.tensors import Array


def buffer(base: ModelFile, inputs: Inputs, plan: Plan, name: str) -> Block:
    """A buffer of the next model by its full name, in int64 or float64.

    - counter: the largest of min(c_j, base + the steps that the plan gives to n_j samples);
    - average: M = sum(m_j n_j) / sum(n_j);
    - pooled, for variances v_j around means m_j: sum((v_j + (m_j - M)^2) n_j) / sum(n_j), where M is the mean of their
      means, not rounded yet. That is the variance of all samples together (the law of total variance; Chan, Golub and
      LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances"), whereas an average
      leaves out how far the means lie apart.

    Updates claim their samples, as many as they like, and a counter may be ahead by the steps of all of them: weights
    are bounded, and so one client lifts the next model's no further than that.

    Floats are cut to the least and most that are declared: pooling may lead out of them, and what starts from the next
    model should not. Where the plan declares nothing, integers are counters and floats are averaged.
    """
    declared = declared_of(plan, name)
    match declared:
        case Counter():
            return inputs.largest(_counted(base, plan, name))
        case Average():
            return _cut(inputs.mean(inputs.values(name)), declared)
        case Pooled():
            return _cut(_pooled(inputs, name, BUFFER + declared.mean), declared)
        case None if base.layout[name][0] == COUNTS:
            return inputs.largest(lambda one, start, stop: one.update.read_range(name, start, stop))
        case None:
            return inputs.mean(inputs.values(name))


def _counted(base: ModelFile, plan: Plan, name: str) -> Values:
    """An update's counter, no further ahead of the base model's than by the steps that its weight makes.

    Modulo 2^64, and so exact: no counter is below the base model's, and what is added is no more than the difference.
    """

    def values(one: Input, start: int, stop: int) -> Array:
        counted = base.read_range(name, start, stop).astype(np.uint64)
        ahead = one.update.read_range(name, start, stop).astype(np.uint64) - counted
        counted = counted + np.minimum(ahead, np.uint64(min(plan.local.steps_of(one.weight), MOST_STEPS)))
        return counted.view(np.int64)

    return values


def _pooled(inputs: Inputs, variance: str, mean: str) -> Block:
    means, variances = inputs.values(mean), inputs.values(variance)
    center_of = inputs.mean(means)

    def block(start: int, stop: int) -> Array:
        center, variance = center_of(start, stop), np.empty(stop - start, np.float64)

        def spread(one: Input, start: int, stop: int, out: Array) -> None:
            means(one, start, stop, out)
            out -= center
            out *= out
            variances(one, start, stop, variance)
            out += variance

        return inputs.mean(spread)(start, stop)

    return block


def _cut(values: Block, declared: Average | Pooled) -> Block:
    low, high = bounds(declared)
    return lambda start, stop: np.clip(values(start, stop), low, high)
