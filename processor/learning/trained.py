"""A released model, ready to use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from processor.artifacts import model as artifact
from processor.learning.models import build_model, load_parameters


def load_model(path: Path | str, model: str, **arguments: Any) -> nn.Module:
    """The model in the file that `koinon model get` wrote, by the name and the arguments that its plan has for it.

    Raises ArtifactError where the file does not fit, ConfigurationError for an unknown model or wrong arguments.
    """
    module = build_model(model, arguments, seed=0)
    trained = artifact.load_model(Path(path))
    load_parameters(module, trained.parameters, trained.buffers)
    return module.eval()
