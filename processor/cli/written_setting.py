"""A setting written into a person's configuration, with everything else in it left as it is."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processor.errors import ConfigurationError
from processor.files import replacing
from processor.texts import MARK, read_bytes, text_of
from processor.toml_texts import WHAT, parse_toml, read_toml
from processor.words import reason

_ENDS = re.compile(r"(?<=\n)")


def setting_in(file: Path, table: str, key: str) -> str:
    """What a file has for a setting, "" for nothing. Raises ConfigurationError where it cannot be read."""
    held = read_toml(file).get(table)
    return str(held.get(key, "")) if isinstance(held, dict) else ""


def write_setting(file: Path, table: str, key: str, value: str) -> None:
    """Gives a setting that a file leaves empty its value. The file keeps its comments, its layout, its owner and its
    mode.

    Raises ConfigurationError where another value is there, and where the file cannot be read or written, or has no
    place for it; it is left as it is then.
    """
    if (old := setting_in(file, table, key)) not in ("", value):
        raise ConfigurationError(f"{file} has {table}.{key} = {old[:80]!r}, and keeps it")
    data = read_bytes(file, WHAT, ConfigurationError)
    parse_toml(text_of(data, file, WHAT, ConfigurationError), file)
    changed = with_setting(data.decode(), table, key, value)
    if changed is None:
        raise ConfigurationError(f"{file} has no place for {table}.{key} that can be told from the rest of it")
    try:
        target = file.resolve()
        was = target.stat()
        mode = stat.S_IMODE(was.st_mode)
        with replacing(target, mode) as written:
            with contextlib.suppress(PermissionError):  # who may not give it away has made it for itself
                os.fchown(written.fileno(), was.st_uid, was.st_gid)
            os.fchmod(written.fileno(), mode)
            written.write(changed.encode())
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {reason(error)}") from None


def with_setting(text: str, table: str, key: str, value: str) -> str | None:
    """A TOML text whose `key` in `table` is `value`, where it is empty or missing in `text`.

    Only the one line is changed or added; None where no such change means that and nothing else. `value` is written
    between quotes and must need no escape.
    """
    mark = MARK if text.startswith(MARK) else ""
    body = text.removeprefix(mark)
    wanted = tomllib.loads(body)
    held = wanted.setdefault(table, {})
    if not isinstance(held, dict):
        return None
    held[key] = value
    for changed in _candidates(body, table, key, value):
        try:
            if repr(_in_order(tomllib.loads(changed))) == repr(_in_order(wanted)):
                return mark + changed
        except tomllib.TOMLDecodeError:
            continue
    return None


def _candidates(text: str, table: str, key: str, value: str) -> Iterator[str]:
    """Texts with one line changed or added, the likeliest first; what they mean is for TOML to say."""
    lines = _ENDS.split(text)
    end = "\r\n" if "\r\n" in text else "\n"
    names = rf'(?:{re.escape(key)}|"{re.escape(key)}"|\'{re.escape(key)}\')'
    empty = re.compile(rf"""^(\s*(?:[\w"'-]+\s*\.\s*)?{names}\s*=\s*)(?:""|'')(\s*(?:\#.*)?[\r\n]*)$""")
    for place, line in enumerate(lines):
        if found := empty.match(line):
            yield "".join([*lines[:place], f'{found[1]}"{value}"{found[2]}', *lines[place + 1 :]])
    header = re.compile(rf"""^\s*\[\s*["']?{re.escape(table)}["']?\s*\]""")
    for place, line in enumerate(lines):
        if header.match(line):
            ended = line if line.endswith("\n") else line + end
            yield "".join([*lines[:place], ended, f'{key} = "{value}"{end}', *lines[place + 1 :]])
    dotted = re.compile(rf"^\s*{re.escape(table)}\s*\.")
    for place, line in enumerate(lines):
        if dotted.match(line):
            yield "".join([*lines[:place], f'{table}.{key} = "{value}"{end}', *lines[place:]])
    gap = "" if not text or text.endswith("\n") else end
    yield f'{text}{gap}{end}[{table}]{end}{key} = "{value}"{end}'


def _in_order(content: Any) -> Any:
    """The same, with the keys of every table in one order: a table that is compared as its text has no other."""
    if isinstance(content, dict):
        return {name: _in_order(content[name]) for name in sorted(content)}
    return [_in_order(each) for each in content] if isinstance(content, list) else content
