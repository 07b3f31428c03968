"""Logs: one line per event on standard error, for a person or as JSON, and no secret in either.

Secrets are kept out by construction: what is named like one is hidden, of an address on the network only scheme, host
and port are shown, since user, path and query may each be a key, and what libraries log goes the same way.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from processor.errors import ConfigurationError

LOG_VARIABLE = "KOINON_LOG"
LEVELS = ("debug", "info", "warning", "error")
HIDDEN = "[hidden]"

_SECRET_WORDS = frozenset({"passphrase", "password", "key", "secret", "private"})
_PUBLIC_WORDS = frozenset({"public", "sealing"})
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s/?#]*@)?([^\s/?#'\"<>()@]*)([/?#][^\s'\"<>()]*)?")
_REQUESTED = re.compile(r"(?i)\b(url: |(?:get|post|head|put) )/[^\s'\"]+")
_PATH = re.compile(r"(?<![^\s'\"(=:])/[^\s'\")]+")
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
        # The standard error of the moment: whoever redirected it for a while may have closed theirs.
        logger_factory=lambda *arguments: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, _OfLibraries)]:
        root.removeHandler(earlier)
    root.addHandler(_OfLibraries())
    threading.excepthook = _end_of_thread


def redact(logger: WrappedLogger | None, method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Hides what is named like a secret, and 64 hexadecimal digits that follow such a name in a text."""
    return {name: HIDDEN if _is_secret(name) else _redacted(value) for name, value in event.items()}


def without_secrets(text: str) -> str:
    """A text for a person or a log: addresses cut to scheme, host and port, named secrets hidden."""
    return _NAMED_SECRET.sub(rf"\1{HIDDEN}", _REQUESTED.sub(rf"\1/{HIDDEN}", _ADDRESS.sub(_cut, text)))


def shown(address: str) -> str:
    """As much of a URL as anybody may see: scheme, host and port; what names no host is shown as it is."""
    url = urlsplit(address)
    if not url.hostname:
        return address
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" + (f":{url.port}" if url.port else "")


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
        return without_secrets(value)
    if isinstance(value, BaseException):
        return _redacted(str(value))
    return value


def _cut(address: re.Match[str]) -> str:
    scheme, host, rest = address.groups()
    return f"{scheme}{host}" + (f"/{HIDDEN}" if rest and rest != "/" else rest or "")


class _OfLibraries(logging.Handler):
    """Takes what libraries log from warnings on, and drops the rest: below that they show requests whole. Theirs are
    also paths without a host, as in a request that is repeated."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            words = _PATH.sub(f"/{HIDDEN}", without_secrets(record.getMessage()))
        except Exception:  # a library's mistake in its own message is nothing to end for
            words = "a message that cannot be shown"
        structlog.get_logger().warning(words, library=record.name)


def _end_of_thread(ended: threading.ExceptHookArgs) -> None:
    """What would else be a traceback on standard error, with whatever its message shows."""
    if ended.exc_type is not SystemExit:
        thread = None if ended.thread is None else ended.thread.name
        structlog.get_logger().error("a thread ended by an error", thread=thread, exc_info=ended.exc_value)


def printable(text: str) -> str:
    """A text that cannot start a line of its own or steer the terminal, whoever wrote it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
