"""What a client signs for somebody else to send: an update, a decline, its registration, its leaving (EIP-712).

A signature is 64 bytes in the compact form of ERC-2098. What is signed names its round; the contract takes it of no
other round, federation or chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_account.signers.local import LocalAccount
from eth_keys import keys
from eth_keys.exceptions import BadSignature, ValidationError
from eth_typing import Hash32
from web3 import Web3

from processor import cid
from processor.chain.contracts import to_address
from processor.errors import ChainError
from processor.types import Address, Cid

DOMAIN_NAME, DOMAIN_VERSION = "Koinon", "2"
SIGNATURE_SIZE = 64

_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_UPDATE = "Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs)"
_REGISTRATION = "Registration(uint24 round,uint40 deadline)"
_LEAVING = "Leaving(uint24 round,address to,uint40 deadline)"
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0  # of secp256k1
_HIGHEST = 1 << 255


@dataclass(frozen=True)
class SignedUpdate:
    """What a client signed for a relay to submit (`IFederation.SignedUpdate`); a decline has no update and no time."""

    update: Cid | None
    compute_ms: int
    signature: bytes = field(repr=False)

    @property
    def declined(self) -> bool:
        return self.update is None and self.compute_ms == 0


def update_digest(
    chain_id: int, federation: Address, round: int, sealing_key: bytes, update: Cid | None, compute_ms: int
) -> bytes:
    """What a client signs to submit an update; to decline where there is no update and the time is 0."""
    word = bytes(32) if update is None else cid.digest_of(update)
    return _digest(chain_id, federation, _UPDATE, round, sealing_key, word, compute_ms)


def registration_digest(chain_id: int, federation: Address, round: int, deadline: int) -> bytes:
    """What a client signs to be registered before the block time `deadline`, and before the round after `round`, the
    latest, opens."""
    return _digest(chain_id, federation, _REGISTRATION, round, deadline)


def leaving_digest(chain_id: int, federation: Address, round: int, to: Address, deadline: int) -> bytes:
    """What a client signs to end its membership, with everything paid to `to`."""
    return _digest(chain_id, federation, _LEAVING, round, to_address(to), deadline)


def sign_update(
    account: LocalAccount,
    chain_id: int,
    federation: Address,
    round: int,
    sealing_key: bytes,
    update: Cid,
    compute_ms: int,
) -> SignedUpdate:
    digest = update_digest(chain_id, federation, round, sealing_key, update, compute_ms)
    return SignedUpdate(update, compute_ms, _sign(account, digest))


def sign_decline(
    account: LocalAccount, chain_id: int, federation: Address, round: int, sealing_key: bytes
) -> SignedUpdate:
    digest = update_digest(chain_id, federation, round, sealing_key, None, 0)
    return SignedUpdate(None, 0, _sign(account, digest))


def sign_registration(account: LocalAccount, chain_id: int, federation: Address, round: int, deadline: int) -> bytes:
    return _sign(account, registration_digest(chain_id, federation, round, deadline))


def sign_leaving(
    account: LocalAccount, chain_id: int, federation: Address, round: int, to: Address, deadline: int
) -> bytes:
    return _sign(account, leaving_digest(chain_id, federation, round, to, deadline))


def signer_of_update(
    chain_id: int, federation: Address, round: int, sealing_key: bytes, signed: SignedUpdate
) -> Address | None:
    """Whose signature an update or a decline carries; None where it is no signature at all."""
    digest = update_digest(chain_id, federation, round, sealing_key, signed.update, signed.compute_ms)
    return _signer(digest, signed.signature)


def signer_of_registration(
    chain_id: int, federation: Address, round: int, deadline: int, signature: bytes
) -> Address | None:
    return _signer(registration_digest(chain_id, federation, round, deadline), signature)


def signer_of_leaving(
    chain_id: int, federation: Address, round: int, to: Address, deadline: int, signature: bytes
) -> Address | None:
    return _signer(leaving_digest(chain_id, federation, round, to, deadline), signature)


def halves(signature: bytes) -> tuple[bytes, bytes]:
    """r and vs, as the contract takes them. Raises ChainError for what is no compact signature."""
    if len(signature) != SIGNATURE_SIZE:
        raise ChainError(f"a signature has {SIGNATURE_SIZE} bytes (ERC-2098), this one has {len(signature)}")
    return signature[:32], signature[32:]


def _digest(chain_id: int, federation: Address, type: str, *values: Any) -> bytes:
    """The hash that is signed. Raises ChainError for a value that does not fit its type."""
    fields = [field.split(" ")[0] for field in type[type.index("(") + 1 : -1].split(",")]
    try:
        for kind, value in zip(fields, values, strict=True):
            if kind == "bytes32" and len(value) != 32:  # the encoder would fill it up
                raise ValueError
        struct = encode(["bytes32", *fields], [Web3.keccak(text=type), *values])
        domain = encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [
                Web3.keccak(text=_DOMAIN),
                Web3.keccak(text=DOMAIN_NAME),
                Web3.keccak(text=DOMAIN_VERSION),
                chain_id,
                to_address(federation),
            ],
        )
    except (EncodingError, ValueError):
        name = type.partition("(")[0]
        raise ChainError(f"cannot sign {name}: a value is negative or larger than the contract can hold") from None
    return bytes(Web3.keccak(b"\x19\x01" + Web3.keccak(domain) + Web3.keccak(struct)))


def _sign(account: LocalAccount, digest: bytes) -> bytes:
    signed = account.unsafe_sign_hash(Hash32(digest))
    s = int(signed.s) | (_HIGHEST if signed.v == 28 else 0)
    return int(signed.r).to_bytes(32) + s.to_bytes(32)


def _signer(digest: bytes, signature: bytes) -> Address | None:
    """As OpenZeppelin's ECDSA: no signer for an s in the upper half, which anybody can make of one in the lower."""
    if len(signature) != SIGNATURE_SIZE:
        return None
    r, vs = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    s = vs & ~_HIGHEST
    if s > _HALF_ORDER:
        return None
    try:
        public = keys.Signature(vrs=(vs >> 255, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return None
    return str(public.to_checksum_address())
