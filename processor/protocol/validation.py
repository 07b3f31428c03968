"""The validation data of a plan: private to the organization, or published for everybody to measure with."""

from __future__ import annotations

from pathlib import Path

from processor.artifacts.dataset import DATASET
from processor.artifacts.plan import PRIVATE, Plan
from processor.storage.library import Library

UNUSABLE = "validation_data"
"""The code of what is wrong with published validation data, whichever model is measured on it."""


def is_published(plan: Plan) -> bool:
    return plan.validation != PRIVATE


def fetch_validation(plan: Plan, library: Library, path: Path) -> None:
    """Writes the dataset that the plan names to `path`; whoever measures with it checks that it is the plan's.

    Raises ArtifactError and StorageError where it cannot be had, ValueError where it is private.
    """
    if not is_published(plan):
        raise ValueError("the plan keeps its validation data private")
    library.fetch(DATASET, plan.validation, path)
