"""Which addresses are this machine, which are of a private network, and where a redirect may lead."""

from __future__ import annotations

import ipaddress
import re
import socket
from enum import Enum
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1")

_OWN_NAMES = ("localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback")
_NUMBERS = re.compile("[0-9A-Fa-fxX.]*[0-9A-Fa-f]")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SHARED = ipaddress.ip_network("100.64.0.0/10")
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class Kind(Enum):
    """How far away an address is; the value is for people."""

    THIS_MACHINE = "this machine"
    LINK = "the local link"
    PRIVATE = "a private network"
    PUBLIC = "the public network"
    OTHER = "no host's address"


def kind_of(address: str) -> Kind:
    """The kind of an IP address. Raises ValueError for what is none.

    One that carries another in itself (mapped, translated, 6to4) is of that one's kind.
    """
    found = _carried(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_loopback or found.is_unspecified or (found.version == 4 and int(found) >> 24 == 0):
        return Kind.THIS_MACHINE
    if found.is_link_local:
        return Kind.LINK
    if found.is_multicast:
        return Kind.OTHER
    if isinstance(found, ipaddress.IPv6Address) and found.is_site_local:
        return Kind.PRIVATE
    if found.is_private or found in _SHARED:
        return Kind.PRIVATE
    return Kind.OTHER if found.is_reserved else Kind.PUBLIC


def kind_of_host(host: str) -> Kind | None:
    """The kind of a host as an address names it, short forms like 127.1 included; None for a name to look up."""
    if is_localhost(host):
        return Kind.THIS_MACHINE
    try:
        return kind_of(host.strip("[]"))
    except ValueError:
        pass
    try:
        return kind_of(socket.inet_ntoa(socket.inet_aton(host))) if _NUMBERS.fullmatch(host) else None
    except OSError:
        return None


def is_localhost(host: str) -> bool:
    """Whether a name is this machine's, wherever a resolver would lead: localhost, and all below it (RFC 6761)."""
    labels = host.lower().rstrip(".").rsplit(".", 1)
    return labels[-1] == "localhost"


def is_this_machine(host: str | None) -> bool:
    """Whether a host is this machine by its name or address alone; nothing is looked up."""
    if not host:
        return False
    name = host.lower().rstrip(".")
    return kind_of_host(name) is Kind.THIS_MACHINE or name in _OWN_NAMES or name == socket.gethostname().lower()


def may_lead(source: str, target: str, known: Kind | None = None) -> bool:
    """Whether a redirect may lead from one URL to another: neither out of the scheme, nor out of the kind of address,
    which is `known` where the source was connected to.

    What only a look-up tells of the target is left to the connection (see `Limits.only`). False for what is no URL.
    """
    try:
        left, right = urlsplit(source), urlsplit(target)
        if left.scheme != right.scheme or not right.hostname or not left.hostname or right.port == 0:
            return False
        kinds = known or kind_of_host(left.hostname), kind_of_host(right.hostname)
        return None in kinds or kinds[0] is kinds[1]
    except ValueError:
        return False


def _carried(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and any(address in network for network in _TRANSLATED):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is None and int(address) >> 32 == 0 and int(address) > 1:  # the compatible form, ::127.0.0.1
        inner = ipaddress.IPv4Address(int(address))
    return inner or address
