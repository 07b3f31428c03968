"""Logs: one line per event on standard error, for a person or as JSON, and no secret in either."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from processor.errors import ConfigurationError

LOG_VARIABLE = "KOINON_LOG"
LEVELS = ("debug", "info", "warning", "error")
HIDDEN = "[hidden]"

_SECRET_WORDS = frozenset({"passphrase", "password", "key", "secret", "private"})
_PUBLIC_WORDS = frozenset({"public", "sealing"})
_NAMED_SECRET = re.compile(r"(?i)((?:passphrase|password|key|secret|private)[^0-9a-f]{0,20})(?:0x)?[0-9a-f]{64}\b")


def configure(json: bool | None = None, level: str = "info") -> None:
    """Sets up every logger of the process. `json` of None is what KOINON_LOG says: `json`, or `console` by default.

    Raises ConfigurationError for a level or a KOINON_LOG that does not exist.
    """
    if level not in LEVELS:
        raise ConfigurationError(f"the log level is {level!r}: expected one of {', '.join(LEVELS)}")
    wanted = os.environ.get(LOG_VARIABLE) or "console"
    if json is None and wanted not in ("console", "json"):
        raise ConfigurationError(f"{LOG_VARIABLE} is {wanted!r}: expected console or json")
    as_json = wanted == "json" if json is None else json
    renderer: Processor = structlog.processors.JSONRenderer(default=str) if as_json else one_line
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True) if as_json else _clock,
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def redact(logger: WrappedLogger | None, method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Hides what is named like a secret, and 64 hexadecimal digits that follow such a name in a text."""
    return {name: HIDDEN if _is_secret(name) else _redacted(value) for name, value in event.items()}


def one_line(logger: WrappedLogger | None, method: str, event: MutableMapping[str, Any]) -> str:
    """An event for a person: time, event, values; the level where it is not `info`."""
    fields = dict(event)
    time, level, said = fields.pop("timestamp", ""), fields.pop("level", "info"), fields.pop("event", "")
    words = [str(time), *([] if level == "info" else [level.upper()]), str(said)]
    words += [f"{name}={value}" for name, value in fields.items() if value is not None]
    return "  ".join(printable(word) for word in words)


def _clock(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)(logger, method, event)


def _is_secret(name: str) -> bool:
    words = set(re.split(r"[^a-z]+", name.lower()))
    return bool(words & _SECRET_WORDS) and not words & _PUBLIC_WORDS


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return redact(None, "", {str(name): each for name, each in value.items()})
    if isinstance(value, list | tuple):
        return [_redacted(each) for each in value]
    if isinstance(value, str):
        return _NAMED_SECRET.sub(rf"\1{HIDDEN}", value)
    if isinstance(value, BaseException):
        return _redacted(str(value))
    return value


def printable(text: str) -> str:
    """A text that cannot start a line of its own or steer the terminal, whoever wrote it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
