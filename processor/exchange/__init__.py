"""One deadline, one byte budget and one stop around a whole exchange with anything remote.

Inside `exchange`, name look-up, connection, TLS, status, headers, framing and body are bounded together, however the
other side behaves; every exception of the libraries in between becomes an ExchangeError, which the layers above turn
into their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3

from processor.errors import KoinonError
from processor.exchange.addresses import Kind, is_this_machine, kind_of, kind_of_host, may_lead
from processor.exchange.connecting import connect
from processor.exchange.http import Session, guard, pieces_of
from processor.exchange.limits import ExchangeError, Limits, Reason, Stop, current, never, wait_until, within
from processor.exchange.sockets import GuardedSocket, GuardedTls, guarded_tls

__all__ = [
    "ExchangeError",
    "GuardedSocket",
    "GuardedTls",
    "Kind",
    "Limits",
    "Reason",
    "Session",
    "Stop",
    "connect",
    "current",
    "exchange",
    "guard",
    "guarded_tls",
    "is_this_machine",
    "kind_of",
    "kind_of_host",
    "may_lead",
    "never",
    "pieces_of",
    "wait_until",
    "within",
]


@contextmanager
def exchange(
    seconds: float, most_bytes: int, stop: Stop = never, *, pace: float = 0.0, until: float = math.inf
) -> Iterator[Limits]:
    """Bounds everything that guarded sessions and sockets of this thread do inside; see `Limits`.

    Raises ExchangeError for all that goes wrong inside, what the libraries make of a strange answer included; errors
    of this program (KoinonError) and of this machine's memory pass as they are.
    """
    limits = Limits(seconds, most_bytes, stop, pace=pace, until=until, outer=current())
    try:
        with within(limits):
            limits.left()
            yield limits
    except KoinonError as error:
        if limits.failure is not None and not isinstance(error, ExchangeError):
            raise limits.failure from None
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise limits.failure or _understood(error) from None


def _understood(error: Exception) -> ExchangeError:
    late = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if isinstance(error, requests.ConnectTimeout | urllib3.exceptions.ConnectTimeoutError):
        return ExchangeError(Reason.UNREACHABLE, "no connection in the time allowed")
    if isinstance(error, late):
        return ExchangeError(Reason.LATE, "no answer in the time allowed")
    if isinstance(error, requests.exceptions.SSLError):
        return ExchangeError(Reason.UNREACHABLE, "it does not identify itself as TLS asks")
    if isinstance(error, requests.exceptions.ProxyError):
        return ExchangeError(Reason.UNREACHABLE, "the proxy that the environment names does not lead there")
    if isinstance(error, ConnectionError | requests.ConnectionError):
        return ExchangeError(Reason.BROKEN, "the connection broke off")
    return ExchangeError(Reason.BROKEN, "the answer is not understood")
