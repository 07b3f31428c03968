"""HTTP within the limits of an exchange: what is mounted on a requests session so that all of it is bounded."""

from __future__ import annotations

import logging
import socket
from collections.abc import Generator
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from processor.exchange.addresses import is_this_machine
from processor.exchange.connecting import FAMILIES, connect
from processor.exchange.limits import ExchangeError, Reason, current
from processor.exchange.sockets import guarded_tls

SCHEMES = [scheme + (f"+{family}" if family else "") for scheme in ("http", "https") for family in FAMILIES]
"""As ipfshttpclient writes them: the family of addresses behind the scheme."""

PIECE = 1 << 20
"""Bytes of a body that are in memory at a time."""

logging.getLogger("urllib3").setLevel(logging.ERROR)  # below that it logs the addresses of requests
_PLAIN = ("", "identity")


class Session(requests.Session):
    """A session that keeps to the limits, follows no redirect and, unless told so, keeps no cookies."""

    def __init__(self, *, cookies: bool = False) -> None:
        super().__init__()
        guard(self, cookies=cookies)


def guard(session: requests.Session, *, cookies: bool = False) -> None:
    """Lets a session keep to the limits of the exchange that it is used in.

    It needs one: a request outside of `exchange` is a mistake. A redirect is an answer like any other, whose body is
    read by nobody; `may_lead` says where one may lead.
    """
    adapter = GuardedAdapter()
    for scheme in SCHEMES:
        session.mount(f"{scheme}://", adapter)
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
    if not cookies:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))


def pieces_of(response: requests.Response) -> Generator[bytes, None, None]:
    """The body of a streamed answer as it arrives, never decompressed: a read that waits for a whole piece would not
    notice that the bytes only trickle."""
    while piece := response.raw.read1(PIECE, decode_content=False):
        yield piece


class GuardedAdapter(HTTPAdapter):
    """Sends over guarded connections. No proxy leads to this machine, whichever variable names one."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self._pool_connections, self._pool_maxsize, self._pool_block = connections, maxsize, block
        self.poolmanager = _Pools(num_pools=connections, maxsize=maxsize, block=block, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy.lower().startswith("socks"):
            raise ExchangeError(
                Reason.UNREACHABLE, "the environment names a SOCKS proxy, which is not supported: name one of HTTP"
            )
        if proxy not in self.proxy_manager:
            options.setdefault("proxy_ssl_context", guarded_tls(create_urllib3_context()))
            super().proxy_manager_for(proxy, **options).pool_classes_by_scheme = _POOLS
        return self.proxy_manager[proxy]

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"].endswith("+unix"):  # the host is the path of a socket, whose case matters
            host["host"] = urlsplit(request.url).netloc
        return host, pool

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        if current() is None:
            raise RuntimeError("a request outside of `exchange` has no limits")
        request.url, options["proxies"] = _route(str(request.url), options.get("proxies"))
        response = super().send(request, *arguments, **options)
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if request.headers.get("Accept-Encoding") == "identity" and encoding not in _PLAIN:
            response.close()
            raise ExchangeError(Reason.BROKEN, "the answer is compressed, which was not asked for")
        return response


def _route(url: str, proxies: Any) -> tuple[str, dict[str, str] | None]:
    """The URL and the proxies of a request: with a proxy, what family an address has is its own affair."""
    parts = urlsplit(url)
    scheme, _, family = parts.scheme.partition("+")
    proxy = None if family == "unix" or is_this_machine(parts.hostname) else select_proxy(url, proxies)
    if proxy is None:
        return url, None
    return urlunsplit(parts._replace(scheme=scheme)), {"all": proxy}


class _Opening:
    """What both kinds of connections share: how they connect."""

    family = ""

    def _new_conn(self: Any) -> socket.socket:
        host = unquote(self._dns_host) if self.family == "unix" else self._dns_host
        silence = self.timeout if isinstance(self.timeout, int | float) else None
        return connect(host, self.port or 0, self.family, silence, to_proxy=self.proxy is not None)


class _Connection(_Opening, HTTPConnection):
    pass


class _TlsConnection(_Opening, HTTPSConnection):
    def connect(self) -> None:
        if self.ssl_context is None:
            self.ssl_context = guarded_tls(create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs)))
        super().connect()


class _Pooling:
    """What both kinds of pools share: they tell their connections the family of addresses."""

    family = ""

    def _new_conn(self) -> Any:
        made = super()._new_conn()  # type: ignore[misc]
        made.family = self.family
        return made


class _Pool(_Pooling, HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(_Pooling, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Pools(PoolManager):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.key_fn_by_scheme = {scheme: self.key_fn_by_scheme[scheme.partition("+")[0]] for scheme in SCHEMES}
        self.pool_classes_by_scheme = _POOLS

    def _new_pool(self, scheme: str, host: str, port: int, request_context: dict[str, Any] | None = None) -> Any:
        plain, _, family = scheme.partition("+")
        pool = super()._new_pool(plain, host, port, request_context)
        pool.family = family  # type: ignore[attr-defined]
        if family == "unix":
            pool.host = host
        return pool
