"""Whether a client's data and its own limits let it take part: asked before it becomes a member, since whoever could
take part in no round would keep the others waiting in every one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processor.chain.federation import Federation
from processor.cli.connections import storage_of
from processor.cli.join import agreement_on, current_plan
from processor.cli.refused import first_of, refused_by
from processor.config import load_client
from processor.errors import ConfigurationError, DatasetError, KoinonError
from processor.storage.library import Library
from processor.types import Phase


def look_before_entry(federation: Federation, options: Mapping[str, Any], config: Path | None) -> str:
    """What a person should know of their own limits, in a sentence: that they refuse the federation's rounds; empty
    where they do not.

    Raises DatasetError for data that could never be trained on, where the configuration names some and somebody serves
    the federation's plan; says nothing of what cannot be known.
    """
    try:
        settings = load_client(options, config)
    except ConfigurationError:  # to register takes neither data nor storage
        return ""
    if not settings.data.is_file():
        raise DatasetError(
            f"there is no data at {settings.data}: name the file that you train on as client.data. Nothing was sent"
        )
    block = federation.block()
    latest = federation.round_view(at=block)
    view = None if latest.phase is Phase.NONE else latest
    try:
        library = Library(storage_of(settings.network, publishing=False))
        agreement = agreement_on(federation, library, current_plan(federation, library, view, settings, block))
    except KoinonError:
        return ""

    from processor.worker.jobs.inspecting import inspect  # torch takes seconds

    try:
        facts = inspect(agreement.plan, settings.data)
    except ConfigurationError:  # of the plan, which `koinon client join` says
        return ""
    if facts.data_problem is not None:
        raise DatasetError(f"{facts.data_problem}. Nothing was sent: with this data you could take part in no round")
    reasons = list(refused_by(federation, view, settings, agreement, facts))
    if not reasons:
        return ""
    return (
        f"As it is configured, your daemon would refuse a round of this federation: {first_of(reasons)}. Until that "
        "changes you would be a member for whom the others wait."
    )
