"""A setting that is written into a configuration: it alone is different afterwards, and nothing is lost."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.cli.written_setting import setting_in, with_setting, write_setting
from processor.config import organization_template
from processor.errors import ConfigurationError
from processor.texts import MARK

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
HERE = ("organization", "federation")


def lines_changed(before: str, after: str) -> list[str]:
    """The lines of `after` that are not in `before`, where all others stand in their order."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return [line for line in new if line not in old or new.count(line) != old.count(line)]


def test_the_template_gets_the_address_on_its_own_line_and_keeps_every_other(tmp_path: Path) -> None:
    file = tmp_path / "organization.toml"
    file.write_text(organization_template(), encoding="utf-8")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 10_001, 10_001)
    owner = file.stat().st_uid
    write_setting(file, *HERE, ADDRESS)
    assert setting_in(file, *HERE) == ADDRESS
    assert lines_changed(organization_template(), file.read_text("utf-8")) == [f'federation = "{ADDRESS}"\n']
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) == (0o640, owner)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "text",
    [
        '[organization]\nfederation = ""\n',
        "[organization]\nfederation = ''   # the contract\nwallet = 'w'\n",
        '[organization]\n"federation" = ""',
        '[ "organization" ] # ours\nwallet = "w"\n',
        "[organization]",
        'organization.federation = ""\n',
        'organization.wallet = "w"\n[network]\nrpc = "x"\n',
        '[network]\nrpc = "x"\n\n[organization]\nwallet = "w"\n[round]\nreward = "1"',
        '[client]\nfederation = ""\n[organization]\nfederation = ""\n',
        '[network]\nnote = """\n[organization]\nfederation = ""\n"""\n[organization]\nwallet = "w"\n',
        '[organization]\r\n# ours\r\nfederation = ""\r\n',
        MARK + '[organization]\nfederation = ""\n',
        '# nothing\n[network]\nrpc = "x"',
        "",
        "[organization]\nreward = nan\n",
    ],
)
def test_wherever_a_file_leaves_it_empty_the_address_is_written_and_nothing_else_means_something_else(
    text: str,
) -> None:
    changed = with_setting(text, *HERE, ADDRESS)
    assert changed is not None and changed.startswith(MARK) == text.startswith(MARK)
    assert len(lines_changed(text, changed)) <= 4, (
        "at most an end of the last line, a gap, a header and the line itself"
    )
    before, after = (tomllib.loads(each.removeprefix(MARK)) for each in (text, changed))
    before.setdefault("organization", {})["federation"] = ADDRESS
    assert repr(sorted(after["organization"])) == repr(sorted(before["organization"]))
    assert after["organization"]["federation"] == ADDRESS
    assert {name: held for name, held in after.items() if name != "organization"} == {
        name: held for name, held in before.items() if name != "organization"
    }


@pytest.mark.parametrize("text", ["organization = { federation = '' }\n", "organization = 7\n"])
def test_a_file_without_a_line_of_its_own_for_it_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    assert with_setting(text, *HERE, ADDRESS) is None
    file = tmp_path / "organization.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="has no place for organization.federation"):
        write_setting(file, *HERE, ADDRESS)
    assert file.read_text() == text


KEYS = st.sampled_from(["wallet", "note", "federation", '"federation"', "factory", "organization.federation"])
VALUES = st.sampled_from(
    ['""', "''", '"0x12"', "7", '"""\n[organization]\nfederation = ""\n"""', "[1,\n 2]", "{ federation = '' }"]
)
LINES = st.one_of(
    st.sampled_from(["[organization]", "[network]", "[[organization]]", " [ organization ]", "# federation = ''", ""]),
    st.builds("{} = {}".format, KEYS, VALUES),
)


@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_whatever_the_file_only_the_setting_changes_or_nothing_does(lines: list[str], end: str, mark: bool) -> None:
    text = MARK * mark + end.join(lines)
    try:
        before = tomllib.loads(text.removeprefix(MARK))
    except tomllib.TOMLDecodeError:
        return
    changed = with_setting(text, *HERE, ADDRESS)
    if changed is None:
        return
    assert changed.startswith(MARK) == mark
    before.setdefault("organization", {})["federation"] = ADDRESS
    assert tomllib.loads(changed.removeprefix(MARK)) == before


def test_another_federation_that_is_named_stays(tmp_path: Path) -> None:
    file = tmp_path / "organization.toml"
    file.write_text('[organization]\nfederation = "0x12"\n')
    with pytest.raises(ConfigurationError, match="has organization.federation = '0x12', and keeps it"):
        write_setting(file, *HERE, ADDRESS)
    assert file.read_text() == '[organization]\nfederation = "0x12"\n'


def test_a_link_stays_a_link_and_what_it_leads_to_is_changed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real.toml", tmp_path / "organization.toml"
    target.write_text('[organization]\nfederation = ""\n')
    link.symlink_to(target)
    write_setting(link, *HERE, ADDRESS)
    assert link.is_symlink() and setting_in(target, *HERE) == ADDRESS


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "organization.toml"
    file.write_text('[organization]\nfederation = ""\n')

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.fchmod", refuse)
    with pytest.raises(ConfigurationError, match="organization.toml cannot be written: "):
        write_setting(file, *HERE, ADDRESS)
    assert setting_in(file, *HERE) == "" and list(tmp_path.iterdir()) == [file]
