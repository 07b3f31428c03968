from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from processor.errors import ArtifactError, ConfigurationError
from processor.learning.models import buffers_of, build_model, load_parameters, parameters_of

MLP = {"inputs": 64, "hidden": [400], "outputs": 10}


def test_the_same_seed_gives_the_same_model() -> None:
    one, same, other = (parameters_of(build_model("mlp", MLP, seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_building_a_model_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    build_model("mlp", MLP, 9)
    assert torch.equal(torch.rand(3), expected)


def test_the_perceptron_has_the_layers_it_was_asked_for() -> None:
    shapes = {
        name: array.shape for name, array in parameters_of(build_model("mlp", MLP | {"hidden": [8, 5]}, 0)).items()
    }
    assert shapes == {
        "layer1.weight": (8, 64),
        "layer1.bias": (8,),
        "layer2.weight": (5, 8),
        "layer2.bias": (5,),
        "layer3.weight": (10, 5),
        "layer3.bias": (10,),
    }


def test_a_perceptron_without_hidden_layers_is_linear() -> None:
    module = build_model("mlp", MLP | {"hidden": []}, 0)
    assert [type(layer) for layer in module.children()] == [nn.Linear]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("transformer", {}, "no model called 'transformer'; known: mlp"),
        (
            "mlp",
            {"inputs": 64, "hidden": [400]},
            "missing a required argument: 'outputs'; it takes inputs, hidden, outputs",
        ),
        ("mlp", MLP | {"dropout": 0.5}, "unexpected keyword argument 'dropout'"),
        ("mlp", MLP | {"hidden": 400}, "hidden must be a list of widths, not 400"),
        ("mlp", MLP | {"hidden": [0]}, "every hidden width must be an integer from 1"),
        ("mlp", MLP | {"inputs": "64"}, "inputs must be an integer from 1 to .*, not '64'"),
        ("mlp", MLP | {"outputs": 2.5}, "outputs must be an integer"),
        ("mlp", MLP | {"hidden": [10**8]}, "mlp: 7500000010 parameters; at most"),
    ],
)
def test_an_unknown_model_or_wrong_arguments_are_refused(name: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        build_model(name, arguments, 0)


def test_parameters_and_buffers_travel_from_one_module_to_another() -> None:
    def fresh() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, momentum=None), nn.Linear(2, 2))

    source, target = fresh(), fresh()
    source(torch.randn(8, 3))
    arrays = parameters_of(source), buffers_of(source)
    load_parameters(target, *arrays)
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())
    parameters, buffers = arrays
    assert {array.dtype for array in parameters.values()} == {np.dtype(np.float32)}
    assert {name: str(array.dtype) for name, array in buffers.items()} == {
        "1.running_mean": "float32",
        "1.running_var": "float32",
        "1.num_batches_tracked": "int64",
    }


def test_what_was_read_from_a_module_is_a_copy() -> None:
    module = build_model("mlp", MLP, 0)
    arrays = parameters_of(module)
    arrays["layer1.bias"] += 1
    load_parameters(module, arrays, {})
    arrays["layer1.bias"] += 1
    assert bool((parameters_of(module)["layer1.bias"] == 1).all())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer1.bias": np.zeros(3, np.float32)}, r"layer1.bias: expected shape \[400\], got shape \[3\]"),
        ({"layer9.bias": np.zeros(3, np.float32)}, r"layer9.bias: expected none, got shape \[3\]"),
        ({"layer1.bias": None}, r"layer1.bias: expected shape \[400\], got none"),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(change: dict[str, np.ndarray | None], said: str) -> None:
    module = build_model("mlp", MLP, 0)
    given = {name: array for name, array in (parameters_of(module) | change).items() if array is not None}
    with pytest.raises(ArtifactError, match=said) as refused:
        load_parameters(module, given, {})
    assert refused.value.code == "shape"
