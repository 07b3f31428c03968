"""Data that can never be trained on keeps its client from becoming a member, and its daemon from being healthy; and a
federation that is finished is said to be."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_account import Account
from structlog.testing import capture_logs
from web3.types import RPCEndpoint

from processor import keystore
from processor.chain.provider import connect
from processor.daemons.client import ClientDaemon
from processor.daemons.consents import consent_path
from processor.errors import DatasetError
from processor.protocol.decide import Register, Stop, Wait, Working
from tests.integration.command_line import FAST, PASSPHRASE, all_fail, together, write
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node.rpc_url


@pytest.fixture(scope="module")
def town(rpc: str, tmp_path_factory: pytest.TempPathFactory) -> LocalFederation:
    """One of two clients is a member, and was alone in the one round that there is."""
    town = LocalFederation(connect(rpc), tmp_path_factory.mktemp("town"), clients_wanted=2, rounds_wanted=1)
    settings = town.organization.settings
    object.__setattr__(settings, "min_members", 1)
    town.register(0)
    town.open_round()
    return town


@pytest.fixture
def stranger(town: LocalFederation) -> Iterator[ClientDaemon]:
    """The other, whose data, agreement and journal are as they were after each test."""
    web3, daemon = town.web3, town.client(1)
    snapshot = web3.provider.make_request(RPCEndpoint("evm_snapshot"), [])["result"]
    data, agreed = daemon.settings.data, consent_path(daemon.settings.state)
    for each in (data, agreed):
        shutil.copy(each, each.with_suffix(".kept"))
    yield daemon
    for each in (data, agreed):
        shutil.copy(each.with_suffix(".kept"), each)
    for each in daemon.settings.state.glob("journal.db*"):
        each.unlink()
    web3.provider.make_request(RPCEndpoint("evm_revert"), [snapshot])


def meow(data: Path) -> None:
    data.write_text("meow")


def other_columns(data: Path) -> None:
    np.savez(data, features=np.zeros((3, 5), np.float32), labels=np.zeros(3, np.int64))


def other_labels(data: Path) -> None:
    np.savez(data, features=np.zeros((3, 64), np.float32), labels=np.full(3, 10, np.int64))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "there is no data at"),
        (meow, "not an .npz file"),
        (other_columns, "expected an .npz file with"),
        (other_labels, "expected an .npz file with"),
    ],
)
def test_a_client_whose_data_cannot_be_used_does_not_register_before_it_can(
    stranger: ClientDaemon, spoil: Any, said: str
) -> None:
    data = stranger.settings.data
    spoil(data)
    with capture_logs() as logs:
        waiting = stranger.cycle()
        assert stranger.cycle() == waiting
    assert isinstance(waiting, Wait) and "not registered" in waiting.reason and said in waiting.reason
    assert [each["log_level"] for each in logs if each["event"] == "the data cannot be used"] == ["error"]
    healthy, words = stranger.metrics.healthy(stranger.metrics.ticks())
    assert not healthy and said in words

    shutil.copy(data.with_suffix(".kept"), data)
    assert isinstance(stranger.cycle(), Register)
    assert stranger.metrics.healthy(stranger.metrics.ticks())[0]


def test_a_start_with_data_that_cannot_be_used_is_an_error(stranger: ClientDaemon) -> None:
    stranger.require_fitting_data(threading.Event())
    other_columns(stranger.settings.data)
    with pytest.raises(DatasetError, match="expected an .npz file with"):
        stranger.require_fitting_data(threading.Event())


def test_data_that_goes_missing_between_rounds_is_noticed_before_the_next(town: LocalFederation) -> None:
    member = town.client(0)
    block = town.federation.block()
    data, away = member.settings.data, member.settings.data.with_suffix(".away")
    data.rename(away)
    member._inspection.watch()
    assert not member.metrics.healthy(member.metrics.ticks())[0]
    away.rename(data)
    member._inspection.watch()
    assert member.metrics.healthy(member.metrics.ticks())[0]
    assert block == town.federation.block(), "it takes no request and no round"


def test_validation_data_that_goes_missing_is_noticed_before_a_settlement_needs_it(town: LocalFederation) -> None:
    organization = town.organization
    data = organization.settings.validation
    away = data.rename(data.with_suffix(".away"))
    with capture_logs() as logs:
        assert all(isinstance(organization.cycle(), Wait) for _ in range(2))
    assert [each["error"] for each in logs if each["log_level"] == "error"] == [
        f"there is no validation data at {data}: put back the file that this daemon started with"
    ]
    assert not organization.metrics.healthy(organization.metrics.ticks())[0]
    away.rename(data)
    assert isinstance(organization.cycle(), Wait)
    assert organization.metrics.healthy(organization.metrics.ticks())[0]


def test_a_client_that_has_not_agreed_does_not_register(stranger: ClientDaemon) -> None:
    consent_path(stranger.settings.state).unlink()
    waiting = stranger.cycle()
    assert isinstance(waiting, Wait) and "not registered: you have not agreed" in waiting.reason


def test_the_command_to_register_looks_at_the_data_first(town: LocalFederation, rpc: str, tmp_path: Path) -> None:
    keystore.import_key(tmp_path / "wallet", town.accounts[2].key.hex(), PASSPHRASE, iterations=FAST)
    meow(tmp_path / "cats.npz")
    settings = {
        "network": {"rpc": rpc, "store": str(town.folder / "store")},
        "client": {
            "federation": town.federation.address,
            "wallet": str(keystore.list_wallets(tmp_path / "wallet")[0].path),
            "state": str(tmp_path / "state"),
        },
    }
    commands = []
    for name in ("cats.npz", "dogs.npz"):
        told = {**settings, "client": {**settings["client"], "data": name}}
        config = write(tmp_path / f"{name}.toml", told)
        commands.append(["client", "register", "--config", str(config), "--yes"])
    cats, dogs = all_fail(*commands, folder=tmp_path)
    assert "not an .npz file" in cats and "Nothing was sent" in cats
    assert "there is no data at" in dogs and "Nothing was sent" in dogs


def test_the_command_to_register_says_first_that_the_clients_own_settings_refuse_the_rounds(
    town: LocalFederation, rpc: str, tmp_path: Path
) -> None:
    commands = []
    for name, key, changes in (
        ("refusing", town.accounts[2].key, {}),
        ("accepting", town.accounts[2].key, {"accept_public_updates": True}),
        ("poor", Account.create().key, {"relays": ["http://127.0.0.1:1"]}),
    ):
        keystore.import_key(tmp_path / name, key.hex(), PASSPHRASE, iterations=FAST)
        client = {
            "federation": town.federation.address,
            "wallet": str(keystore.list_wallets(tmp_path / name)[0].path),
            "state": str(tmp_path / "state"),
            "data": str(town.folder / "data-1.npz"),
        }
        settings = {"network": {"rpc": rpc, "store": str(town.folder / "store")}, "client": {**client, **changes}}
        config = write(tmp_path / f"{name}.toml", settings)
        commands.append(["client", "register", "--config", str(config), "--dry-run"])
    refusing, accepting, poor = (each.stdout for each in together(*commands, folder=tmp_path))
    for said in (refusing, poor):
        assert "your daemon would refuse a round of this federation" in said
        assert "set accept_public_updates = true" in said
    assert "register" in accepting and "refuse" not in accepting
    assert "is going to sign" in poor


def test_a_federation_that_has_finished_is_said_once_with_what_remains_to_do(
    town: LocalFederation, stranger: ClientDaemon
) -> None:
    town.train_and_submit(0)
    town.finalize()
    assert isinstance(town.organization.cycle(), Stop)
    member = town.clients[0]
    with capture_logs() as logs:
        for _ in range(4):
            member.cycle()
        again = town.client(0)
        again.cycle()
    said = [each for each in logs if each["event"] == "the federation has finished"]
    assert len(said) == 2, "once, and once after a restart"
    assert "max_rounds" in said[0]["reason"]
    assert "koinon client leave" in said[0]["remains"]
    waiting = stranger.cycle()
    assert isinstance(waiting, Wait) and "not registered: the federation has finished" in waiting.reason


def test_a_federation_whose_last_round_was_abandoned_has_finished_too(rpc: str, tmp_path: Path) -> None:
    town = LocalFederation(connect(rpc), tmp_path, clients_wanted=2, rounds_wanted=1)
    object.__setattr__(town.organization.settings, "min_members", 1)
    town.register(0)
    town.open_round()
    town.pass_to_the_end_of(1)
    with capture_logs() as logs:
        for _ in range(3):
            town.clients[0].cycle()
    waiting = town.clients[1].cycle()
    while isinstance(waiting, Working):
        waiting = town.clients[1].cycle()
    (said,) = [each for each in logs if each["event"] == "the federation has finished"]
    assert "no round follows round 1" in said["reason"] and "koinon client leave" in said["remains"]
    assert isinstance(waiting, Wait) and "not registered: the federation has finished" in waiting.reason
