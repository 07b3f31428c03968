"""What a client's own configuration would refuse of a federation: known before it agrees, registers or runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from processor.chain.federation import Federation
from processor.chain.fees import gas_price
from processor.config import ClientSettings
from processor.protocol.consent import Agreement
from processor.protocol.decide import asset_refusal
from processor.protocol.limits import Limits, ModelSize, offer_of, refusals, work_of
from processor.types import Cid, RoundView
from processor.words import counted

if TYPE_CHECKING:
    from processor.worker.jobs.inspecting import Facts


def refused_by(
    federation: Federation, view: RoundView | None, settings: ClientSettings, agreement: Agreement, facts: Facts
) -> Iterator[str]:
    """Why the daemon would refuse a round of the plan; `view` is the latest round, None before the first."""
    if refused := asset_refusal(agreement.terms, settings.asset):
        yield refused
    yield from refused_of_round(federation, view, settings, agreement.plan_cid)
    if facts.data_problem is not None:
        yield facts.data_problem
    size, samples = ModelSize.of(facts.layout), 1 if facts.data is None else len(facts.data)
    work = work_of(agreement.plan, size, facts.example_bytes, facts.outputs, samples)
    yield from refusals(Limits.of(settings), work)


def refused_of_round(
    federation: Federation, view: RoundView | None, settings: ClientSettings, plan: Cid
) -> Iterator[str]:
    """Why the daemon would refuse what the latest round offers, where that is a round of the plan: what a round of
    another plan will pay is known once it opens."""
    if view is not None and view.plan == plan:
        yield from refusals(Limits.of(settings), offer_of(view, federation.asset(), gas_price(federation.web3)))


def first_of(reasons: Sequence[str]) -> str:
    """The first of some reasons, and where the others are to be read."""
    if len(reasons) == 1:
        return reasons[0]
    more = counted(len(reasons) - 1, "more reason")
    return f"{reasons[0]} (and {more}: `koinon client join --dry-run` lists all)"
