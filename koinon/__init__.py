"""Koinon from Python: federations on their chain, and the models that they trained.

    from koinon import Federation, load_model

What a name needs is imported with the first use of it, so that looking at a federation needs no torch. The package
`processor` is what this one is made of: its names may change, those here stay.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Federation", "load_model"]

_WHERE = {"Federation": "processor.chain.federation", "load_model": "processor.learning.trained"}

if TYPE_CHECKING:
    from processor.chain.federation import Federation
    from processor.learning.trained import load_model
else:  # a type checker that saw it would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"koinon has no {name!r}: expected one of {', '.join(__all__)}")
        value = globals()[name] = getattr(import_module(_WHERE[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
