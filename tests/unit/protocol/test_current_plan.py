"""The plan of an initial model is found out without fetching whatever an organization set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.model import ModelHeader, write_model
from processor.cid import cid_of
from processor.errors import ArtifactTooLarge
from processor.protocol.current_plan import plan_of_model
from processor.storage import LocalStorage
from processor.storage.library import Library

PLAN = cid_of(b"a plan")


def test_a_model_tells_its_plan_within_what_a_client_would_fetch_and_else_what_to_set(tmp_path: Path) -> None:
    write_model(tmp_path / "model", ModelHeader(0, None, PLAN), {"weight": np.ones(1000, np.float32)}, {}, {})
    size = (tmp_path / "model").stat().st_size
    library = Library(storage := LocalStorage(tmp_path / "store"))
    cid = storage.put(tmp_path / "model")
    assert plan_of_model(library, cid, size) == PLAN
    with pytest.raises(ArtifactTooLarge, match=f"expected at most {size - 1}.*set client.max_bytes .* --plan"):
        plan_of_model(library, cid, size - 1)
