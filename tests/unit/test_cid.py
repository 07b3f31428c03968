"""CIDs: computed as Kubo computes them, and nothing else is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.cid import cid_from_digest, cid_of, cid_of_file, digest_of
from processor.errors import ArtifactError

EMPTY = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
HELLO = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"


def test_the_cid_is_the_one_that_kubo_gives() -> None:
    assert cid_of(b"") == EMPTY
    assert cid_of(b"hello world\n") == HELLO


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 3 << 20])
def test_a_file_has_the_cid_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    (tmp_path / "file").write_bytes(data)
    assert cid_of_file(tmp_path / "file") == cid_of(data)


@settings(deadline=None)
@given(st.binary(max_size=1_000))
def test_the_digest_on_chain_is_the_whole_cid(data: bytes) -> None:
    cid = cid_of(data)
    assert len(digest_of(cid)) == 32
    assert cid_from_digest(digest_of(cid)) == cid


@given(st.binary(min_size=32, max_size=32).filter(any))
def test_every_digest_but_zero_is_a_cid(digest: bytes) -> None:
    cid = cid_from_digest(digest)
    assert cid is not None
    assert digest_of(cid) == digest


def test_zero_stands_for_no_artifact() -> None:
    assert cid_from_digest(bytes(32)) is None


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_digest_has_32_bytes(length: int) -> None:
    with pytest.raises(ArtifactError, match=f"32 bytes, this one has {length}"):
        cid_from_digest(b"\x01" * length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY[:-1],
        EMPTY + " ",
        EMPTY[:-1] + " ",
        EMPTY[:-1] + "0",  # not base58
        "1" + EMPTY[1:],  # another multihash
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",  # a CIDv1
        "é" * 46,
        "Q" * 10_000,
    ],
)
def test_anything_but_a_cidv0_is_refused_in_few_words(text: str) -> None:
    with pytest.raises(ArtifactError, match="is not a CIDv0: expected 46 base58 characters") as refusal:
        digest_of(text)
    assert len(str(refusal.value)) < 200
