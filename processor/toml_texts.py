"""TOML files of people, with a hint where one wrote what other formats allow. What stands in them is never shown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from processor.errors import ConfigurationError
from processor.texts import read_text

WHAT = "the configuration file"
_LINE = re.compile(r"\(at line ([0-9]+), ")
_SAID = (
    (re.compile(r"^Cannot overwrite"), "one name stands twice in its table"),
    (re.compile(r"^Cannot declare"), "one table stands twice"),
    (re.compile(r"^Illegal character '\\n'"), "close the quotes on the line where they open"),
    (re.compile(r"end of a table declaration"), "a table's name stands in brackets, alone on its line: [network]"),
)
_WRITTEN = (
    (re.compile(r"[=\[,]\s*(?:True|TRUE|Yes|YES|yes|On|ON|on)\b"), "write true, in small letters and without quotes"),
    (
        re.compile(r"[=\[,]\s*(?:False|FALSE|No|NO|no|Off|OFF|off)\b"),
        "write false, in small letters and without quotes",
    ),
    (
        re.compile(r"=\s*(?:None|none|NULL|Null|null|nil)\b"),
        "leave the line out, or put # in front, for what is not given",
    ),
    (re.compile(r"[“”„‘’«»]"), "write plain quotes, \" or '"),
    (re.compile(r"=\s*\"[^\"]*\\"), "write a path with \\ in single quotes, '…'"),
    (re.compile(r"=\s*(?:#.*)?$"), 'something has to stand behind the = sign, "" for nothing'),
    (re.compile(r"=\s*[+-]?[0-9]+,[0-9]"), "write a decimal point, and no comma"),
    (re.compile(r"=\s*[+-]?\.[0-9]"), "write a 0 in front of the decimal point"),
    (re.compile(r"=\s*[A-Za-z/~.]"), 'put a text in quotes, "…"'),
    (re.compile(r"=\s*[0-9][0-9A-Za-z_.:/-]*[A-Za-z:/]"), 'put a text in quotes, "…"'),
    (re.compile(r"^\s*[\w-]+\s*:"), "write NAME = VALUE"),
)


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigurationError where it cannot be read or is no TOML."""
    return parse_toml(read_text(file, WHAT, ConfigurationError), file)


def parse_toml(text: str, file: Path) -> dict[str, Any]:
    """The tables in the text of `file`. Raises ConfigurationError where it is no TOML, with its place and a hint."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{WHAT} {file} is not TOML: {error}{_hint(text, str(error))}") from None
    except RecursionError:
        raise ConfigurationError(f"{WHAT} {file} is not TOML: it is nested too deep") from None
    except ValueError:  # of a number with thousands of digits
        raise ConfigurationError(f"{WHAT} {file} cannot be used: a number in it has too many digits") from None


def _hint(text: str, said: str) -> str:
    """What to write on the line that an error of tomllib names; that is the last one at the end of the document."""
    found = next((hint for pattern, hint in _SAID if pattern.search(said)), None)
    lines = text.rstrip().splitlines()
    place = _LINE.search(said)
    number = int(place[1]) if place else len(lines)
    if found is None and 0 < number <= len(lines):
        found = next((hint for pattern, hint in _WRITTEN if pattern.search(lines[number - 1])), None)
    return f": {found}" if found else ""
