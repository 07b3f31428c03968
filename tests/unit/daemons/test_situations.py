"""A daemon looks into no more than its decision needs, and into it in order."""

from __future__ import annotations

from typing import Any, cast

from processor.chain.asset import Asset
from processor.chain.snapshot import Snapshot
from processor.config import ClientSettings, OrganizationSettings
from processor.daemons.outbox import Outbox
from processor.daemons.situations import SeenByClient, SeenByOrganization
from processor.protocol.decide import Claim, Wait, Working, decide_client, decide_organization
from processor.types import ZERO_ADDRESS, FederationTerms, Phase
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


class Money:
    def asset(self) -> Asset:
        return Asset(ZERO_ADDRESS, "ETH", 18)


def must_not_be_asked(snapshot: Snapshot) -> str | None:
    raise AssertionError("the round need not be looked into")


def client(snapshot: Asked, underway: str | None = None, **settings: Any) -> SeenByClient:
    said = cast(ClientSettings, Asked(claim_threshold=1, **settings))
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
    )


def organization(snapshot: Asked, **settings: Any) -> SeenByOrganization:
    said, outbox = cast(OrganizationSettings, Asked(**settings)), cast(Outbox, NothingPending())
    return SeenByOrganization(cast(Snapshot, snapshot), CLIENT, outbox, said, lambda report: None)


def test_a_member_that_a_round_does_not_wait_for_asks_only_whether_the_federation_is_closed() -> None:
    for view in (round_view(phase=Phase.AGGREGATING), round_view(client=client_view(selected=False))):
        snapshot = Asked(view=view, closed=False, federation=Money())
        assert isinstance(decide_client(client(snapshot)), Wait)
        assert snapshot.asked == ["view", "closed"]


def test_a_member_whose_worker_trains_looks_into_the_round_no_more() -> None:
    snapshot = Asked(view=round_view(client=client_view(selected=True)), closed=False, federation=Money())
    assert decide_client(client(snapshot, underway="training")) == Working("round 1: training")
    assert snapshot.asked == ["view", "closed"]


def test_a_member_that_is_owed_something_asks_for_nothing_else() -> None:
    snapshot = Asked(view=round_view(phase=Phase.AGGREGATING, client=client_view(owed=5)), federation=Money())
    assert decide_client(client(snapshot)) == Claim(5)
    assert snapshot.asked == ["view"]


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
