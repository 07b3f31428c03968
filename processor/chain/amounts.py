"""Amounts in words. Everywhere else an amount is an integer in wei."""

from __future__ import annotations

_DECIMALS = 18


def format_ether(wei: int) -> str:
    """The amount in ether, exact: no rounding, exponent or trailing zeros ("0.5", "-12", "0.000000000000000001")."""
    sign = "-" if wei < 0 else ""
    whole, fraction = divmod(abs(wei), 10**_DECIMALS)
    digits = f"{fraction:0{_DECIMALS}d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
