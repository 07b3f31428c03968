"""How many requests a cycle costs that has nothing to do, after a hundred rounds: no more than five, a batch counted as
its parts. And what comes in pages is what single reads give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint

from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.chain.snapshot import Snapshots
from processor.chain.transactions import Sender
from processor.chain.vouchers import load_voucher
from processor.daemons.client import ClientDaemon
from processor.daemons.funds_watch import EVERY, FundsWatch
from processor.daemons.organization import OrganizationDaemon
from processor.protocol.decide import OpenRound, Wait
from processor.protocol.funds import CLIENT_GAS
from processor.types import ZERO_ADDRESS, Admission, FederationTerms, Phase, RoundTerms
from tests.integration.local_federation import LocalFederation
from tests.integration.parties import create_federation, wallet
from tests.nodes import ChainNode, find_program, start_anvil, start_geth

MOST = 5
ROUNDS = 100


class Counted(Web3Middleware):
    """Counts requests to the node."""

    asked: list[str] = []

    def request_processor(self, method: RPCEndpoint, params: Any) -> Any:
        self.asked.append(method)
        return method, params


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNode]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture(scope="module")
def web3(node: ChainNode) -> Web3:
    web3 = connect(node.rpc_url)
    web3.middleware_onion.inject(Counted, layer=0)
    return web3


@pytest.fixture(scope="module")
def town(web3: Web3, tmp_path_factory: pytest.TempPathFactory) -> LocalFederation:
    """A hundred rounds have been opened; the first was finalized, in the others nobody took part."""
    federation = LocalFederation(web3, tmp_path_factory.mktemp("town"), clients_wanted=2, rounds_wanted=1000)
    federation.register()
    federation.open_round()
    federation.train_and_submit()
    federation.finalize()
    for client in federation.clients:
        client.cycle()
    pass_rounds(federation, ROUNDS - 1)
    return federation


def pass_rounds(town: LocalFederation, count: int) -> None:
    plan = town.federation.round_view().plan or ""
    for number in range(count):
        before = town.federation.round_view()
        terms = RoundTerms(plan, Account.create().key, 30, 30, 2, 1_000, 10_000, 1, 0)
        town.owner.send(town.federation.open_round(terms, before.digest))
        if number < count - 1:
            town.pass_time(30)


class Ticks:
    """Seconds that pass only when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def idle(web3: Web3, daemon: ClientDaemon | OrganizationDaemon) -> list[str]:
    """The requests of a cycle that waits, in a block that follows the one before, once the daemon knows its way: as the
    daemon's loop runs it, with the look at its wallet that falls into it. The most of several such cycles."""
    ticks = Ticks()
    watch = FundsWatch(daemon.federation, daemon.address, CLIENT_GAS, 0, daemon.metrics, daemon.log, ticks=ticks)
    cycle, most = watch.before(daemon.cycle), list[str]()
    assert isinstance(cycle(), Wait)
    for passed in (0.0, 0.0, EVERY, 0.0, EVERY, 0.0):
        ticks.now += passed
        web3.provider.make_request(RPCEndpoint("evm_mine"), [])
        Counted.asked.clear()
        action = cycle()
        most = max(most, list(Counted.asked), key=len)
        assert isinstance(action, Wait), action
    return most


@pytest.fixture
def live(town: LocalFederation, web3: Web3) -> Iterator[LocalFederation]:
    """The town, in the middle of its hundredth round; what a test does to the chain is forgotten afterwards."""
    snapshot = web3.provider.make_request(RPCEndpoint("evm_snapshot"), [])["result"]
    yield town
    web3.provider.make_request(RPCEndpoint("evm_revert"), [snapshot])


def test_a_client_whose_limits_rule_the_round_out_asks_little(live: LocalFederation, web3: Web3) -> None:
    client = live.client(0)
    client.settings = replace(client.settings, minimum_rate=10**30)
    asked = idle(web3, client)
    assert len(asked) <= MOST, asked


def test_a_client_that_has_nothing_to_do_asks_little_between_rounds(live: LocalFederation, web3: Web3) -> None:
    live.pass_to_the_end_of(ROUNDS)
    asked = idle(web3, live.client(0))
    assert len(asked) <= MOST, asked


def test_an_organization_asks_little_while_others_train(live: LocalFederation, web3: Web3) -> None:
    asked = idle(web3, live.organization)
    assert len(asked) <= MOST, asked


def test_an_organization_asks_little_while_it_may_not_open_a_round(live: LocalFederation, web3: Web3) -> None:
    live.owner.send(live.federation.pause())
    live.pass_to_the_end_of(ROUNDS)
    asked = idle(web3, live.organization)
    assert len(asked) <= MOST, asked


def test_an_organization_asks_little_while_its_wallet_is_empty(live: LocalFederation, web3: Web3) -> None:
    live.pass_to_the_end_of(ROUNDS)
    web3.provider.make_request(RPCEndpoint("anvil_setBalance"), [live.owner.address, "0x1"])
    asked = idle(web3, live.organization)
    assert len(asked) <= MOST, asked


def test_an_organization_asks_little_while_it_pauses_after_rounds_that_nobody_joined(
    live: LocalFederation, web3: Web3, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.pass_time(live.federation.round_view().training_deadline - live.federation.block().timestamp)
    monkeypatch.setattr(live.organization, "settings", replace(live.organization.settings, longest_pause=10**6))
    asked = idle(web3, live.organization)
    assert len(asked) <= MOST, asked


def test_a_block_that_was_read_before_costs_the_request_for_the_head(live: LocalFederation) -> None:
    live.pass_to_the_end_of(ROUNDS)
    client = live.client(0)
    assert isinstance(client.cycle(), Wait)
    Counted.asked.clear()
    assert isinstance(client.cycle(), Wait)
    assert Counted.asked == ["eth_getBlockByNumber"]


def test_a_stranger_whose_stake_or_voucher_is_missing_asks_little(web3: Web3, tmp_path: Path) -> None:
    terms = FederationTerms(stake=10**18, max_slash_rate=100, admission=Admission.VOUCHER)
    town = LocalFederation(web3, tmp_path, clients_wanted=2, terms=terms)
    stranger = town.clients[0]
    web3.provider.make_request(RPCEndpoint("anvil_setBalance"), [stranger.address, "0x1"])
    asked = idle(web3, stranger)
    assert len(asked) <= MOST, asked
    town.owner.send(town.federation.revoke_voucher(voucher_id(stranger)))
    asked = idle(web3, stranger)
    assert len(asked) <= MOST, asked


def voucher_id(client: ClientDaemon) -> int:
    assert client.settings.voucher is not None
    return load_voucher(client.settings.voucher).id


# ------------------------------------------------------------------------------------------------------------- pages


def test_the_results_of_a_hundred_rounds_come_in_pages_and_are_those_of_single_reads(town: LocalFederation) -> None:
    federation, block = town.federation, town.federation.block()
    Counted.asked.clear()
    found = federation.results(block)
    assert len(Counted.asked) <= 3
    assert found == [federation.result(number, block) for number in range(1, ROUNDS + 1)]
    assert found[0].credited_ms > 0


def test_what_a_snapshot_says_is_what_each_view_says(town: LocalFederation) -> None:
    federation = town.federation
    found = Snapshots(federation, town.clients[0].address).latest()
    block = found.block
    assert (found.closed, found.paused) == (federation.closed(block), federation.paused(block))
    assert (found.carried, found.member_count) == (federation.carried(block), federation.member_count(block))
    assert found.release == federation.latest_release(block)
    assert found.view == federation.round_view(town.clients[0].address, at=block)
    assert (found.record, found.secret) == (federation.record(block), federation.secret(block))
    assert list(found.members) == federation.members(block)
    assert found.balances(found.members) == {client: federation.balance_of(client, block) for client in found.members}
    assert found.results == tuple(federation.results(block))


class Separate(Web3Middleware):
    """A node that executes no code that is not deployed."""

    def request_processor(self, method: RPCEndpoint, params: Any) -> Any:
        if method == "eth_call" and "to" not in params[0]:
            raise Web3RPCError("a call needs a recipient")
        return method, params


def test_a_node_that_answers_only_one_at_a_time_is_asked_so(town: LocalFederation, node: ChainNode) -> None:
    web3 = connect(node.rpc_url)
    web3.middleware_onion.inject(Separate, layer=0)
    other, block = Federation(web3, town.federation.address), town.federation.block()
    assert other.results(block) == town.federation.results(block)
    assert other.standing(block) == town.federation.standing(block)


def test_geth_answers_several_at_once_too(tmp_path: Path) -> None:
    with start_geth(find_program("geth"), tmp_path) as node:
        web3 = connect(node.rpc_url)
        owner = Sender(web3, wallet(web3, "owner of pages"))
        federation = create_federation(web3, owner)
        owner.send(federation.register())
        block = federation.block()
        standing = federation._read_together([("closed",), ("paused",), ("carried",), ("memberCount",)], block)
        assert standing == [False, False, 0, 1]
        assert federation._read_together([("results", 1)] * 64, block) == [[0, 0, bytes(12)]] * 64
        assert federation.balances_of([owner.address, ZERO_ADDRESS], block)[owner.address] == (0, 0)
        assert federation.round_view(at=block).phase is Phase.NONE


def test_an_opening_is_still_decided_by_what_the_block_says(live: LocalFederation) -> None:
    live.pass_to_the_end_of(ROUNDS)
    for _ in range(3):
        if isinstance(action := live.organization.cycle(), OpenRound):
            break
    assert isinstance(action, OpenRound)
    assert live.federation.round_view().round == ROUNDS + 1
