"""The files that commands write for their users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.errors import ConfigurationError
from processor.words import reason


@contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """A file for the block to write, claimed before its work starts; a block that fails leaves none.

    Raises ConfigurationError where it exists already, which it never touches, and where it cannot be written.
    """
    try:
        out.open("xb").close()
    except FileExistsError:
        raise ConfigurationError(f"{out} exists already: it is left as it is; give another name with --out") from None
    except OSError as error:
        raise _unwritable(out, error) from None
    try:
        yield out
    except OSError as error:
        out.unlink(missing_ok=True)
        raise _unwritable(out, error) from error
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _unwritable(out: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{out} cannot be written ({reason(error)}): give another name with --out")
