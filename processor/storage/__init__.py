"""Where artifacts are kept: one interface, a local directory or IPFS behind it."""

from __future__ import annotations

from pathlib import Path

from processor.errors import ConfigurationError
from processor.storage.base import Storage, get_bytes, put_bytes
from processor.storage.ipfs import IpfsStorage
from processor.storage.local import LocalStorage

__all__ = ["IpfsStorage", "LocalStorage", "Storage", "get_bytes", "open_storage", "put_bytes"]


def open_storage(ipfs: str | None, store: Path | None, timeout: float) -> Storage:
    """The backend that the settings name: an IPFS node by its multiaddr, or a local directory.

    `timeout` is in seconds. Raises ConfigurationError unless exactly one of the two is given.
    """
    if ipfs is not None and store is None:
        return IpfsStorage(ipfs, timeout)
    if store is not None and ipfs is None:
        return LocalStorage(store)
    raise ConfigurationError("storage: expected either an IPFS node (--ipfs) or a local directory (--store)")
