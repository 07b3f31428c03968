"""Vouchers: what an organization signs to admit one client to a federation, once (EIP-712)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from processor import jcs
from processor.artifacts.canonical import Fields
from processor.artifacts.versions import Kind
from processor.chain.amounts import format_moment
from processor.chain.contracts import to_address
from processor.chain.signed import DOMAIN_NAME, DOMAIN_VERSION
from processor.errors import ArtifactError, ChainError, NewerVersion
from processor.texts import MARK, UTF_16, read_bytes
from processor.types import Address

_SIZE_LIMIT = 64 * 1024  # a contract wallet's signature is one for each of its owners
_ID_LIMIT, _EXPIRY_LIMIT, _NONCE_LIMIT = 2**256, 2**40, 2**32


@dataclass(frozen=True)
class VoucherFile(Fields):
    """A voucher as a file; `id` in decimal digits, `signature` in hexadecimal ones after 0x."""

    chain_id: int
    federation: str
    client: str
    id: str
    expiry: int
    owner_nonce: int
    signature: str


VOUCHER = Kind("voucher", _SIZE_LIMIT, VoucherFile, version=2)


@dataclass(frozen=True)
class Voucher:
    """Admits `client` to `federation` before the block time `expiry`, if `signature` is that of the federation's owner
    after the ownership changed hands `owner_nonce` times."""

    chain_id: int
    federation: Address
    client: Address
    id: int
    expiry: int
    owner_nonce: int
    signature: bytes

    def encode(self) -> bytes:
        """The voucher as a file."""
        return VOUCHER.encode(
            VoucherFile(
                chain_id=self.chain_id,
                federation=self.federation,
                client=self.client,
                id=str(self.id),
                expiry=self.expiry,
                owner_nonce=self.owner_nonce,
                signature="0x" + self.signature.hex(),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Voucher:
        """The voucher in a file. Raises ChainError where it holds none."""
        if len(data) > _SIZE_LIMIT:
            raise ChainError(f"this is not a voucher: it is larger than {_SIZE_LIMIT} bytes")
        try:
            document = jcs.parse(data)
        except ArtifactError as error:
            raise ChainError(f"this is not a voucher: it {error}") from None
        try:
            found = VOUCHER.value_of(document)
        except NewerVersion as error:
            raise ChainError(str(error)) from None
        except ArtifactError as error:
            raise ChainError(f"{error}\nAsk the organization for the file again") from None
        return cls(
            found.chain_id,
            to_address(found.federation),
            to_address(found.client),
            _id(found.id),
            _expiry(found.expiry),
            _nonce(found.owner_nonce),
            _signature(found.signature),
        )

    def check(self, chain_id: int, federation: Address, client: Address, now: int, owner_nonce: int) -> None:
        """Raises ChainError where the voucher is not for this client of this federation, of another owner, or past its
        time.

        Only the contract can say whether the owner signed it, and whether it was used or revoked.
        """
        if (self.chain_id, self.federation) != (chain_id, federation):
            raise ChainError(
                f"the voucher is for the federation {self.federation} on chain {self.chain_id}, not for {federation} "
                f"on chain {chain_id}: ask this federation's organization for one"
            )
        if self.client != client:
            raise ChainError(
                f"the voucher admits {self.client}, not {client}: use that wallet, or ask for a voucher for this one"
            )
        if self.owner_nonce != owner_nonce:
            raise ChainError(
                f"the voucher was signed when the federation had changed hands {self.owner_nonce} time(s), and now it "
                f"has {owner_nonce} time(s): what a former owner signed is worthless; ask the organization for another "
                "one"
            )
        if now >= self.expiry:
            raise ChainError(
                f"the voucher expired at {format_moment(self.expiry)}, and the chain's time is {format_moment(now)}: "
                "ask the organization for another one"
            )


def typed_data(
    chain_id: int, federation: Address, client: Address, id: int, expiry: int, owner_nonce: int
) -> dict[str, Any]:
    """What a wallet is asked to sign (EIP-712); the id is a string, because a wallet's JSON has no such numbers."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Voucher": [
                {"name": "client", "type": "address"},
                {"name": "id", "type": "uint256"},
                {"name": "expiry", "type": "uint40"},
                {"name": "ownerNonce", "type": "uint32"},
            ],
        },
        "primaryType": "Voucher",
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": chain_id,
            "verifyingContract": federation,
        },
        "message": {"client": client, "id": str(id), "expiry": expiry, "ownerNonce": owner_nonce},
    }


def sign_voucher(
    account: LocalAccount,
    chain_id: int,
    federation: Address,
    client: Address,
    expiry: int,
    owner_nonce: int,
    id: int | None = None,
) -> Voucher:
    """A voucher signed by the federation's owner; without `id`, one that nobody can guess. `owner_nonce` is the
    federation's: with the next owner the voucher is worthless.

    Raises ChainError where an address is none, or the expiry is no block time, or the nonce none.
    """
    federation, client = to_address(federation), to_address(client)
    id = secrets.randbits(256) if id is None else _id(str(id))
    asked = typed_data(chain_id, federation, client, id, _expiry(expiry), _nonce(owner_nonce))
    signature = bytes(account.sign_typed_data(full_message=asked).signature)
    return Voucher(chain_id, federation, client, id, expiry, owner_nonce, signature)


def load_voucher(path: Path) -> Voucher:
    """The voucher in the file `path`, which an editor may have put a byte order mark in front of.

    Raises ChainError where it cannot be read or holds none.
    """
    data = read_bytes(path, "the voucher", ChainError, limit=2 * _SIZE_LIMIT)
    if data.startswith(UTF_16):
        raise ChainError(f"the voucher {path} cannot be read: it is UTF-16; save it as UTF-8")
    try:
        return Voucher.decode(data.removeprefix(MARK.encode()))
    except ChainError as error:
        raise ChainError(f"{path}: {error}") from None


def _id(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,78}", text) or int(text) >= _ID_LIMIT:
        raise ChainError(f"{text[:80]!r} is not a voucher's id: expected a whole number below 2^256, in decimal digits")
    return int(text)


def _expiry(seconds: int) -> int:
    if not 0 < seconds < _EXPIRY_LIMIT:
        raise ChainError(f"the expiry {seconds} is not a block time: expected seconds since 1970, below 2^40")
    return seconds


def _nonce(number: int) -> int:
    if not 0 <= number < _NONCE_LIMIT:
        raise ChainError(f"{number} is not an owner nonce: expected a whole number below 2^32")
    return number


def _signature(text: str) -> bytes:
    if not re.fullmatch(r"0x(?:[0-9a-fA-F]{2})+", text):
        raise ChainError("the voucher's signature is damaged: expected 0x and hexadecimal digits")
    return bytes.fromhex(text[2:])
