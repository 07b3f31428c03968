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
from processor.artifacts.checkpoint import CHECKPOINT, Work, adopt_checkpoint
from processor.cid import cid_of
from processor.errors import ArtifactError, NewerVersion, Unreadable
from processor.learning.checkpoint import load_checkpoint, save_checkpoint
from processor.learning.ewc import FisherSums
from processor.learning.trainer import Progress
from processor.tensors import TensorFile, write_tensors

BASE, PLAN_CID, OTHER = cid_of(b"base"), cid_of(b"plan"), cid_of(b"other")
WORK = Work(round=3, sealing_key="ab" * 32, base_model=BASE, plan=PLAN_CID, samples=50, steps=10, rows=20)
METERED = 1234


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
    save_checkpoint(tmp_path / "checkpoint", WORK, module, begun(module, step=10), sums_of(module), METERED)
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
    save_checkpoint(tmp_path / "checkpoint", WORK, module, progress, sums, METERED)
    resumed, summed, metered_ms = load_checkpoint(tmp_path / "checkpoint", WORK, other)
    for name, tensor in module.state_dict().items():
        found = other.state_dict()[name]
        assert found.dtype == tensor.dtype and found.numpy().tobytes() == tensor.numpy().tobytes(), name
    assert (resumed.seed, resumed.step, summed.rows, metered_ms) == (progress.seed, 10, 8, METERED)
    assert resumed.momentum.keys() == progress.momentum.keys() and summed.sums.keys() == sums.sums.keys()
    assert resumed.momentum["0.weight"].dtype == dtype
    assert torch.equal(resumed.momentum["0.weight"], progress.momentum["0.weight"])
    assert all(torch.equal(summed.sums[name], sums.sums[name]) for name in sums.sums)


def test_a_checkpoint_is_readable_by_its_owner_alone_and_replaced_whole(tmp_path: Path) -> None:
    module, path = net(), tmp_path / "checkpoint"
    for step in (1, 2):
        save_checkpoint(path, WORK, module, begun(module, step), FisherSums(), METERED)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert load_checkpoint(path, WORK, net())[0].step == step
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
        load_checkpoint(path, replace(WORK, **{change: value}), net())


def test_a_checkpoint_of_another_model_is_refused(path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"'buffer/1.running_mean' is float32 \[2\], expected float32 \[4\]"):
        load_checkpoint(path, WORK, net(outputs=4))
    with pytest.raises(ArtifactError, match="expected float64"):
        load_checkpoint(path, WORK, net(dtype=torch.float64))
    with pytest.raises(ArtifactError, match="'buffer/1.num_batches_tracked' is int64 .*, expected absent"):
        load_checkpoint(path, WORK, nn.Sequential(nn.Linear(3, 2)))


def rewritten(path: Path, header: dict[str, Any], **tensors: np.ndarray | None) -> None:
    with TensorFile(path) as file:
        content: dict[str, Any] = {name: file.read(name) for name in file.names} | tensors
        write_tensors(path, {n: a for n, a in content.items() if a is not None}, file.header | header)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"kind": "model"}, "is no checkpoint"),
        ({"version": 3}, "has version 3"),
        ({"version": 1}, "metered_ms: is unknown"),
        ({"metered_ms": 0}, "has version 2, and version 1 holds what it says"),
        ({"metered_ms": -1}, "metered_ms: should be greater than or equal to 0"),
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
        ({"metered_ms": 1235}, "its digest is another one"),
    ],
)
def test_a_header_that_no_checkpoint_has_is_refused(path: Path, header: dict[str, Any], said: str) -> None:
    rewritten(path, header)
    with pytest.raises(ArtifactError, match=said):
        load_checkpoint(path, WORK, net())


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
        load_checkpoint(path, WORK, module)
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
        load_checkpoint(damaged, WORK, net())


def test_a_checkpoint_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
        load_checkpoint(tmp_path / "none", WORK, net())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_saved_lies_in_the_groups_of_its_kind(tmp_path: Path, dtype: torch.dtype) -> None:
    module, path = net(dtype=dtype), tmp_path / "checkpoint"
    save_checkpoint(path, WORK, module, begun(module, step=10), sums_of(module), METERED)
    with TensorFile(path) as file:
        check_groups(CHECKPOINT, file.layout)


def test_a_checkpoint_of_a_newer_version_is_told_from_one_that_is_no_good(path: Path) -> None:
    rewritten(path, {"version": 3})
    with pytest.raises(NewerVersion, match="checkpoint: this checkpoint has version 3, .* up to 2: update Koinon"):
        load_checkpoint(path, WORK, net())


# ------------------------------------------------------------------------- of before checkpoints said the compute time


def header(path: Path) -> dict[str, Any]:
    with TensorFile(path) as file:
        return dict(file.header)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A checkpoint of version 1."""
    module = net()
    save_checkpoint(tmp_path / "old", WORK, module, begun(module), FisherSums(), metered_ms=0)
    return tmp_path / "old"


def test_a_checkpoint_that_says_no_compute_time_has_the_bytes_of_version_1(old: Path) -> None:
    fields = header(old)
    assert fields["version"] == 1 and "metered_ms" not in fields
    progress, _, metered_ms = load_checkpoint(old, WORK, net())
    assert (progress.step, metered_ms) == (4, 0)


def test_a_checkpoint_that_is_adopted_says_the_compute_time_of_the_journal(old: Path, tmp_path: Path) -> None:
    before, after = net(), net()
    progress, sums, _ = load_checkpoint(old, WORK, before)
    new = tmp_path / "jobs" / "checkpoint"
    adopt_checkpoint(old, new, 777)
    found = load_checkpoint(new, WORK, after)
    assert state(after) == state(before)
    assert (found[0].step, found[0].seed, found[1].rows, found[2]) == (progress.step, progress.seed, sums.rows, 777)
    assert torch.equal(found[0].momentum["0.weight"], progress.momentum["0.weight"])
    assert stat.S_IMODE(new.stat().st_mode) == 0o600 and not old.exists()


def test_compute_time_that_a_checkpoint_says_is_never_lowered(path: Path, tmp_path: Path) -> None:
    adopt_checkpoint(path, tmp_path / "new", METERED - 1)
    assert load_checkpoint(tmp_path / "new", WORK, net())[2] == METERED


@pytest.mark.parametrize("change", [{"version": 3}, {"seed": 5}, {"kind": "model"}])
def test_a_checkpoint_that_cannot_be_read_is_adopted_as_it_is(
    old: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    rewritten(old, change)
    content = old.read_bytes()
    adopt_checkpoint(old, tmp_path / "new", 777)
    assert (tmp_path / "new").read_bytes() == content and not old.exists()
