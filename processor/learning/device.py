"""Where a model computes: on the processor, or on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch
from torch import nn

from processor.errors import ConfigurationError

CPU = torch.device("cpu")


def device_of(setting: str, cuda_available: Callable[[], bool] = torch.cuda.is_available) -> torch.device:
    """The device that a setting names; `auto` takes a GPU where torch can use one.

    Raises ConfigurationError for a GPU that is not there, and for a device that Koinon does not know.
    """
    if setting not in ("auto", "cpu", "cuda"):
        raise ConfigurationError(f"the device is {setting!r}: expected auto, cpu or cuda")
    available = setting != "cpu" and cuda_available()
    if setting == "cuda" and not available:
        raise ConfigurationError(
            "the device is cuda, but torch finds no GPU that it can use: check the driver with nvidia-smi and that "
            "torch is a build with CUDA, or set device = auto or cpu"
        )
    return torch.device("cuda", 0) if available else CPU


def home_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are, and its inputs must be."""
    first = next(chain(module.parameters(), module.buffers()), None)
    return CPU if first is None else first.device
