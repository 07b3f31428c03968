"""Which plan a federation has now: before the first round only the initial model says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from processor.artifacts.model import MODEL, open_model
from processor.errors import ArtifactTooLarge
from processor.storage.library import Library
from processor.types import Cid

UNKNOWN = 256 << 20
"""Bytes that a client fetches of a model whose plan it does not know yet, unless client.max_bytes says otherwise."""


def plan_of_model(library: Library, model: Cid, limit: int = MODEL.limit) -> Cid:
    """The plan that a model was made under, which is fetched for that, up to `limit` bytes.

    Raises as `Library.fetch`, and ArtifactError for what is no model.
    """
    with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
        path = Path(folder) / "model"
        try:
            library.fetch(MODEL, model, path, limit)
        except ArtifactTooLarge as error:
            raise ArtifactTooLarge(
                f"{error}. No round says yet of which plan the initial model is: set client.max_bytes to what "
                "you would fetch to find out, or name the plan to `koinon client join` as --plan"
            ) from error
        with open_model(path) as file:
            return file.header.plan
