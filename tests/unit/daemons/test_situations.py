"""A daemon looks into no more than its decision needs, and into it in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from processor.artifacts.plan import Plan
from processor.chain.asset import Asset
from processor.chain.snapshot import Snapshot
from processor.config import ClientSettings, OrganizationSettings
from processor.daemons.outbox import Outbox
from processor.daemons.prospects import Prospects
from processor.daemons.situations import SeenByClient, SeenByOrganization
from processor.protocol.decide import Claim, Wait, Working, decide_client, decide_organization
from processor.types import ZERO_ADDRESS, Block, FederationTerms, Phase
from tests.unit.protocol.views import client_view, round_view

CLIENT = "0xAb8483F64d9C6d1EcF9b849Ae677dD3315835cb2"
TOKEN = "0x" + "22" * 20


class Asked:
    """Has these attributes and no others, and notes which are asked for."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name not in self.asked:
            self.asked.append(name)
        return self._answers[name]


class NothingPending:
    def pending(self) -> bool:
        return False

    def unconfirmed(self) -> bool:
        return False


@dataclass(frozen=True)
class Money:
    paid_in: Asset = Asset(ZERO_ADDRESS, "ETH", 18)

    def asset(self) -> Asset:
        return self.paid_in


class Unchanged:
    """The next round is like the one before."""

    def new_plan(self, snapshot: Snapshot, plan: Plan) -> None:
        return None

    def idle(self, snapshot: Snapshot) -> None:
        return None


def must_not_be_asked(snapshot: Snapshot) -> str | None:
    raise AssertionError("the round need not be looked into")


def must_not_be_priced(block: Block) -> int:
    raise AssertionError("nobody needs to know what a claim costs")


def client(
    snapshot: Asked,
    underway: str | None = None,
    cost_of_claim: Callable[[Block], int] = must_not_be_priced,
    **settings: Any,
) -> SeenByClient:
    said = cast(ClientSettings, Asked(**{"claim_threshold": 1, **settings}))
    outbox = cast(Outbox, NothingPending())
    return SeenByClient(
        snapshot=cast(Snapshot, snapshot),
        address=CLIENT,
        transactions=outbox,
        settings=said,
        saved=None,
        trained=False,
        underway=underway,
        refuse=must_not_be_asked,
        passing=lambda key: False,
        cost_of_claim=cost_of_claim,
        unfit_for=must_not_be_asked,
        agreement=lambda snapshot: None,
    )


def organization(snapshot: Asked, **settings: Any) -> SeenByOrganization:
    said, outbox = cast(OrganizationSettings, Asked(**settings)), cast(Outbox, NothingPending())
    prospects, plan = cast(Prospects, Unchanged()), cast(Plan, None)
    return SeenByOrganization(cast(Snapshot, snapshot), CLIENT, outbox, said, lambda report: None, prospects, plan)


def test_a_member_that_a_round_does_not_wait_for_asks_only_whether_the_federation_is_closed() -> None:
    for view in (round_view(phase=Phase.AGGREGATING), round_view(client=client_view(selected=False))):
        snapshot = Asked(view=view, closed=False, federation=Money())
        assert isinstance(decide_client(client(snapshot)), Wait)
        assert snapshot.asked == ["view", "closed"]


def test_a_member_whose_worker_trains_looks_into_the_round_no_more() -> None:
    snapshot = Asked(view=round_view(client=client_view(selected=True)), closed=False, federation=Money())
    assert decide_client(client(snapshot, underway="training")) == Working("round 1: training")
    assert snapshot.asked == ["view", "closed"]


def test_a_member_that_is_owed_something_asks_only_what_it_would_cost_to_claim_it() -> None:
    view, block = round_view(phase=Phase.AGGREGATING, client=client_view(owed=5)), Block(7, "0x7", 1000)
    snapshot = Asked(view=view, federation=Money(), block=block)
    assert decide_client(client(snapshot, cost_of_claim=lambda at: {block: 4}[at])) == Claim(5)
    assert snapshot.asked == ["view", "federation", "block"]


def test_what_a_claim_costs_is_asked_neither_below_the_threshold_nor_where_a_token_is_owed() -> None:
    view = round_view(phase=Phase.AGGREGATING, client=client_view(owed=5))
    few = Asked(view=view, closed=False, federation=Money())
    assert isinstance(decide_client(client(few, claim_threshold=6)), Wait)
    in_a_token = Asked(view=view, federation=Money(Asset(TOKEN, "GOLD", 2)))
    assert decide_client(client(in_a_token)) == Claim(5)


def test_a_stranger_to_whom_the_asset_is_strange_asks_for_no_balance_and_no_voucher() -> None:
    view, terms = round_view(client=client_view(member=False)), FederationTerms(asset=TOKEN, stake=1)
    snapshot = Asked(view=view, closed=False, terms=terms, federation=Money(), block=None)
    found = decide_client(client(snapshot, asset=ZERO_ADDRESS, max_stake=1))
    assert isinstance(found, Wait) and "not registered: the federation pays and stakes in" in found.reason
    assert "standing" not in snapshot.asked


def test_an_organization_asks_nothing_but_the_view_while_others_train() -> None:
    snapshot = Asked(view=round_view(), federation=Money())
    assert isinstance(decide_organization(organization(snapshot)), Wait)
    assert snapshot.asked == ["view"]


def test_an_organization_whose_federation_is_paused_asks_for_no_members_and_no_money() -> None:
    view = round_view(phase=Phase.FINALIZED)
    snapshot = Asked(view=view, closed=False, paused=True, release=view.released, federation=Money())
    found = decide_organization(organization(snapshot))
    assert isinstance(found, Wait) and "paused" in found.reason
    assert snapshot.asked == ["view", "closed", "release", "paused"]


def test_an_organization_that_waits_for_members_asks_for_no_money() -> None:
    view = round_view(phase=Phase.FINALIZED)
    snapshot = Asked(
        view=view, closed=False, paused=False, release=view.released, member_count=1, federation=Money(), block=None
    )
    found = decide_organization(organization(snapshot, min_members=2))
    assert isinstance(found, Wait) and "1 of the 2 members" in found.reason
    assert "carried" not in snapshot.asked
