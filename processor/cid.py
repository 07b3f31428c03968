"""Content identifiers: the CIDv0 that Kubo's `add` gives, computed here and never taken from a node's word.

The flavour is fixed (chunker size-262144, balanced, sha2-256, no raw leaves), so that the 32 bytes that the chain holds
are the whole identifier.
"""

from __future__ import annotations

from pathlib import Path

import base58
from aleph_cid import CidHasher, compute_cid

from processor.errors import ArtifactError
from processor.types import Cid

SHA2_256 = b"\x12\x20"
CHUNK = 1 << 18
"""Bytes that are hashed at a time: what Kubo makes a leaf of; larger pieces take twice as long."""


def cid_of(data: bytes) -> Cid:
    """The CIDv0 of `data`."""
    return compute_cid(data)


def hasher() -> CidHasher:
    """What computes the CIDv0 of bytes that come in pieces: `update` takes them, `finalize` gives the CID."""
    return CidHasher.for_ipfs()


def cid_of_file(path: Path) -> Cid:
    """The CIDv0 of a file's bytes, in constant memory."""
    hashing = hasher()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hashing.update(chunk)
    return hashing.finalize()


def digest_of(cid: Cid) -> bytes:
    """The 32 bytes under which the chain holds `cid`.

    Raises ArtifactError for anything but a CIDv0.
    """
    try:
        multihash = base58.b58decode(cid) if len(cid) == 46 else b""
    except ValueError:
        multihash = b""
    if len(multihash) != 34 or not multihash.startswith(SHA2_256) or base58.b58encode(multihash).decode() != cid:
        shown = cid if len(cid) <= 64 else cid[:64] + "..."
        raise ArtifactError(f"{shown!r} is not a CIDv0: expected 46 base58 characters that start with Qm")
    return multihash[2:]


def cid_from_digest(digest: bytes) -> Cid | None:
    """The CIDv0 of a digest that the chain holds; None for 32 zero bytes, which stand for no artifact.

    Raises ArtifactError for a digest that is not 32 bytes.
    """
    if len(digest) != 32:
        raise ArtifactError(f"a digest on chain has 32 bytes, this one has {len(digest)}")
    return base58.b58encode(SHA2_256 + digest).decode() if any(digest) else None
