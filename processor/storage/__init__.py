"""Where artifacts are kept: one interface; a local directory, IPFS nodes and gateways behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from processor.errors import ConfigurationError
from processor.storage.base import Storage, get_bytes, put_bytes
from processor.storage.gateway import GatewayStorage
from processor.storage.ipfs import IpfsStorage
from processor.storage.local import LocalStorage
from processor.storage.measured import Measured
from processor.storage.several import SeveralStorage

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
    *,
    ipfs: Sequence[str] = (),
    gateways: Sequence[str] = (),
    store: Path | None = None,
    quorum: int | None = None,
    timeout: float = 30.0,
    publishing: bool = True,
) -> Storage:
    """The storage that the settings name: IPFS nodes by their multiaddrs or a local directory, and gateways by URL.

    `timeout` is in seconds: how long a source may be silent, and how long trouble that may pass is waited out. `quorum`
    nodes must hold what is published, more than half of them where it is None. Who is not `publishing` may do with
    gateways alone. Raises ConfigurationError for settings that name no storage, both nodes and a store, or a quorum
    that cannot be reached.
    """
    if ipfs and store is not None:
        raise ConfigurationError("storage: expected either IPFS nodes (--ipfs) or a local directory (--store)")
    if not ipfs and store is None and (publishing or not gateways):
        also = " or, to read only, gateways" if not publishing else "; gateways can only be read from"
        raise ConfigurationError(f"storage: expected an IPFS node (--ipfs) or a local directory (--store){also}")
    if store is not None and not gateways:
        return LocalStorage(store)
    nodes = [LocalStorage(store)] if store is not None else [IpfsStorage(address, timeout) for address in ipfs]
    return SeveralStorage(nodes, [GatewayStorage(address, timeout) for address in gateways], quorum, timeout)
