import pytest
import torch

from tests.quick_stage import set_quickly

torch.set_num_threads(1)  # as in the demo: tests share the machine with nodes and daemons


@pytest.fixture
def quick_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a stage of the demo that the test's own process sets."""
    set_quickly(monkeypatch.setattr)
