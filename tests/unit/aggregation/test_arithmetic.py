"""A processor that takes the smallest numbers for zero would make other models than everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from processor.aggregation.arithmetic import check_arithmetic
from processor.errors import MachineError
from tests.unit.aggregation.federation import Federation, drawn


@pytest.fixture
def flushing() -> Iterator[None]:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such setting")
    yield
    torch.set_flush_denormal(False)


def test_an_ordinary_processor_keeps_the_smallest_numbers() -> None:
    check_arithmetic()


@pytest.mark.usefixtures("flushing")
def test_a_thread_takes_the_setting_over_from_the_one_that_starts_it() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(MachineError):
        pool.submit(check_arithmetic).result()


def test_no_model_is_made_where_the_smallest_numbers_are_flushed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    federation = Federation(tmp_path, drawn(0))
    accepted = [federation.update(1, 1, drawn(1))]
    request.getfixturevalue("flushing")
    with pytest.raises(MachineError, match="set_flush_denormal"):
        federation.combine(accepted)
    with pytest.raises(MachineError, match="set_flush_denormal"):
        federation.update(2, 1, drawn(1))
    assert not (tmp_path / "next").exists()
