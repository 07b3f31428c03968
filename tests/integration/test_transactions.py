"""Transactions that get stuck, lost or reorganized away, on real nodes: none is forgotten and none is made twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_account import Account
from web3 import Web3

from processor.chain.fates import Verdict
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.chain.snapshot import Snapshots
from processor.chain.transactions import Sender
from processor.daemons.forms import signed_bytes
from processor.daemons.transactions import Transactions
from processor.demo.play import fees_of
from processor.errors import ChainError, NotAccepted, Reverted
from processor.journal import CANCELLED, DROPPED, FAILED, MINED, Journal
from processor.keystore import state_key
from processor.protocol.decide import OpenRound, Submit, Train, Wait
from processor.protocol.history import record_of_file
from processor.types import Phase
from tests.integration.local_federation import LocalFederation
from tests.integration.mined import mining_at_once
from tests.integration.parties import account_of, create_federation, wallet
from tests.nodes import find_program, start_anvil, start_geth

GWEI = 10**9
STUCK_AFTER = 20
SMALL_BLOCK = 100_000  # gas: less than a registration takes


@pytest.fixture
def web3(tmp_path: Path) -> Iterator[Web3]:
    with start_anvil(tmp_path / "anvil") as node:
        yield mining_at_once(connect(node.rpc_url))


@pytest.fixture
def federation(web3: Web3) -> Federation:
    return create_federation(web3, Sender(web3, wallet(web3, "organization")))


def ask(web3: Web3, method: str, *parameters: Any) -> Any:
    return web3.provider.make_request(method, list(parameters)).get("result")  # type: ignore[arg-type]


def mine(web3: Web3, blocks: int = 1) -> None:
    for _ in range(blocks):
        ask(web3, "evm_mine")


class Party:
    """A wallet that sends, can be killed, and starts again with what is on disk."""

    def __init__(self, web3: Web3, federation: Federation, folder: Path, ceiling: int | None = None) -> None:
        self.web3, self.federation, self.folder = web3, federation, folder
        self.account = Account.create()
        self.ceiling = ceiling
        paid = web3.eth.send_transaction(
            {"from": web3.eth.accounts[0], "to": self.account.address, "value": Web3.to_wei(10, "ether")}
        )
        web3.eth.wait_for_transaction_receipt(paid, poll_latency=0.05)
        self.start()

    def start(self) -> None:
        journal = Journal(
            self.folder / "journal", self.federation.chain_id, self.federation.address, self.account.address
        )
        self.transactions = Transactions(
            Sender(self.web3, self.account, max_fee_per_gas=self.ceiling),
            journal,
            structlog.get_logger(),
            state_key(self.account),
            confirmations=3,
            stuck_after=STUCK_AFTER,
        )

    def register(self) -> None:
        self.transactions.send("registered", self.federation.register())

    def follow(self) -> None:
        self.transactions.follow(self.federation.block())

    @property
    def fate(self) -> list[str | None]:
        return [intent.status for intent in self.transactions.journal.intents()]

    @property
    def hashes(self) -> list[str]:
        """Every form of the one transaction, latest first."""
        (intent,) = self.transactions.journal.intents()
        return [form.tx_hash for form in self.transactions.journal.broadcasts(intent)]

    @property
    def nonces(self) -> tuple[int, int]:
        return self.transactions.sender.nonces()

    def member(self) -> bool:
        return self.federation.round_view(self.account.address).client.member


@pytest.fixture
def party(web3: Web3, federation: Federation, tmp_path: Path) -> Party:
    return Party(web3, federation, tmp_path)


def test_fees_are_counted_of_what_a_daemon_was_ended_before_it_saw_mined(party: Party, web3: Web3) -> None:
    hold_back(web3)
    party.register()
    party.transactions.journal.close()
    mine(web3)
    party.start()
    assert party.fate == [None]
    (cost,) = [web3.eth.get_transaction_receipt(each)["gasUsed"] for each in party.hashes]  # type: ignore[arg-type]
    price = web3.eth.get_transaction_receipt(party.hashes[0])["effectiveGasPrice"]  # type: ignore[arg-type]
    assert fees_of(web3, party.transactions.journal) == cost * price > 0


def hold_back(web3: Web3) -> None:
    """Transactions wait from now on, until a block is asked for."""
    ask(web3, "evm_setAutomine", False)


def make_stuck(web3: Web3, party: Party) -> None:
    """Mines blocks with no room for what is on its way, until that is stuck."""
    ask(web3, "evm_setBlockGasLimit", hex(SMALL_BLOCK))
    ask(web3, "evm_increaseTime", STUCK_AFTER + 1)
    mine(web3)
    assert party.fate == [None]


def make_room(web3: Web3) -> None:
    ask(web3, "evm_setBlockGasLimit", hex(30_000_000))


# ------------------------------------------------------------------------------------------------------------- fees


def test_a_stuck_transaction_is_replaced_under_the_same_nonce_with_higher_fees(web3: Web3, party: Party) -> None:
    hold_back(web3)
    party.register()
    party.follow()
    assert len(party.hashes) == 1
    make_stuck(web3, party)
    party.follow()
    after, before = forms(party)
    assert after.max_fee > before.max_fee * 1.1 and after.priority_fee > before.priority_fee * 1.1
    make_room(web3)
    mine(web3)
    party.follow()
    assert (party.fate, party.nonces, party.member()) == ([MINED], (1, 1), True)


def test_a_replacement_keeps_to_the_ceiling_and_says_why_it_waits(
    web3: Web3, federation: Federation, tmp_path: Path
) -> None:
    party = Party(web3, federation, tmp_path)
    hold_back(web3)
    party.register()
    party.ceiling = forms(party)[0].max_fee + 1
    party.start()
    make_stuck(web3, party)
    with structlog.testing.capture_logs() as logs:
        party.follow()
        party.follow()
    assert len(party.hashes) == 1
    assert ["max_fee_per_gas" in line["reason"] for line in logs if line["event"] == "transaction stuck"] == [True]
    make_room(web3)
    mine(web3)
    party.follow()
    assert party.fate == [MINED]


def test_what_the_node_lost_because_gas_became_dearer_is_sent_with_more(web3: Web3, party: Party) -> None:
    hold_back(web3)
    party.register()
    ask(web3, "anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    mine(web3)  # anvil forgets what pays less than that
    party.follow()
    assert forms(party)[0].max_fee > 50 * GWEI
    mine(web3)
    party.follow()
    assert (party.fate, party.nonces, party.member()) == ([MINED], (1, 1), True)


def test_a_stuck_transaction_that_the_contract_would_refuse_by_now_is_cancelled_and_leaves_no_gap(
    web3: Web3, party: Party
) -> None:
    hold_back(web3)
    party.register()
    make_stuck(web3, party)
    organization = Sender(web3, account_of("organization"))
    organization.broadcast(organization.sign(party.federation.close(), organization.mined()).raw)
    mine(web3)
    assert party.federation.closed() and party.fate == [None]
    party.follow()
    mine(web3)
    party.follow()
    assert (party.fate, party.nonces, party.member()) == ([CANCELLED], (1, 1), False)


# ------------------------------------------------------------------------------------------------------------ losses


def test_a_transaction_that_the_node_lost_is_sent_again_to_the_byte(web3: Web3, party: Party) -> None:
    hold_back(web3)
    party.register()
    (hash,) = party.hashes
    ask(web3, "anvil_dropTransaction", hash)
    party.follow()
    assert party.hashes == [hash]
    mine(web3)
    party.follow()
    assert (party.fate, party.member()) == ([MINED], True)


def killed_before_sending(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registration is written down, and then the program is killed and starts again."""

    def killed(raw: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(party.transactions.sender, "broadcast", killed)
    with pytest.raises(KeyboardInterrupt):
        party.register()
    party.start()


def test_a_daemon_killed_between_writing_down_and_sending_sends_after_its_restart(
    web3: Web3, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_sending(party, monkeypatch)
    assert party.transactions.pending()
    party.follow()
    party.follow()
    assert (party.fate, party.nonces, party.member()) == ([MINED], (1, 1), True)


def test_a_nonce_that_somebody_else_used_is_given_up_and_the_next_is_free(web3: Web3, party: Party) -> None:
    hold_back(web3)
    party.register()
    (hash,) = party.hashes
    ask(web3, "anvil_dropTransaction", hash)
    ask(web3, "evm_setAutomine", True)
    Sender(web3, party.account).send(party.federation.fund(1))
    party.follow()
    assert party.fate == [DROPPED]
    party.register()
    assert (party.fate, party.nonces) == ([DROPPED, MINED], (2, 2))


def test_a_command_waits_for_what_the_daemon_has_on_its_way(web3: Web3, party: Party) -> None:
    hold_back(web3)
    party.register()
    daemon = party.transactions
    party.start()  # the same wallet and journal in another program
    with pytest.raises(ChainError, match="earlier transaction on its way"):
        party.transactions.send("funded", party.federation.fund(1))
    for _ in range(3):
        daemon.follow(party.federation.block())
        party.follow()
    assert len(party.hashes) == 1
    ask(web3, "evm_setAutomine", True)
    mine(web3)
    receipt = party.transactions.complete("funded", party.federation.fund(1), pause=0.05)
    assert (receipt.succeeded, party.nonces, party.fate) == (True, (2, 2), [MINED, MINED])


def test_a_command_after_a_crash_sends_what_was_written_down_first(
    web3: Web3, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_sending(party, monkeypatch)
    party.transactions.complete("left", party.federation.leave(party.account.address), pause=0.05)
    assert (party.nonces, party.fate, party.member()) == ((2, 2), [MINED, MINED], False)


def test_a_transaction_that_the_node_refuses_is_tried_again_for_the_same_price(
    web3: Web3, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(raw: bytes) -> None:
        raise NotAccepted("txpool is full")

    broadcast = party.transactions.sender.broadcast
    monkeypatch.setattr(party.transactions.sender, "broadcast", refused)
    for _ in range(3):
        with pytest.raises(NotAccepted):
            party.register()
    monkeypatch.setattr(party.transactions.sender, "broadcast", broadcast)
    party.register()
    assert (party.fate, len(party.hashes), party.nonces) == ([MINED], 1, (1, 1))


def test_a_transaction_that_was_given_up_too_early_is_known_when_it_is_mined_after_all(
    web3: Web3, party: Party
) -> None:
    hold_back(web3)
    party.register()
    (intent,) = party.transactions.journal.intents()
    party.transactions.journal.settle_intent(intent, DROPPED, block=party.federation.block().number)
    assert not party.transactions.pending()
    mine(web3)
    party.follow()
    assert party.fate == [MINED]


def test_a_transaction_that_the_journal_does_not_know_is_waited_for_and_then_outbid(web3: Web3, party: Party) -> None:
    hold_back(web3)
    stranger = Sender(web3, party.account)
    stranger.broadcast(stranger.sign(party.federation.fund(7), 0).raw)
    with pytest.raises(ChainError, match="does not know"):
        party.register()
    ask(web3, "evm_increaseTime", STUCK_AFTER + 1)
    ask(web3, "anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    mine(web3)
    for _ in range(10):  # each attempt offers a step more, until the node takes it
        try:
            party.register()
            break
        except ChainError as error:
            assert "asks for more than" in str(error)
    mine(web3)
    party.follow()
    assert (party.fate[-1], party.nonces, party.member()) == (MINED, (1, 1), True)


def test_a_transaction_that_fails_in_its_block_is_said_with_its_reason(web3: Web3, party: Party) -> None:
    hold_back(web3)
    party.register()
    ask(web3, "anvil_dropTransaction", party.hashes[0])  # before the next is priced on what is pending
    twin = Sender(web3, account_of("organization"))
    twin.broadcast(twin.sign(party.federation.close(), twin.mined(), None).raw)
    mine(web3)  # the federation is closed
    party.transactions.sender.broadcast(signed_bytes(forms(party)[0], state_key(party.account)))
    mine(web3)
    with structlog.testing.capture_logs() as logs:
        party.follow()
    assert party.fate == [FAILED]
    (said,) = [line["error"] for line in logs if line["event"] == "transaction failed"]
    assert "the federation is closed" in said


def forms(party: Party) -> list[Any]:
    (intent,) = party.transactions.journal.intents()
    return party.transactions.journal.broadcasts(intent)


def test_a_person_waits_until_a_command_is_mined_and_hears_why_it_was_refused(web3: Web3, party: Party) -> None:
    receipt = party.transactions.complete("registered", party.federation.register(), pause=0.05)
    assert receipt.succeeded and party.member()
    with pytest.raises(Reverted, match="registered already"):
        party.transactions.complete("registered", party.federation.register())


# -------------------------------------------------------------------------------------------------- reorganizations


def test_a_transaction_is_followed_until_it_is_deep_enough(web3: Web3, party: Party) -> None:
    party.register()
    assert party.fate == [MINED] and party.transactions.unconfirmed()
    mine(web3, 2)
    party.follow()
    assert party.transactions.unconfirmed()
    mine(web3)
    party.follow()
    assert not party.transactions.unconfirmed()


def test_a_transaction_in_a_block_above_the_head_is_on_its_way_for_whoever_decides_by_that_head(
    web3: Web3, party: Party
) -> None:
    hold_back(web3)
    party.register()
    head = party.federation.block()
    mine(web3)
    party.transactions.follow(head)
    assert party.transactions.pending()
    party.follow()
    assert party.fate == [MINED]


def test_a_transaction_whose_block_vanished_is_in_the_chain_again(web3: Web3, party: Party) -> None:
    party.register()
    (hash,) = party.hashes
    mine(web3)
    hold_back(web3)
    ask(web3, "anvil_reorg", 2, [])
    assert not party.member()
    party.follow()
    mine(web3)
    party.follow()
    assert (party.fate, party.hashes, party.nonces, party.member()) == ([MINED], [hash], (1, 1), True)


@pytest.fixture
def opened(web3: Web3, tmp_path: Path) -> LocalFederation:
    """Two clients in the first round, on a chain that may be reorganized six blocks deep."""
    federation = LocalFederation(web3, tmp_path, clients_wanted=2, rounds_wanted=1, confirmations=6)
    federation.register()
    federation.open_round()
    return federation


def until(opened: LocalFederation, number: int, wanted: type) -> None:
    for _ in range(8):
        if isinstance(opened.clients[number].cycle(), wanted):
            return
    raise AssertionError(f"the client did not {wanted.__name__}")


def test_an_update_in_a_block_that_vanished_is_submitted_again_once_and_is_the_same(
    web3: Web3, opened: LocalFederation
) -> None:
    opened.train_and_submit(0)
    client = opened.clients[0]
    submitted = opened.federation.round_view(client.address).client.update
    mine(web3, 2)
    client.cycle()
    ask(web3, "anvil_reorg", 3, [])
    assert opened.federation.round_view(client.address).client.update is None
    restarted = opened.client(0)
    for _ in range(4):
        action = restarted.cycle()
        assert not isinstance(action, Train)
    again = opened.federation.round_view(client.address)
    assert (again.client.update, again.update_count) == (submitted, 1)
    saved = restarted.journal.update_in(1, again.sealing_key)
    assert saved is not None and saved.cid == submitted and saved.published and saved.seen_at is not None
    sent = [intent for intent in restarted.journal.intents() if intent.kind == "submitted"]
    assert [intent.status for intent in sent if intent.status != DROPPED] == [MINED]


def test_a_round_whose_opening_vanished_opens_again_under_its_key_and_takes_the_very_same_updates(
    web3: Web3, opened: LocalFederation
) -> None:
    key = opened.federation.round_view().sealing_key
    opened.train_and_submit(0, 1)
    submitted = [update.update for update in opened.federation.updates()]
    assert len(submitted) == 2
    ask(web3, "anvil_reorg", 3, [])
    assert opened.federation.round_view().phase is Phase.NONE
    for _ in range(6):
        opened.organization.cycle()
        if opened.federation.round_view().phase is not Phase.NONE:
            break
    assert opened.federation.round_view().sealing_key == key
    for client in opened.clients:
        for _ in range(4):
            assert not isinstance(client.cycle(), Train)
    assert sorted(str(update.update) for update in opened.federation.updates()) == sorted(map(str, submitted))
    opened.finalize()
    assert opened.violations() == []


def test_an_organization_that_starts_anew_after_a_lost_opening_uses_the_same_key(
    web3: Web3, opened: LocalFederation
) -> None:
    key = opened.federation.round_view().sealing_key
    ask(web3, "anvil_reorg", 1, [])
    organization = opened.restarted_organization()
    for intent in organization.journal.unsettled_intents():
        if intent.kind == "round opened":
            organization.journal.settle_intent(intent, DROPPED)
    assert any(isinstance(organization.cycle(), OpenRound) for _ in range(3))
    assert opened.federation.round_view().sealing_key == key


def test_a_key_whose_secret_was_broadcast_opens_no_round_again_whatever_becomes_of_the_blocks(
    web3: Web3, opened: LocalFederation
) -> None:
    key = opened.federation.round_view().sealing_key
    opened.train_and_submit()
    opened.finalize()
    ask(web3, "anvil_reorg", 4, [])  # with the opening
    assert opened.federation.round_view().phase is Phase.NONE
    organization = opened.restarted_organization()
    for intent in organization.journal.unsettled_intents():
        if intent.kind in ("round opened", "round finalized"):
            organization.journal.settle_intent(intent, DROPPED)
    assert any(isinstance(organization.cycle(), OpenRound) for _ in range(3))
    view = opened.federation.round_view()
    assert (view.round, view.phase) == (1, Phase.TRAINING) and view.sealing_key != key


def test_what_an_organization_keeps_of_a_round_follows_the_chain_when_it_is_another_one(
    web3: Web3, opened: LocalFederation
) -> None:
    opened.train_and_submit()
    opened.organization._rounds.keep(Snapshots(opened.federation).latest())
    before = opened.kept(1)
    ask(web3, "anvil_reorg", 2, [])  # with both updates
    for _ in range(4):
        opened.clients[0].cycle()
    opened.pass_time(opened.training_period)
    opened.finalize()
    opened.organization.cycle()
    after = opened.kept(1)
    assert (len(before.updates), len(after.updates)) == (2, 1) and after.outcome is not None
    assert record_of_file(after) == opened.federation.record()
    assert opened.violations() == []


def test_on_geth_what_used_a_nonce_is_proven_and_what_is_taken_away_is_sent_again(tmp_path: Path) -> None:
    with start_geth(find_program("geth"), tmp_path) as node:
        web3 = connect(node.rpc_url)
        federation = create_federation(web3, Sender(web3, wallet(web3, "organization")))
        party = Party(web3, federation, tmp_path)
        before = federation.block().number
        receipt = party.transactions.complete("registered", federation.register(), pause=0.1)
        assert party.member()
        used = Verdict(receipt.block, receipt.block_hash, receipt.tx_hash, ours=True)
        sender = party.transactions.sender
        assert sender.verdict(0, [receipt.tx_hash]) == used
        assert sender.verdict(0, ["0x" + "11" * 32]) == replace(used, ours=False) and sender.verdict(1, []) is None
        ask(web3, "debug_setHead", hex(before))
        for _ in range(100):
            party.follow()
            if party.fate == [MINED] and party.member():
                break
            wait_for_a_block(web3)
        assert (party.fate, party.nonces[0], party.member()) == ([MINED], 1, True)
        assert party.hashes == [receipt.tx_hash]


def wait_for_a_block(web3: Web3) -> None:
    before = web3.eth.block_number
    while web3.eth.block_number == before:
        time.sleep(0.1)


def test_a_submission_waits_while_an_earlier_transaction_is_on_its_way(web3: Web3, opened: LocalFederation) -> None:
    client = opened.clients[0]
    until(opened, 0, Train)
    hold_back(web3)
    assert isinstance(client.cycle(), Submit)
    assert client.cycle() == Wait("an earlier transaction is not mined yet")
    mine(web3)
    client.cycle()
    assert opened.federation.round_view().update_count == 1
