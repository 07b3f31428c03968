"""A folder in which an auditor keeps what it has verified: `round` artifacts by number, reports by their CIDs.

What lies there is believed no more than what anybody else says. It outlives withheld artifacts, and a chain whose state
forgets all rounds but the latest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processor.artifacts.round import ROUND, RoundFile
from processor.cid import cid_of
from processor.errors import ArtifactError, ConfigurationError, NewerVersion
from processor.files import replacing
from processor.types import Address, Cid


@dataclass(frozen=True)
class Kept:
    """The folder of one federation, which need not exist yet."""

    folder: Path
    chain_id: int
    federation: Address

    def rounds(self) -> list[RoundFile]:
        """The rounds that are kept, in order; a damaged file counts as none.

        Raises ConfigurationError for rounds of another federation: the folder is another one's; NewerVersion for one
        that a newer Koinon wrote.
        """
        found = [_read(path) for path in sorted((self.folder / "rounds").glob("*.json"))]
        rounds = sorted((file for file in found if file is not None), key=lambda file: file.round)
        for file in rounds:
            if (file.chain_id, file.federation) != (self.chain_id, self.federation):
                raise ConfigurationError(
                    f"{self.folder} keeps rounds of the federation {file.federation} on chain {file.chain_id}: "
                    f"expected {self.federation} on chain {self.chain_id}. Give each federation a folder of its own"
                )
        return rounds

    def artifact(self, cid: Cid) -> bytes | None:
        """The bytes of what is kept under its CID; None where it is not there, or damaged."""
        try:
            data = (self.folder / "artifacts" / cid).read_bytes()
        except OSError:
            return None
        return data if cid_of(data) == cid else None

    def keep_round(self, file: RoundFile) -> None:
        """Keeps a round in the place of what was kept under its number; NewerVersion if a newer Koinon wrote that."""
        path = self.folder / "rounds" / f"{file.round}.json"
        _read(path)
        _write(path, ROUND.encode(file))

    def keep_artifact(self, cid: Cid, data: bytes) -> None:
        _write(self.folder / "artifacts" / cid, data)


def _read(path: Path) -> RoundFile | None:
    try:
        return ROUND.decode(path.read_bytes())
    except NewerVersion as error:
        raise NewerVersion(f"{path}: {error}") from None
    except (ArtifactError, OSError):
        return None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and nothing where it stands there already."""
    if not path.exists() or path.read_bytes() != data:
        with replacing(path) as file:
            file.write(data)
