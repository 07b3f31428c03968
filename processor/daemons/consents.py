"""The plans that a client has agreed to, by digest, in a file of its state folder: `koinon client join` writes it,
and the daemon reads it before it takes part in a round."""

from __future__ import annotations

import re
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor import jcs
from processor.errors import ArtifactError, ConfigurationError
from processor.keystore import write_private

VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


def consent_path(state: Path) -> Path:
    return state / "consent.json"


def agreed(state: Path, log: FilteringBoundLogger) -> frozenset[str]:
    """The digests that were agreed to.

    A file that is damaged counts as none: it is set aside and said so, and agreeing again writes a new one. Raises
    ConfigurationError where it cannot be read.
    """
    path = consent_path(state)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise ConfigurationError(f"{path}, what you agreed to, cannot be read: {error.strerror}") from error
    try:
        return _digests(data)
    except ArtifactError as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        log.warning(
            "consent lost", error=f"{path} {error}: it is now {aside.name}. Agree again with `koinon client join`"
        )
        return frozenset()


def agree(state: Path, digest: str, log: FilteringBoundLogger) -> None:
    """Keeps a digest beside those that were agreed to before. Raises ConfigurationError where it cannot be written."""
    digests = sorted(agreed(state, log) | {digest})
    try:
        write_private(consent_path(state), jcs.dumps({"version": VERSION, "agreed": digests}))
    except OSError as error:
        raise ConfigurationError(f"{consent_path(state)} cannot be written: {error.strerror}") from None


def _digests(data: bytes) -> frozenset[str]:
    """Raises ArtifactError for bytes that are no such file."""
    document = jcs.loads(data)
    digests = document.get("agreed") if isinstance(document, dict) and document.get("version") == VERSION else None
    if not isinstance(digests, list) or not all(isinstance(each, str) and _DIGEST.fullmatch(each) for each in digests):
        raise ArtifactError("does not hold the digests of plans")
    return frozenset(digests)
