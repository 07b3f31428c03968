"""Whole clients without coins: their daemons register, train, submit, publish and are paid through a relay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web3 import Web3

from processor.chain.provider import connect
from processor.daemons.client import ClientDaemon
from processor.daemons.handover import Handover, Signed
from processor.daemons.relayed import Relayed
from processor.demo.processes import make_party, write_config
from processor.protocol.decide import Finalize, Publish, Stop, Train, Wait
from tests.integration.command_line import fails, succeeds
from tests.integration.local_federation import LOG, LocalFederation
from tests.integration.parties import account_of
from tests.integration.test_relay import Relay, Town, ask
from tests.nodes import start_anvil

TAKEN = Wait("a relay has taken our update of round 1")


@pytest.fixture
def rpc(tmp_path: Path) -> Iterator[str]:
    with start_anvil(tmp_path / "anvil") as node:
        yield node.rpc_url


@pytest.fixture
def web3(rpc: str) -> Web3:
    return connect(rpc)


class Poor:
    """A federation whose clients have no coins, and a relay."""

    def __init__(self, web3: Web3, folder: Path, rounds: int) -> None:
        self.web3 = web3
        self.town = LocalFederation(web3, folder, clients_wanted=2, rounds_wanted=rounds)
        self.relay = Relay(web3, self.town.federation, folder, "relay", threshold=1)
        self.clients = [self.client(number) for number in range(2)]
        for client in self.clients:
            ask(web3, "anvil_setBalance", client.address, "0x0")
        for client in self.clients:
            assert client.cycle() == Wait("a relay has taken our registration")
        self.relay.work()
        self.town.open_round()

    def __enter__(self) -> Poor:
        return self

    def __exit__(self, *failure: object) -> None:
        self.relay.stop()

    def client(self, number: int) -> ClientDaemon:
        """A fresh daemon, as after a restart."""
        daemon, federation, account = self.town.client(number), self.town.federation, self.town.accounts[number + 1]
        named = (federation.chain_id, federation.address, daemon.settings.state, (self.relay.url,))
        daemon.relayed = Relayed(Handover(account, *named, LOG), federation)
        return daemon

    def signed(self, client: ClientDaemon) -> Signed:
        """What a client signed for the latest round."""
        assert client.relayed is not None
        signed = client.relayed.handover.signed(self.town.federation.round_view())
        assert signed is not None
        return signed

    def lines(self) -> dict[str, tuple[str | None, int]]:
        return {line.client: (line.update, line.compute_ms) for line in self.town.federation.updates()}

    def coins(self, client: ClientDaemon) -> int:
        return self.web3.eth.get_balance(Web3.to_checksum_address(client.address))

    def sent(self, client: ClientDaemon) -> int:
        return self.web3.eth.get_transaction_count(Web3.to_checksum_address(client.address))


@pytest.fixture
def rounds() -> int:
    return 1


@pytest.fixture
def poor(web3: Web3, tmp_path: Path, rounds: int) -> Iterator[Poor]:
    with Poor(web3, tmp_path, rounds) as poor:
        yield poor


@pytest.mark.parametrize("rounds", [2])
def test_clients_without_coins_register_train_submit_and_are_paid(poor: Poor, tmp_path: Path) -> None:
    town, clients, relay = poor.town, poor.clients, poor.relay
    for number in (1, 2):
        for client in clients:
            assert isinstance(client.cycle(), Train)
            assert client.cycle() == Wait(f"a relay has taken our update of round {number}")
            saved = client._saved(town.federation.round_view())
            assert saved is not None and saved.seen_at is None and not saved.published
            assert not (tmp_path / "store" / saved.cid).exists()  # nobody sees it before the chain shows it
        relay.work()
        for client in clients:
            assert isinstance(client.cycle(), Publish)
        assert isinstance(town.organization.cycle(), Finalize)
        relay.work()
        if number == 1:
            town.open_round()
    assert isinstance(town.organization.cycle(), Stop)
    assert [poor.sent(client) for client in clients] == [0, 0]
    earned = [sum(town.money(round).rewards[client.address] for round in (1, 2)) for client in clients]
    assert [poor.coins(client) for client in clients] == earned
    assert all(coins > 0 for coins in earned)
    assert town.violations() == []


def test_a_client_that_was_killed_after_it_signed_hands_the_very_same_over(poor: Poor) -> None:
    [client, other] = poor.clients
    assert isinstance(client.cycle(), Train)
    poor.relay.stop()
    assert client.cycle() == Wait("no relay has taken our update of round 1 yet")
    handed = poor.signed(client).handed
    poor.relay.start()
    restarted = poor.client(0)
    assert restarted.cycle() == TAKEN
    assert isinstance(other.cycle(), Train) and other.cycle() == TAKEN
    poor.relay.work()
    assert poor.lines()[client.address] == (handed.update, handed.compute_ms)
    assert isinstance(restarted.cycle(), Publish)


# ------------------------------------------------------------------------------------------------- by hand


def test_a_member_without_coins_registers_declines_and_leaves_by_hand(web3: Web3, rpc: str, tmp_path: Path) -> None:
    with Town(web3, tmp_path, rpc=rpc) as town:
        register_decline_and_leave(town, rpc, tmp_path)


def register_decline_and_leave(town: Town, rpc: str, tmp_path: Path) -> None:
    relay = town.relay("relay")
    party, to = make_party(tmp_path / "client", "client"), account_of("whoever is paid").address
    common = {
        "federation": town.federation.address,
        "wallet": str(party.wallet),
        "passphrase_file": str(party.passphrase_file),
        "state": str(party.state),
        "relays": [relay.url],
    }
    write_config(party, {"network": {"rpc": rpc}, "client": common})

    def koinon(*words: str) -> str:
        return succeeds("client", *words, "--config", party.config, folder=tmp_path)

    assert "has no coins for a transaction" in koinon("register", "--dry-run")
    asked = fails("client", "register", "--config", party.config, folder=tmp_path, said="y\n")
    assert "nothing was signed: without a terminal nobody is here to be asked. To agree, give --yes" in asked
    assert relay.work() == []
    assert f"the relay {relay.address} has taken it" in koinon("register", "--yes")
    assert relay.work() and town.federation.round_view(party.address).client.member
    town.open_round()
    assert relay.address in koinon("decline", "--yes", "--json")
    assert relay.work() and town.federation.round_view(party.address).client.declined
    assert "has taken it" in koinon("leave", "--to", to, "--yes")
    assert relay.work() and not town.federation.round_view(party.address).client.member
    assert town.web3.eth.get_transaction_count(Web3.to_checksum_address(party.address)) == 0
