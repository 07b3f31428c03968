"""Rounds end to end in a token, with stakes and vouchers, under an operator: who is slashed for what, who finds it out,
and who is never let in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from processor.artifacts.report import ReportedUpdate
from processor.chain.asset import allowance, balance_of
from processor.chain.provider import connect
from processor.chain.vouchers import load_voucher
from processor.daemons.organization import OrganizationDaemon
from processor.errors import ConfigurationError
from processor.protocol.decide import Approve, OpenRound, Register, Stop, Wait
from processor.protocol.judge import adjustments_of
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, FederationTerms
from tests.integration.hostile import Hostile, reasons
from tests.integration.local_federation import ETHER, LocalFederation
from tests.nodes import start_anvil

STAKE = 5 * ETHER
RATE = 2_500
SLASH = STAKE // 4
TERMS = FederationTerms(stake=STAKE, max_slash_rate=5_000, admission=Admission.VOUCHER)


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


def staked(web3: Web3, folder: Path, **options: Any) -> LocalFederation:
    """Three clients in a federation with all that one can ask for, which plays one round."""
    return LocalFederation(
        web3, folder, **{"rounds_wanted": 1, "terms": TERMS, "token": True, "slash_rate": RATE, **options}
    )


def tokens(federation: LocalFederation, address: str) -> int:
    return balance_of(federation.web3, federation.federation.asset(), address)


def reconciled(federation: LocalFederation) -> bool:
    """Whether the contract holds exactly what is carried, staked and forfeited, once every client has claimed."""
    contract = federation.federation
    forfeited = 0
    for number in range(1, contract.round_count() + 1):
        money = federation.money(number)
        forfeited += money.forfeited + money.rounding
    stakes = STAKE * contract.member_count()
    return contract.holdings() == contract.carried() + stakes + forfeited


# ---------------------------------------------------------------------------------------------------------- rounds


def test_federation_of_tokens_stakes_and_vouchers_plays_its_rounds_under_its_operator(
    web3: Web3, tmp_path: Path
) -> None:
    federation = staked(web3, tmp_path, rounds_wanted=2, with_operator=True)
    before = tokens(federation, federation.clients[0].address)
    operators = tokens(federation, federation.organization.address)
    federation.play()
    contract = federation.federation
    for client in federation.clients:
        earned = sum(federation.money(number).rewards[client.address] for number in (1, 2))
        assert earned > 0 and contract.balance_of(client.address) == (0, STAKE)
        assert tokens(federation, client.address) == before - STAKE + earned
        assert allowance(web3, contract.asset(), client.address, contract.address) == 0
    assert (
        tokens(federation, federation.organization.address)
        == operators - 2 * federation.organization.settings.round.reward
    )
    assert allowance(web3, contract.asset(), federation.organization.address, contract.address) == 0
    assert contract.owner() != federation.organization.address == contract.operator()
    assert reconciled(federation)
    result = federation.audit()
    assert result.ok, result.violations
    assert result.asset == contract.asset()


def test_hostile_client_is_slashed_and_the_audit_recomputes_what_for(web3: Web3, tmp_path: Path) -> None:
    federation = staked(web3, tmp_path)
    federation.register()
    federation.open_round()
    hostile, culprit = Hostile(federation), federation.clients[2]
    federation.train_and_submit(0)
    honest = federation.federation.round_view(federation.clients[0].address).client
    federation.train_and_submit(1)
    hostile.submit(2, honest.update or "")  # a copy of somebody's update
    federation.finalize()

    view = federation.federation.round_view(culprit.address).client
    assert (view.owed, view.slash_rate, view.stake) == (0, RATE, STAKE - SLASH)
    assert reasons(federation)[culprit.address] == "header"
    others = [federation.federation.round_view(client.address).client for client in federation.clients[:2]]
    assert [(other.slash_rate, other.stake) for other in others] == [(0, STAKE)] * 2
    result = federation.audit()
    assert result.ok, result.violations
    (lowered,) = result.rounds[0].lowered
    assert (lowered.client, lowered.slash_rate, lowered.reason) == (culprit.address, RATE, "header")

    before = tokens(federation, culprit.address)
    federation.send(2, federation.federation.leave(culprit.address))
    assert tokens(federation, culprit.address) == before + STAKE - SLASH
    assert federation.violations() == []


def test_client_that_leaves_with_an_update_in_the_live_round_is_paid_and_gets_its_stake_when_it_is_over(
    web3: Web3, tmp_path: Path
) -> None:
    federation = staked(web3, tmp_path)
    contract, leaver = federation.federation, federation.clients[0]
    federation.register()
    before = tokens(federation, leaver.address)
    federation.open_round()
    federation.train_and_submit(0)
    federation.send(0, contract.leave(leaver.address))
    assert tokens(federation, leaver.address) == before

    waiting = leaver.cycle()
    assert isinstance(waiting, Wait)
    assert f"still holds {contract.asset().format(STAKE)}" in waiting.reason
    assert federation.violations() == []
    federation.train_and_submit(1, 2)
    federation.finalize()
    reward, stake = contract.balance_of(leaver.address)
    assert (reward, stake) == (federation.money(1).rewards[leaver.address], STAKE) and reward > 0
    leaver.cycle()
    assert tokens(federation, leaver.address) == before + reward
    federation.send(0, contract.leave(leaver.address))
    assert tokens(federation, leaver.address) == before + reward + STAKE
    assert federation.violations() == []

    spent = leaver.cycle()  # its voucher was good for one registration
    assert isinstance(spent, Wait) and "was used or revoked" in spent.reason


# ---------------------------------------------------------------------------------------------------- forged slashes


class Forger(OrganizationDaemon):
    """Slashes otherwise than the plan, on chain and in the report alike."""

    def forge(self, update: ReportedUpdate) -> ReportedUpdate:
        raise NotImplementedError

    def _publish(self, round, settlement, *history):  # type: ignore[no-untyped-def]
        report = super()._publish(round, settlement, *history)
        updates = tuple(self.forge(update) for update in report.updates)
        object.__setattr__(settlement, "adjustments", adjustments_of(updates))
        return replace(report, updates=updates)


class Invents(Forger):
    """Rejects good updates for a reason that they do not give, and slashes for it."""

    def forge(self, update: ReportedUpdate) -> ReportedUpdate:
        return replace(update, weight=0, credited_ms=0, reason="norm", slash_rate=RATE)


class Forgives(Forger):
    """Lets the hostile keep its stake."""

    def forge(self, update: ReportedUpdate) -> ReportedUpdate:
        return replace(update, slash_rate=0)


class Doubles(Forger):
    """Takes twice what the plan takes."""

    def forge(self, update: ReportedUpdate) -> ReportedUpdate:
        return replace(update, slash_rate=2 * update.slash_rate)


@pytest.mark.parametrize(
    ("forger", "expected", "found"), [(Invents, 0, RATE), (Forgives, RATE, 0), (Doubles, RATE, 2 * RATE)]
)
def test_slash_that_the_plan_does_not_give_is_found(
    web3: Web3, tmp_path: Path, forger: type[Forger], expected: int, found: int
) -> None:
    terms = replace(TERMS, admission=Admission.OPEN)
    federation = staked(web3, tmp_path, clients_wanted=2, token=False, terms=terms, organization_type=forger)
    federation.register()
    federation.open_round()
    federation.train_and_submit(0)
    garbage = federation.folder / "garbage"
    garbage.write_bytes(b"not sealed at all" * 50)
    Hostile(federation).submit(1, federation.storage.put(garbage))
    federation.finalize()
    victim = federation.clients[0 if forger is Invents else 1].address
    told = f"round 1: slash rate of {victim} in the report: expected {expected}, found {found}"
    assert told in federation.violations()


class TellsNobody(OrganizationDaemon):
    """Slashes on chain, and reports that it did not."""

    def _publish(self, *arguments: Any) -> Any:
        report = super()._publish(*arguments)
        return replace(report, updates=tuple(replace(update, slash_rate=0) for update in report.updates))


def test_slash_that_the_report_does_not_own_up_to_is_found(web3: Web3, tmp_path: Path) -> None:
    federation = staked(web3, tmp_path, clients_wanted=2, organization_type=TellsNobody)
    federation.register()
    federation.open_round()
    hostile = Hostile(federation)
    federation.train_and_submit(0)
    hostile.submit(1, hostile.update(federation.clients[1], round=2))
    federation.finalize()
    told = f"round 1: slash rate of {federation.clients[1].address} in the report: expected {RATE}, found 0"
    assert told in federation.violations()


# ------------------------------------------------------------------------------------------------- who is let in


def test_client_waits_for_what_it_needs_to_join_and_says_what_that_is(web3: Web3, tmp_path: Path) -> None:
    federation = staked(web3, tmp_path, clients_wanted=2)
    client, contract = federation.clients[0], federation.federation
    ready, symbol = client.settings, contract.asset().symbol

    def said(**changes: Any) -> str:
        client.settings = replace(ready, **changes)
        action = client.cycle()
        assert isinstance(action, Wait), action
        return action.reason

    assert f"pays and stakes in {contract.asset().address}" in said(asset=ZERO_ADDRESS)
    assert f"a stake of 5 {symbol}, and client.max_stake allows 4" in said(max_stake=4 * ETHER)
    assert "name its file as client.voucher" in said(voucher=None)
    assert "cannot be read" in said(voucher=tmp_path / "none.json")
    assert f"admits {federation.clients[1].address}, not" in said(voucher=federation.clients[1].settings.voucher)
    assert contract.members() == []
    client.settings = ready
    assert [type(client.cycle()) for _ in range(3)] == [Approve, Register, Wait]


def test_revoked_voucher_admits_nobody(web3: Web3, tmp_path: Path) -> None:
    federation = staked(web3, tmp_path, clients_wanted=2)
    client = federation.clients[0]
    assert client.settings.voucher is not None
    federation.owner.send(federation.federation.revoke_voucher(load_voucher(client.settings.voucher).id))
    action = client.cycle()
    assert isinstance(action, Wait) and "was used or revoked" in action.reason


def test_member_does_not_train_for_an_asset_that_it_does_not_take(web3: Web3, tmp_path: Path) -> None:
    federation = staked(web3, tmp_path, clients_wanted=2)
    federation.register()
    federation.open_round()
    client = federation.clients[0]
    client.settings = replace(client.settings, asset=ZERO_ADDRESS)
    action = client.cycle()
    assert isinstance(action, Wait) and "round 1 refused: the federation pays and stakes in" in action.reason


# --------------------------------------------------------------------------------------------------- organization


def test_organization_waits_while_the_federation_is_paused_and_finalizes_what_is_live(
    web3: Web3, tmp_path: Path
) -> None:
    federation = staked(web3, tmp_path, clients_wanted=2, with_operator=True)
    federation.register()
    federation.owner.send(federation.federation.pause())
    federation.organization.cycle()  # sets the initial model
    action = federation.organization.cycle()
    assert isinstance(action, Wait) and "paused" in action.reason
    federation.owner.send(federation.federation.unpause())
    assert [type(federation.organization.cycle()) for _ in range(2)] == [Approve, OpenRound]
    federation.owner.send(federation.federation.pause())
    federation.train_and_submit()
    federation.finalize()
    assert isinstance(federation.organization.cycle(), Stop)


def test_organization_does_not_serve_what_is_not_its_own(web3: Web3, tmp_path: Path) -> None:
    federation = staked(web3, tmp_path, clients_wanted=2, with_operator=True)
    operator = federation.organization.address
    federation.owner.send(federation.federation.set_operator(ZERO_ADDRESS))
    with pytest.raises(ConfigurationError, match=f"operator is nobody, but the wallet is {operator}"):
        federation.organization.prepare()


def test_organization_does_not_start_with_a_plan_that_slashes_more_than_the_federation_allows(
    web3: Web3, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"slashing.rate is 5001 basis points, and .* allows at most 5000"):
        staked(web3, tmp_path, clients_wanted=2, slash_rate=5_001)


def test_organization_does_not_start_where_only_appointed_auditors_may_open_updates(web3: Web3, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="audit policy `appointed`"):
        LocalFederation(web3, tmp_path, clients_wanted=2, terms=FederationTerms(audit_policy=AuditPolicy.APPOINTED))
