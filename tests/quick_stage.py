"""A stage of the demo that is set at once: wallets that cost nothing to unlock, and scripts that are forked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from processor import keystore
from processor.demo import deploy, processes
from tests.integration.command_line import FAST
from tests.warm_scripts import WarmScripts


def set_quickly(replaces: Callable[[Any, str, Any], None] = setattr) -> None:
    replaces(processes, "create", partial(keystore.create, iterations=FAST))
    replaces(deploy, "Scripts", WarmScripts)
