"""How the tools run forge: the one that npm pins, at home in the project folder."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment(*, profile: str = "default", folder: str = "") -> dict[str, str]:
    """The environment for forge, with a profile of foundry.toml.

    `folder`, below build/, keeps apart what is compiled with other options: one run would discard the other's cache.
    """
    added = {
        "PATH": f"{ROOT / 'node_modules' / '.bin'}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "FOUNDRY_PROFILE": profile,
        "HOME": str(ROOT / ".home"),  # forge and halmos write there
    }
    if folder:
        added |= {"FOUNDRY_OUT": f"build/{folder}", "FOUNDRY_CACHE_PATH": f"build/{folder}-cache"}
    return {**os.environ, **added}
