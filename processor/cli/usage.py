"""Command lines that are read in another way than they were meant."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperGroup

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Click's UsageError, wherever typer has click from."""
_NEGATIVE = re.compile(r"-[0-9.].*")


class Commands(TyperGroup):
    """Commands that say of a negative number that it is one: for the parser it is an option that does not exist."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        words = [word for word in args if _NEGATIVE.fullmatch(word)]
        context = super().make_context(info_name, args, parent=parent, **extra)
        context.meta[__name__] = words
        return context

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _USAGE_ERROR as error:
            option = getattr(error, "option_name", None)
            negative = next((word for word in ctx.meta[__name__] if option and word.startswith(option)), None)
            if negative is None:
                raise
            raise typer.BadParameter(
                f"{negative[:64]} is negative: expected a number of 0 or more, as 0.5", ctx=getattr(error, "ctx", ctx)
            ) from None
