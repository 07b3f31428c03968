"""The events of a federation on a real node, seen through one that refuses long ranges, or leaves out logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain import contracts
from processor.chain.federation import Federation
from processor.chain.logs import History, events, rounds_from_logs
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.errors import ChainError
from processor.types import Adjustment
from tests.integration.balancer import Answer, balanced
from tests.integration.parties import create_federation, wallet
from tests.integration.test_chain import (
    NO_DIGEST,
    key_of,
    model_of,
    pass_time,
    report_of,
    secret_of,
    terms_of,
    update_of,
)
from tests.nodes import start_anvil

EXPECTED = ["Registered", "Registered", "InitialModelSet", "RoundOpened", "UpdateSubmitted", "UpdateSubmitted"]


@dataclass
class Proxy:
    """Stands before a node: refuses ranges of more than `limit` blocks, and leaves out the logs with the topic `hidden`
    where a range has more than `patience` blocks. Keeps how many blocks each request `asked` for."""

    upstream: str
    limit: int = 10**9
    hidden: str = ""
    patience: int = 0
    asked: list[int] = field(default_factory=list)

    def running(self) -> AbstractContextManager[str]:
        return balanced(self.upstream, self.change)

    def change(self, method: str, params: list[Any], answer: Answer) -> Answer:
        if method != "eth_getLogs":
            return answer
        blocks = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        self.asked.append(blocks)
        if blocks > self.limit:
            error = {"code": -32005, "message": "query returned more than 10000 results"}
            return {"jsonrpc": "2.0", "id": answer["id"], "error": error}
        if blocks > self.patience:
            return {**answer, "result": [log for log in answer["result"] if log["topics"][0] != self.hidden]}
        return answer


def topic_of(name: str) -> str:
    contract = Web3().eth.contract(abi=contracts.load("Federation").abi)
    return str(contract.get_event_by_name(name)().topic)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A federation with two members, whose first round has an update of each and waits to be finalized."""
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        web3 = connect(node.rpc_url)
        organization, alice, bob = (Sender(web3, wallet(web3, name)) for name in ("organization", "alice", "bob"))
        federation = create_federation(web3, organization)
        for client in (alice, bob):
            client.send(federation.register())
        organization.send(federation.set_initial_model(model_of(0)))
        organization.send(federation.open_round(terms_of(1), NO_DIGEST))
        for client, name in ((alice, "alice"), (bob, "bob")):
            client.send(federation.submit_update(1, key_of(1), update_of(1, name), 100 * len(name)))
        yield federation


@pytest.fixture
def proxy(federation: Federation) -> Proxy:
    return Proxy(str(federation.web3.provider))


def names(found: Iterator[Any] | list[Any]) -> list[str]:
    return [event.name for event in found if event.name in EXPECTED]


def test_a_node_with_a_small_limit_gives_every_event_once_in_shorter_ranges(
    federation: Federation, proxy: Proxy
) -> None:
    latest = federation.block().number
    for proxy.limit in (1, 3, 5):
        with proxy.running() as url:
            assert names(events(connect(url), federation.address, 0, latest)) == EXPECTED
    assert max(proxy.asked) == latest + 1
    assert min(proxy.asked) == 1


def test_a_history_goes_on_from_where_it_was(federation: Federation) -> None:
    web3, history = federation.web3, History(federation)
    organization = Sender(web3, wallet(web3, "organization"))
    assert names(history.read(federation.block())) == EXPECTED
    assert history.read(federation.block()) == []
    organization.send(federation.fund(7))
    assert [event.name for event in history.read(federation.block())] == ["Funded"]


def test_logs_that_a_node_left_out_of_a_long_range_are_asked_for_in_shorter_ones(
    federation: Federation, proxy: Proxy
) -> None:
    proxy.hidden, proxy.patience = topic_of("UpdateSubmitted"), 2
    with proxy.running() as url:
        web3 = connect(url)
        assert names(events(web3, federation.address, 0, federation.block().number)) == EXPECTED[:-2]
        assert names(History(Federation(web3, federation.address)).read(federation.block())) == EXPECTED


@pytest.mark.parametrize("name", ["Registered", "RoundOpened", "UpdateSubmitted"])
def test_a_node_that_always_leaves_out_logs_does_not_pass(federation: Federation, proxy: Proxy, name: str) -> None:
    proxy.hidden = topic_of(name)
    with proxy.running() as url:
        history = History(Federation(connect(url), federation.address))
        for _ in range(2):
            with pytest.raises(ChainError, match="it has 2 mem.*, 1 round.* digest 0x.* is not finalized, and the rec"):
                history.read(federation.block())
        proxy.hidden = ""
        assert names(history.read(federation.block())) == EXPECTED


def test_after_a_reorganization_the_history_tells_the_chain_that_there_is_now(federation: Federation) -> None:
    web3, history = federation.web3, History(federation)
    carol, dave, erin = (Sender(web3, wallet(web3, name)) for name in ("carol", "dave", "erin"))
    history.read(federation.block())
    snapshot = web3.provider.make_request(RPCEndpoint("evm_snapshot"), [])["result"]
    carol.send(federation.register())
    assert [event.arguments["client"] for event in history.read(federation.block())] == [carol.address]
    web3.provider.make_request(RPCEndpoint("evm_revert"), [snapshot])
    for client in (dave, erin, carol):
        client.send(federation.register())
    assert federation.member_count() == 5
    # dave is now where carol was: what follows is given, and it is all there
    assert [event.arguments["client"] for event in history.read(federation.block())] == [erin.address, carol.address]


def test_what_is_left_out_of_a_round_that_is_over_is_noticed_by_its_record(
    federation: Federation, proxy: Proxy
) -> None:
    """Two more rounds, of which one is abandoned: the latest round alone would not show what is missing before it."""
    web3 = federation.web3
    organization, alice, bob = (Sender(web3, wallet(web3, name)) for name in ("organization", "alice", "bob"))
    digest = federation.round_view().digest
    lowered = Adjustment(bob.address, 299)
    organization.send(federation.finalize_round(1, digest, model_of(1), report_of(1), [lowered], secret_of(1)))
    organization.send(federation.open_round(terms_of(2, selection_rate=2_500), digest))
    people = [Sender(web3, wallet(web3, name)) for name in ("alice", "bob", "carol", "dave", "erin")]
    chosen = next(each for each in people if federation.round_view(each.address).client.selected)
    chosen.send(federation.submit_update(2, key_of(2), update_of(2, "chosen"), 222))
    digest = federation.round_view().digest
    pass_time(web3, 20_000)
    organization.send(federation.open_round(terms_of(3), digest))
    alice.send(federation.submit_update(3, key_of(3), update_of(3, "alice"), 333))

    told = names(History(federation).read(federation.block()))
    assert told.count("RoundOpened") == 3 and told.count("UpdateSubmitted") == 4
    with proxy.running() as url:
        blind = Federation(connect(url), federation.address)
        for name in ("UpdatesAdjusted", "RoundFinalized", "RoundAbandoned", "UpdateSubmitted"):
            proxy.hidden = topic_of(name)
            with pytest.raises(ChainError, match="The node leaves out logs, or the chain was just reorganized"):
                History(blind).read(federation.block())

    rounds = rounds_from_logs(federation, 0, federation.block().number)
    assert [(one.opening.round, len(one.updates), one.adjustments) for one in rounds] == [
        (1, 2, (lowered,)),
        (2, 1, ()),
        (3, 1, ()),
    ]
    assert [one.outcome and one.outcome.report for one in rounds] == [report_of(1), None, None]
    assert rounds[-1].record_before == federation.record()
    assert rounds_from_logs(federation, federation.block().number, federation.block().number) == []
