"""Federated averaging (McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized
data"): the weighted mean of the differences, added to the base model."""

from __future__ import annotations

from processor.aggregation.inputs import Block, Inputs
from processor.artifacts.model import PARAMETER, ModelFile
from processor.artifacts.update import DELTA
from processor.tensors import Array


def parameter(base: ModelFile, inputs: Inputs, name: str) -> Block:
    """base + sum(delta_j n_j) / sum(n_j) in float64, of one parameter."""
    mean = inputs.mean(inputs.values(DELTA + name))

    def block(start: int, stop: int) -> Array:
        following = mean(start, stop)
        following += base.read_range(PARAMETER + name, start, stop)
        return following

    return block
