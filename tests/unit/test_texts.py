"""Text files of people: the same text whatever the editor and the locale, and one sentence for what is none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import ConfigurationError, KeystoreError
from processor.files import refused
from processor.texts import read_bytes, read_text, write_text

WHAT = "the note"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path: Path, mark: str) -> None:
    (tmp_path / "note").write_bytes(f"{mark}Grüße 数\r\nmore".encode())
    assert read_text(tmp_path / "note", WHAT, ConfigurationError) == "Grüße 数\r\nmore"


@given(text=st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
def test_what_was_written_is_read_again(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "written"
    write_text(path, text, WHAT, ConfigurationError)
    assert read_text(path, WHAT, ConfigurationError) == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("Grüße".encode("latin-1"), "it is not UTF-8 at byte 2; save it as UTF-8"),
        ("words".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        ("words".encode("utf-16-be"), "it has zero bytes, as UTF-16 has; save it as UTF-8"),
        (b"w" * 101, "it is larger than 100 bytes; is it the right file?"),
    ],
)
def test_what_is_no_such_text_is_one_sentence_that_shows_nothing_of_it(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "note").write_bytes(data)
    with pytest.raises(KeystoreError) as error:
        read_text(tmp_path / "note", WHAT, KeystoreError, limit=100)
    assert str(error.value) == f"the note {tmp_path / 'note'} cannot be read: {said}"


def test_a_file_of_the_limit_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"w" * 100)
    assert read_bytes(tmp_path / "note", WHAT, KeystoreError, limit=100) == b"w" * 100


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "No such file or directory: check the path"),
        ("folder", "Is a directory: name a file, not a folder"),
        ("file/below", "Not a directory: a part of the path is a file"),
        ("circle", "Too many levels of symbolic links: its symbolic links lead in a circle"),
        ("n" * 300, "File name too long: check the path"),
    ],
)
def test_what_the_system_refuses_is_said_in_words_with_the_path_once(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ConfigurationError) as error:
        read_text(tmp_path / name, WHAT, ConfigurationError)
    assert str(error.value) == f"the note {tmp_path / name} cannot be read: {said}"


def test_a_name_that_no_file_can_have_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no path"):
        read_text(tmp_path / "no\0te", WHAT, ConfigurationError)
    with pytest.raises(ConfigurationError, match="is no path"):
        write_text(tmp_path / "no\0te", "", WHAT, ConfigurationError)


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the note .* cannot be written: Is a directory: name a file"):
        write_text(tmp_path, "words", WHAT, ConfigurationError)


def test_trouble_that_passes_is_still_known_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ConfigurationError) as error:
        read_text(tmp_path / "note", WHAT, ConfigurationError)
    assert refused(error.value) is not None
