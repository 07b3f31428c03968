from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from processor.artifacts.dataset import Dataset
from processor.errors import ArtifactError
from processor.learning.ewc import Anchor, fisher_information, merge, proximal_step
from processor.learning.models import build_model
from processor.learning.tasks import get_task

numbers = st.floats(-1e3, 1e3, width=32)
fishers = st.floats(0, 1e6, width=32)


class Point(nn.Module):
    """A module that is nothing but its parameters."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(values))


def anchor(centre: list[float], fisher: list[float]) -> Anchor:
    return Anchor({"theta": torch.tensor(centre)}, {"theta": torch.tensor(fisher)})


def pulled(theta: float, centre: float, fisher: float, strength: float, learning_rate: float = 0.1) -> float:
    module = Point(theta)
    proximal_step(module, anchor([centre], [fisher]), strength, learning_rate)
    return float(module.theta.detach())


@given(numbers, numbers, fishers, st.floats(0, 1e12), st.floats(1e-4, 10))
def test_the_pull_never_leaves_the_segment_between_parameter_and_centre(
    theta: float, centre: float, fisher: float, strength: float, learning_rate: float
) -> None:
    result = pulled(theta, centre, fisher, strength, learning_rate)
    slack = 1e-6 * max(abs(theta), abs(centre))
    assert min(theta, centre) - slack <= result <= max(theta, centre) + slack


@given(numbers, numbers, fishers, st.floats(0, 1e12), st.floats(1e-4, 10))
def test_the_pull_is_the_implicit_step_on_the_penalty(
    theta: float, centre: float, fisher: float, strength: float, learning_rate: float
) -> None:
    pull = learning_rate * strength * fisher
    expected = (theta + pull * centre) / (1 + pull)
    tolerance = 1e-5 * max(abs(theta), abs(centre))
    assert pulled(theta, centre, fisher, strength, learning_rate) == pytest.approx(expected, rel=1e-5, abs=tolerance)


@given(numbers, numbers, st.floats(0, 1e12))
def test_no_fisher_information_leaves_the_parameter(theta: float, centre: float, strength: float) -> None:
    assert pulled(theta, centre, 0.0, strength) == theta


@given(numbers, numbers)
def test_a_pull_without_bound_gives_the_centre(theta: float, centre: float) -> None:
    assert pulled(theta, centre, 3e38, 1e12, learning_rate=10) == centre


def test_a_negative_fisher_is_refused() -> None:
    with pytest.raises(ArtifactError, match="theta is negative") as refused:
        anchor([0.0, 0.0], [1.0, -1e-9])
    assert refused.value.code == "negative_fisher"


def test_a_fisher_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ArtifactError, match="theta is negative or not a number"):
        anchor([0.0], [float("nan")])


def test_an_anchor_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(ArtifactError, match="differs in shape"):
        anchor([0.0], [1.0, 2.0])
    with pytest.raises(ArtifactError, match="name different parameters"):
        Anchor({"theta": torch.zeros(1)}, {})


def penalty(anchors: list[Anchor], theta: float) -> float:
    return sum(float(a.fisher["theta"]) * (theta - float(a.centre["theta"])) ** 2 for a in anchors)


@given(
    st.lists(st.tuples(st.floats(-10, 10, width=32), st.floats(0, 100, width=32)), min_size=1, max_size=6),
    st.floats(-10, 10),
    st.floats(-10, 10),
)
def test_a_merged_anchor_pulls_as_all_of_them_do(pairs: list[tuple[float, float]], here: float, there: float) -> None:
    anchors = [anchor([centre], [fisher]) for centre, fisher in pairs]
    merged = merge(anchors)
    together = penalty([merged], here) - penalty([merged], there)
    apart = penalty(anchors, here) - penalty(anchors, there)
    assert together == pytest.approx(apart, rel=1e-4, abs=1e-4 * (1 + sum(fisher for _, fisher in pairs) * 100))


def test_where_no_anchor_pulls_the_first_centre_stays() -> None:
    merged = merge([anchor([3.0, 1.0], [0.0, 1.0]), anchor([5.0, 3.0], [0.0, 3.0])])
    assert merged.centre["theta"].tolist() == [3.0, 2.5] and merged.fisher["theta"].tolist() == [0.0, 4.0]


def fisher_of(module: nn.Module, features: np.ndarray, max_samples: int, chunk: int = 16) -> dict[str, np.ndarray]:
    """That of a module whose outputs are the logits of classes; no label has a part in it."""
    task = get_task("classification", {"features": features.shape[1], "classes": 2})
    return fisher_information(module, task, Dataset(features, np.zeros(len(features), np.int64)), max_samples, chunk)


def test_the_fisher_of_a_linear_softmax_is_the_analytic_one() -> None:
    """F of weight (k, i) is mean_x x_i^2 p_k (1 - p_k), of bias k mean_x p_k (1 - p_k)."""
    module = build_model("mlp", {"inputs": 5, "hidden": [], "outputs": 4}, seed=1)
    features = np.random.default_rng(0).normal(size=(33, 5)).astype(np.float32)
    with torch.no_grad():
        p = module(torch.from_numpy(features)).softmax(dim=1).double().numpy()
    variance = p * (1 - p)
    fisher = fisher_of(module, features, max_samples=100, chunk=8)
    np.testing.assert_allclose(fisher["layer1.weight"], variance.T @ features.astype(float) ** 2 / 33, rtol=1e-4)
    np.testing.assert_allclose(fisher["layer1.bias"], variance.mean(axis=0), rtol=1e-4)


def fisher_by_loop(module: nn.Module, features: np.ndarray) -> dict[str, Tensor]:
    named = dict(module.named_parameters())
    total = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    for row in torch.from_numpy(features):
        logs = module(row.unsqueeze(0)).log_softmax(dim=1).squeeze(0)
        for log in logs:
            gradients = torch.autograd.grad(log, list(named.values()), retain_graph=True)
            for name, gradient in zip(named, gradients, strict=True):
                total[name] += log.detach().exp() * gradient**2
    return {name: value / len(features) for name, value in total.items()}


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_the_fisher_of_a_deep_model_is_the_one_of_a_loop_over_samples_and_classes(chunk: int) -> None:
    module = build_model("mlp", {"inputs": 6, "hidden": [7, 5], "outputs": 3}, seed=2)
    features = np.random.default_rng(1).normal(size=(10, 6)).astype(np.float32)
    fisher = fisher_of(module, features, max_samples=10, chunk=chunk)
    expected = fisher_by_loop(module, features)
    assert fisher.keys() == expected.keys()
    for name, array in fisher.items():
        assert array.dtype == np.float32 and bool((array >= 0).all())
        np.testing.assert_allclose(array, expected[name].numpy(), rtol=1e-4, atol=1e-9)


def test_at_most_the_asked_number_of_samples_is_used_spread_over_all() -> None:
    module = build_model("mlp", {"inputs": 2, "hidden": [], "outputs": 2}, seed=0)
    features = np.random.default_rng(2).normal(size=(10, 2)).astype(np.float32)
    some = fisher_of(module, features, max_samples=5)
    np.testing.assert_array_equal(some["layer1.bias"], fisher_of(module, features[::2], max_samples=5)["layer1.bias"])


def test_estimating_the_fisher_leaves_the_model_as_it_was() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fisher_of(module, np.ones((4, 3), np.float32), max_samples=4)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_the_fisher_vanishes_where_the_model_is_certain(seed: int) -> None:
    module = build_model("mlp", {"inputs": 2, "hidden": [3], "outputs": 2}, seed)
    with torch.no_grad():
        module.get_parameter("layer2.bias").copy_(torch.tensor([200.0, -200.0]))
    fisher = fisher_of(module, np.ones((1, 2), np.float32), max_samples=1)
    assert all(float(array.max()) < 1e-12 for array in fisher.values())
