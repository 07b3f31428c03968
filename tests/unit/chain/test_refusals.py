"""Every kind of node refuses a transaction in words of its own, and some by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.chain.fates import Verdict
from processor.chain.provider import connect
from processor.chain.receipts import Receipt
from processor.chain.refusals import Refusal, refusal_of
from processor.chain.transactions import Call, Sender
from processor.errors import ChainError, NonceUsed, NotAccepted, Underpriced
from tests.unit.chain.nodes import Scripted, http_node

WORDS = {
    Refusal.KNOWN: [
        "already known",  # geth, Erigon, Reth, BSC, Arbitrum, Optimism
        "AlreadyKnown",  # Nethermind
        "call failed: AlreadyKnown",
        "Known transaction",  # Besu
        "known transaction: 0x7f657507aee0511e36d2d1972a6b22e917cc89f92b6c12c4dbd57eaabb236960",
        "known transaction. transaction with hash 0x6013…3053 is already in the system",  # zkSync
        "INTERNAL_ERROR: existing tx with same hash",  # Erigon
        "ALREADY_EXISTS: already known",
        "Transaction with the same hash was already imported.",  # OpenEthereum
        "transaction already imported",  # anvil
        "submit transaction to pool failed: Pool(AlreadyImported(0x12))",  # Moonbeam
        "tx already exists in cache",  # Evmos
        "transaction already in mempool",
    ],
    Refusal.NONCE_USED: [
        "nonce too low",
        "Nonce too low",  # Besu
        "nonce too low: next nonce 22, tx nonce 17",
        "nonce too low: address 0x336394A3219e71D9d9bd18201d34E95C1Bb7122C, tx: 8089 state: 8090",  # Arbitrum
        "transaction rejected: nonce too low",
        "OldNonce, Current nonce: 22, nonce of rejected tx: 17",  # Nethermind
        "nonce too low. allowed nonce range: 427 - 447, actual: 426",  # zkSync
        "Transaction nonce is too low. Try incrementing the nonce.",  # OpenEthereum
        "tx nonce 3 is less than account nonce 4",
        "nonce is lower than the account nonce",
        "nonce has already been used",
        "submit transaction to pool failed: Pool(Stale)",
        "submit transaction to pool failed: Pool(InvalidTransaction(InvalidTransaction::Stale))",
    ],
    Refusal.UNDERPRICED: [
        "transaction underpriced",
        "replacement transaction underpriced",
        "transaction underpriced: gas tip cap 1, minimum needed 1000000000",
        "transaction gas price below minimum: gas tip cap 0, minimum needed 1",  # BSC
        "max fee per gas less than block base fee: address 0x12, maxFeePerGas: 1, baseFee: 7",
        "fee cap less than block base fee",
        "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 7",  # Nethermind
        "FeeTooLow, EffectivePriorityFeePerGas too low 10 < 20, BaseFee: 30",
        "FeeTooLowToCompete",
        "ReplacementNotAllowed",
        "Gas price below configured minimum gas price",  # Besu
        "Gas price below current base fee",
        "could not replace existing tx",  # Erigon
        "fee too low",
        "underpriced",
        "transaction priority fee below minimum required priority fee 1000",  # Reth
        "gas price too low",  # Arbitrum
        "gas price too low: 18000000000 wei, use at least tx.gasPrice = 19500000000 wei",  # Metis
        "gas price 1 is below minimum 2",
        "tx gas price is lower than minimum",
        "max fee per gas (1) must be at least base fee (2)",
        "new transaction gas price bump is not enough",
        "insufficient fees; got: 1 required: 2",
        "cannot accept 0 gas price transaction",
        "there is another tx which has the same nonce in the tx pool",  # Klaytn
        "Transaction gas price 100wei is too low. There is another transaction with same nonce in the queue with gas "
        "price 150wei. Try increasing the gas price or incrementing the nonce.",  # OpenEthereum
        "There are too many transactions in the queue. Your transaction was dropped due to limit. Try increasing the "
        "fee.",
        "submit transaction to pool failed: Pool(TooLowPriority { old: 1, new: 1 })",
        "Transaction maxFeePerGas (1) is too low for the next block, which has a baseFeePerGas of 7",  # Hardhat
    ],
    Refusal.OTHER: [
        "",
        "unknown transaction type",
        "insufficient funds for gas * price + value",
        "intrinsic gas too low",
        "exceeds block gas limit",
        "nonce too high",
        "NonceGap, Future nonce. Expected nonce: 10",
        "OwnNonceAlreadyUsed",  # by one that waits
        "txpool is full",
        "Transaction fee cap exceeded",  # Besu: it offers too much
        "tx fee (1.10 ether) exceeds the configured cap (1.00 ether)",
        "max priority fee per gas higher than max fee per gas",
        "Max priority fee per gas exceeds max fee per gas",
        "Upfront cost exceeds account balance",
        "execution reverted: stale report",
        "execution reverted: already known",
        "address already reserved",
        "Sender account not authorized to send transactions",
    ],
}
SAID = [(kind, words) for kind, said in WORDS.items() for words in said]
CASES = [
    (-32010, "AlreadyKnown", Refusal.KNOWN),
    (-32000, "AlreadyKnown", Refusal.KNOWN),
    (-32010, "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 7", Refusal.UNDERPRICED),
    (-32010, "FeeTooLowToCompete", Refusal.UNDERPRICED),
    (-32010, "ReplacementNotAllowed", Refusal.UNDERPRICED),
    (-32009, "Gas price below configured minimum gas price", Refusal.UNDERPRICED),
    (-32009, "no words that anybody knows", Refusal.UNDERPRICED),
    (-31000, "ALREADY_KNOWN", Refusal.KNOWN),
    (-31600, "refused", Refusal.NONCE_USED),
    (-31811, "refused", Refusal.UNDERPRICED),
    (-32010, "refused", Refusal.OTHER),
]
ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@pytest.mark.parametrize(("kind", "words"), SAID)
def test_the_words_of_many_nodes_are_understood(kind: Refusal, words: str) -> None:
    assert refusal_of({"code": -32000, "message": words}) is kind


@pytest.mark.parametrize(("code", "words", "kind"), CASES)
def test_so_are_codes_that_mean_one_thing(code: int, words: str, kind: Refusal) -> None:
    assert refusal_of({"code": code, "message": words}) is kind


def test_words_in_the_data_of_an_error_count() -> None:
    assert refusal_of({"code": -32603, "message": "Internal error", "data": "already known"}) is Refusal.KNOWN


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["code", "message", "data", "x"]), ANYTHING) | ANYTHING)
def test_an_error_of_any_shape_is_one_of_the_four(error: Any) -> None:
    assert refusal_of(error) in Refusal


# ----------------------------------------------------------------------------------------- a node that refuses, asked

HEAD = {"number": "0x64", "hash": "0x" + "ab" * 32, "timestamp": "0x10"}
KNOWN = {"hash": "0x" + "11" * 32, "blockNumber": None, "nonce": "0x0"}


@pytest.fixture
def node() -> Iterator[Scripted]:
    with http_node(Scripted(says={"eth_getBlockByNumber": HEAD})) as node:
        yield node


def refuse(node: Scripted, words: str, **says: Any) -> None:
    node.says |= {"eth_sendRawTransaction": {"code": -32000, "message": words}, **says}
    Sender(connect(node.url), Account.create()).broadcast(b"signed")


@pytest.mark.parametrize("words", WORDS[Refusal.KNOWN])
def test_what_a_node_knows_already_is_sent(node: Scripted, words: str) -> None:
    refuse(node, words)


@pytest.mark.parametrize("words", ["nonce too low", "ReplacementNotAllowed", "no words that anybody knows"])
def test_after_any_refusal_the_node_is_asked_whether_it_knows_it(node: Scripted, words: str) -> None:
    refuse(node, words, eth_getTransactionByHash=KNOWN)
    assert node.count("eth_getTransactionByHash") == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [("OldNonce", NonceUsed), ("FeeTooLowToCompete", Underpriced), ("txpool is full", NotAccepted)],
)
def test_what_it_does_not_know_is_refused_for_what_it_says(node: Scripted, words: str, error: type) -> None:
    with pytest.raises(error) as raised:
        refuse(node, words, eth_getTransactionByHash=None, eth_getTransactionReceipt=None)
    assert type(raised.value) is error


FUNDED = Call("0x5B38Da6a701c568545dCfcB03FcB875f56beddC4", b"\1", 0, "fund")
USED = {
    "eth_getBlockByNumber": {**HEAD, "baseFeePerGas": "0x1"},
    "eth_getTransactionCount": "0x3",
    "eth_getBalance": hex(10**18),
    "eth_estimateGas": "0x5208",
    "eth_maxPriorityFeePerGas": "0x1",
    "eth_sendRawTransaction": {"code": -32000, "message": "nonce too low"},
    "eth_getTransactionByHash": None,
    "eth_getTransactionReceipt": None,
}


def test_a_nonce_that_is_used_may_be_so_by_the_transaction_itself(
    node: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.says |= USED
    sender = Sender(connect(node.url), Account.create())
    late = Receipt("0x12", 100, HEAD["hash"], True, 21_000, 42_000, None, ())
    looks = iter([None, None, late])
    monkeypatch.setattr(sender, "receipt", lambda tx_hash: next(looks))
    monkeypatch.setattr(sender, "verdict", lambda nonce, hashes: None)
    assert sender.send(FUNDED) == late


def test_that_another_used_it_is_said_once_it_is_proven(node: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    node.says |= USED
    sender = Sender(connect(node.url), Account.create())
    proofs = iter([None, Verdict(100, HEAD["hash"], "0x12", ours=False)])
    monkeypatch.setattr(sender, "verdict", lambda nonce, hashes: next(proofs))
    with pytest.raises(NonceUsed):
        sender.send(FUNDED)
    assert next(proofs, None) is None


def test_where_that_cannot_be_asked_it_may_have_been_sent(node: Scripted) -> None:
    with pytest.raises(ChainError, match="may have been sent all the same") as raised:
        refuse(node, "nonce too low", eth_getTransactionByHash={"code": -32000, "message": "busy"})
    assert not isinstance(raised.value, NotAccepted)


@pytest.mark.parametrize("odd", ["a hash", ["0x12"], {"code": [], "message": None}])
def test_an_answer_of_another_shape_says_nothing_about_the_transaction(node: Scripted, odd: Any) -> None:
    node.says |= {"eth_sendRawTransaction": odd, "eth_getTransactionByHash": None, "eth_getTransactionReceipt": None}
    with pytest.raises(ChainError):
        Sender(connect(node.url), Account.create()).broadcast(b"signed")
