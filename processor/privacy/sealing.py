"""Updates sealed to a round's key: only who holds its secret reads them, and their size says little.

A sealed file is a `SealedBox` of (secretstream header, key), then libsodium's secretstream (XChaCha20-Poly1305) in
chunks of 1 MiB, the last one tagged final. Inside the stream: the content's length in 8 bytes, big-endian, the content,
and zeros up to the next size of Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
Communication with PURBs", PETS 2019), which reveals O(log log length) bits for at most 12 % more bytes. Both directions
take constant memory.

There is one way to write a file of a given key and content size, and everything else is refused when it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nacl import bindings as sodium
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from processor.errors import ArtifactTooLarge, SealError
from processor.files import PRIVATE, replacing

CHUNK = 1 << 20
TAG_BYTES = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
KEY_BYTES = sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES
ENVELOPE_BYTES = sodium.crypto_box_SEALBYTES + HEADER_BYTES + KEY_BYTES
LENGTH_BYTES = 8
FIELD = 2**255 - 19
"""The prime of the field in which X25519 computes."""
ANY_SECRET = bytes([1]) * 32
MORE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL


@dataclass(frozen=True)
class SealingKeyPair:
    """An X25519 key pair, 32 bytes each; a round has its own."""

    public: bytes
    secret: bytes = field(repr=False)


def generate_key_pair() -> SealingKeyPair:
    key = PrivateKey.generate()
    return SealingKeyPair(public=bytes(key.public_key), secret=bytes(key))


def public_key_of(secret: bytes) -> bytes:
    """The public key that belongs to a round's secret. Raises SealError for anything but 32 bytes."""
    return bytes(_private_key(secret).public_key)


def check_public_key(key: bytes) -> None:
    """Raises SealError for a round's sealing key that no honest pair has.

    X25519 reads several texts of 32 bytes as one key: it ignores the highest bit, and reduces what is not below the
    prime of its field. Whoever compares keys by their bytes takes them for different ones, and the secret of one opens
    what is sealed to another. So a key has the one form in which it is computed; and is none of the few of low order,
    for which anybody knows the shared secret.
    """
    if len(key) != sodium.crypto_box_PUBLICKEYBYTES or int.from_bytes(key, "little") >= FIELD:
        raise SealError("the round's sealing key is not in the one form that X25519 keys of 32 bytes have")
    try:
        sodium.crypto_scalarmult(ANY_SECRET, key)
    except (CryptoError, RuntimeError) as error:
        raise SealError("the round's sealing key is of low order: anybody could open what is sealed to it") from error


def padme(length: int) -> int:
    """The smallest size of at least `length` whose significand has no more bits than its exponent (Padmé).

    Of the floor(log2 length) bits below the leading one, all but the first floor(log2 log2 length) + 1 are zero.
    """
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    free = (1 << (exponent - exponent.bit_length())) - 1
    return (length + free) & ~free


def sealed_size(length: int) -> int:
    """How many bytes a content of `length` bytes takes when sealed."""
    padded = padme(LENGTH_BYTES + length)
    return ENVELOPE_BYTES + padded + TAG_BYTES * _chunks(padded)


def seal_file(plain: Path, sealed: Path, public_key: bytes) -> None:
    """Seals a file to a public key. Two seals of the same file differ.

    Raises SealError where the key is no usable X25519 key.
    """
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    key = sodium.crypto_secretstream_xchacha20poly1305_keygen()
    header = sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    try:
        envelope = SealedBox(PublicKey(public_key)).encrypt(header + key)
    except (CryptoError, TypeError, ValueError) as error:
        raise SealError("the round's sealing key is not a usable X25519 public key of 32 bytes") from error
    with plain.open("rb") as source, replacing(sealed) as target:
        length = plain.stat().st_size
        target.write(envelope)
        content = length.to_bytes(LENGTH_BYTES, "big")
        for size, tag in _layout(padme(LENGTH_BYTES + length)):
            content += source.read(size - len(content))
            padded = content.ljust(size, b"\0")
            target.write(sodium.crypto_secretstream_xchacha20poly1305_push(state, padded, tag=tag))
            content = b""


def open_file(sealed: Path, plain: Path, secret: bytes, limit: int) -> None:
    """Opens a sealed file with the round's secret; `plain` is readable by its owner alone.

    Raises ArtifactTooLarge where the content has more than `limit` bytes, and SealError for everything that `seal_file`
    does not write for this key: another key, bytes that are changed, missing or added, another padding. Nothing is left
    at `plain` then.
    """
    key = _private_key(secret)
    size = sealed.stat().st_size
    if size > sealed_size(limit):
        raise ArtifactTooLarge(f"a sealed update of {size} bytes holds more than the {limit} bytes that are allowed")
    padded = _padded_size(size)
    with sealed.open("rb") as source, replacing(plain, PRIVATE) as target:
        state = _open_envelope(source, key)
        missing = 0
        for index, (size, tag) in enumerate(_layout(padded)):
            content = _pull(state, source.read(size + TAG_BYTES), tag)
            if index == 0:
                missing = int.from_bytes(content[:LENGTH_BYTES], "big")
                content = content[LENGTH_BYTES:]
                if padme(LENGTH_BYTES + missing) != padded:
                    raise SealError(f"a sealed update says that it holds {missing} bytes, which its size contradicts")
                if missing > limit:
                    raise ArtifactTooLarge(f"a sealed update holds {missing} bytes, expected at most {limit}")
            if content[missing:].strip(b"\0"):
                raise SealError("a sealed update is padded with something other than zeros")
            missing -= target.write(content[:missing])


def _private_key(secret: bytes) -> PrivateKey:
    try:
        return PrivateKey(secret)
    except (CryptoError, TypeError, ValueError) as error:
        raise SealError("a round's secret is not an X25519 key of 32 bytes") from error


def _chunks(padded: int) -> int:
    return -(-padded // CHUNK)


def _layout(padded: int) -> Iterator[tuple[int, int]]:
    """Size and tag of each chunk of the inner stream."""
    for start in range(0, padded, CHUNK):
        left = padded - start
        yield min(left, CHUNK), FINAL if left <= CHUNK else MORE


def _padded_size(size: int) -> int:
    """The size of the inner stream of a sealed file of `size` bytes."""
    body = size - ENVELOPE_BYTES
    chunks = -(-body // (CHUNK + TAG_BYTES))
    padded = body - TAG_BYTES * chunks
    if padded < LENGTH_BYTES or _chunks(padded) != chunks or padme(padded) != padded:
        raise SealError(f"no sealed update has {size} bytes: this one was cut short or extended")
    return padded


def _open_envelope(source: BinaryIO, key: PrivateKey) -> sodium.crypto_secretstream_xchacha20poly1305_state:
    try:
        opened = SealedBox(key).decrypt(source.read(ENVELOPE_BYTES))
    except CryptoError as error:
        raise SealError("a sealed update was sealed to another key, or its first bytes were changed") from error
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, opened[:HEADER_BYTES], opened[HEADER_BYTES:])
    return state


def _pull(state: sodium.crypto_secretstream_xchacha20poly1305_state, chunk: bytes, expected: int) -> bytes:
    try:
        content, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, chunk)
    except CryptoError as error:
        raise SealError("a sealed update was changed after it was sealed") from error
    if tag != expected:
        raise SealError("a sealed update ends before or after its last chunk")
    return content
