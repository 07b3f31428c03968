"""How often somebody may ask a relay: a bucket for each, which fills with time."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KNOWN = 4096
"""Buckets that are kept: of who has not asked for longest, none is."""


class Rates:
    """Lets each of many ask `per_minute` times a minute, and `burst` times at once. `ticks` gives seconds, of whatever
    beginning. For any number of threads."""

    def __init__(self, per_minute: int, burst: int, ticks: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst = per_minute / 60, float(burst)
        self._ticks = ticks
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, who: str) -> bool:
        """Whether it may ask now, which counts."""
        now = self._ticks()
        with self._lock:
            left, at = self._buckets.pop(who, (self._burst, now))
            left = min(self._burst, left + (now - at) * self._per_second)
            allowed = left >= 1
            self._buckets[who] = (left - 1 if allowed else left, now)
            if len(self._buckets) > MOST_KNOWN:
                self._buckets.popitem(last=False)
        return allowed


def neighbourhood(address: str) -> str:
    """Who an address on the network counts as: itself, or all of a /64 where it is of the kind that one gets by the
    billion (IPv6)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
