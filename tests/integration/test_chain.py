"""The chain as the processor sees it, on real nodes: a small round by hand, refusals in words, money to the wei."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain import commitments, contracts
from processor.chain.commitments import NO_RECORD
from processor.chain.federation import Factory, Federation, deploy_factory
from processor.chain.logs import History, rounds_from_logs
from processor.chain.provider import connect
from processor.chain.signed import (
    sign_decline,
    sign_leaving,
    sign_registration,
    sign_update,
    signer_of_registration,
)
from processor.chain.transactions import Call, Sender, SignedIntent, quote
from processor.cid import cid_of
from processor.errors import ChainError, Reverted
from processor.protocol.rewards import guaranteed_rate, least_pool, money_of, selected_of
from processor.types import (
    ZERO_ADDRESS,
    Adjustment,
    AuditPolicy,
    Block,
    ClientView,
    FederationTerms,
    Opening,
    Outcome,
    Phase,
    Refusal,
    Release,
    Result,
    RoundTerms,
    RoundView,
    Submitted,
    UpdateView,
)
from tests.integration.parties import account_of, create_federation, wallet
from tests.nodes import find_program, start_anvil, start_geth

ETHER = 10**18
RATE = 10**9  # one smallest unit for a second
NEVER = 2**40 - 1
NO_DIGEST = bytes(20)


def terms_of(round: int, **changes: Any) -> RoundTerms:
    """The terms of a round: nothing in them is what it was the round before."""
    terms = RoundTerms(
        plan=cid_of(b"plan %d" % round),
        sealing_key=key_of(round),
        training_period=3600 + round,
        aggregation_period=7200 + round,
        max_updates=10 + round,
        max_compute_ms=1000 + round,
        selection_rate=10_000,
        reward_rate_cap=ETHER * RATE + round,
        reward=3 * ETHER + round,
    )
    return dataclasses.replace(terms, **changes)


def key_of(round: int) -> bytes:
    return b"sealing key of round %011d" % round


def secret_of(round: int) -> bytes:
    return b"the secret of round %012d" % round


def update_of(round: int, name: str) -> str:
    return cid_of(f"{name}'s update of round {round}".encode())


def model_of(round: int) -> str:
    return cid_of(b"model %d" % round)


def report_of(round: int) -> str:
    return cid_of(b"report %d" % round)


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
    organization.send(federation.set_initial_model(model_of(0)))
    organization.send(federation.open_round(terms_of(1), NO_DIGEST))
    return federation


def test_the_words_of_the_processor_are_the_structs_of_the_contract() -> None:
    entries = {entry.get("name"): entry for entry in contracts.load("Federation").abi}
    view, release, terms, updates = (
        entries[name]["outputs"][0] for name in ("roundView", "latestRelease", "terms", "updates")
    )
    client = next(item for item in view["components"] if item["name"] == "client")
    finalization = entries["finalizeRound"]["inputs"][0]
    adjustment = next(item for item in finalization["components"] if item["name"] == "adjustments")
    opening = next(item for item in entries["RoundOpened"]["inputs"] if item["name"] == "opening")
    for kind, components in (
        (RoundView, view["components"]),
        (Release, release["components"]),
        (ClientView, client["components"]),
        (UpdateView, updates["components"]),
        (FederationTerms, terms["components"]),
        (Adjustment, adjustment["components"]),
        (Opening, opening["components"]),
        (RoundTerms, entries["openRound"]["inputs"][0]["components"]),
        (Result, entries["results"]["outputs"]),
    ):
        expected = [item["name"].removesuffix("Cid").removesuffix("_").lower() for item in components]
        actual = [field.name.replace("_", "") for field in dataclasses.fields(kind)]
        assert actual == expected


def test_a_fresh_federation_has_no_round_no_model_and_no_money(federation: Federation, organization: Sender) -> None:
    at = federation.block()
    view = federation.round_view(at=at)

    assert federation.owner(at) == organization.address
    assert (federation.pending_owner(at), federation.operator(at), federation.paused(at)) == (None, None, False)
    assert federation.terms() == FederationTerms()
    assert (federation.asset().native, federation.asset().format(ETHER // 2)) == (True, "0.5 ETH")
    assert (federation.round_count(at), federation.closed(at), federation.member_count(at)) == (0, False, 0)
    assert (federation.carried(at), federation.holdings(at), federation.owner_nonce(at)) == (0, 0, 0)
    assert federation.latest_release(at) == Release(None, None)
    assert (federation.members(at), federation.updates(at), federation.update_views(at)) == ([], [], [])
    assert (federation.results(at), federation.result(1, at)) == ([], Result(0, 0, bytes(12)))
    assert (federation.record(at), federation.seat_count(at)) == (NO_RECORD, 0)
    assert federation.balance_of(organization.address, at) == (0, 0)
    assert (view.round, view.phase, view.plan, view.base) == (0, Phase.NONE, None, Release(None, None))
    assert (view.digest, view.client.update) == (NO_DIGEST, None)
    with pytest.raises(ValueError, match="does not hold what round 0 started from: it is NONE"):
        view.opening.round  # noqa: B018


def play_a_round(federation: Federation, organization: Sender, alice: Sender, bob: Sender) -> None:
    """Two clients, of which one is adjusted: every amount is checked to the wei."""
    for client in (alice, bob):
        client.send(federation.register())
    organization.send(federation.set_initial_model(model_of(0)))
    organization.send(federation.open_round(terms_of(1), NO_DIGEST))
    opened = federation.round_view(alice.address)
    assert (opened.round, opened.phase) == (1, Phase.TRAINING)
    assert (opened.plan, opened.sealing_key, opened.base) == (cid_of(b"plan 1"), key_of(1), Release(model_of(0), None))
    assert (opened.pool, opened.reward_rate_cap) == (3 * ETHER + 1, ETHER * RATE + 1)
    assert (opened.client.selected, opened.client.member, opened.client.last) == (True, True, 0)
    assert opened.digest == commitments.first_digest(federation.chain_id, federation.address, opened.opening)

    alice.send(federation.submit_update(1, key_of(1), update_of(1, "alice"), 900))
    assert federation.round_view().phase is Phase.TRAINING
    bob.send(federation.submit_update(1, key_of(1), update_of(1, "bob"), 800))
    full = federation.round_view(bob.address)
    assert (full.phase, full.update_count, full.claimed_ms) == (Phase.AGGREGATING, 2, 1700)
    assert (full.client.update, full.client.compute_ms, full.client.last) == (update_of(1, "bob"), 800, 1)
    updates = federation.updates()
    assert updates == [
        Submitted(alice.address, update_of(1, "alice"), 900),
        Submitted(bob.address, update_of(1, "bob"), 800),
    ]
    assert full.digest == commitments.digest_of(federation.chain_id, federation.address, full.opening, updates)

    lowered = Adjustment(bob.address, 400)
    organization.send(federation.finalize_round(1, full.digest, model_of(1), report_of(1), [lowered], secret_of(1)))
    final = federation.round_view(bob.address)
    assert (final.phase, final.base, final.released) == (
        Phase.FINALIZED,
        Release(None, None),
        Release(model_of(1), report_of(1)),
    )
    assert (final.secret, final.credited_ms, final.claimed_ms) == (secret_of(1), 1300, 1700)
    # A second of compute is an ether and 10^-9 of a wei: 1.7 were claimed of the pool of 3 and a wei, 1.3 credited.
    assert (final.payable, final.surplus, final.forfeited) == (ETHER * 13 // 10, ETHER * 13 // 10 + 1, ETHER * 4 // 10)
    assert (final.client.adjusted, final.client.compute_ms, final.client.owed) == (True, 400, ETHER * 4 // 10)
    assert federation.carried() == ETHER * 13 // 10 + 1
    assert federation.results() == [Result(ETHER * 13 // 10, 1300, key_of(1)[:12])]
    outcome = Outcome(model_of(1), report_of(1), secret_of(1), 1300, (lowered,))
    assert federation.record() == commitments.next_record(
        NO_RECORD, 1, full.digest, 2, 1700, commitments.outcome_of(outcome)
    )
    with pytest.raises(ChainError, match="round 1 is finalized at block .*: read the round's report"):
        federation.updates()


def check_a_claim(web3: Web3, federation: Federation, alice: Sender) -> None:
    before = web3.eth.get_balance(Web3.to_checksum_address(alice.address))
    held = federation.holdings()
    assert federation.balance_of(alice.address) == (ETHER * 9 // 10, 0)

    receipt = alice.send(federation.claim(alice.address))

    assert receipt.fee_wei is not None
    assert web3.eth.get_balance(Web3.to_checksum_address(alice.address)) == before + ETHER * 9 // 10 - receipt.fee_wei
    assert federation.holdings() == held - ETHER * 9 // 10
    assert federation.balance_of(alice.address) == (0, 0)
    with pytest.raises(Reverted, match=f"cannot claim what is owed: {alice.address} is owed nothing"):
        alice.send(federation.claim(alice.address))


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
    organization.send(federation.claim_for(bob.address))
    assert web3.eth.get_balance(Web3.to_checksum_address(bob.address)) == before + ETHER * 4 // 10

    organization.send(federation.fund(ETHER))
    organization.send(federation.close())
    assert federation.closed()
    carol = Web3.to_checksum_address("0x00000000000000000000000000000000000CA401")
    organization.send(federation.withdraw(carol))
    assert web3.eth.get_balance(carol) == ETHER * 23 // 10 + 1


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
    alice.send(training.submit_update(1, key_of(1), update_of(1, "alice"), 500))

    assert training.round_view(at=at).update_count == 0
    assert (training.updates(at), training.update_views(at)) == ([], [])
    assert training.round_view().update_count == 1
    assert [line.client for line in training.updates()] == [alice.address]


def test_a_block_that_the_node_does_not_know_is_named(federation: Federation) -> None:
    later = dataclasses.replace(federation.block(), number=10_000_000, hash="0x" + "ab" * 32)
    with pytest.raises(ChainError, match="at block 10000000: .* archive node"):
        federation.round_count(later)
    with pytest.raises(ChainError, match="at block 10000000"):
        federation.holdings(later)
    with pytest.raises(ChainError, match="no contract .* at block 0 that answers roundCount: it was deployed later"):
        first = federation.web3.eth.get_block(0)
        federation.round_count(Block(0, first["hash"].to_0x_hex(), first["timestamp"]))


def test_lists_longer_than_a_page_are_complete_and_who_left_is_in_them_while_the_round_lives(
    web3: Web3, training: Federation, alice: Sender, bob: Sender
) -> None:
    others = [Sender(web3, wallet(web3, f"client {number}")) for number in range(3)]
    for client in others:
        client.send(training.register())
    bob.send(training.submit_update(1, key_of(1), update_of(1, "bob"), 500))
    alice.send(training.submit_update(1, key_of(1), update_of(1, "alice"), 700))
    alice.send(training.leave(alice.address))

    for page in (1, 2, 3, 5, 6):
        paged = Federation(web3, training.address, page)
        # the last has taken the position of who left
        assert paged.members() == [others[2].address, bob.address, others[0].address, others[1].address]
        assert (paged.member_count(), paged.seat_count()) == (4, 5)
        assert [line.client for line in paged.updates()] == [bob.address, alice.address]
        assert [view.client for view in paged.update_views()] == [bob.address, alice.address]
    assert training.round_view(alice.address).client.selected
    assert not training.round_view(others[0].address).client.selected


def test_a_selected_client_declines_and_is_not_awaited(training: Federation, alice: Sender, bob: Sender) -> None:
    alice.send(training.decline(1, key_of(1)))
    with pytest.raises(Reverted, match="it has already submitted an update in this round, or declined") as refused:
        alice.send(training.submit_update(1, key_of(1), update_of(1, "alice"), 500))
    assert refused.value.arguments == {"round": 1, "client": alice.address, "reason": int(Refusal.ALREADY_SUBMITTED)}
    bob.send(training.submit_update(1, key_of(1), update_of(1, "bob"), 500))

    view = training.round_view(alice.address)
    assert (view.phase, view.update_count, view.absent_count) == (Phase.AGGREGATING, 1, 1)
    assert (view.client.declined, view.client.last, view.client.update) == (True, 1, None)
    assert [line.client for line in training.updates()] == [bob.address]


def test_a_silent_member_is_retired_and_a_member_posts(
    web3: Web3, organization: Sender, alice: Sender, bob: Sender
) -> None:
    federation = create_federation(web3, organization, terms=FederationTerms(idle_rounds=1))
    for client in (alice, bob):
        client.send(federation.register())
    organization.send(federation.set_initial_model(model_of(0)))
    organization.send(federation.open_round(terms_of(1), NO_DIGEST))
    bob.send(federation.submit_update(1, key_of(1), update_of(1, "bob"), 500))
    with pytest.raises(Reverted, match="round 1 is in Training, which does not allow this"):
        bob.send(federation.retire(alice.address))
    pass_time(web3, 3601)
    with pytest.raises(Reverted, match=f"{bob.address} cannot be retired: .* round 1, in which"):
        bob.send(federation.retire(bob.address))
    bob.send(federation.retire(alice.address))
    assert federation.members() == [bob.address]
    bob.send(federation.post(b"about".ljust(32, b"\0"), cid_of(b"something")))
    with pytest.raises(Reverted, match=f"{alice.address} is neither a member of the federation nor its owner"):
        alice.send(federation.post(b"about".ljust(32, b"\0"), cid_of(b"something")))


# ------------------------------------------------------------------------------------------------ what clients sign


def test_what_clients_signed_is_accepted_whoever_sends_it(
    web3: Web3, federation: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    poor = [account_of(f"poor {number}") for number in range(3)]
    place = (federation.chain_id, federation.address)
    for account in poor:
        signature = sign_registration(account, *place, 0, NEVER)
        assert signer_of_registration(*place, 0, NEVER, signature) == account.address
        bob.send(federation.register_signed(account.address, NEVER, signature))
    assert federation.members() == [account.address for account in poor]
    organization.send(federation.set_initial_model(model_of(0)))
    organization.send(federation.open_round(terms_of(1, max_compute_ms=900), NO_DIGEST))
    batch = [
        sign_update(poor[2], *place, 1, key_of(1), update_of(1, "poor 2"), 702),
        sign_update(account_of("stranger"), *place, 1, key_of(1), update_of(1, "stranger"), 703),
        sign_decline(poor[1], *place, 1, key_of(1)),
        sign_update(poor[0], *place, 1, key_of(1), update_of(1, "poor 0"), 700),
    ]
    call = federation.submit_updates(1, key_of(1), batch)
    assert call.description == "submit 4 signed updates of round 1"

    alice.send(call)

    view = federation.round_view(poor[1].address)
    assert (view.phase, view.update_count, view.absent_count) == (Phase.AGGREGATING, 2, 1)
    assert view.client.declined
    assert federation.updates() == [
        Submitted(poor[2].address, update_of(1, "poor 2"), 702),
        Submitted(poor[0].address, update_of(1, "poor 0"), 700),
    ]
    organization.send(federation.finalize_round(1, view.digest, model_of(1), report_of(1), [], secret_of(1)))
    to = Web3.to_checksum_address("0x" + "ca" * 20)
    before = web3.eth.get_balance(to)
    leaving = sign_leaving(poor[0], *place, 1, to, NEVER)
    alice.send(federation.leave_signed(poor[0].address, to, NEVER, leaving))
    assert web3.eth.get_balance(to) - before == ETHER * 700 // 1000
    assert federation.members() == [poor[2].address, poor[1].address]
    again = sign_registration(poor[0], *place, 1, NEVER)
    with pytest.raises(Reverted, match=f"{poor[0].address} has left in round 1, so that nothing it signed"):
        alice.send(federation.register_signed(poor[0].address, NEVER, again))


def test_what_was_signed_for_something_else_is_refused(training: Federation, alice: Sender, bob: Sender) -> None:
    place = (training.chain_id, training.address)
    elsewhere = [
        sign_update(account_of("alice"), 1, training.address, 1, key_of(1), update_of(1, "alice"), 500),
        sign_update(account_of("alice"), training.chain_id, alice.address, 1, key_of(1), update_of(1, "alice"), 500),
        sign_update(account_of("alice"), *place, 2, key_of(1), update_of(1, "alice"), 500),
        sign_update(account_of("alice"), *place, 1, key_of(2), update_of(1, "alice"), 500),
    ]
    with pytest.raises(Reverted, match=r"none of the 4 signed update\(s\) was accepted in round 1"):
        bob.send(training.submit_updates(1, key_of(1), elsewhere))
    late = sign_leaving(account_of("alice"), *place, 1, alice.address, 1000)
    with pytest.raises(Reverted, match="had to be sent before 1970-01-01 00:16:40 UTC"):
        bob.send(training.leave_signed(alice.address, alice.address, 1000, late))
    other = sign_leaving(account_of("alice"), *place, 0, alice.address, NEVER)
    with pytest.raises(Reverted, match=f"not that of {alice.address} over this call in round 1, the latest"):
        bob.send(training.leave_signed(alice.address, alice.address, NEVER, other))
    with pytest.raises(ChainError, match="a signature has 64 bytes"):
        training.leave_signed(alice.address, alice.address, NEVER, late + b"\0")


# ------------------------------------------------------------------------------------------- digests and the record


def pass_time(web3: Web3, seconds: int) -> None:
    web3.provider.make_request(RPCEndpoint("evm_increaseTime"), [seconds])
    web3.provider.make_request(RPCEndpoint("evm_mine"), [])


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_digest_and_record_follow_from_openings_lists_and_outcomes_in_every_order(
    web3: Web3, organization: Sender, seed: int
) -> None:
    """Random openings, orders, declines, batches, adjustments and abandoned rounds: all that the contract commits to is
    recomputed from what it was told, and from the logs."""
    choose = random.Random(seed)
    terms = FederationTerms(max_spread=3, audit_policy=choose.choice(list(AuditPolicy)))
    federation = create_federation(web3, organization, terms=terms)
    place = (federation.chain_id, federation.address)
    accounts = [account_of(f"client {number} of {seed}") for number in range(5)]
    for account in accounts:
        organization.send(
            federation.register_signed(account.address, NEVER, sign_registration(account, *place, 0, NEVER))
        )
    organization.send(federation.set_initial_model(model_of(0)))
    record, digest, base, over = NO_RECORD, NO_DIGEST, Release(model_of(0), None), []
    told: list[tuple[list[Submitted], Outcome | None]] = []
    earned: dict[str, int] = {}
    pending: tuple[int, bytes, int, int] | None = None
    for round in range(1, 7):
        rate = choose.randint(1, 50) * 200
        organization.send(
            federation.open_round(
                terms_of(round, selection_rate=rate, max_compute_ms=1000 + round, reward=40 * ETHER * (round % 2)),
                digest,
            )
        )
        if pending is not None:
            record = commitments.next_record(record, *pending, commitments.ABANDONED)
            pending = None
        view = federation.round_view()
        assert federation.record() == record
        assert (view.opening.base_model, view.opening.base_report) == (base.model, base.report)
        assert view.digest == commitments.first_digest(*place, view.opening)
        assert view.selected_count == selected_of(5, rate, view.max_updates)
        assert view.guaranteed_rate == guaranteed_rate(
            view.pool, view.reward_rate_cap, view.selected_count, view.max_compute_ms
        )
        selected = [account for account in accounts if federation.round_view(account.address).client.selected]
        assert len(selected) == view.selected_count
        choose.shuffle(selected)
        lines: list[Submitted] = []
        for number, account in enumerate(selected):
            if choose.random() < 0.2:
                organization.send(
                    federation.submit_updates(
                        round, key_of(round), [sign_decline(account, *place, round, key_of(round))]
                    )
                )
                continue
            line = Submitted(account.address, update_of(round, f"client {number}"), choose.randint(1, 1000))
            signed = sign_update(account, *place, round, key_of(round), line.update, line.compute_ms)
            organization.send(federation.submit_updates(round, key_of(round), [signed]))
            lines.append(line)
        assert federation.updates() == lines
        digest = commitments.digest_of(*place, view.opening, lines)
        claimed = sum(line.compute_ms for line in lines)
        assert (federation.round_view().digest, federation.round_view().claimed_ms) == (digest, claimed)
        if not lines or choose.random() < 0.3:
            pass_time(web3, 20_000)
            told.append((lines, None))
            pending = (round, digest, len(lines), claimed)
            abandoned = federation.round_view()
            by_client = {line.client: line.compute_ms for line in lines}
            money = money_of(abandoned.pool, abandoned.reward_rate_cap, claimed, by_client)
            assert (abandoned.surplus, abandoned.forfeited) == (money.carried, 0)
            for client, reward in money.rewards.items():
                earned[client] = earned.get(client, 0) + reward
            assert (federation.round_view().phase, federation.updates()) == (Phase.ABANDONED, lines)
            continue
        lowered = choose.sample(lines, choose.randint(0, len(lines)))
        adjustments = sorted(
            (Adjustment(line.client, choose.randrange(line.compute_ms)) for line in lowered),
            key=lambda adjustment: int(adjustment.client, 16),
        )
        credited = claimed - sum(line.compute_ms for line in lowered) + sum(item.credited_ms for item in adjustments)
        secret = secret_of(round) if terms.audit_policy is AuditPolicy.OPEN else bytes(32)
        choose.shuffle(lowered)
        organization.send(
            federation.finalize_round(
                round, digest, model_of(round), report_of(round), choose.sample(adjustments, len(adjustments)), secret
            )
        )
        outcome = Outcome(model_of(round), report_of(round), secret, credited, tuple(adjustments))
        base = Release(model_of(round), report_of(round))
        record = commitments.next_record(record, round, digest, len(lines), claimed, commitments.outcome_of(outcome))
        told.append((lines, outcome))
        assert federation.record() == record
        final = federation.round_view()
        by_client = {line.client: line.compute_ms for line in lines}
        by_client.update({adjustment.client: adjustment.credited_ms for adjustment in adjustments})
        money = money_of(final.pool, final.reward_rate_cap, claimed, by_client)
        assert (final.surplus, final.forfeited) == (money.carried, money.forfeited)
        assert final.payable == sum(money.rewards.values()) + money.rounding
        for client, reward in money.rewards.items():
            earned[client] = earned.get(client, 0) + reward
        over.append(federation.result(round))
        assert over[-1].credited_ms == credited and over[-1].sealing_key == key_of(round)[:12]

    logged = rounds_from_logs(federation, 0, federation.block().number)
    assert [(list(one.updates), one.outcome) for one in logged] == told
    chained = NO_RECORD
    for one in logged:
        assert one.record_before == chained
        digest = commitments.digest_of(*place, one.opening, one.updates)
        claimed = sum(line.compute_ms for line in one.updates)
        outcome_word = commitments.outcome_of(one.outcome)
        if (one.opening.round, one.outcome) == (6, None):
            break
        chained = commitments.next_record(chained, one.opening.round, digest, len(one.updates), claimed, outcome_word)
    assert chained == federation.record()
    assert len(federation.results()) == 6
    assert federation.results(first=5) == federation.results()[4:]
    assert [result for result in federation.results() if result.sealing_key != bytes(12)] == over
    assert [event.name for event in History(federation).read(federation.block())].count("RoundOpened") == 6
    for account in accounts:
        assert federation.balance_of(account.address) == (earned.get(account.address, 0), 0)


def test_a_round_is_finalized_and_followed_only_under_its_own_digest(
    training: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    alice.send(training.submit_update(1, key_of(1), update_of(1, "alice"), 900))
    early = training.round_view().digest
    bob.send(training.submit_update(1, key_of(1), update_of(1, "bob"), 800))
    digest = training.round_view().digest
    with pytest.raises(Reverted, match=f"round 1 has the digest 0x{digest.hex()}, and 0x{early.hex()} was named"):
        organization.send(training.finalize_round(1, early, model_of(1), report_of(1), [], secret_of(1)))
    organization.send(training.finalize_round(1, digest, model_of(1), report_of(1), [], secret_of(1)))
    with pytest.raises(Reverted, match=f"round 1 has the digest 0x{digest.hex()}, and 0x{early.hex()} was named"):
        organization.send(training.open_round(terms_of(2), early))
    with pytest.raises(Reverted, match=f"the sealing key 0x{key_of(1).hex()} is that of the round before"):
        organization.send(training.open_round(terms_of(2, sealing_key=key_of(1)), digest))
    too_dear = terms_of(2, max_compute_ms=60_001)
    with pytest.raises(Reverted, match="the pool would be [0-9]+ units and has to be at least [0-9]+, or 0") as refused:
        organization.send(training.open_round(too_dear, digest))
    assert refused.value.arguments == {
        "needed": least_pool(too_dear.reward_rate_cap, 2, 60_001, max_spread=1),
        "pool": training.carried() + too_dear.reward,
    }
    organization.send(training.open_round(terms_of(2), digest))
    assert training.round_view().opening.base_report == report_of(1)


def test_who_leaves_after_an_abandoned_round_takes_its_line_along(
    web3: Web3, training: Federation, alice: Sender, bob: Sender
) -> None:
    for client, name in ((bob, "bob"), (alice, "alice")):
        client.send(training.submit_update(1, key_of(1), update_of(1, name), 500))
    pass_time(web3, 20_000)
    at = training.block()
    bob.send(training.leave(bob.address))

    assert [line.client for line in training.updates(at)] == [bob.address, alice.address]
    assert [view.client for view in training.update_views()] == [alice.address]
    with pytest.raises(ChainError, match=r"gave 1 updates .* counts 2 with 1000 ms \(whoever left since then"):
        training.updates()


# ------------------------------------------------------------------------------------------------------- factories


def test_a_factory_knows_where_its_federations_are_before_it_makes_them(
    web3: Web3, organization: Sender, alice: Sender
) -> None:
    factory, other = (Factory(web3, deploy_factory(organization)) for _ in range(2))
    for salt, terms in enumerate((FederationTerms(), FederationTerms(max_spread=7, idle_rounds=9), FederationTerms())):
        expected = factory.address_of(organization.address, terms, salt)
        assert not factory.exists(organization.address, terms, salt)
        at = factory.block()

        made = factory.created(organization.send(factory.create_federation(terms, salt)))

        assert made == expected
        assert factory.exists(organization.address, terms, salt)
        assert not factory.exists(organization.address, terms, salt, at)
        assert [factory.is_federation(made), factory.is_federation(made, at), other.is_federation(made)] == [
            True,
            False,
            False,
        ]
        assert Federation(web3, made).made_by() == factory.address
        asked = factory._contract.functions.addressOf(
            organization.address,
            (terms.asset, terms.stake, terms.max_slash_rate, 0, 0, terms.max_spread, terms.idle_rounds),
            salt,
        )
        assert asked.call() == expected, "the contract says the same"
    with pytest.raises(Reverted, match="cannot create a federation: there is a federation of this owner .* salt"):
        organization.send(factory.create_federation(FederationTerms(), 2))
    stranger = factory.created(alice.send(factory.create_federation(FederationTerms(), 2)))
    assert stranger != expected and Federation(web3, stranger).owner() == alice.address
    assert not factory.is_federation(alice.address)
    for terms, salt in ((FederationTerms(), 2**64), (FederationTerms(stake=-1), 0)):
        with pytest.raises(ChainError, match="larger than its code can hold"):
            factory.address_of(alice.address, terms, salt)
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        factory.create_federation(FederationTerms(), 2**64)
    with pytest.raises(Reverted, match="the spread is 0"):
        organization.send(factory.create_federation(FederationTerms(max_spread=0)))


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

    with pytest.raises(Reverted, match="the compute time is 0, more than the round allows, or more than") as refused:
        alice.send(training.submit_update(1, key_of(1), update_of(1, "alice"), 1002), signed.append)
    assert str(refused.value).startswith("cannot submit the update of round 1: ")
    assert refused.value.name == "UpdateRefused"
    assert refused.value.arguments == {"round": 1, "client": alice.address, "reason": int(Refusal.COMPUTE_TIME)}
    with pytest.raises(Reverted, match="only its owner can do this"):
        alice.send(training.close(), signed.append)
    with pytest.raises(Reverted, match="is owed nothing"):
        alice.send(training.claim(alice.address), signed.append)
    with pytest.raises(Reverted, match=f"the call is for the sealing key 0x{key_of(2).hex()}, but round 1 has"):
        alice.send(training.submit_update(1, key_of(2), update_of(1, "alice"), 500), signed.append)
    with pytest.raises(Reverted, match="round 2 is named, but round 1 is the latest and in Training"):
        alice.send(training.submit_update(2, key_of(1), update_of(1, "alice"), 500), signed.append)

    assert signed == []
    assert web3.eth.get_transaction_count(Web3.to_checksum_address(alice.address)) == nonce


def test_a_quote_is_what_a_transaction_costs_at_most_and_needs_no_key(
    web3: Web3, federation: Federation, alice: Sender
) -> None:
    call = federation.fund(ETHER)

    price = quote(web3, alice.address, call)
    assert quote(web3, account_of("whale").address, federation.register()).gas > 0, "gas is priced, not demanded"
    receipt = alice.send(call)

    assert receipt.gas_used is not None and receipt.fee_wei is not None
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
        bob.send(federation.set_initial_model(model_of(0)))
    organization.send(federation.set_operator(bob.address))
    assert federation.operator() == bob.address
    alice.send(federation.register())

    bob.send(federation.set_initial_model(model_of(0)))
    bob.send(federation.open_round(terms_of(1), NO_DIGEST))

    assert federation.round_view().phase is Phase.TRAINING
    for call in (federation.pause(), federation.set_operator(bob.address), federation.transfer_ownership(bob.address)):
        with pytest.raises(Reverted, match="only its owner can do this"):
            bob.send(call)
    organization.send(federation.set_operator(ZERO_ADDRESS))
    assert federation.operator() is None


def test_a_pause_stops_new_rounds_until_the_owner_resumes(
    federation: Federation, organization: Sender, alice: Sender
) -> None:
    organization.send(federation.set_initial_model(model_of(0)))
    organization.send(federation.pause())
    assert federation.paused()
    alice.send(federation.register())
    with pytest.raises(Reverted, match="cannot open a round with a reward of 3[.]0+1 ETH: the federation is paused"):
        organization.send(federation.open_round(terms_of(1), NO_DIGEST))

    organization.send(federation.unpause())
    organization.send(federation.open_round(terms_of(1), NO_DIGEST))

    assert (federation.paused(), federation.round_count()) == (False, 1)
    with pytest.raises(Reverted, match="the federation is not paused: rounds can open"):
        organization.send(federation.unpause())


def test_ownership_changes_hands_in_two_steps_and_takes_the_operator_along(
    federation: Federation, organization: Sender, alice: Sender, bob: Sender
) -> None:
    organization.send(federation.set_operator(bob.address))
    organization.send(federation.transfer_ownership(alice.address))
    assert (federation.owner(), federation.pending_owner()) == (organization.address, alice.address)
    with pytest.raises(Reverted, match=f"{bob.address} cannot accept the ownership: it is offered to {alice.address}"):
        bob.send(federation.accept_ownership())
    assert federation.owner_nonce() == 0

    alice.send(federation.accept_ownership())

    assert federation.owner_nonce() == 1
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
    assert receipt.fee_wei is not None and receipt.gas_used is not None
    assert receipt.fee_wei <= receipt.gas_used * 10**11


def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent(federation: Federation) -> None:
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        federation.fund(2**112)
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        federation.open_round(terms_of(1, training_period=-1), NO_DIGEST)
    with pytest.raises(ChainError, match="larger than the contract can hold"):
        federation.voucher_spent(2**256)
    for call in (federation.leave, federation.withdraw, federation.set_operator, federation.transfer_ownership):
        with pytest.raises(ChainError, match="'bob' is not an address"):
            call("bob")
    with pytest.raises(ChainError, match="is not an address"):
        federation.claim("bob")


def test_a_call_shows_what_it_does_and_not_its_data(federation: Federation) -> None:
    call = federation.finalize_round(1, b"\x01" * 20, model_of(1), report_of(1), [], secret_of(1))
    assert secret_of(1).hex() not in repr(call)
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


@pytest.mark.parametrize("round", [1, 2])
def test_updates_that_are_not_what_the_contract_counts_or_commits_to_are_refused(
    training: Federation,
    organization: Sender,
    alice: Sender,
    bob: Sender,
    round: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if round == 2:
        alice.send(training.submit_update(1, key_of(1), update_of(1, "alice"), 1))
        bob.send(training.submit_update(1, key_of(1), update_of(1, "bob"), 2))
        digest = training.round_view().digest
        organization.send(training.finalize_round(1, digest, model_of(1), report_of(1), [], secret_of(1)))
        organization.send(training.open_round(terms_of(2), digest))
    for client, name in ((alice, "alice"), (bob, "bob")):
        client.send(training.submit_update(round, key_of(round), update_of(round, name), 700 + 50 * len(name)))
    read, change = training._read, None
    changes: dict[str, Callable[[list[UpdateView]], list[UpdateView]]] = {
        "one is missing": lambda found: found[:1],
        "one came twice": lambda found: [*found, found[0]],
        "another time": lambda found: [dataclasses.replace(found[0], compute_ms=1), found[1]],
        "times changed places": lambda found: [
            dataclasses.replace(found[0], compute_ms=found[1].compute_ms),
            dataclasses.replace(found[1], compute_ms=found[0].compute_ms),
        ],
        "another update": lambda found: [found[0], dataclasses.replace(found[1], update=cid_of(b"another"))],
        "no update": lambda found: [found[0], dataclasses.replace(found[1], update=None)],  # type: ignore[arg-type]
        "another client": lambda found: [dataclasses.replace(found[0], client=organization.address), found[1]],
        "another order": lambda found: [
            dataclasses.replace(found[0], ordinal=1),
            dataclasses.replace(found[1], ordinal=0),
        ],
    }

    def mixed(name: str, *arguments: Any, at: Any = None) -> Any:
        found = read(name, *arguments, at=at)
        return changes[change](found) if name == "updates" and change else found

    monkeypatch.setattr(training, "_read", mixed)
    assert [line.client for line in training.updates()] == [alice.address, bob.address]
    claimed = training.round_view().claimed_ms
    for number, name in enumerate(changes):
        change = name
        expected = (
            f"gave . updates of round {round} with .* counts 2 with {claimed} ms" if number < 3 else "the digest 0x"
        )
        with pytest.raises(ChainError, match=expected):
            training.updates()
