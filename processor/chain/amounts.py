"""Amounts and moments in words. Everywhere else they are integers: smallest units of an asset, seconds since 1970."""

from __future__ import annotations

import time

ETHER_DECIMALS = 18


def format_units(amount: int, decimals: int) -> str:
    """The amount in whole units, exact: no rounding, exponent or trailing zeros ("0.5", "-12", "0.000001")."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0") if fraction else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def format_ether(wei: int) -> str:
    """The amount in ether, exact, without the word ETH."""
    return format_units(wei, ETHER_DECIMALS)


def format_moment(timestamp: int) -> str:
    """The moment of a block time."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
