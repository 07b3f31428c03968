"""From a host's name to a guarded connection, within the limits of the exchange."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any

from processor.exchange.addresses import LOOPBACK, Kind, is_localhost, kind_of
from processor.exchange.limits import ExchangeError, Limits, Reason, current, wait_until
from processor.exchange.sockets import GuardedSocket

LOOK_UPS = 32
"""Names that are looked up at the same time; a resolver that does not answer holds a thread for each."""

FAMILIES = {"": socket.AF_UNSPEC, "ip4": socket.AF_INET, "ip6": socket.AF_INET6, "unix": socket.AF_UNIX}
"""By their names in a multiaddr."""

_Found = list[tuple[int, Any]]
_Known = list[tuple[Kind | None, int, Any]]
_Asked = tuple[str, int, int]

_lock = threading.Lock()
_asked: dict[_Asked, Future[_Found]] = {}


def connect(
    host: str, port: int, family: str = "", silence: float | None = None, *, to_proxy: bool = False
) -> GuardedSocket:
    """A connection to a host, or to the path of a Unix socket where the `family` is unix; `silence` is how many seconds
    it may take, at most.

    A name under .localhost is this machine. Nothing else is connected to than what the exchange allows, by the address
    that the name leads to; a proxy is the user's own choice. Raises ExchangeError.
    """
    limits = current()
    if family == "unix":
        return _connected(socket.AF_UNIX, host, Kind.THIS_MACHINE, limits, silence)
    found = _allowed(look_up(host, port, family, silence), limits, to_proxy)
    last: ExchangeError | None = None
    for number, (kind, address_family, address) in enumerate(found):
        try:
            left = None if limits is None else limits.left()
            least = min((seconds for seconds in (left, silence) if seconds is not None), default=None)
            share = None if least is None else least / (len(found) - number)
            return _connected(address_family, address, kind, limits, share)
        except ExchangeError as error:
            if error.reason is not Reason.UNREACHABLE:
                raise
            last = error
    raise last or _unreachable("its name leads to no address")


def look_up(host: str, port: int, family: str = "", silence: float | None = None) -> _Found:
    """The addresses of a host, with their families. Raises ExchangeError."""
    asked = FAMILIES[family]
    host = host.strip("[]")
    if is_localhost(host):
        return [found for address in LOOPBACK for found in _numeric(address, port, asked)]
    try:
        if found := _numeric(host, port, asked):
            return found
        future = _ask((host, port, asked))
        wait_until(lambda seconds: future in wait_for([future], seconds).done, current(), silence)
        return future.result()
    except (OSError, UnicodeError, ValueError):
        raise _unreachable("its name is not known") from None


def _numeric(address: str, port: int, family: int) -> _Found:
    try:
        found = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
    return [(entry[0], entry[4]) for entry in found]


def _ask(asked: _Asked) -> Future[_Found]:
    """Those who ask for the same name at the same time wait for one answer."""
    with _lock:
        if asked in _asked:
            return _asked[asked]
        if len(_asked) >= LOOK_UPS:
            raise _unreachable("too many names are being looked up")
        future = _asked[asked] = Future[_Found]()
    threading.Thread(target=_resolve, args=(asked, future), daemon=True).start()
    return future


def _resolve(asked: _Asked, future: Future[_Found]) -> None:
    try:
        host, port, family = asked
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        answer: _Found = [(entry[0], entry[4]) for entry in found]
    except BaseException as error:  # for whoever asks the future
        future.set_exception(error)
    else:
        future.set_result(answer)
    finally:
        with _lock:
            del _asked[asked]


def _allowed(found: _Found, limits: Limits | None, to_proxy: bool) -> _Known:
    if to_proxy:
        return [(None, family, address) for family, address in found]
    known: _Known = [(kind_of(str(address[0])), family, address) for family, address in found]
    if limits is None or limits.only is None:
        return known
    allowed = [entry for entry in known if entry[0] is limits.only]
    if known and not allowed:
        limits.meet(known[0][0])
    return allowed


def _connected(
    family: int, address: Any, kind: Kind | None, limits: Limits | None, silence: float | None
) -> GuardedSocket:
    made = GuardedSocket(family, socket.SOCK_STREAM)
    try:
        made.kind = kind
        made.settimeout(silence)
        if family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        state = made.connect_ex(address)
        if state in (errno.EINPROGRESS, errno.EAGAIN):
            _finish(made, limits, silence)
            state = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if state:
            raise OSError(state, os.strerror(state))
    except OSError as error:
        made.close()
        raise _unreachable(os.strerror(error.errno) if error.errno else "no connection") from None
    except BaseException:
        made.close()
        raise
    return made


def _finish(made: GuardedSocket, limits: Limits | None, silence: float | None) -> None:
    try:
        wait_until(lambda seconds: made.is_ready(select.POLLOUT, seconds), limits, silence)
    except ExchangeError as error:
        if error.reason is not Reason.LATE:
            raise
        if limits is not None:
            limits.failure = None
        raise _unreachable("no connection in the time allowed") from None


def _unreachable(why: str) -> ExchangeError:
    return ExchangeError(Reason.UNREACHABLE, why)
