"""A released model is one call away from its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from processor.artifacts.model import write_model
from processor.errors import ArtifactError, ConfigurationError
from processor.learning.models import buffers_of, build_model, parameters_of
from processor.learning.trained import load_model
from tests.unit.artifacts.examples import MODEL_HEADER

MLP = {"inputs": 4, "hidden": [3], "outputs": 2}


@pytest.fixture
def released(tmp_path: Path) -> Path:
    module = build_model("mlp", MLP, seed=5)
    write_model(tmp_path / "model", MODEL_HEADER, parameters_of(module), buffers_of(module), {})
    return tmp_path / "model"


def test_a_released_model_answers_as_it_did_where_it_was_trained(released: Path) -> None:
    features = torch.randn(6, 4)
    model = load_model(released, "mlp", inputs=4, hidden=[3], outputs=2)
    assert torch.equal(model(features), build_model("mlp", MLP, seed=5)(features))
    assert not model.training
    assert torch.equal(load_model(str(released), "mlp", **MLP)(features), model(features))


def test_a_file_of_another_model_is_refused(released: Path) -> None:
    with pytest.raises(ArtifactError, match=r"layer1\.bias: expected shape \[5\], got shape \[3\]"):
        load_model(released, "mlp", inputs=4, hidden=[5], outputs=2)
    with pytest.raises(ConfigurationError, match="no model called 'net'; known: mlp"):
        load_model(released, "net")
