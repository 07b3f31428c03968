"""The plans that a client has agreed to, by digest, in a file of its state folder: `koinon client join` writes it,
and the daemon reads it before it takes part in a round."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor.artifacts.canonical import Fields, Hex32
from processor.artifacts.versions import Kind
from processor.errors import ArtifactError, ConfigurationError, NewerVersion
from processor.keystore import write_private

LIMIT = 16 << 20


@dataclass(frozen=True)
class Consents(Fields):
    """The digests of what was agreed to (`protocol.consent.Agreement.digest`)."""

    agreed: tuple[Hex32, ...]


CONSENTS = Kind("consent", LIMIT, Consents, implied=frozenset({"kind"}), values=LIMIT // 64, widest=LIMIT // 64)


def consent_path(state: Path) -> Path:
    return state / "consent.json"


def agreed(state: Path, log: FilteringBoundLogger) -> frozenset[str]:
    """The digests that were agreed to.

    A file that is damaged counts as none: it is set aside and said so, and agreeing again writes a new one. Raises
    ConfigurationError where it cannot be read, also because a newer version of Koinon wrote it.
    """
    path = consent_path(state)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise ConfigurationError(f"{path}, what you agreed to, cannot be read: {error.strerror}") from error
    try:
        return frozenset(CONSENTS.decode(data).agreed)
    except NewerVersion as error:
        raise ConfigurationError(f"{path}: {error}") from None
    except ArtifactError as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        log.warning(
            "consent lost", error=f"{path}: {error}: it is now {aside.name}. Agree again with `koinon client join`"
        )
        return frozenset()


def agree(state: Path, digest: str, log: FilteringBoundLogger) -> None:
    """Keeps a digest next to those that were agreed to before. Raises ConfigurationError where it cannot be written."""
    digests = sorted(agreed(state, log) | {digest})
    try:
        write_private(consent_path(state), CONSENTS.encode(Consents(tuple(digests))))
    except OSError as error:
        raise ConfigurationError(f"{consent_path(state)} cannot be written: {error.strerror}") from None
