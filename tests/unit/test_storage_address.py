"""Addresses of storage: every folder has one, and every address of a folder names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.storage_address import address_of, canonical, folder_of

PARTS = st.binary(min_size=1, max_size=20).filter(
    lambda part: not set(part) & set(b"/\0") and part not in (b".", b"..")
)
FOLDERS = st.lists(PARTS, max_size=4).map(lambda parts: Path("/", *map(os.fsdecode, parts)))


@given(FOLDERS)
def test_a_folder_is_found_again_by_its_address_whatever_its_name(folder: Path) -> None:
    address = address_of(folder)
    assert folder_of(address) == folder and canonical(address) == address
    assert not set(address) & set(" ,\"'?#\n")  # what separates addresses, or ends one


def test_spellings_of_one_address_are_the_same() -> None:
    assert canonical("FILE:///srv/%61rtifacts/") == canonical("file:////srv/artifacts") == "file:///srv/artifacts"
    assert canonical("/ip4/127.0.0.1/tcp/5001/") == "/ip4/127.0.0.1/tcp/5001"


def test_a_tilde_in_front_is_taken_for_no_folder_unless_it_is_escaped() -> None:
    for address in ("file:///~/artifacts", "file:///~", "file:///~me/artifacts"):
        with pytest.raises(ValueError, match="begins with ~, which stands for nobody's home here: write its path out"):
            canonical(address)
    assert folder_of("file:///%7E/artifacts") == Path("/~/artifacts")
    assert canonical(address_of(Path("/~/artifacts"))) == address_of(Path("/~/artifacts")) == "file:///%7E/artifacts"
    assert folder_of("file:///srv/~/a~") == Path("/srv/~/a~")


def test_a_node_has_no_folder() -> None:
    assert folder_of("/ip4/127.0.0.1/tcp/5001") is None


@pytest.mark.parametrize(
    "address", ["", "/", "//", "//[", "file", "file:", "file:/srv", "file://[", "buckets://b", "C:"]
)
def test_what_is_no_address_is_said_in_words(address: str) -> None:
    with pytest.raises(ValueError, match="expected|begins like"):
        canonical(address)
