"""Clients without coins: what they sign, relays send, and the contract pays. On anvil, over real HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog
from eth_account import Account
from nacl.public import PrivateKey
from typer.testing import CliRunner
from web3 import Web3

from processor.artifacts.round import RoundFile
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.chain.vouchers import sign_voucher
from processor.cid import cid_from_digest
from processor.cli.relay import app
from processor.daemons.handover import Handover, Signed
from processor.daemons.relay import RelayDaemon
from processor.daemons.relay_desk import RelayDesk
from processor.daemons.relay_limits import Rates
from processor.daemons.relay_queue import Queue, queue_path
from processor.daemons.relay_server import answering
from processor.daemons.relayed import PATIENCE, Relayed
from processor.daemons.transactions import Transactions
from processor.demo.processes import make_party, write_config
from processor.errors import Reverted
from processor.journal import Journal
from processor.keystore import state_key
from processor.protocol.decide import Claim, Register, Submit, Wait
from processor.protocol.receipts import Receipt, Verdict, check_receipts, unkept
from processor.protocol.relaying import (
    Budget,
    Flush,
    HandedUpdate,
    Pass,
    PayOut,
    RelayAction,
    encode_handed,
)
from processor.types import Adjustment, Admission, FederationTerms, Phase, RoundTerms, RoundView
from tests.integration.parties import create_federation, wallet
from tests.nodes import free_port, start_anvil

LOG = structlog.get_logger()
TRAINING, AGGREGATION = 400, 200
GWEI = 10**9


def digest_for(what: str, round: int) -> bytes:
    return hashlib.sha256(f"{what} of round {round}".encode()).digest()


def cid_for(what: str, round: int) -> str:
    return cid_from_digest(digest_for(what, round)) or ""


class Client:
    """A wallet without coins, its folder, and the relays that it knows."""

    def __init__(self, federation: Federation, folder: Path, relays: tuple[str, ...]) -> None:
        self.account = Account.create()
        self.federation, self.folder, self.relays = federation, folder, relays
        self.restart()

    def restart(self) -> None:
        federation = self.federation
        identity = (federation.chain_id, federation.address)
        self.handover = Handover(self.account, *identity, self.folder, self.relays, LOG, silence=5)

    @property
    def address(self) -> str:
        return str(self.account.address)

    @property
    def view(self) -> RoundView:
        return self.federation.round_view(self.address)

    @property
    def signed(self) -> Signed:
        """What it signed for the latest round."""
        signed = self.handover.signed(self.view)
        assert signed is not None
        return signed

    @property
    def now(self) -> int:
        return self.federation.block().timestamp

    def register(self) -> Receipt | None:
        return self.handover.hand_over_call(self.handover.sign_registration(self.view, self.now))

    def submit(self, again: bool = False) -> Receipt | None:
        view = self.view
        signed = self.handover.sign(view, cid_for(f"update by {self.address}", view.round), 1_000, self.now)
        return self.handover.hand_over(signed, view, self.now, again=again)

    def decline(self) -> Receipt | None:
        view = self.view
        return self.handover.hand_over(self.handover.sign_decline(view, self.now), view, self.now)

    def coins(self) -> int:
        return self.federation.web3.eth.get_balance(Web3.to_checksum_address(self.address))

    def receipts(self) -> Path:
        return self.folder / "receipts"


class Relay:
    """A relay with a wallet of its own, which can be killed and starts again with what is on disk."""

    def __init__(
        self,
        web3: Web3,
        federation: Federation,
        folder: Path,
        name: str,
        budget: Budget | None = None,
        batch: int = 50,
        threshold: int | None = None,
        per_minute: int = 6_000,
        ether: int = 10,
    ) -> None:
        self.web3, self.federation, self.folder = web3, federation, folder / name
        self.account = wallet(web3, name, ether)
        self.budget = budget or Budget(30_000_000, 1_000_000)
        self.batch, self.threshold, self.per_minute = batch, threshold, per_minute
        self.port = free_port()
        self.start()

    def start(self) -> None:
        identity = (self.federation.chain_id, self.federation.address, self.account.address)
        self.open = ExitStack()
        queue = self.open.enter_context(Queue(queue_path(self.folder), *identity))
        journal = self.open.enter_context(Journal(self.folder / "journal.sqlite", *identity))
        self.desk = RelayDesk(
            account=self.account,
            federation=self.federation,
            queue=queue,
            budget=self.budget,
            log=LOG,
            batch=self.batch,
            claim_threshold=self.threshold,
        )
        transactions = Transactions(Sender(self.web3, self.account), journal, LOG, state_key(self.account), 2)
        self.daemon = RelayDaemon(
            address=self.account.address,
            federation=self.federation,
            transactions=transactions,
            queue=queue,
            desk=self.desk,
            journal=journal,
            log=LOG,
            ticks=lambda: 0.0,
        )
        rates = Rates(self.per_minute, self.per_minute)
        self.open.enter_context(answering(self.desk, ("127.0.0.1", self.port), rates, LOG))

    def stop(self) -> None:
        self.open.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return str(self.account.address)

    def work(self) -> list[RelayAction]:
        """Cycles until there is nothing to do now."""
        done: list[RelayAction] = []
        for _ in range(50):
            action = self.daemon.cycle()
            if isinstance(action, Wait) and action.reason != "a transaction is on its way":
                return done
            if not isinstance(action, Wait):
                done.append(action)
        raise AssertionError(done)

    def post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        answer = requests.post(self.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=10)
        return answer.status_code, answer.json()

    def transactions(self) -> int:
        return self.web3.eth.get_transaction_count(self.account.address)


class Town:
    """An organization, its federation, and who comes to it."""

    def __init__(self, web3: Web3, folder: Path, terms: FederationTerms | None = None, rpc: str = "") -> None:
        self.web3, self.folder, self.rpc = web3, folder, rpc
        self.organization = Sender(web3, wallet(web3, "organization"))
        self.federation = create_federation(web3, self.organization, terms=terms)
        self.organization.send(self.federation.set_initial_model(cid_for("model", 0)))
        self.secrets: dict[int, PrivateKey] = {}
        self.relays: list[Relay] = []

    def __enter__(self) -> Town:
        return self

    def __exit__(self, *failure: object) -> None:
        for relay in self.relays:
            relay.stop()

    def relay(self, name: str, **options: Any) -> Relay:
        """A relay that runs until the town is left."""
        self.relays.append(Relay(self.web3, self.federation, self.folder, name, **options))
        return self.relays[-1]

    def clients(self, count: int, *relays: Relay | str) -> list[Client]:
        urls = tuple(relay if isinstance(relay, str) else relay.url for relay in relays)
        return [Client(self.federation, self.folder / f"client-{number}", urls) for number in range(count)]

    def open_round(self) -> RoundView:
        before = self.federation.round_view()
        number = before.round + 1
        self.secrets[number] = PrivateKey(digest_for("secret", number))
        terms = RoundTerms(
            plan=cid_for("plan", number),
            sealing_key=bytes(self.secrets[number].public_key),
            training_period=TRAINING,
            aggregation_period=AGGREGATION,
            max_updates=100,
            max_compute_ms=2_000,
            selection_rate=10_000,
            reward_rate_cap=GWEI * 10**9,
            reward=10**15,
        )
        self.organization.send(self.federation.open_round(terms, before.digest))
        return self.federation.round_view()

    def finalize(self) -> None:
        view = self.federation.round_view()
        self.organization.send(
            self.federation.finalize_round(
                view.round,
                view.digest,
                cid_for("model", view.round),
                cid_for("report", view.round),
                list[Adjustment](),
                bytes(self.secrets[view.round]),
            )
        )

    def pass_time(self, seconds: int) -> None:
        ask(self.web3, "evm_increaseTime", seconds)
        ask(self.web3, "evm_mine")

    def list_of_round(self) -> RoundFile:
        """The latest round, as the organization keeps it."""
        federation, view = self.federation, self.federation.round_view()
        return RoundFile.of(
            federation.chain_id, federation.address, view.opening, federation.updates(), federation.record()
        )


def ask(web3: Web3, method: str, *parameters: Any) -> Any:
    return web3.provider.make_request(method, list(parameters)).get("result")  # type: ignore[arg-type]


@pytest.fixture
def rpc(tmp_path: Path) -> Iterator[str]:
    with start_anvil(tmp_path / "anvil") as node:
        yield node.rpc_url


@pytest.fixture
def web3(rpc: str) -> Web3:
    return connect(rpc)


@pytest.fixture
def town(web3: Web3, tmp_path: Path, rpc: str) -> Iterator[Town]:
    with Town(web3, tmp_path, rpc=rpc) as town:
        yield town


@pytest.fixture
def voucher_town(web3: Web3, tmp_path: Path) -> Iterator[Town]:
    with Town(web3, tmp_path, FederationTerms(admission=Admission.VOUCHER)) as town:
        yield town


@pytest.fixture
def staked_town(web3: Web3, tmp_path: Path) -> Iterator[Town]:
    with Town(web3, tmp_path, FederationTerms(stake=10**15, max_slash_rate=100)) as town:
        yield town


def registered(town: Town, count: int, relay: Relay, *others: Relay | str) -> list[Client]:
    clients = town.clients(count, relay, *others)
    assert all(client.register() for client in clients)
    assert [type(action) for action in relay.work()] == [Pass] * count
    assert [client.view.client.member for client in clients] == [True] * count
    return clients


# ------------------------------------------------------------------------------------------------------- all is well


def test_clients_without_coins_register_submit_in_one_batch_and_are_paid(town: Town) -> None:
    relay = town.relay("relay", threshold=1)
    clients = registered(town, 3, relay)
    for number in (1, 2):
        town.open_round()
        for client in clients[:2]:
            assert client.submit() is not None
        assert relay.work() == []  # one is missing, and there is time
        before = relay.transactions()
        assert clients[2].submit() is not None
        [action] = relay.work()[-1:]
        assert isinstance(action, Flush) and len(action.taken) == 3
        assert relay.transactions() == before + 1
        view = town.federation.round_view()
        assert (view.phase, view.update_count) == (Phase.AGGREGATING, 3)
        assert {line.client for line in town.federation.updates()} == {client.address for client in clients}
        town.finalize()
        paid = [action for action in relay.work() if isinstance(action, PayOut)]
        assert {action.client for action in paid} == {client.address for client in clients}
        assert [client.coins() for client in clients] == [number * GWEI] * 3


def test_one_that_declines_is_awaited_no_more_and_an_update_is_sent_when_half_of_the_time_is_left(town: Town) -> None:
    relay = town.relay("relay")
    clients = registered(town, 3, relay)
    view = town.open_round()
    assert clients[0].submit() is not None
    town.pass_time((view.training_deadline - clients[0].now) // 2 - 10)
    assert relay.work() == []
    town.pass_time(11)
    [flushed] = relay.work()
    assert isinstance(flushed, Flush) and [each.handed.client for each in flushed.taken] == [clients[0].address]
    assert clients[1].decline() is not None and clients[2].submit() is not None
    [flushed] = relay.work()
    assert isinstance(flushed, Flush) and len(flushed.taken) == 2
    view = town.federation.round_view()
    assert (view.update_count, view.absent_count, view.phase) == (2, 1, Phase.AGGREGATING)


def test_a_full_batch_does_not_wait(town: Town) -> None:
    relay = town.relay("relay", batch=2)
    clients = registered(town, 4, relay)
    town.open_round()
    for client in clients[:3]:
        assert client.submit() is not None
    [flushed] = relay.work()
    assert isinstance(flushed, Flush) and len(flushed.taken) == 2
    assert town.federation.round_view().update_count == 2


def test_whoever_signed_it_leaves_through_a_relay_and_is_paid_where_it_said(town: Town) -> None:
    relay = town.relay("relay")
    [client, other] = registered(town, 2, relay)
    to = Account.create().address
    town.open_round()
    assert client.submit() and other.submit() and relay.work()
    town.finalize()
    handed = client.handover.sign_leaving(client.view, client.now, to)
    assert client.handover.sign_leaving(client.view, client.now, to) == handed
    assert client.handover.hand_over_call(handed) is not None
    assert [type(action) for action in relay.work()] == [Pass]
    assert not client.view.client.member
    assert town.web3.eth.get_balance(to) == GWEI
    town.open_round()
    status, answer = relay.post("/leaving", encode_handed(handed))
    assert status == 409 or answer["kind"] == "receipt"  # the very same one: its receipt, and nothing is sent for it
    assert relay.work() == []


def test_a_voucher_admits_through_a_relay(voucher_town: Town) -> None:
    town = voucher_town
    relay = town.relay("relay")
    [client] = town.clients(1, relay)
    assert client.register() is None  # without one
    voucher = sign_voucher(
        wallet(town.web3, "organization"),
        town.federation.chain_id,
        town.federation.address,
        client.address,
        client.now + 1_000,
        owner_nonce=0,
    )
    client.restart()
    assert client.handover.hand_over_call(client.handover.sign_registration(client.view, client.now, voucher))
    assert [type(action) for action in relay.work()] == [Pass]
    assert client.view.client.member


# -------------------------------------------------------------------------------------------- refused and replayed


def test_what_is_replayed_in_another_round_key_or_federation_or_was_changed_is_refused(town: Town) -> None:
    relay = town.relay("relay")
    clients = registered(town, 2, relay)
    town.open_round()
    receipt = clients[0].submit()
    assert receipt is not None and isinstance(receipt.taken, HandedUpdate)
    taken = receipt.taken
    assert relay.post("/update", encode_handed(taken)) == (200, json.loads(receipt.encode()))
    elsewhere = replace(taken, federation=Account.create().address)
    changed = replace(taken, compute_ms=2_000)
    stranger = Account.create()
    for other, status, words in (
        (replace(taken, chain_id=taken.chain_id + 1), 400, "works for the federation"),
        (elsewhere, 400, "works for the federation"),
        (changed, 403, "not signed by"),
        (replace(taken, sealing_key="11" * 32), 403, "not signed by"),
        (replace(taken, round=2), 403, "not signed by"),
        (replace(taken, client=stranger.address), 403, "not signed by"),
    ):
        found, answer = relay.post("/update", encode_handed(other))
        assert (found, words in answer["error"]) == (status, True), answer
    second = Handover(
        clients[0].account, taken.chain_id, taken.federation, town.folder / "second", (relay.url,), LOG
    ).sign(clients[0].view, cid_for("another update", 1), 999, clients[0].now)
    found, answer = relay.post("/update", encode_handed(second.handed))
    assert found == 409 and "something else" in answer["error"]
    assert clients[1].submit() and relay.work()
    town.finalize()
    town.open_round()
    found, answer = relay.post(
        "/registration", encode_handed(clients[0].handover.sign_registration(clients[0].view, 1))
    )
    assert found == 409 and "member already" in answer["error"]
    forgetful = town.relay("forgetful")
    found, answer = forgetful.post("/update", encode_handed(taken))
    assert found == 409 and "the latest round is 2" in answer["error"]
    forgetful.stop()


def test_who_is_not_selected_asks_too_much_time_or_comes_too_late_is_told_why(town: Town) -> None:
    relay = town.relay("relay")
    clients = registered(town, 2, relay)
    view = town.open_round()
    [late] = town.clients(3, relay)[2:]
    assert late.register() is not None and relay.work()
    assert late.submit() is None and "did not select" in late.handover._said[relay.url]
    greedy = clients[0].handover.sign(view, cid_for("update", 1), 60_000, clients[0].now)
    assert clients[0].handover.hand_over(greedy, view, clients[0].now) is None
    assert "the contract would refuse it" in clients[0].handover._said[relay.url]
    town.pass_time(TRAINING - 10)
    assert clients[1].submit() is None
    assert "of the training of round 1 are left" in clients[1].handover._said[relay.url]
    assert relay.work() == []


# ------------------------------------------------------------------------------------------------------- withholding


def test_a_relay_that_withholds_learns_nothing_is_named_by_its_receipt_and_holds_nobody_up(town: Town) -> None:
    withholding, honest = town.relay("withholding"), town.relay("honest")
    clients = registered(town, 2, honest)
    for client in clients:
        client.relays = (withholding.url, honest.url)
        client.restart()
    view = town.open_round()
    receipts = [client.submit() for client in clients]
    assert [receipt.relay for receipt in receipts if receipt] == [withholding.address] * 2
    assert all(b"update by" not in (receipt.encode() if receipt else b"") for receipt in receipts)
    town.pass_time(clients[0].signed.every_relay_at(view.training_deadline) - clients[0].now)
    clients[0].restart()
    assert clients[0].submit() is not None  # to all that have given no receipt
    left = view.training_deadline - clients[0].now
    town.pass_time(left // 2 + 1)
    [flushed] = honest.work()
    assert isinstance(flushed, Flush) and town.federation.round_view().update_count == 1
    town.pass_time(left)
    rounds, identity = {1: town.list_of_round()}, (town.federation.chain_id, town.federation.address)
    kept = check_receipts(clients[0].receipts(), rounds, *identity)
    updates = [finding for finding in kept if finding.verdict is not Verdict.NOT_LISTED]
    assert [finding.verdict for finding in updates] == [Verdict.KEPT] * 2
    lost = check_receipts(clients[1].receipts(), rounds, *identity)
    assert [finding.verdict for finding in lost if finding.verdict is not Verdict.NOT_LISTED] == [Verdict.MISSING]
    assert unkept(lost) == [withholding.address] and unkept(kept) == []


def test_two_relays_with_the_same_updates_submit_them_once(town: Town) -> None:
    first, second = town.relay("first"), town.relay("second")
    clients = registered(town, 3, first)
    town.open_round()
    for client in clients[:2]:
        assert client.submit() is not None
        signed = client.signed
        assert second.post("/update", encode_handed(signed.handed))[0] == 200
    town.pass_time(TRAINING // 2 + 1)
    [flushed] = first.work()
    assert isinstance(flushed, Flush)
    assert second.work() == [] and second.transactions() == 0
    assert second.post("/update", encode_handed(clients[0].signed.handed))[0] == 200
    assert [line.client for line in town.federation.updates()] == [client.address for client in clients[:2]]


def test_a_batch_that_another_was_faster_with_costs_no_second_update(town: Town) -> None:
    relay = town.relay("relay")
    clients = registered(town, 2, relay)
    town.open_round()
    signed = []
    for client in clients:
        receipt = client.submit()
        assert receipt is not None and isinstance(receipt.taken, HandedUpdate)
        signed.append(receipt.taken)
    by_hand = town.federation.submit_updates(1, bytes.fromhex(signed[0].sealing_key), [signed[0].signed])
    town.organization.send(by_hand)  # in front of the relay
    [flushed] = relay.work()
    assert isinstance(flushed, Flush) and [each.handed for each in flushed.taken] == [signed[1]]
    with pytest.raises(Reverted, match="in Aggregating, which does not allow this"):
        town.organization.send(by_hand)


# ------------------------------------------------------------------------------------------------ whatever happens


def test_a_relay_that_was_killed_with_a_queue_goes_on_where_it_was(town: Town) -> None:
    relay = town.relay("relay")
    clients = registered(town, 3, relay)
    town.open_round()
    receipts = [client.submit() for client in clients[:2]]
    relay.stop()
    assert clients[2].submit() is None
    relay.start()
    for client, receipt in zip(clients[:2], receipts, strict=True):
        assert receipt is not None
        assert relay.post("/update", encode_handed(client.signed.handed)) == (200, json.loads(receipt.encode()))
    clients[2].restart()
    assert clients[2].submit() is not None
    [flushed] = relay.work()
    assert isinstance(flushed, Flush) and len(flushed.taken) == 3


def test_after_a_reorganization_the_very_same_signatures_are_sent_again(town: Town) -> None:
    relay = town.relay("relay")
    clients = registered(town, 2, relay)
    town.open_round()
    for _ in range(3):
        ask(town.web3, "evm_mine")
    receipts = [client.submit() for client in clients]
    [flushed] = relay.work()
    assert isinstance(flushed, Flush) and town.federation.round_view().update_count == 2
    ask(town.web3, "anvil_reorg", 2, [])
    assert town.federation.round_view().update_count == 0
    ask(town.web3, "anvil_dropAllTransactions")
    assert [client.submit(again=True) for client in clients] == receipts
    for _ in range(5):
        relay.daemon.cycle()
        ask(town.web3, "evm_mine")
    assert town.federation.round_view().update_count == 2
    lines = town.federation.updates()
    signed = {(client.signed.handed.client, client.signed.handed.update) for client in clients}
    assert {(line.client, line.update) for line in lines} == signed


def test_a_client_signs_once_in_a_round_whatever_happens(town: Town) -> None:
    relay = town.relay("relay")
    [client, other] = registered(town, 2, relay)
    view = town.open_round()
    signed = client.handover.sign(view, cid_for("update", 1), 1_000, client.now)
    client.restart()
    assert client.handover.sign(view, cid_for("another", 1), 2_000, client.now + 50) == signed
    assert client.handover.sign_decline(view, client.now) == signed
    declined = other.handover.sign_decline(view, other.now)
    assert declined.handed.declines
    assert other.handover.sign(view, cid_for("update", 1), 1_000, other.now) == declined


# ---------------------------------------------------------------------------- what a client's daemon does by relays


def test_a_client_without_coins_waits_for_its_relays_and_never_sends(town: Town) -> None:
    relay = town.relay("relay", threshold=1)
    [client, other] = registered(town, 1, relay) + town.clients(2, relay)[1:]
    relayed = Relayed(other.handover, town.federation)
    block, view = town.federation.block(), other.view
    assert relayed.register(Register(), view, block, None) == Wait("a relay has taken our registration")
    assert relay.work() and other.view.client.member
    view = town.open_round()
    block, action = town.federation.block(), Submit(1)
    assert client.submit() is not None
    waits = relayed.submit(action, view, block, cid_for("update", 1), 1_000)
    assert waits == Wait("a relay has taken our update of round 1")
    assert relay.work() and other.view.client.update == cid_for("update", 1)
    relay.stop()
    town.finalize()
    owes = relayed.claim(Claim(other.view.client.owed), town.federation.block())
    assert isinstance(owes, Wait) and "0.000000001 ETH" in owes.reason
    assert town.web3.eth.get_transaction_count(Web3.to_checksum_address(other.address)) == 0


def test_a_client_with_coins_registers_and_submits_by_itself_where_no_relay_does(town: Town) -> None:
    relay = town.relay("relay")
    registered(town, 1, relay)
    relay.stop()
    [rich] = town.clients(3, relay)[2:]
    ask(town.web3, "anvil_setBalance", rich.address, hex(10**18))
    relayed = Relayed(rich.handover, town.federation)
    assert relayed.register(Register(), rich.view, town.federation.block(), None) == Register()
    relay.start()
    rich.restart()
    relayed = Relayed(rich.handover, town.federation)
    assert isinstance(relayed.register(Register(), rich.view, town.federation.block(), None), Wait)
    town.pass_time(PATIENCE + 1)  # the relay has a receipt out, and sends nothing
    assert relayed.register(Register(), rich.view, town.federation.block(), None) == Register()
    assert relay.work() and rich.view.client.member
    view, action = town.open_round(), Submit(1)
    first = relayed.submit(action, view, town.federation.block(), cid_for("update", 1), 1_000)
    assert first == Wait("a relay has taken our update of round 1")
    town.pass_time(TRAINING * 3 // 4 - 10)
    assert relayed.submit(action, view, town.federation.block(), cid_for("update", 1), 1_000) == first
    town.pass_time(20)
    assert relayed.submit(action, view, town.federation.block(), cid_for("another", 1), 2_000) == action
    assert rich.signed.handed.update == cid_for("update", 1) and rich.signed.handed.compute_ms == 1_000


def test_who_declined_by_signature_never_submits(town: Town) -> None:
    relay = town.relay("relay")
    [client, _other] = registered(town, 2, relay)
    view = town.open_round()
    client.handover.sign_decline(view, client.now)
    relayed = Relayed(client.handover, town.federation)
    waits = relayed.submit(Submit(1), view, town.federation.block(), cid_for("update", 1), 1_000)
    assert waits == Wait("round 1: we have signed that we decline")
    town.pass_time(TRAINING // 2 + 1)
    assert relay.work() and client.view.client.declined


def test_nobody_stakes_for_another(staked_town: Town) -> None:
    town = staked_town
    relay = town.relay("relay")
    [client] = town.clients(1, relay)
    relayed = Relayed(client.handover, town.federation)
    assert relayed.register(Register(), client.view, town.federation.block(), None) == Register()
    assert client.register() is None and "asks for a stake" in client.handover._said[relay.url]


# ----------------------------------------------------------------------------------------------- budgets and limits


def test_a_relay_promises_no_more_gas_than_its_budgets_allow(town: Town) -> None:
    stingy = town.relay("stingy", budget=Budget(gas_per_day=400_000, gas_per_client=150_000))
    clients = town.clients(3, stingy)
    assert clients[0].register() is not None  # half of a day's gas is for registrations: 200,000
    assert clients[1].register() is None and "registrations" in clients[1].handover._said[stingy.url]
    assert stingy.work()
    town.open_round()
    assert clients[0].submit() is None and "on one client" in clients[0].handover._said[stingy.url]
    town.pass_time(24 * 3600)
    town.open_round()
    clients[0].restart()
    assert clients[0].submit() is not None  # another day


def test_a_relay_without_coins_takes_nothing(town: Town) -> None:
    poor = town.relay("poor", ether=0)
    [client] = town.clients(1, poor)
    assert client.register() is None
    assert "no coins left" in client.handover._said[poor.url]


def test_a_client_that_hands_over_too_often_waits(town: Town) -> None:
    relay = town.relay("relay")
    [client] = town.clients(1, relay)
    handed = client.handover.sign_registration(client.view, client.now)
    found = [relay.post("/registration", encode_handed(handed))[0] for _ in range(8)]
    assert found == [200] * 6 + [429] * 2


def test_the_status_says_what_anybody_may_know(town: Town) -> None:
    relay = town.relay("relay", threshold=5)
    registered(town, 1, relay)
    town.open_round()
    relay.work()
    answer = requests.get(f"{relay.url}/status", timeout=10)
    said = answer.json()
    assert said["relay"] == relay.address and said["federation"] == town.federation.address
    assert (said["round"], said["waiting"], said["claim_threshold"]) == (1, 0, "5")
    assert 0 < said["gas_promised_today"] < 200_000


# ------------------------------------------------------------------------------------------------- as a program


PROGRAM = [sys.executable, "-c", "from processor.cli.relay import app; app()"]


def configured(town: Town, name: str, **settings: Any) -> Path:
    """The configuration of a relay with a wallet that has coins."""
    party = make_party(town.folder / name, name)
    paid = town.web3.eth.send_transaction(
        {"from": town.web3.eth.accounts[0], "to": party.address, "value": Web3.to_wei(10, "ether")}
    )
    town.web3.eth.wait_for_transaction_receipt(paid, poll_latency=0.05)
    relay = {
        "federation": town.federation.address,
        "wallet": str(party.wallet),
        "passphrase_file": str(party.passphrase_file),
        "state": str(party.state),
        "listen": f"127.0.0.1:{free_port()}",
        "poll_interval": 0.1,
        **settings,
    }
    write_config(party, {"network": {"rpc": town.rpc}, "relay": relay})
    return party.config


def listens(config: Path) -> str:
    return "http://" + str(tomllib.loads(config.read_text())["relay"]["listen"])


def test_a_relay_that_runs_as_a_program_serves_clients_is_killed_and_goes_on(town: Town) -> None:
    config = configured(town, "relay", claim_threshold="1")
    url = listens(config)
    command, environment = [*PROGRAM, "run", "--config", str(config)], {**os.environ, "KOINON_LOG": "json"}

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        assert eventually(lambda: answers(url) or process.poll() is not None) and process.poll() is None
        return process

    with (town.folder / "log").open("wb") as log:
        process = start()
        try:
            clients = town.clients(2, url)
            assert all(client.register() for client in clients)
            assert eventually(lambda: all(client.view.client.member for client in clients))
            town.open_round()
            assert clients[0].submit() is not None
            process.kill()
            process.wait()
            assert clients[1].submit() is None
            process = start()
            clients[1].restart()
            assert clients[1].submit() is not None
            assert eventually(lambda: town.federation.round_view().update_count == 2)
            town.finalize()
            assert eventually(lambda: [client.coins() for client in clients] == [GWEI, GWEI])
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    said = (town.folder / "log").read_text()
    assert '"event": "taken"' in said and '"event": "relayed"' in said and "Traceback" not in said
    assert (config.parent / "passphrase").read_text() not in said


def test_the_check_of_a_relay_finds_what_is_wrong(town: Town) -> None:
    config = configured(town, "relay")
    result = CliRunner().invoke(app, ["check", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.output.splitlines()] == [
        ["node", "ok"],
        ["chain", "ok"],
        ["contract", "ok"],
        ["key", "ok"],
        ["balance", "ok"],
        ["clock", "ok"],
        ["listen", "ok"],
        ["disk", "ok"],
    ]
    poor = configured(town, "poor", wallet=str(make_party(town.folder / "nobody", "nobody").wallet))
    with socket.socket() as taken:
        host, port = listens(poor).removeprefix("http://").split(":")
        taken.bind((host, int(port)))
        taken.listen()
        result = CliRunner().invoke(app, ["check", "--json", "--config", str(poor)])
    assert result.exit_code == 1
    found = {each["check"]: each["status"] for each in json.loads(result.output)["checks"]}
    assert (found["key"], found["balance"], found["listen"], found["contract"]) == ("failed", "failed", "failed", "ok")


def answers(url: str) -> bool:
    try:
        return bool(requests.get(f"{url}/status", timeout=5).ok)
    except requests.RequestException:
        return False


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds within a minute."""
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.1)
    return False
