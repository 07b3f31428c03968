"""What daemons keep whatever the other side does: no key of an earlier round, no round after the end of a plan, none
that pays nothing, and no more gas than is allowed or brought in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from web3 import Web3

from processor import keystore
from processor.artifacts.plan import Stopping
from processor.chain.provider import connect
from processor.chain.snapshot import Snapshot
from processor.daemons.client import ClientDaemon
from processor.daemons.consents import consent_path
from processor.daemons.organization import OrganizationDaemon
from processor.daemons.transactions import Transactions
from processor.journal import Journal
from processor.privacy.sealing import SealingKeyPair, generate_key_pair
from processor.protocol.decide import Claim, Publish, Stop, Submit, Train, Wait
from processor.protocol.gas import DAY
from processor.protocol.limits import CLAIM_GAS, SUBMIT_GAS
from processor.storage.library import Library
from processor.types import Block, Cid, Phase, RoundView
from tests.integration.command_line import FAST, PASSPHRASE, succeeds, write
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil

ROUNDS, GWEI = 10, 10**9
ENDS_AFTER_TWO = Stopping(min_rounds=1, max_rounds=ROUNDS, patience=1, min_improvement=1e6)


class Liar(OrganizationDaemon):
    """Opens rounds under the `key` that it is told, and once it is to go on, whatever its plan says."""

    key: bytes | None = None
    goes_on = False

    def _sealing_key(self, plan: Cid, view: RoundView | None, block: Block) -> bytes:
        return self.key or super()._sealing_key(plan, view, block)

    def _stop_reason(self, snapshot: Snapshot) -> str | None:
        return None if self.goes_on else super()._stop_reason(snapshot)


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node.rpc_url


@pytest.fixture(scope="module")
def web3(rpc: str) -> Web3:
    return connect(rpc)


@pytest.fixture
def play(web3: Web3, tmp_path: Path) -> Callable[..., LocalFederation]:
    def begun(rounds: int = ROUNDS, stopping: Stopping | None = None) -> LocalFederation:
        played = LocalFederation(
            web3, tmp_path / "federation", clients_wanted=1, rounds_wanted=rounds, organization_type=Liar
        )
        if stopping is not None:
            played.organization.plan = replace(played.organization.plan, stopping=stopping)
            played.agree()
        played.register()
        return played

    return begun


def with_nothing_remembered(played: LocalFederation, name: str) -> ClientDaemon:
    """The client as it is where its state is lost, but for what it agreed to."""
    client, state = played.clients[0], played.folder / name
    journal = Journal(state / "journal.db", client.federation.chain_id, client.federation.address, client.address)
    shutil.copyfile(consent_path(client.settings.state), consent_path(state))
    assert isinstance(client.transactions, Transactions)
    return replace(
        client,
        settings=replace(client.settings, state=state),
        library=Library(played.storage),
        journal=journal,
        transactions=replace(client.transactions, journal=journal),
    )


def liar_of(played: LocalFederation) -> Liar:
    assert isinstance(played.organization, Liar)
    return played.organization


def abandon(played: LocalFederation) -> None:
    played.pass_to_the_end_of(played.federation.round_view().round)
    assert played.federation.round_view().phase is Phase.ABANDONED


def refused(client: ClientDaemon) -> str:
    action = client.cycle()
    assert isinstance(action, Wait), action
    return action.reason


def test_a_client_seals_nothing_to_a_key_that_it_has_seen_in_another_round(
    play: Callable[..., LocalFederation],
) -> None:
    """No key of an abandoned round stands on the chain, and the contract compares bytes, of which X25519 ignores a
    bit."""
    played = play()
    liar, [client] = liar_of(played), played.clients
    played.open_round()
    key = played.federation.round_view().sealing_key
    client.cycle()
    abandon(played)

    liar.key = key[:31] + bytes([key[31] | 0x80])
    played.open_round()
    assert "its sealing key" not in refused(client) and "not in the one form that X25519 keys" in refused(client)
    abandon(played)

    liar.key = key
    played.open_round()
    assert "its sealing key is that of round 1, whose secret may be known" in refused(client)
    with capture_logs() as logs:
        assert isinstance(with_nothing_remembered(played, "lost").cycle(), Train)
    assert {entry["rounds"] for entry in logs if "are unknown" in entry["event"]} == {"1, 2"}


def test_an_organization_opens_no_round_under_the_key_of_an_abandoned_one(
    play: Callable[..., LocalFederation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even on a machine that draws it once more."""
    played = play()
    played.open_round()
    key, fresh = played.federation.round_view().sealing_key, generate_key_pair()
    abandon(played)
    drawn = [SealingKeyPair(key, b"known to somebody by now"), fresh]
    monkeypatch.setattr("processor.daemons.sealing_keys.generate_key_pair", lambda: drawn.pop(0))
    played.open_round()
    assert played.federation.round_view().sealing_key == fresh.public


def test_a_client_that_saw_nothing_reads_the_keys_of_abandoned_rounds_in_reports(
    play: Callable[..., LocalFederation],
) -> None:
    played = play()
    played.open_round()
    key = played.federation.round_view().sealing_key
    abandon(played)
    played.open_round()
    played.train_and_submit()
    played.finalize()
    liar_of(played).key = key
    played.open_round()
    lost = with_nothing_remembered(played, "lost")
    assert isinstance(lost.cycle(), Claim)
    assert "its sealing key is that of round 1" in refused(lost)


def test_no_round_follows_a_report_that_says_stop_until_another_plan_is_agreed_to(
    play: Callable[..., LocalFederation],
) -> None:
    played = play(stopping=ENDS_AFTER_TWO)
    liar, [client] = liar_of(played), played.clients
    for _ in range(2):
        played.open_round()
        played.train_and_submit()
        played.finalize()
    assert liar.cycle() == Stop("patience")
    assert isinstance(client.cycle(), Claim)
    assert isinstance(client.cycle(), Wait), "and reads the report"
    said = played.released(2).report or ""
    (played.folder / "store" / said).rename(played.folder / "withheld")

    liar.goes_on = True
    played.open_round()
    assert f"its plan has come to its end, since the report of round 2, {said}, says that no round" in refused(client)
    assert isinstance(with_nothing_remembered(played, "lost").cycle(), Train), "a report that cannot be had is no stop"
    (played.folder / "withheld").rename(played.folder / "store" / said)
    assert "has come to its end" in refused(with_nothing_remembered(played, "lost too"))
    abandon(played)

    longer = replace(ENDS_AFTER_TWO, max_rounds=ROUNDS + 1)
    liar.plan = replace(liar.plan, stopping=longer)
    played.agree()
    played.open_round()
    assert isinstance(client.cycle(), Train)


def test_no_round_is_opened_or_played_above_the_number_that_the_plan_promises(
    play: Callable[..., LocalFederation],
) -> None:
    """Also where a round before was abandoned, so that fewer were finalized."""
    played = play(rounds=1)
    played.open_round()
    abandon(played)
    assert played.organization.cycle() == Stop("max_rounds")
    liar_of(played).goes_on = True
    played.open_round()
    assert "its plan promises that no round follows round 1" in refused(played.clients[0])


def test_a_round_that_pays_nothing_is_refused_unless_the_configuration_accepts_it(
    play: Callable[..., LocalFederation],
) -> None:
    played = play()
    organization, [client] = played.organization, played.clients
    organization.settings = replace(organization.settings, round=replace(organization.settings.round, reward=0))
    played.open_round()
    assert "it guarantees no reward: set client.accept_unpaid_rounds = true" in refused(client)
    client.settings = replace(client.settings, accept_unpaid_rounds=True)
    assert isinstance(client.cycle(), Train)


def test_the_gas_of_a_day_goes_to_the_update_and_the_claim_waits_for_the_next_day(
    play: Callable[..., LocalFederation],
) -> None:
    played = play()
    [client] = played.clients
    allow(client, spent(client) + SUBMIT_GAS - 1)
    played.open_round()
    assert "client.max_gas_per_day allows for 24 hours is not enough" in refused(client)

    allow(client, spent(client) + SUBMIT_GAS)
    assert [type(client.cycle()) for _ in range(3)] == [Train, Submit, Publish]
    played.finalize()
    allow(client, spent(client) + CLAIM_GAS - 1)
    assert "client.max_gas_per_day" in refused(client)
    played.pass_time(DAY)
    assert isinstance(client.cycle(), Claim)


def spent(client: ClientDaemon) -> int:
    return client.journal.gas_spent(client.federation.block().timestamp - DAY)


def allow(client: ClientDaemon, gas: int) -> None:
    client.settings = replace(client.settings, max_gas_per_day=gas)


def test_no_claim_costs_more_than_it_brings_however_dear_gas_is(play: Callable[..., LocalFederation], rpc: str) -> None:
    played = play()
    [client] = played.clients
    played.open_round()
    played.train_and_submit()
    played.finalize()
    owed, _ = played.federation.balance_of(client.address)
    price_gas(played, owed // CLAIM_GAS + 1)
    assert "would cost more gas now than it brings" in refused(client)
    assert "The gas may cost more than that" in claim_by_hand(played, rpc)

    price_gas(played, owed // CLAIM_GAS // 2)  # twice that would be offered where a claim were worth anything
    assert isinstance(client.cycle(), Claim)
    claim = client.journal.intents()[-1]
    [form] = client.journal.broadcasts(claim)
    assert (claim.kind, form.gas_limit is not None) == ("claimed", True)
    assert form.max_fee * (form.gas_limit or 0) <= owed
    assert played.federation.balance_of(client.address)[0] == 0
    price_gas(played, GWEI)  # for the others


def price_gas(played: LocalFederation, wei: int) -> None:
    played.web3.provider.make_request("anvil_setNextBlockBaseFeePerGas", [hex(wei)])  # type: ignore[arg-type]
    played.pass_time(1)


def claim_by_hand(played: LocalFederation, rpc: str) -> str:
    """What `koinon client claim` says before it asks."""
    folder = played.folder
    keystore.import_key(folder / "wallet", played.accounts[1].key.hex(), PASSPHRASE, iterations=FAST)
    client = {
        "federation": played.federation.address,
        "wallet": str(folder / "wallet"),
        "state": str(folder / "by-hand"),
    }
    write(folder / "client.toml", {"network": {"rpc": rpc}, "client": client})
    return succeeds("client", "claim", "--dry-run", "--config", str(folder / "client.toml"), folder=folder)
