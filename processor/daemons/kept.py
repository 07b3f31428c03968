"""The rounds that an organization keeps next to its journal: what the chain forgets, and only hashes ever after.

A folder with one file for each round, `<state>/rounds/<number>.json`, an artifact of the kind `round`. It is as good as
what the chain's record says of it; whoever audits the federation may be given the folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from processor.artifacts.round import ROUND, RoundFile
from processor.errors import ArtifactError, NewerVersion
from processor.keystore import private_directory, write_private

_NAME = re.compile(r"([1-9][0-9]{0,7})\.json", re.ASCII)


def rounds_folder(state: Path) -> Path:
    return state / "rounds"


class KeptRounds:
    """The files in a folder, each read when it is asked for."""

    def __init__(self, folder: Path, log: FilteringBoundLogger) -> None:
        self._folder = folder
        self._log = log

    def numbers(self) -> list[int]:
        """The rounds that there is a file of, in their order."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match)

    def read(self, number: int) -> RoundFile | None:
        """What is kept of a round; None where nothing is. A damaged file is set aside.

        Raises NewerVersion for one that a newer Koinon wrote: the chain forgets what it says.
        """
        path = self._path(number)
        try:
            with path.open("rb") as file:
                found = ROUND.decode(file.read(ROUND.limit + 1))
            if found.round != number:
                raise ArtifactError(f"is of round {found.round}")
        except FileNotFoundError:
            return None
        except NewerVersion as error:
            raise NewerVersion(f"{path}: {error}") from None
        except ArtifactError as error:
            aside = path.replace(path.with_suffix(".damaged"))
            self._log.warning("damaged file set aside", file=str(aside), error=str(error))
            return None
        return found

    def write(self, file: RoundFile) -> None:
        """Keeps a round, in the place of what was kept under its number: after a reorganization it is another one."""
        private_directory(self._folder)
        write_private(self._path(file.round), ROUND.encode(file))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.json"
