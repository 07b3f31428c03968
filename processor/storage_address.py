"""Addresses of storage: an IPFS node by its multiaddr, /ip4/127.0.0.1/tcp/5001, or a folder by its URL, file:///path."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

EXPECTED = "an IPFS node's address like /ip4/127.0.0.1/tcp/5001, or a folder's like file:///srv/artifacts"
NETWORKS = ("ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr", "unix")
"""What the multiaddr of an IPFS node begins with."""
_SCHEME = re.compile("([A-Za-z][A-Za-z0-9+.-]*):")
_NOT_IN_A_PATH = re.compile("[?#]|%(?![0-9A-Fa-f]{2})")


def address_of(folder: Path) -> str:
    """The address of an absolute folder; no space, comma or quote is in it as it is."""
    return folder.as_uri().replace("file:///~", "file:///%7E", 1)


def folder_of(address: str) -> Path | None:
    """The folder at an address, None for one that is somewhere else. Raises ValueError as `canonical`."""
    if _scheme(address) != "file":
        return None
    path = address[len("file://") :]
    if not address[len("file:") :].startswith("///"):
        raise ValueError(
            f"{address!r} names no folder of this machine: expected its absolute path behind file://, like "
            "file:///srv/artifacts, with three slashes and no host"
        )
    if path.startswith("/~"):
        raise ValueError(
            f"{address!r} begins with ~, which stands for nobody's home here: write its path out, like "
            "file:///home/me/artifacts"
        )
    if _NOT_IN_A_PATH.search(path):
        raise ValueError(f"{address!r} has a character that no URL has as it is: write ? as %3F, # as %23, % as %25")
    named = unquote_to_bytes(path)
    if b"\0" in named:
        raise ValueError(f"{address!r} has a character that no path has: %00")
    return Path("/" + os.fsdecode(named).lstrip("/"))


def canonical(address: object) -> str:
    """An address as it is compared: two spellings of one are the same.

    Raises ValueError, in words, for what is no address of a kind that there is.
    """
    if not isinstance(address, str):
        raise ValueError(f"expected {EXPECTED}, found {address!r:.80}")
    if (folder := folder_of(address)) is not None:
        return address_of(folder)
    if address.startswith("/"):
        if address.split("/")[1] not in NETWORKS:
            raise ValueError(
                f"{address!r} is no address of an IPFS node, which begins like /{NETWORKS[0]}/ or /{NETWORKS[2]}/; "
                "a folder is written as file:// with its absolute path behind"
            )
        return address.rstrip("/")
    scheme = _scheme(address)
    if scheme in ("http", "https"):
        raise ValueError(
            f"{address!r} is no storage: expected {EXPECTED}; a gateway that is only read from is named in `gateways`"
        )
    what = f"is of a kind that this version does not know, {scheme}" if scheme else "is no address"
    raise ValueError(f"{address!r} {what}: expected {EXPECTED}")


def _scheme(address: str) -> str:
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""
