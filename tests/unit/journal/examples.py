"""A wallet, its federation, and what its journal holds."""

from __future__ import annotations

from pathlib import Path

from processor.journal import Broadcast, Journal, SavedSecret, SavedUpdate, updates_folder

FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CLIENT = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
KEY, OTHER_KEY = b"\1" * 32, b"\2" * 32
BASE, CID = "QmZTR5bcpQD7cFgTorqxZDYaew1Wqgfbd2ud9QqGPAkK2V", "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
SECRET = SavedSecret(KEY, 3, BASE, "plan", b"encrypted")


def broadcast(tx_hash: str, max_fee: int = 10, cancels: bool = False) -> Broadcast:
    return Broadcast(tx_hash, max_fee, 1, cancels, 1_700_000_000, b"signed")


def update_of(state: Path) -> SavedUpdate:
    return SavedUpdate(3, KEY, BASE, CID, updates_folder(state) / CID, 1200, 360, ends_at=4000)


def opened(
    path: Path, chain_id: int = 1337, federation: str = FEDERATION, address: str = CLIENT, read_only: bool = False
) -> Journal:
    return Journal(path, chain_id, federation, address, read_only=read_only)
