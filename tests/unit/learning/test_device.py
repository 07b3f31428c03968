from __future__ import annotations

import pytest
import torch
from torch import nn

from processor.errors import ConfigurationError
from processor.learning.device import CPU, device_of, home_of


@pytest.mark.parametrize(
    ("setting", "available", "expected"),
    [
        ("auto", True, "cuda:0"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda:0"),
    ],
)
def test_auto_takes_a_gpu_where_there_is_one_and_cpu_never(setting: str, available: bool, expected: str) -> None:
    assert device_of(setting, lambda: available) == torch.device(expected)


def test_a_gpu_that_is_asked_for_and_not_there_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match="torch finds no GPU that it can use: .* or set device = auto or cpu"):
        device_of("cuda", lambda: False)


def test_a_device_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the device is 'tpu': expected auto, cpu or cuda"):
        device_of("tpu")


def test_the_processor_alone_is_not_asked_about_gpus() -> None:
    def asked() -> bool:
        raise AssertionError("cpu does not need to know")

    assert device_of("cpu", asked) == CPU


def test_inputs_go_where_the_module_is() -> None:
    assert home_of(nn.Linear(2, 2)) == CPU
    assert home_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert home_of(nn.BatchNorm1d(2, affine=False, device="meta")) == torch.device("meta")
    assert home_of(nn.Identity()) == CPU
