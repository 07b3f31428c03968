"""Sealed files: what was sealed comes out, for the right key alone, and any other file is refused."""

from __future__ import annotations

import stat
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nacl import bindings as sodium
from nacl.public import PublicKey, SealedBox

from processor.errors import ArtifactTooLarge, SealError
from processor.privacy import sealing
from processor.privacy.sealing import CHUNK, ENVELOPE_BYTES, LENGTH_BYTES, TAG_BYTES

PAIR = sealing.generate_key_pair()
LIMIT = 8 * CHUNK


def sealed_bytes(directory: Path, content: bytes) -> bytes:
    (directory / "plain").write_bytes(content)
    sealing.seal_file(directory / "plain", directory / "sealed", PAIR.public)
    return (directory / "sealed").read_bytes()


def opened_bytes(directory: Path, sealed: bytes, secret: bytes = PAIR.secret, limit: int = LIMIT) -> bytes:
    (directory / "received").write_bytes(sealed)
    sealing.open_file(directory / "received", directory / "opened", secret, limit)
    return (directory / "opened").read_bytes()


def forged(stream: bytes, chunk: int = CHUNK, last_tag: int = sealing.FINAL) -> bytes:
    """A file that is sealed to the right key by somebody who keeps to none of the other rules."""
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    key = sodium.crypto_secretstream_xchacha20poly1305_keygen()
    header = sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    file = SealedBox(PublicKey(PAIR.public)).encrypt(header + key)
    for start in range(0, len(stream), chunk):
        tag = last_tag if start + chunk >= len(stream) else sealing.MORE
        file += sodium.crypto_secretstream_xchacha20poly1305_push(state, stream[start : start + chunk], tag=tag)
    return file


def refuses(directory: Path, sealed: bytes, match: str = "sealed update", secret: bytes = PAIR.secret) -> None:
    with pytest.raises(SealError, match=match) as error:
        opened_bytes(directory, sealed, secret)
    assert error.value.code == "sealed_wrong"
    assert sorted(path.name for path in directory.iterdir()) == ["plain", "received", "sealed"]


LENGTHS = st.one_of(
    st.integers(0, 300),
    st.builds(lambda chunks, more: chunks * CHUNK + more, st.integers(1, 3), st.integers(-40, 40)),
)


@settings(deadline=None, max_examples=40)
@given(length=LENGTHS, filler=st.binary(min_size=1, max_size=64))
@example(length=CHUNK - LENGTH_BYTES, filler=b"fills one chunk")
@example(length=0, filler=b"-")
def test_what_was_sealed_comes_out_and_the_size_is_its_bucket(length: int, filler: bytes) -> None:
    content = (filler * (length // len(filler) + 1))[:length]
    with tempfile.TemporaryDirectory() as directory:
        sealed = sealed_bytes(Path(directory), content)
        assert opened_bytes(Path(directory), sealed, limit=length) == content
    assert len(sealed) == sealing.sealed_size(length)


@given(st.integers(1, 1 << 50))
def test_padme_costs_at_most_an_eighth_and_a_bucket_is_its_own(length: int) -> None:
    padded = sealing.padme(length)
    assert length <= padded <= length * 1.125
    assert sealing.padme(padded) == padded


def test_padme_gives_the_sizes_of_the_papers_reference() -> None:
    assert [sealing.padme(length) for length in (0, 1, 8, 9, 17, 100, 1000, 999_999)] == [
        0, 1, 8, 10, 18, 104, 1024, 1_015_808,
    ]  # fmt: skip


def test_the_format_is_what_the_design_says(tmp_path: Path) -> None:
    assert ENVELOPE_BYTES == 104
    assert len(sealed_bytes(tmp_path, b"x" * 100)) == 104 + sealing.padme(108) + 17


def test_two_seals_of_the_same_file_differ(tmp_path: Path) -> None:
    assert sealed_bytes(tmp_path, b"update") != sealed_bytes(tmp_path, b"update")


def test_an_opened_file_is_its_owners_alone(tmp_path: Path) -> None:
    opened_bytes(tmp_path, sealed_bytes(tmp_path, b"update"))
    assert stat.S_IMODE((tmp_path / "opened").stat().st_mode) == 0o600


def test_another_rounds_secret_opens_nothing(tmp_path: Path) -> None:
    refuses(tmp_path, sealed_bytes(tmp_path, b"update"), "another key", sealing.generate_key_pair().secret)


REGIONS = {
    "the ephemeral key": 3,
    "the sealed header and key": 40,
    "the envelope's last byte": ENVELOPE_BYTES - 1,
    "the first tag": ENVELOPE_BYTES,
    "the length": ENVELOPE_BYTES + 8,
    "the content": ENVELOPE_BYTES + 1000,
    "the first chunk's authentication": ENVELOPE_BYTES + CHUNK + TAG_BYTES - 1,
    "the second chunk's tag": ENVELOPE_BYTES + CHUNK + TAG_BYTES,
    "the padding": -TAG_BYTES - 1,
    "the last byte": -1,
}


@pytest.mark.parametrize("offset", REGIONS.values(), ids=REGIONS.keys())
def test_a_changed_bit_is_refused_wherever_it_is(tmp_path: Path, offset: int) -> None:
    sealed = bytearray(sealed_bytes(tmp_path, b"u" * (2 * CHUNK - 5000)))
    sealed[offset] ^= 1
    refuses(tmp_path, bytes(sealed))


@settings(deadline=None, max_examples=60)
@given(offset=st.integers(0, 104 + 112 + 16), bit=st.integers(0, 7))
def test_no_bit_of_a_small_file_can_change(offset: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        sealed = bytearray(sealed_bytes(Path(directory), b"u" * 100))
        sealed[offset % len(sealed)] ^= 1 << bit
        refuses(Path(directory), bytes(sealed))


FULL_CHUNK = CHUNK + TAG_BYTES
CUTS: dict[str, Callable[[bytes], bytes]] = {
    "nothing left": lambda sealed: b"",
    "envelope only": lambda sealed: sealed[:ENVELOPE_BYTES],
    "half an envelope": lambda sealed: sealed[:50],
    "one byte missing": lambda sealed: sealed[:-1],
    "last chunk missing": lambda sealed: sealed[: ENVELOPE_BYTES + FULL_CHUNK],
    "first chunk missing": lambda sealed: sealed[:ENVELOPE_BYTES] + sealed[ENVELOPE_BYTES + FULL_CHUNK :],
    "chunks swapped": lambda sealed: (
        sealed[:ENVELOPE_BYTES]
        + sealed[ENVELOPE_BYTES + FULL_CHUNK : ENVELOPE_BYTES + 2 * FULL_CHUNK]
        + sealed[ENVELOPE_BYTES : ENVELOPE_BYTES + FULL_CHUNK]
        + sealed[ENVELOPE_BYTES + 2 * FULL_CHUNK :]
    ),
    "one byte more": lambda sealed: sealed + b"\0",
    "a chunk twice": lambda sealed: sealed + sealed[-FULL_CHUNK:],
    "the next bucket": lambda sealed: sealed + bytes(sealing.sealed_size(4 * CHUNK - 8) - len(sealed)),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_a_file_that_was_cut_or_extended_is_refused(tmp_path: Path, cut: Callable[[bytes], bytes]) -> None:
    refuses(tmp_path, cut(sealed_bytes(tmp_path, b"u" * (3 * CHUNK - LENGTH_BYTES))))


def test_padding_that_is_not_zero_is_refused(tmp_path: Path) -> None:
    sealed_bytes(tmp_path, b"")
    refuses(tmp_path, forged((9).to_bytes(8, "big") + b"content9!" + b"\1"), "other than zeros")


def test_a_size_that_is_no_bucket_is_refused(tmp_path: Path) -> None:
    sealed_bytes(tmp_path, b"")
    refuses(tmp_path, forged((9).to_bytes(8, "big") + b"content9!"), "no sealed update has")


def test_a_bucket_that_is_larger_than_needed_is_refused(tmp_path: Path) -> None:
    sealed_bytes(tmp_path, b"")
    refuses(tmp_path, forged((1).to_bytes(8, "big") + b"c" + bytes(7)), "contradicts")


def test_a_length_beyond_the_file_is_refused(tmp_path: Path) -> None:
    sealed_bytes(tmp_path, b"")
    refuses(tmp_path, forged(b"\xff" * 8), "contradicts")


def test_chunks_of_another_size_are_refused(tmp_path: Path) -> None:
    sealed_bytes(tmp_path, b"")
    refuses(tmp_path, forged((24).to_bytes(8, "big") + bytes(24), chunk=16))


def test_a_stream_that_is_not_tagged_final_is_refused(tmp_path: Path) -> None:
    sealed_bytes(tmp_path, b"")
    refuses(tmp_path, forged(bytes(8), last_tag=sealing.MORE), "before or after")


@pytest.mark.parametrize("limit", [99, 50], ids=["in the same bucket", "in a smaller bucket"])
def test_content_above_the_limit_is_refused(tmp_path: Path, limit: int) -> None:
    sealed = sealed_bytes(tmp_path, b"u" * 100)
    with pytest.raises(ArtifactTooLarge, match=str(limit)):
        opened_bytes(tmp_path, sealed, limit=limit)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("key", [b"", b"short", bytes(32), bytes(33)])
def test_a_key_that_is_none_is_refused_before_anything_is_written(tmp_path: Path, key: bytes) -> None:
    (tmp_path / "plain").write_bytes(b"update")
    with pytest.raises(SealError, match="32 bytes"):
        sealing.seal_file(tmp_path / "plain", tmp_path / "sealed", key)
    assert not (tmp_path / "sealed").exists()


def test_a_secret_shows_its_public_key_and_never_itself() -> None:
    assert sealing.public_key_of(PAIR.secret) == PAIR.public
    assert PAIR.secret.hex() not in repr(PAIR) and repr(PAIR.secret) not in repr(PAIR)
    with pytest.raises(SealError, match="32 bytes"):
        sealing.public_key_of(b"short")


def test_sealing_and_opening_take_constant_memory(tmp_path: Path) -> None:
    with (tmp_path / "plain").open("wb") as file:
        file.truncate(48 * CHUNK)
    tracemalloc.start()
    sealing.seal_file(tmp_path / "plain", tmp_path / "sealed", PAIR.public)
    sealing.open_file(tmp_path / "sealed", tmp_path / "opened", PAIR.secret, 48 * CHUNK)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * CHUNK


# ------------------------------------------------------------------------------------------------------------ the keys

FIELD = 2**255 - 19
LOW_ORDER = (
    *(0, 1, FIELD - 1),
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


def as_key(number: int) -> bytes:
    return number.to_bytes(32, "little")


@given(st.binary(min_size=32, max_size=32))
def test_every_key_that_belongs_to_a_secret_is_usable_and_in_its_one_form(secret: bytes) -> None:
    sealing.check_public_key(sealing.public_key_of(secret))


def test_a_key_in_another_form_is_refused_since_the_same_secret_opens_what_is_sealed_to_it() -> None:
    """Its highest bit is ignored by X25519: whoever compares bytes takes it for another key."""
    same = PAIR.public[:31] + bytes([PAIR.public[31] | 0x80])
    sealed = SealedBox(PublicKey(same)).encrypt(b"meow")
    assert sodium.crypto_box_seal_open(sealed, same, PAIR.secret) == b"meow"
    with pytest.raises(SealError, match="not in the one form"):
        sealing.check_public_key(same)


@pytest.mark.parametrize("key", [as_key(FIELD), as_key(FIELD + 9), as_key(2**255 - 1), b"", bytes(31), bytes(33)])
def test_what_is_no_number_below_the_prime_in_32_bytes_is_refused(key: bytes) -> None:
    with pytest.raises(SealError, match="not in the one form"):
        sealing.check_public_key(key)


@pytest.mark.parametrize("number", LOW_ORDER)
def test_a_key_whose_shared_secret_everybody_knows_is_refused(number: int) -> None:
    with pytest.raises(SealError, match="low order: anybody could open"):
        sealing.check_public_key(as_key(number))
