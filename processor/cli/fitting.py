"""Whether a client's data is of the federation's task: asked before it becomes a member, since whoever could take part
in no round would keep the others waiting in every one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processor.artifacts.plan import PLAN
from processor.chain.federation import Federation
from processor.cli.connections import storage_of
from processor.cli.join import current_plan
from processor.config import load_client
from processor.errors import ConfigurationError, DatasetError, KoinonError
from processor.storage.library import Library
from processor.types import Phase


def require_fitting_data(federation: Federation, options: Mapping[str, Any], config: Path | None) -> None:
    """Raises DatasetError for data that could never be trained on, where the configuration names some and somebody
    serves the federation's plan; says nothing of what cannot be known."""
    try:
        settings = load_client(options, config)
    except ConfigurationError:  # to register takes neither data nor storage
        return
    if not settings.data.is_file():
        raise DatasetError(
            f"there is no data at {settings.data}: name the file that you train on as client.data. Nothing was sent"
        )
    block = federation.block()
    latest = federation.round_view(at=block)
    view = None if latest.phase is Phase.NONE else latest
    try:
        library = Library(storage_of(settings.network, publishing=False))
        plan = library.read(PLAN, current_plan(federation, library, view, settings, block))
    except KoinonError:
        return

    from processor.worker.jobs.inspecting import inspect  # torch takes seconds

    try:
        problem = inspect(plan, settings.data).data_problem
    except ConfigurationError:  # of the plan, which `koinon client join` says
        return
    if problem is not None:
        raise DatasetError(f"{problem}. Nothing was sent: with this data you could take part in no round")
