"""A checkpoint is taken up only by the very training that wrote it, and only if every bit of it is there."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from processor.artifacts.artifact_file import check_groups
from processor.cid import cid_of
from processor.errors import ArtifactError, NewerVersion, Unreadable
from processor.learning.checkpoint import CHECKPOINT, Job, load_checkpoint, save_checkpoint
from processor.learning.ewc import FisherSums
from processor.learning.trainer import Progress
from processor.tensors import TensorFile, write_tensors

BASE, PLAN_CID, OTHER = cid_of(b"base"), cid_of(b"plan"), cid_of(b"other")
JOB = Job(round=3, sealing_key="ab" * 32, base_model=BASE, plan=PLAN_CID, samples=50, steps=10, rows=20)


def net(outputs: int = 2, dtype: torch.dtype = torch.float32) -> nn.Module:
    return nn.Sequential(nn.Linear(3, outputs), nn.BatchNorm1d(outputs)).to(dtype)


def begun(module: nn.Module, step: int = 4) -> Progress:
    return Progress(
        seed=2**53 - 1, step=step, momentum={"0.weight": torch.full_like(module.get_parameter("0.weight"), 0.1)}
    )


def sums_of(module: nn.Module, rows: int = 8) -> FisherSums:
    return FisherSums(rows, {name: torch.rand(p.shape).double() / 3 for name, p in module.named_parameters()})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint in the middle of the Fisher information."""
    module = net()
    save_checkpoint(tmp_path / "checkpoint", JOB, module, begun(module, step=10), sums_of(module))
    return tmp_path / "checkpoint"


def state(module: nn.Module) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_checkpoint_gives_back_every_bit_of_what_was_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    module, other = net(dtype=dtype), net(dtype=dtype)
    with torch.no_grad():
        module.get_buffer("1.num_batches_tracked").fill_(2**40)
        module.get_parameter("0.bias").copy_(torch.tensor([float("nan"), float("-inf")]))
    progress, sums = begun(module, step=10), sums_of(module)
    save_checkpoint(tmp_path / "checkpoint", JOB, module, progress, sums)
    resumed, summed = load_checkpoint(tmp_path / "checkpoint", JOB, other)
    for name, tensor in module.state_dict().items():
        found = other.state_dict()[name]
        assert found.dtype == tensor.dtype and found.numpy().tobytes() == tensor.numpy().tobytes(), name
    assert (resumed.seed, resumed.step, summed.rows) == (progress.seed, 10, 8)
    assert resumed.momentum.keys() == progress.momentum.keys() and summed.sums.keys() == sums.sums.keys()
    assert resumed.momentum["0.weight"].dtype == dtype
    assert torch.equal(resumed.momentum["0.weight"], progress.momentum["0.weight"])
    assert all(torch.equal(summed.sums[name], sums.sums[name]) for name in sums.sums)


def test_a_checkpoint_is_readable_by_its_owner_alone_and_replaced_whole(tmp_path: Path) -> None:
    module, path = net(), tmp_path / "checkpoint"
    for step in (1, 2):
        save_checkpoint(path, JOB, module, begun(module, step), FisherSums())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert load_checkpoint(path, JOB, net())[0].step == step
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("round", 4),
        ("sealing_key", "cd" * 32),
        ("base_model", OTHER),
        ("plan", OTHER),
        ("samples", 51),
        ("steps", 11),
        ("rows", 19),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(path: Path, change: str, value: Any) -> None:
    with pytest.raises(
        ArtifactError, match=f"checkpoint: is of another training: its {change} is .*, expected {value}"
    ):
        load_checkpoint(path, replace(JOB, **{change: value}), net())


def test_a_checkpoint_of_another_model_is_refused(path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"'buffer/1.running_mean' is float32 \[2\], expected float32 \[4\]"):
        load_checkpoint(path, JOB, net(outputs=4))
    with pytest.raises(ArtifactError, match="expected float64"):
        load_checkpoint(path, JOB, net(dtype=torch.float64))
    with pytest.raises(ArtifactError, match="'buffer/1.num_batches_tracked' is int64 .*, expected absent"):
        load_checkpoint(path, JOB, nn.Sequential(nn.Linear(3, 2)))


def rewritten(path: Path, header: dict[str, Any], **tensors: np.ndarray | None) -> None:
    with TensorFile(path) as file:
        content: dict[str, Any] = {name: file.read(name) for name in file.names} | tensors
        write_tensors(path, {n: a for n, a in content.items() if a is not None}, file.header | header)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"kind": "model"}, "is no checkpoint"),
        ({"version": 2}, "has version 2"),
        ({"more": 1}, "more: is unknown"),
        ({"seed": -1}, "seed: should be greater than or equal to 0"),
        ({"seed": "1"}, "seed: should be a valid integer"),
        ({"digest": "ab"}, "digest: .*should match pattern"),
        ({"steps_done": 11}, "11 of 10 steps"),
        ({"rows_done": 21}, "21 of 20 rows"),
        ({"steps_done": 9}, "9 of 10 steps and 8 of 20 rows"),
        ({"rows_done": 0}, "'fisher/0.bias' is float64 .*, expected absent"),
        ({"rows_done": 12}, "its digest is another one"),
        ({"seed": 5}, "its digest is another one"),
    ],
)
def test_a_header_that_no_checkpoint_has_is_refused(path: Path, header: dict[str, Any], said: str) -> None:
    rewritten(path, header)
    with pytest.raises(ArtifactError, match=said):
        load_checkpoint(path, JOB, net())


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("param/0.weight", np.zeros((2, 3)), "is float64 .*, expected float32"),
        ("param/0.weight", np.zeros((3, 2), np.float32), r"\[3, 2\], expected float32 \[2, 3\]"),
        ("param/0.weight", None, "'param/0.weight' is absent, expected float32"),
        ("param/extra", np.zeros(1), "'param/extra' is float64 .*, expected absent"),
        ("momentum/0.weight", np.zeros((2, 4), np.float32), r"'momentum/0.weight' is float32 \[2, 4\]"),
        ("momentum/extra", np.zeros(1, np.float32), "'momentum/extra' is float32 .*, expected absent"),
        ("fisher/0.bias", np.zeros(2, np.float32), "is float32 .*, expected float64"),
        ("fisher/0.bias", None, "'fisher/0.bias' is absent"),
        ("other/a", np.zeros(1), "'other/a' is float64 .*, expected absent"),
        ("param/0.weight", np.zeros((2, 3), np.float32), "its digest is another one"),
    ],
)
def test_tensors_that_no_checkpoint_has_are_refused(path: Path, name: str, array: np.ndarray | None, said: str) -> None:
    rewritten(path, {}, **{name: array})
    module = net()
    before = state(module)
    with pytest.raises(ArtifactError, match=said):
        load_checkpoint(path, JOB, module)
    assert state(module) == before


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_or_missing_byte_anywhere_is_noticed(path: Path, data: st.DataObject) -> None:
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = path.with_name("damaged")
    if data.draw(st.booleans()):
        damaged.write_bytes(whole[:place])
    else:
        flipped = whole[place] ^ data.draw(st.integers(1, 255))
        damaged.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
    with pytest.raises(ArtifactError):
        load_checkpoint(damaged, JOB, net())


def test_a_checkpoint_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
        load_checkpoint(tmp_path / "none", JOB, net())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_saved_lies_in_the_groups_of_its_kind(tmp_path: Path, dtype: torch.dtype) -> None:
    module, path = net(dtype=dtype), tmp_path / "checkpoint"
    save_checkpoint(path, JOB, module, begun(module, step=10), sums_of(module))
    with TensorFile(path) as file:
        check_groups(CHECKPOINT, file.layout)


def test_a_checkpoint_of_a_newer_version_is_told_from_one_that_is_no_good(path: Path) -> None:
    rewritten(path, {"version": 2})
    with pytest.raises(NewerVersion, match="checkpoint: this checkpoint has version 2, .* up to 1: update Koinon"):
        load_checkpoint(path, JOB, net())
