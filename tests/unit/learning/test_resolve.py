"""A plan's model fits its task, and is looked at before it takes any memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from processor.artifacts.plan import Factory, Plan
from processor.errors import ConfigurationError
from processor.learning.models import MODELS
from processor.learning.resolve import check_model, module_of, sketch_of, task_of
from tests.unit.artifacts.examples import PLAN

PLAIN = replace(PLAN, model=Factory("mlp", {"inputs": 64, "hidden": [400], "outputs": 10}))


class Pair(nn.Module):
    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs, inputs


def planning(monkeypatch: pytest.MonkeyPatch, module: type[nn.Module], *arguments: int) -> Plan:
    monkeypatch.setitem(MODELS, "net", lambda: module(*arguments))
    return replace(PLAN, model=Factory("net", {}))


def with_an_mlp(**arguments: int | list[int]) -> Plan:
    return replace(PLAN, model=Factory("mlp", {"inputs": 64, "hidden": [400], "outputs": 10, **arguments}))


def test_names_become_a_task_and_a_model() -> None:
    assert task_of(PLAIN).name == "digits"
    assert module_of(PLAIN)(torch.zeros(2, 64)).shape == (2, 10)


def test_a_sketch_has_the_shapes_of_the_model_and_no_numbers() -> None:
    sketch, module = sketch_of(PLAIN), module_of(PLAIN)
    assert {name: each.shape for name, each in sketch.named_parameters()} == {
        name: each.shape for name, each in module.named_parameters()
    }
    assert all(each.is_meta for each in sketch.parameters())


def test_the_largest_model_that_a_plan_may_ask_for_is_checked_without_memory_for_it() -> None:
    check_model(with_an_mlp(hidden=[3_500_000]))


def test_a_model_that_fits_its_task_is_sketched() -> None:
    assert all(each.is_meta for each in check_model(PLAIN).parameters())


def test_a_model_that_cannot_take_an_example_of_the_task_is_refused() -> None:
    said = "the plan's model 'mlp' cannot take the 64 features of the task 'digits'"
    with pytest.raises(ConfigurationError, match=said):
        check_model(with_an_mlp(inputs=63))


def test_a_layer_that_wants_other_dimensions_than_an_example_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="cannot take the 64 features .*: expected 4D input"):
        check_model(planning(monkeypatch, nn.BatchNorm2d, 64))


def test_a_model_that_answers_otherwise_than_the_task_asks_is_refused() -> None:
    said = r"answers with shape \[1, 9\] for a sample: expected \[1, 10\], the classes of the task 'digits'"
    with pytest.raises(ConfigurationError, match=said):
        check_model(with_an_mlp(outputs=9))


def test_a_model_that_answers_with_no_tensor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"answers with a tuple for a sample: expected \[1, 10\]"):
        check_model(planning(monkeypatch, Pair))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no task called 'nothing'"):
        check_model(replace(PLAIN, task=Factory("nothing", {})))
    with pytest.raises(ConfigurationError, match="no model called 'nothing'"):
        check_model(replace(PLAIN, model=Factory("nothing", {})))
