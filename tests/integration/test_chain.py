"""The chain as the processor sees it, on real nodes: a small round by hand, refusals in words, money to the wei."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain import contracts
from processor.chain.federation import Factory, Federation, deploy_factory
from processor.chain.provider import connect
from processor.chain.transactions import Call, Sender, SignedIntent, quote
from processor.cid import cid_of
from processor.errors import ChainError, Reverted
from processor.types import (
    ZERO_ADDRESS,
    Adjustment,
    Block,
    ClientView,
    FederationTerms,
    Phase,
    Release,
    RoundTerms,
    RoundView,
)
from tests.integration.parties import account_of, create_federation, wallet
from tests.nodes import find_program, start_anvil, start_geth

ETHER = 10**18
SECRET = b"\x07" * 32
TERMS = RoundTerms(
    plan=cid_of(b"plan"),
    sealing_key=b"\x5e" * 32,
    training_period=3600,
    aggregation_period=3600,
    max_updates=10,
    max_compute_ms=60_000,
    selection_rate=10_000,
    reward_rate_cap=ETHER,
    reward=3 * ETHER,
)


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node.rpc_url


@pytest.fixture(scope="module")
def web3(rpc: str) -> Web3:
    return connect(rpc)


@pytest.fixture
def organization(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "organization"))


@pytest.fixture
def alice(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "alice"))


@pytest.fixture
def bob(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "bob"))


@pytest.fixture
def federation(web3: Web3, organization: Sender) -> Federation:
    return create_federation(web3, organization)


@pytest.fixture
def training(federation: Federation, organization: Sender, alice: Sender, bob: Sender) -> Federation:
    """A federation whose first round trains, with alice and bob selected."""
    for client in (alice, bob):
        client.send(federation.register())
    organization.send(federation.set_initial_model(cid_of(b"initial")))
    organization.send(federation.open_round(TERMS))
    return federation


def test_the_words_of_the_processor_are_the_structs_of_the_contract() -> None:
    functions = {entry.get("name"): entry for entry in contracts.load("Federation").abi}
    view, release, terms = (functions[name]["outputs"][0] for name in ("roundView", "latestRelease", "terms"))
    client = next(item for item in view["components"] if item["name"] == "client")
    adjustment = next(item for item in functions["finalizeRound"]["inputs"] if item["name"] == "adjustments")
    round_terms = functions["openRound"]["inputs"][0]
    for kind, struct in (
        (RoundView, view),
        (Release, release),
        (ClientView, client),
        (FederationTerms, terms),
        (Adjustment, adjustment),
        (RoundTerms, round_terms),
    ):
        expected = [item["name"].removesuffix("Cid").removesuffix("_").lower() for item in struct["components"]]
        actual = [field.name.replace("_", "") for field in dataclasses.fields(kind)]
        assert actual == expected


def test_a_fresh_federation_has_no_round_no_model_and_no_money(federation: Federation, organization: Sender) -> None:
    at = federation.block()
    view = federation.round_view(1, at=at)

    assert federation.owner(at) == organization.address
    assert (federation.pending_owner(at), federation.operator(at), federation.paused(at)) == (None, None, False)
    assert federation.terms() == FederationTerms()
    assert (federation.asset().native, federation.asset().format(ETHER // 2)) == (True, "0.5 ETH")
    assert (federation.round_count(at), federation.closed(at), federation.member_count(at)) == (0, False, 0)
    assert (federation.carried(at), federation.holdings(at)) == (0, 0)
    assert federation.latest_release(at) == Release(None, None)
    assert (federation.members(at), federation.updates(1, at)) == ([], [])
    assert (view.phase, view.plan, view.base, view.client.update) == (Phase.NONE, None, Release(None, None), None)


def play_a_round(federation: Federation, organization: Sender, alice: Sender, bob: Sender) -> None:
    """Two clients, of which one is adjusted: every amount is checked to the wei."""
    for client in (alice, bob):
        client.send(federation.register())
    organization.send(federation.set_initial_model(cid_of(b"initial")))
    organization.send(federation.open_round(TERMS))
    opened = federation.round_view(1, alice.address)
    assert opened.phase is Phase.TRAINING
    assert (opened.plan, opened.sealing_key, opened.base.model) == (TERMS.plan, TERMS.sealing_key, cid_of(b"initial"))
    assert (opened.pool, opened.reward_rate_cap, opened.client.selected) == (3 * ETHER, ETHER, True)
    assert federation.is_selected(1, opened.client.index)

    alice.send(federation.submit_update(1, TERMS.sealing_key, cid_of(b"alice's"), 900, 20))
    assert federation.round_view(1).phase is Phase.TRAINING
    bob.send(federation.submit_update(1, TERMS.sealing_key, cid_of(b"bob's"), 800, 10))
    full = federation.round_view(1)
    assert (full.phase, full.update_count, full.claimed_ms) == (Phase.AGGREGATING, 2, 1700)
    updates = federation.updates(1)
    assert [update.client for update in updates] == [alice.address, bob.address]
    assert [update.update for update in updates] == [cid_of(b"alice's"), cid_of(b"bob's")]
    assert [(update.compute_ms, update.samples) for update in updates] == [(900, 20), (800, 10)]

    organization.send(
        federation.finalize_round(
            1, 2, 1700, cid_of(b"model"), cid_of(b"report"), [Adjustment(bob.address, 400)], SECRET
        )
    )
    final = federation.round_view(1, bob.address)
    assert (final.phase, final.released) == (Phase.FINALIZED, Release(cid_of(b"model"), cid_of(b"report")))
    assert (final.secret, final.credited_ms) == (SECRET, 1300)
    # A second of compute is an ether: 1.7 were claimed of the pool of 3, and 1.3 were credited.
    assert (final.payable, final.surplus, final.forfeited) == (ETHER * 13 // 10, ETHER * 13 // 10, ETHER * 4 // 10)
    assert (final.client.reward, final.client.credited_ms, final.client.claimed) == (ETHER * 4 // 10, 400, False)
    assert federation.carried() == ETHER * 13 // 10


def check_a_claim(web3: Web3, federation: Federation, alice: Sender) -> None:
    before = web3.eth.get_balance(Web3.to_checksum_address(alice.address))
    held = federation.holdings()

    receipt = alice.send(federation.claim([1], alice.address))

    assert web3.eth.get_balance(Web3.to_checksum_address(alice.address)) == before + ETHER * 9 // 10 - receipt.fee_wei
    assert federation.holdings() == held - ETHER * 9 // 10
    assert federation.round_view(1, alice.address).client.claimed


def test_a_round_pays_what_was_credited_to_the_wei(
    web3: Web3, federation: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    play_a_round(federation, organization, alice, bob)
    check_a_claim(web3, federation, alice)


def test_a_reward_can_be_claimed_for_a_client_and_what_is_carried_withdrawn(
    web3: Web3, federation: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    play_a_round(federation, organization, alice, bob)
    before = web3.eth.get_balance(Web3.to_checksum_address(bob.address))
    organization.send(federation.claim_for(bob.address, [1]))
    assert web3.eth.get_balance(Web3.to_checksum_address(bob.address)) == before + ETHER * 4 // 10

    organization.send(federation.fund(ETHER))
    organization.send(federation.close())
    assert federation.closed()
    carol = "0x00000000000000000000000000000000000CA401"
    organization.send(federation.withdraw(carol))
    assert web3.eth.get_balance(Web3.to_checksum_address(carol)) == ETHER * 23 // 10


def test_the_same_round_on_geth(tmp_path: Path) -> None:
    with start_geth(find_program("geth"), tmp_path) as node:
        web3 = connect(node.rpc_url, chain_id=1337)
        organization, alice, bob = (Sender(web3, wallet(web3, name)) for name in ("organization", "alice", "bob"))
        federation = create_federation(web3, organization)
        with pytest.raises(Reverted, match="not a member") as refused:
            alice.send(federation.leave(alice.address))
        assert (refused.value.name, refused.value.arguments) == ("NotRegistered", {"client": alice.address})
        play_a_round(federation, organization, alice, bob)
        check_a_claim(web3, federation, alice)


def test_a_read_names_its_block(training: Federation, alice: Sender) -> None:
    at = training.block()
    alice.send(training.submit_update(1, TERMS.sealing_key, cid_of(b"alice's"), 500, 20))

    assert training.round_view(1, at=at).update_count == 0
    assert training.updates(1, at) == []
    assert training.round_view(1).update_count == 1


def test_a_block_that_the_node_does_not_know_is_named(federation: Federation) -> None:
    later = dataclasses.replace(federation.block(), number=10_000_000, hash="0x" + "ab" * 32)
    with pytest.raises(ChainError, match="at block 10000000: .* archive node"):
        federation.round_count(later)
    with pytest.raises(ChainError, match="at block 10000000"):
        federation.holdings(later)
    with pytest.raises(ChainError, match="no contract .* at block 0 that answers roundCount: it was deployed later"):
        first = federation.web3.eth.get_block(0)
        federation.round_count(Block(0, first["hash"].to_0x_hex(), first["timestamp"]))


def test_lists_longer_than_a_page_are_complete(web3: Web3, training: Federation, alice: Sender, bob: Sender) -> None:
    others = [Sender(web3, wallet(web3, f"client {number}")) for number in range(3)]
    for client in others:
        client.send(training.register())
    alice.send(training.leave(alice.address))
    bob.send(training.submit_update(1, TERMS.sealing_key, cid_of(b"bob's"), 500, 20))

    for page in (1, 2, 3, 5, 6):
        paged = Federation(web3, training.address, page)
        assert paged.members() == [None, bob.address, *(client.address for client in others)]
        assert [update.client for update in paged.updates(1)] == [bob.address]


def test_a_factory_lists_its_federations_and_knows_no_others(web3: Web3, organization: Sender) -> None:
    factory = Factory(web3, deploy_factory(organization), page=2)
    made = [factory.created(organization.send(factory.create(FederationTerms()))) for _ in range(3)]
    stranger = create_federation(web3, organization).address

    assert factory.federations() == made
    assert [factory.is_federation(address) for address in (*made, stranger)] == [True, True, True, False]


def test_what_is_no_federation_is_refused(web3: Web3, federation: Federation, organization: Sender) -> None:
    with pytest.raises(ChainError, match="is not an address"):
        Federation(web3, "federation")
    with pytest.raises(ChainError, match="typing error"):
        Federation(web3, federation.address.swapcase().replace("0X", "0x"))
    with pytest.raises(ChainError, match=f"no contract at {organization.address} on chain 31337"):
        Federation(web3, organization.address)
    with pytest.raises(ChainError, match="is not a Koinon federation: check the address"):
        Federation(web3, deploy_factory(organization))
    with pytest.raises(ChainError, match="is not a Koinon federation factory"):
        Factory(web3, federation.address)
    assert Federation(web3, federation.address.lower()).address == federation.address


def test_a_refused_call_is_a_sentence_and_costs_nothing(web3: Web3, training: Federation, alice: Sender) -> None:
    nonce = web3.eth.get_transaction_count(Web3.to_checksum_address(alice.address))
    signed: list[SignedIntent] = []

    with pytest.raises(Reverted, match="the compute time is 60001 ms; the round accepts 1 to [0-9]+ ms") as refused:
        alice.send(training.submit_update(1, TERMS.sealing_key, cid_of(b"alice's"), 60_001, 20), signed.append)
    assert str(refused.value).startswith("cannot submit the update of round 1: ")
    assert refused.value.name == "ComputeTimeOutOfBounds"
    with pytest.raises(Reverted, match="only its owner can do this"):
        alice.send(training.close(), signed.append)
    with pytest.raises(Reverted, match="round 1 is in Training; wait until it is finalized"):
        alice.send(training.claim([1], alice.address), signed.append)

    assert signed == []
    assert web3.eth.get_transaction_count(Web3.to_checksum_address(alice.address)) == nonce


def test_a_quote_is_what_a_transaction_costs_at_most_and_needs_no_key(
    web3: Web3, federation: Federation, alice: Sender
) -> None:
    call = federation.fund(ETHER)

    price = quote(web3, alice.address, call)
    assert quote(web3, account_of("whale").address, federation.register()).gas > 0, "gas is priced, not demanded"
    receipt = alice.send(call)

    assert receipt.gas_used < price.gas < 2 * receipt.gas_used
    assert receipt.fee_wei < price.cost == price.gas * price.fees.max_fee
    assert federation.carried() == ETHER


def test_a_quote_refuses_what_sending_would_refuse(web3: Web3, federation: Federation, alice: Sender) -> None:
    with pytest.raises(Reverted, match="cannot close the federation: .* only its owner can do this"):
        quote(web3, alice.address, federation.close())
    with pytest.raises(ChainError, match=r"has 0 ETH; to fund the federation with 1 ETH it needs about 1 ETH"):
        quote(web3, account_of("poor").address, federation.fund(ETHER))
    with pytest.raises(ChainError, match="more than the 1 wei allowed"):
        quote(web3, alice.address, federation.register(), ceiling=1)


def test_an_operator_opens_rounds_and_touches_nothing_else(
    federation: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    with pytest.raises(Reverted, match="is neither the owner nor the operator of the federation"):
        bob.send(federation.set_initial_model(cid_of(b"initial")))
    organization.send(federation.set_operator(bob.address))
    assert federation.operator() == bob.address
    alice.send(federation.register())

    bob.send(federation.set_initial_model(cid_of(b"initial")))
    bob.send(federation.open_round(TERMS))

    assert federation.round_view(1).phase is Phase.TRAINING
    for call in (federation.pause(), federation.set_operator(bob.address), federation.transfer_ownership(bob.address)):
        with pytest.raises(Reverted, match="only its owner can do this"):
            bob.send(call)
    organization.send(federation.set_operator(ZERO_ADDRESS))
    assert federation.operator() is None


def test_a_pause_stops_new_rounds_until_the_owner_resumes(
    federation: Federation, organization: Sender, alice: Sender
) -> None:
    organization.send(federation.set_initial_model(cid_of(b"initial")))
    organization.send(federation.pause())
    assert federation.paused()
    alice.send(federation.register())
    with pytest.raises(Reverted, match="cannot open a round with a reward of 3 ETH: the federation is paused"):
        organization.send(federation.open_round(TERMS))

    organization.send(federation.unpause())
    organization.send(federation.open_round(TERMS))

    assert (federation.paused(), federation.round_count()) == (False, 1)
    with pytest.raises(Reverted, match="the federation is not paused"):
        organization.send(federation.unpause())


def test_ownership_changes_hands_in_two_steps_and_takes_the_operator_along(
    federation: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    organization.send(federation.set_operator(bob.address))
    organization.send(federation.transfer_ownership(alice.address))
    assert (federation.owner(), federation.pending_owner()) == (organization.address, alice.address)
    with pytest.raises(Reverted, match="does not own the federation"):
        bob.send(federation.accept_ownership())

    alice.send(federation.accept_ownership())

    assert (federation.owner(), federation.pending_owner(), federation.operator()) == (alice.address, None, None)


def test_a_transaction_is_journaled_before_it_is_sent(web3: Web3, federation: Federation, alice: Sender) -> None:
    seen: list[SignedIntent] = []

    def journal(intent: SignedIntent) -> None:
        assert not alice.knows(intent.tx_hash)
        assert alice.receipt(intent.tx_hash) is None
        assert web3.eth.get_transaction_count(Web3.to_checksum_address(alice.address), "pending") == intent.nonce
        seen.append(intent)

    receipt = alice.send(federation.register(), journal)

    assert [intent.tx_hash for intent in seen] == [receipt.tx_hash]
    assert receipt.succeeded
    assert alice.receipt(receipt.tx_hash) == receipt


def test_nothing_is_sent_when_the_journal_fails(federation: Federation, alice: Sender) -> None:
    def broken(intent: SignedIntent) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        alice.send(federation.register(), broken)
    assert federation.member_count() == 0


def test_a_transaction_that_was_mined_already_is_found(web3: Web3, federation: Federation, alice: Sender) -> None:
    receipt = alice.send(federation.register(), lambda intent: web3.eth.send_raw_transaction(intent.raw))
    assert receipt.succeeded
    assert federation.member_count() == 1


def test_two_programs_with_one_account_are_told_apart(federation: Federation, alice: Sender) -> None:
    with pytest.raises(ChainError, match="let only one program use an account"):
        alice.send(federation.register(), lambda intent: alice.send(federation.fund(1)))
    assert federation.member_count() == 0


def test_a_transaction_that_fails_in_its_block_says_why(
    federation: Federation, organization: Sender, alice: Sender
) -> None:
    with pytest.raises(Reverted, match="the federation is closed.*failed in block") as refused:
        alice.send(federation.register(), lambda intent: organization.send(federation.close()))
    assert refused.value.name == "FederationIsClosed"


@pytest.fixture
def no_mining(web3: Web3) -> Iterator[None]:
    web3.provider.make_request(RPCEndpoint("evm_setAutomine"), [False])
    yield
    web3.provider.make_request(RPCEndpoint("evm_mine"), [])
    web3.provider.make_request(RPCEndpoint("evm_setAutomine"), [True])


def test_a_transaction_that_waits_too_long_is_named_and_not_sent_twice(
    web3: Web3, federation: Federation, alice: Sender, no_mining: None
) -> None:
    impatient = Sender(web3, account_of("alice"), timeout=0.2)
    signed: list[SignedIntent] = []

    with pytest.raises(ChainError, match="is in no block after 0.2 s; it may still be mined"):
        impatient.send(federation.register(), signed.append)
    with pytest.raises(ChainError, match="has a transaction on its way"):
        impatient.send(federation.register(), signed.append)
    assert impatient.receipt(signed[0].tx_hash) is None
    assert impatient.knows(signed[0].tx_hash)

    web3.provider.make_request(RPCEndpoint("evm_mine"), [])
    settled = impatient.receipt(signed[0].tx_hash)
    assert settled is not None and settled.succeeded
    assert len(signed) == 1


def test_a_transaction_that_the_node_has_already_is_waited_for(
    web3: Web3, federation: Federation, alice: Sender, no_mining: None
) -> None:
    impatient = Sender(web3, account_of("alice"), timeout=0.2)
    with pytest.raises(ChainError, match="is in no block after 0.2 s"):
        impatient.send(federation.register(), lambda intent: web3.eth.send_raw_transaction(intent.raw))


def test_an_account_without_coins_is_told_what_it_needs(web3: Web3, federation: Federation, alice: Sender) -> None:
    poor = Sender(web3, account_of("poor"))
    with pytest.raises(ChainError, match=rf"account {poor.address} has 0 ETH; to register it needs about 0\.000"):
        poor.send(federation.register())
    with pytest.raises(ChainError, match=r"needs about 1000000 ETH \(1000000 to send and gas\)"):
        alice.send(federation.fund(1_000_000 * ETHER))


def test_a_ceiling_on_the_price_of_gas_holds(web3: Web3, federation: Federation, alice: Sender) -> None:
    account = account_of("alice")
    with pytest.raises(ChainError, match="more than the 1 wei allowed"):
        Sender(web3, account, max_fee_per_gas=1).send(federation.register())
    receipt = Sender(web3, account, max_fee_per_gas=10**11).send(federation.register())
    assert receipt.fee_wei <= receipt.gas_used * 10**11


def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent(federation: Federation) -> None:
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        federation.fund(2**128)
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        federation.open_round(dataclasses.replace(TERMS, training_period=-1))
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        federation.voucher_spent(2**256)
    for call in (federation.leave, federation.withdraw, federation.set_operator, federation.transfer_ownership):
        with pytest.raises(ChainError, match="'bob' is not an address"):
            call("bob")
    with pytest.raises(ChainError, match="is not an address"):
        federation.claim([1], "bob")


def test_a_call_shows_what_it_does_and_not_its_data(federation: Federation) -> None:
    call = federation.finalize_round(1, 1, 1, cid_of(b"model"), cid_of(b"report"), [], SECRET)
    assert SECRET.hex() not in repr(call)
    assert isinstance(call, Call) and call.description == "finalize round 1"


def test_a_node_that_goes_away_is_unreachable(tmp_path: Path) -> None:
    with start_anvil(tmp_path) as node:
        web3 = connect(node.rpc_url)
        sender = Sender(web3, wallet(web3, "organization"))
        federation = create_federation(web3, sender)
    with pytest.raises(ChainError, match="cannot reach an Ethereum node"):
        federation.round_count()
    with pytest.raises(ChainError, match="cannot reach an Ethereum node"):
        sender.send(federation.register())


def test_updates_that_are_not_all_that_the_contract_counts_are_refused(
    federation: Federation, organization: Sender, alice: Sender, bob: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_a_round(federation, organization, alice, bob)
    read = federation._read

    def mixed(name: str, *arguments: Any, at: Any = None) -> Any:
        found = read(name, *arguments, at=at)
        return found[:1] if name == "updates" else found

    monkeypatch.setattr(federation, "_read", mixed)
    with pytest.raises(ChainError, match="gave 1 updates of round 1 with 900 ms .* counts 2 with 1700 ms"):
        federation.updates(1)
