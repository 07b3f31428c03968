"""Transactions whose fate a node does not show, or shows late: none is lost without proof, and none is made twice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from eth_account import Account

from processor.chain.fates import Verdict
from processor.chain.fees import Fees
from processor.chain.receipts import Receipt
from processor.chain.transactions import Call, Sender, SignedIntent
from processor.daemons.transactions import Transactions
from processor.errors import ChainError, NonceUsed, NotAccepted, Reverted
from processor.journal import CANCELLED, DROPPED, MINED, UNKNOWN, Intent, Journal
from processor.protocol.pending import PATIENCE
from processor.types import Block

ADDRESS = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CALL = Call(ADDRESS, b"\1", 0, "fund")
DEPTH = 3


@dataclass
class Node:
    """A node as a sender sees it. `receipts`, `known` and `count` are what it says now, which need not be the truth;
    `proof` is what can be proven of nonces, `elsewhere` the receipts of other nodes."""

    address: str = ADDRESS
    chain_id: int = 1
    head: int = 100
    count: int = 0
    hashes: dict[int, str | None] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    elsewhere: dict[str, Receipt] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    proof: Verdict | None = None
    refusal: ChainError | None = None
    would_revert: bool = False
    sent: list[str] = field(default_factory=list)
    signed: int = 0

    def block(self) -> Block:
        return Block(self.head, self.hash_of(self.head) or "", 1000 + self.head * 12)

    def hash_of(self, number: int) -> str | None:
        return self.hashes.get(number, f"0x{number:064x}" if number <= self.head else None)

    def mined(self) -> int:
        return self.count

    def nonces(self) -> tuple[int, int]:
        return self.count, self.count

    def receipt(self, tx_hash: str) -> Receipt | None:
        return self.receipts.get(tx_hash)

    def receipt_anywhere(self, hashes: Collection[str]) -> Receipt | None:
        return next((self.elsewhere[each] for each in hashes if each in self.elsewhere), None)

    def verdict(self, nonce: int, hashes: Collection[str]) -> Verdict | None:
        return self.proof

    def knows(self, tx_hash: str) -> bool:
        return tx_hash in self.known

    def simulate(self, intent: bytes, at: Block) -> None:
        if self.would_revert:
            raise Reverted("registered already")

    def sign(self, call: Call, nonce: int, at_least: Fees | None = None) -> SignedIntent:
        return self._form(nonce, Fees(10, 1))

    def again(self, intent: bytes, fees: Fees) -> SignedIntent:
        return self._form(int(intent.decode().split()[1]), fees)

    def cancellation(self, nonce: int, fees: Fees) -> SignedIntent:
        return self._form(nonce, fees)

    def outbidding(self, last: Fees, most: int | None = None) -> Fees:
        fees = Fees(last.max_fee * 2, last.priority_fee * 2)
        if most is not None and fees.max_fee > most:
            raise ChainError("above the ceiling")
        return fees

    def broadcast(self, raw: bytes) -> None:
        self.sent.append(raw.decode())
        if self.refusal is not None:
            raise self.refusal
        self.known.add(raw.decode().split()[0])

    def _form(self, nonce: int, fees: Fees) -> SignedIntent:
        self.signed += 1
        tx_hash = f"0x{self.signed:064x}"
        return SignedIntent(nonce, tx_hash, fees, 50_000, f"{tx_hash} {nonce}".encode())

    def mine(self, tx_hash: str, block: int) -> Receipt:
        """The receipt of a transaction that is in the block."""
        return Receipt(tx_hash, block, self.hash_of(block) or f"0x{block:064x}", True, 40_000, 400_000, None, ())


class Stage:
    def __init__(self, path: Path) -> None:
        self.node, self.now = Node(), 0.0
        self.journal = Journal(path / "journal", 1, ADDRESS, Account.create().address)
        self.start()

    def start(self) -> None:
        sender, log = cast(Sender, self.node), structlog.get_logger()
        self.transactions = Transactions(sender, self.journal, log, b"k" * 32, DEPTH, clock=lambda: self.now)

    def send(self) -> str:
        """Sends, and gives the hash."""
        intent = self.transactions.send("funded", CALL)
        return self.journal.broadcasts(intent)[0].tx_hash

    def follow(self, blocks: int = 0, seconds: float = 0) -> None:
        self.node.head += blocks
        self.now += seconds
        self.transactions.follow(self.node.block())

    @property
    def intents(self) -> list[Intent]:
        return self.journal.intents()

    @property
    def fate(self) -> list[str | None]:
        return [intent.status for intent in self.intents]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    with stage.journal:
        yield stage


def other_in(block: int) -> Verdict:
    return Verdict(block, f"0x{block:064x}", "0x" + "ee" * 32, ours=False)


# -------------------------------------------------------------------------------------- receipts that come late


def test_while_a_receipt_is_late_the_transaction_is_on_its_way_and_nothing_else_is_sent(stage: Stage) -> None:
    sent = stage.send()
    stage.node.count, stage.node.proof = 1, Verdict(101, f"0x{101:064x}", sent, ours=True)
    for _ in range(3):
        stage.follow(blocks=1, seconds=12)
        assert stage.fate == [None] and stage.transactions.pending()
        with pytest.raises(ChainError, match="on its way"):
            stage.send()
    stage.node.receipts[sent] = stage.node.mine(sent, 101)
    stage.follow()
    assert stage.fate == [MINED] and len(stage.node.sent) == 1
    assert stage.intents[0].gas == 40_000


def test_a_transaction_without_receipt_is_not_dropped_before_it_is_proven(stage: Stage) -> None:
    stage.send()
    stage.node.count = 1
    stage.follow(blocks=1, seconds=PATIENCE - 1)
    assert stage.fate == [None]
    stage.node.proof = other_in(101)
    stage.follow(seconds=PATIENCE)
    assert stage.fate == [DROPPED]
    assert (stage.intents[0].tx_hash, stage.intents[0].block) == ("0x" + "ee" * 32, 101)
    assert not stage.transactions.pending()


def test_what_another_transaction_excludes_in_a_block_above_the_head_waits_until_the_head_is_there(
    stage: Stage,
) -> None:
    stage.send()
    stage.node.count, stage.node.proof = 1, other_in(103)
    stage.follow(blocks=2)
    assert stage.fate == [None]
    stage.follow(blocks=1)
    assert stage.fate == [DROPPED]


def test_where_history_is_pruned_it_is_unknown_after_depth_and_patience_and_never_dropped(stage: Stage) -> None:
    stage.send()
    stage.node.count = 1
    stage.follow()
    stage.follow(blocks=DEPTH, seconds=PATIENCE - 1)
    assert stage.fate == [None] and stage.transactions.pending()
    stage.follow(seconds=1)
    assert stage.fate == [UNKNOWN] and not stage.transactions.pending()
    stage.follow(blocks=DEPTH)
    assert stage.fate == [UNKNOWN] and stage.journal.unsettled_intents() == []


def test_depth_alone_or_patience_alone_is_not_enough(stage: Stage) -> None:
    stage.send()
    stage.node.count = 1
    stage.follow()
    stage.follow(blocks=100, seconds=1)
    assert stage.fate == [None]
    stage.start()  # a restart begins to wait again
    stage.follow()
    stage.follow(seconds=10 * PATIENCE)
    assert stage.fate == [None]


def test_proof_is_asked_for_less_and_less_often(stage: Stage) -> None:
    stage.send()
    stage.node.count, asked = 1, []
    stage.node.verdict = lambda nonce, hashes: asked.append(nonce)  # type: ignore[method-assign]
    for _ in range(600):
        stage.follow(seconds=1)
    assert 5 < len(asked) < 20


def test_what_a_node_refused_and_took_all_the_same_is_not_sent_again_before_that_is_looked_into(stage: Stage) -> None:
    stage.node.refusal = NotAccepted("internal error")
    with pytest.raises(NotAccepted):
        stage.send()
    stage.node.refusal, stage.node.count = None, 1  # in a block that its head does not show yet
    with pytest.raises(ChainError, match="refused before|on its way"):
        stage.send()
    assert len(stage.node.sent) == 1
    stage.node.receipts[stage.node.sent[0].split()[0]] = stage.node.mine(stage.node.sent[0].split()[0], 101)
    stage.follow(blocks=1)
    assert stage.fate == [MINED]


def test_before_it_is_unknown_proof_is_looked_for_once_more(stage: Stage) -> None:
    stage.send()
    stage.node.count = 1
    for seconds in (0.0, 30.0, 28.0):
        stage.follow(seconds=seconds)
    stage.node.proof = Verdict(101, f"0x{101:064x}", f"0x{7:064x}", ours=False)
    stage.follow(blocks=DEPTH, seconds=2)
    assert stage.fate == [DROPPED]


def test_before_it_is_unknown_every_node_is_asked(stage: Stage) -> None:
    sent = stage.send()
    stage.node.count = 1
    stage.node.elsewhere[sent] = stage.node.mine(sent, 101)
    stage.follow()
    stage.follow(blocks=DEPTH, seconds=PATIENCE)
    assert stage.fate == [MINED]


def test_a_transaction_in_a_block_whose_receipt_nobody_has_is_unknown_with_its_block(stage: Stage) -> None:
    sent = stage.send()
    stage.node.count, stage.node.proof = 1, Verdict(101, f"0x{101:064x}", sent, ours=True)
    stage.follow(blocks=1)
    stage.follow(blocks=DEPTH, seconds=PATIENCE)
    assert stage.fate == [UNKNOWN] and stage.intents[0].tx_hash == sent


def test_another_transaction_of_the_journal_that_used_the_nonce_is_proof(stage: Stage) -> None:
    stage.node.refusal = NotAccepted("txpool is full")
    with pytest.raises(NotAccepted):
        stage.send()
    stage.node.refusal = None
    again = stage.send()
    stage.node.count, stage.node.receipts[again] = 1, stage.node.mine(again, 100)
    stage.follow()
    stage.follow(blocks=1)
    assert stage.fate == [DROPPED, MINED] and stage.intents[0].tx_hash == again


# ------------------------------------------------------------------------------- nodes that refuse, and lose things


def test_what_a_node_refused_and_mined_all_the_same_is_found_before_anything_is_sent_again(stage: Stage) -> None:
    stage.node.refusal = NotAccepted("txpool is full")
    with pytest.raises(NotAccepted):
        stage.send()
    stage.node.refusal, stage.node.count, stage.node.head = None, 1, 101
    sent = stage.journal.broadcasts(stage.intents[0])[0].tx_hash
    with pytest.raises(ChainError, match="on its way"):  # its receipt is late
        stage.send()
    stage.node.receipts[sent] = stage.node.mine(sent, 101)
    stage.follow()
    assert stage.fate == [MINED] and len(stage.node.sent) == 1


def test_a_nonce_that_is_used_is_looked_into_and_its_transaction_not_given_up(stage: Stage) -> None:
    stage.node.refusal = NonceUsed("used")
    sent = stage.send()
    assert stage.fate == [None]
    stage.node.refusal, stage.node.count = None, 1
    stage.node.receipts[sent] = stage.node.mine(sent, 100)
    stage.follow()
    assert stage.fate == [MINED]


def test_what_no_node_knows_and_the_contract_would_refuse_has_its_nonce_used_for_nothing(stage: Stage) -> None:
    stage.send()
    stage.node.would_revert, stage.node.known = True, set()
    stage.follow(blocks=1)
    (intent,) = stage.intents
    cancellation, first = stage.journal.broadcasts(intent)
    assert cancellation.cancels and not first.cancels and stage.fate == [None]
    stage.node.count, stage.node.receipts = 1, {cancellation.tx_hash: stage.node.mine(cancellation.tx_hash, 101)}
    stage.follow()
    assert stage.fate == [CANCELLED]


def test_a_transaction_is_outbid_up_to_what_it_is_worth_and_cancelled_above(stage: Stage) -> None:
    stage.transactions.send("claimed", replace(CALL, worth=50_000 * 20))
    stage.follow(blocks=10)
    stage.follow(blocks=10)
    forms = stage.journal.broadcasts(stage.intents[0])
    assert [(form.max_fee, form.cancels) for form in forms] == [(40, True), (20, False), (10, False)]


# ----------------------------------------------------------------------------------------- nodes that are behind


@pytest.fixture
def mined(stage: Stage) -> Stage:
    """Its transaction is in block 100, the latest."""
    sent = stage.send()
    stage.node.count, stage.node.receipts[sent] = 1, stage.node.mine(sent, 100)
    stage.follow()
    assert stage.fate == [MINED] and not stage.transactions.pending()
    return stage


def test_for_a_head_below_its_block_a_transaction_is_on_its_way(mined: Stage) -> None:
    mined.follow(blocks=-1)
    assert mined.transactions.pending()
    with pytest.raises(ChainError, match="on its way"):
        mined.send()
    mined.follow(blocks=1)
    assert not mined.transactions.pending() and mined.fate == [MINED]


def test_a_receipt_that_a_node_has_not_for_a_moment_is_no_reorganization(mined: Stage) -> None:
    receipts, mined.node.receipts = mined.node.receipts, {}
    with structlog.testing.capture_logs() as logs:
        mined.follow(blocks=1)
        mined.node.hashes[100] = None  # nor does this one know the block
        mined.node.count = 0
        mined.follow(blocks=1)
    assert mined.fate == [MINED] and logs == []
    mined.node.hashes, mined.node.receipts = {}, receipts
    mined.follow(blocks=1)
    assert mined.fate == [MINED] and len(mined.node.sent) == 1


def test_a_transaction_whose_block_is_another_one_is_on_its_way_again(mined: Stage) -> None:
    mined.node.receipts, mined.node.known, mined.node.count, mined.node.hashes = {}, set(), 0, {100: "0xother"}
    with structlog.testing.capture_logs() as logs:
        mined.follow(blocks=1)
    assert mined.fate == [None] and mined.node.sent[0] == mined.node.sent[1]
    assert [line["event"] for line in logs] == ["transaction reorganized away", "sent again"]


def test_a_chain_that_stays_set_back_has_its_transaction_sent_again(mined: Stage) -> None:
    mined.node.receipts, mined.node.known, mined.node.count = {}, set(), 0
    mined.follow(blocks=-2)
    mined.follow(seconds=PATIENCE + 1)
    mined.follow(blocks=1)
    assert mined.fate == [None] and mined.node.sent[0] == mined.node.sent[1]


def test_no_nonce_is_taken_from_a_node_that_counts_fewer_transactions_than_are_in_blocks(mined: Stage) -> None:
    mined.node.count = 0
    with pytest.raises(ChainError, match="it is behind"):
        mined.send()
    assert len(mined.node.sent) == 1


# ------------------------------------------------------------------------------------------------- what a person hears


def complete(stage: Stage, **node: Any) -> str:
    """What is said where the node is so once the transaction was sent."""
    broadcast = stage.node.broadcast

    def send(raw: bytes) -> None:
        broadcast(raw)
        for name, value in node.items():
            setattr(stage.node, name, value)

    stage.node.broadcast = send  # type: ignore[method-assign]
    ticks = iter(range(0, 10**6, 20))
    stage.transactions._following.clock = stage.transactions.clock = lambda: next(ticks)
    stage.transactions._following._inquiries.clock = stage.transactions.clock
    block = stage.node.block

    def next_block() -> Block:
        stage.node.head += 1
        return block()

    stage.node.block = next_block  # type: ignore[method-assign]
    with pytest.raises(ChainError) as raised:
        stage.transactions.complete("funded", CALL, timeout=10_000, pause=0)
    return str(raised.value)


def test_nothing_was_changed_is_only_said_of_what_another_transaction_excludes(stage: Stage) -> None:
    said = complete(stage, count=1, proof=other_in(102))
    assert "nothing was changed" in said and "0x" + "ee" * 32 in said and "block 102" in said


def test_what_became_of_it_is_unknown_is_said_where_it_is(stage: Stage) -> None:
    said = complete(stage, count=1)
    assert "it may have had its effect" in said and "nothing was changed" not in said


def test_so_is_that_nobody_says_whether_it_succeeded(stage: Stage) -> None:
    said = complete(stage, count=1, proof=Verdict(102, f"0x{102:064x}", f"0x{1:064x}", ours=True))
    assert "no node says whether it succeeded" in said and "nothing was changed" not in said
