"""The name=value arguments of scripts, read."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import Any, TypeVar

from brownie import Wei

from processor.chain.asset import Asset
from processor.config import RATE_DECIMALS
from processor.errors import ConfigurationError
from processor.protocol.rewards import MOST

REQUIRED = object()
Choice = TypeVar("Choice", bound=IntEnum)


def read_arguments(given: tuple[str, ...], **known: Any) -> dict[str, Any]:
    """The values of `name=value` arguments; `known` maps each name to its default, or to REQUIRED.

    Raises ConfigurationError with all mistakes at once, as the others here do for one.
    """
    pairs = dict(argument.partition("=")[::2] for argument in given)
    mistakes = [f"{name}= is not an argument of this script" for name in pairs if name not in known]
    mistakes += [
        f"{name}= is missing" for name, default in known.items() if default is REQUIRED and not pairs.get(name)
    ]
    if mistakes:
        raise ConfigurationError("; ".join(mistakes) + f". Arguments: {', '.join(f'{name}=' for name in known)}")
    return {**known, **pairs}


def choice(name: str, text: str, kind: type[Choice]) -> Choice:
    """The member of `kind` that an argument names."""
    names = {member.name.lower(): member for member in kind}
    if text not in names:
        raise ConfigurationError(f"{name}={text} is not known: expected {' or '.join(names)}")
    return names[text]


def number(name: str, text: str, least: int, most: int, what: str = "a whole number from") -> int:
    """The whole number that an argument gives; `what` is expected between the two."""
    if not text.isdecimal() or not text.isascii() or len(text) > 20 or not least <= int(text) <= most:
        raise ConfigurationError(f"{name}={text} is not known: expected {what} {least} to {most}")
    return int(text)


def confirmed(name: str, text: str) -> bool:
    """Whether an argument that is `yes` or left out was given, or a variable of that kind."""
    if text not in ("", "yes"):
        raise ConfigurationError(f"{name}={text} is not known: expected yes, or nothing at all")
    return text == "yes"


def either(name: str, text: str, other: str, instead: str) -> bool:
    """Whether the first of two arguments was given, of which exactly one has to be."""
    if bool(text) == bool(instead):
        raise ConfigurationError(f"expected either {name} or {other}")
    return bool(text)


def amount_of(asset: Asset, text: str, most: int = MOST) -> int:
    """Smallest units of the asset: a number of them, "0.5 ether", or a number of whole units with the symbol."""
    number, _, unit = text.partition(" ")
    if unit == asset.symbol:
        return asset.parse(number)
    try:
        amount = int(Wei(text)) if unit and asset.native else int(text)
    except (TypeError, ValueError):
        amount = -1
    if not 0 <= amount <= most:
        example = f"0.5 {'ether' if asset.native else asset.symbol}"
        raise ConfigurationError(
            f"{text!r} is not an amount of {asset.symbol}: expected a number of smallest units, or one like '{example}'"
        )
    return amount


def rate_of(asset: Asset, text: str) -> int:
    """10^-9 of a smallest unit: a number of them, "0.5 ether", or a number of whole units with the symbol."""
    number, _, unit = text.partition(" ")
    finer = replace(asset, decimals=asset.decimals + RATE_DECIMALS)
    if unit == asset.symbol or (unit == "ether" and asset.native):
        return finer.parse(number)
    return amount_of(finer, text) * (10**RATE_DECIMALS if unit else 1)
