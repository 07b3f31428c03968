"""What a plan leaves out, no default fills in: the plan's meaning would change with the default."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from processor.errors import ConfigurationError
from processor.learning.models import MODELS
from processor.learning.registry import defaults_of, make
from processor.learning.tasks import TASKS

REGISTERED: dict[str, Callable[..., object]] = {**MODELS, **TASKS}


def fixed(width: int, depth: int) -> str:
    return f"{width} by {depth}"


def with_a_default(width: int, depth: int = 2) -> str:
    return fixed(width, depth)


def with_anything(**arguments: int) -> str:
    return fixed(**arguments)


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_no_registered_task_or_model_has_a_default(name: str) -> None:
    assert defaults_of(REGISTERED[name]) == []


def test_all_arguments_come_from_the_plan() -> None:
    assert make("model", {"fixed": fixed}, "fixed", {"width": 3, "depth": 4}) == "3 by 4"
    with pytest.raises(ConfigurationError, match="model 'fixed': missing a required argument: 'depth'"):
        make("model", {"fixed": fixed}, "fixed", {"width": 3})


@pytest.mark.parametrize(("factory", "named"), [(with_a_default, "depth"), (with_anything, "arguments")])
def test_a_factory_that_fills_in_what_a_plan_leaves_out_is_a_mistake_of_the_program(
    factory: Callable[..., str], named: str
) -> None:
    with pytest.raises(ValueError, match=f"the factory of the model 'net' has defaults for {named}: it may have none"):
        make("model", {"net": factory}, "net", {"width": 3, "depth": 4})
