"""How a plan's names become code: only what is registered here can be built, nothing is ever imported by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from processor.errors import ConfigurationError

Made = TypeVar("Made")


def make(kind: str, factories: Mapping[str, Callable[..., Made]], name: str, arguments: Mapping[str, object]) -> Made:
    """What the factory called `name` makes of the plan's arguments.

    `kind` is the word for the reader ("task", "model"). Raises ConfigurationError for a name that nobody registered,
    and for arguments that the factory does not take; ValueError for a factory with a default, which a published plan
    could leave to the program: the plan's meaning would change with it.
    """
    factory = factories.get(name)
    if factory is None:
        raise ConfigurationError(f"there is no {kind} called {name!r}; known: {', '.join(sorted(factories))}")
    signature = inspect.signature(factory)
    if defaults := defaults_of(factory):
        raise ValueError(f"the factory of the {kind} {name!r} has defaults for {', '.join(defaults)}: it may have none")
    try:
        signature.bind(**arguments)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no arguments"
        raise ConfigurationError(f"{kind} {name!r}: {error}; it takes {takes}") from None
    return factory(**arguments)


def defaults_of(factory: Callable[..., object]) -> list[str]:
    """The parameters that a caller may leave out."""
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.default is not parameter.empty or parameter.kind in optional
    ]


def require_count(what: str, value: object, most: int) -> int:
    """`value` as an integer from 1 to `most`; raises ConfigurationError otherwise (JSON has bool and float too)."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationError(f"{what} must be an integer from 1 to {most}, not {value!r}")
    return value
