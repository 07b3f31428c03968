"""Where artifacts are kept: one interface; local directories, IPFS nodes and gateways behind it."""

from __future__ import annotations

from collections.abc import Sequence

from processor.errors import ConfigurationError
from processor.exchange import Stop, never
from processor.storage.base import Storage, get_bytes, put_bytes
from processor.storage.gateway import GatewayStorage
from processor.storage.ipfs import IpfsStorage
from processor.storage.local import LocalStorage
from processor.storage.measured import Measured
from processor.storage.several import SeveralStorage
from processor.storage_address import folder_of

__all__ = [
    "GatewayStorage",
    "IpfsStorage",
    "LocalStorage",
    "Measured",
    "SeveralStorage",
    "Storage",
    "get_bytes",
    "open_storage",
    "put_bytes",
]


def open_storage(
    addresses: Sequence[str] = (),
    *,
    gateways: Sequence[str] = (),
    quorum: int | None = None,
    timeout: float = 30.0,
    publishing: bool = True,
    stop: Stop = never,
) -> Storage:
    """The storage that the settings name: IPFS nodes and folders by their addresses, gateways by URL, the preferred
    first.

    `timeout` is in seconds: how long a source may be silent, and how long trouble that may pass is waited out. `quorum`
    of the addresses must hold what is published, more than half of them where it is None. Who is not `publishing` may
    do with gateways alone. Once `stop` says so, whatever waits for others ends with Interrupted. Raises
    ConfigurationError for settings that name no storage, for what is no address of one, and for a quorum that cannot be
    reached.
    """
    if not addresses and (publishing or not gateways):
        also = " or, to read only, gateways" if not publishing else "; gateways can only be read from"
        raise ConfigurationError(f"storage: expected an IPFS node (--ipfs) or a local directory (--store){also}")
    nodes = [_open(address, timeout, stop, at_once=len(addresses) == 1) for address in addresses]
    alone = len(nodes) == 1 and not gateways and (not publishing or quorum in (None, 1))
    if alone and isinstance(nodes[0], LocalStorage):
        return nodes[0]
    readers = [GatewayStorage(address, timeout, stop) for address in gateways]
    return SeveralStorage(nodes, readers, quorum, timeout, stop)


def _open(address: str, timeout: float, stop: Stop, at_once: bool) -> LocalStorage | IpfsStorage:
    try:
        folder = folder_of(address)
    except ValueError as error:
        raise ConfigurationError(f"storage: {error}") from None
    return IpfsStorage(address, timeout, stop) if folder is None else LocalStorage(folder, at_once)
