"""A client's daemon that names relays: with an empty wallet it registers, trains, submits and is paid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from processor.chain.provider import connect
from processor.chain.signed import SignedUpdate
from processor.daemons.client import ClientDaemon
from processor.daemons.handover import Handover
from processor.daemons.relayed import Relayed
from processor.protocol.decide import Claim, ClientAction, Publish, Register, Submit, Train, Wait
from processor.protocol.relaying import HandedRegistration, HandedUpdate
from tests.integration.local_federation import LOG, LocalFederation
from tests.nodes import start_anvil


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


@dataclass
class Courier(Handover):
    """Hands over to somebody with coins, who sends it at once unless `withholds` says otherwise."""

    played: LocalFederation = field(kw_only=True)
    withholds: bool = False
    handed: list[Any] = field(default_factory=list)

    def _hand_over(self, handed: Any, every: bool, again: bool) -> Any:
        if handed in self.handed and not again:
            return None
        self.handed.append(handed)
        federation, owner = self.played.federation, self.played.owner
        match handed:
            case _ if self.withholds:
                pass
            case HandedRegistration():
                signature = bytes.fromhex(handed.signature)
                owner.send(federation.register_signed(handed.client, handed.deadline, signature))
            case HandedUpdate():
                signed = SignedUpdate(handed.update, handed.compute_ms, bytes.fromhex(handed.signature))
                owner.send(federation.submit_updates(handed.round, bytes.fromhex(handed.sealing_key), [signed]))
        return None


@dataclass
class Poor:
    """One client without coins, and who sends for it."""

    played: LocalFederation
    client: ClientDaemon
    courier: Courier

    def restart(self) -> None:
        self.client = self.played.client(0)
        self.client.relayed = Relayed(self.courier, self.played.federation)

    def cycle(self, wanted: type[ClientAction]) -> ClientAction:
        action = self.client.cycle()
        assert isinstance(action, wanted), action
        return action

    def sent(self) -> int:
        return self.played.web3.eth.get_transaction_count(Web3.to_checksum_address(self.client.address))

    def give(self, wei: int) -> None:
        self.played.web3.provider.make_request("anvil_setBalance", [self.client.address, hex(wei)])  # type: ignore[arg-type]


@pytest.fixture
def poor(web3: Web3, tmp_path: Path) -> Poor:
    played = LocalFederation(web3, tmp_path, clients_wanted=1, rounds_wanted=1)
    identity = (played.accounts[1], played.federation.chain_id, played.federation.address)
    state = played.clients[0].settings.state
    courier = Courier(*identity, state, ("http://courier",), LOG, played=played)
    poor = Poor(played, played.clients[0], courier)
    poor.give(0)
    poor.restart()
    return poor


def opened(poor: Poor) -> None:
    poor.cycle(Wait)
    poor.played.open_round()


def test_client_without_coins_registers_trains_submits_and_is_paid(poor: Poor) -> None:
    federation = poor.played.federation
    opened(poor)
    assert federation.round_view(poor.client.address).client.member
    poor.cycle(Train)
    poor.cycle(Wait)  # handed over, and in a block by now
    view = federation.round_view(poor.client.address)
    assert view.update_count == 1
    assert not (poor.played.storage.directory / str(view.client.update)).exists()
    poor.cycle(Publish)
    assert (poor.played.storage.directory / str(view.client.update)).exists()
    poor.played.finalize()
    waiting = poor.cycle(Wait)
    assert isinstance(waiting, Wait) and "have no coins to claim it" in waiting.reason
    poor.played.owner.send(federation.claim_for(poor.client.address))
    paid = poor.played.money(1).rewards[poor.client.address]
    assert poor.played.web3.eth.get_balance(Web3.to_checksum_address(poor.client.address)) == paid > 0
    assert poor.sent() == 0
    assert poor.played.violations() == []


def test_nothing_is_published_while_a_relay_withholds_the_update(poor: Poor) -> None:
    opened(poor)
    poor.courier.withholds = True
    poor.cycle(Train)
    for _ in range(3):
        poor.cycle(Wait)
    saved = poor.client._saved(poor.played.federation.round_view())
    assert saved is not None and not saved.published
    assert not (poor.played.storage.directory / saved.cid).exists()


def test_client_with_coins_submits_by_itself_what_it_signed_once_a_quarter_of_the_time_is_left(poor: Poor) -> None:
    opened(poor)
    poor.courier.withholds = True
    poor.cycle(Train)
    poor.cycle(Wait)
    poor.give(10**18)
    poor.cycle(Wait)
    poor.played.pass_time(poor.played.training_period * 4 // 5)
    poor.restart()
    poor.cycle(Submit)
    view = poor.played.federation.round_view(poor.client.address)
    signed = poor.courier.signed(view)
    assert signed is not None and poor.sent() == 1
    assert (view.client.update, view.client.compute_ms) == (signed.handed.update, signed.handed.compute_ms)
    poor.cycle(Publish)


def test_client_that_has_signed_that_it_declines_does_not_train(poor: Poor) -> None:
    opened(poor)
    poor.courier.sign_decline(poor.played.federation.round_view(), poor.played.federation.block().timestamp)
    waiting = poor.cycle(Wait)
    assert isinstance(waiting, Wait) and "we have signed that we decline" in waiting.reason


def test_after_a_reorganization_the_very_same_is_handed_over_again(poor: Poor) -> None:
    opened(poor)
    poor.cycle(Train)
    poor.cycle(Wait)
    poor.cycle(Publish)
    submitted = poor.played.federation.round_view(poor.client.address).client.update
    poor.played.web3.provider.make_request("anvil_reorg", [1, []])  # type: ignore[arg-type]
    assert poor.played.federation.round_view(poor.client.address).client.update is None
    for _ in range(2):
        poor.cycle(Wait)
    assert poor.played.federation.round_view(poor.client.address).client.update == submitted
    *_, first, again = poor.courier.handed
    assert first == again


def test_client_of_a_federation_that_is_paid_late_claims_by_itself_once_it_has_coins(poor: Poor) -> None:
    opened(poor)
    poor.cycle(Train)
    poor.cycle(Wait)
    poor.cycle(Publish)
    poor.played.finalize()
    poor.cycle(Wait)
    poor.give(10**18)
    poor.cycle(Claim)
    assert poor.played.federation.balance_of(poor.client.address) == (0, 0)


def test_registration_that_no_relay_sends_is_the_clients_own_once_it_has_coins(poor: Poor) -> None:
    poor.courier.withholds = True
    poor.cycle(Wait)
    poor.give(10**18)
    poor.cycle(Register)
    assert poor.played.federation.round_view(poor.client.address).client.member
