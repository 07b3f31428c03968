"""What somebody might try: exactly what the attacker gains by it, and what it costs the others.

Re-entry is in test_assets, gifts that would overflow in test_funding.
"""

from __future__ import annotations

import brownie
import pytest

from .direct import Direct, Node, Refused
from .helpers import (
    FOREVER,
    GWEI,
    MAX_SLASH_RATE,
    OWNERS_CALLS,
    SECRET,
    STAKE,
    TRAINING,
    VOUCHER,
    ZERO_ADDRESS,
    Terms,
    abandon,
    balance_of,
    client_of,
    deploy_federation,
    digest,
    end_training,
    finalize,
    leave,
    mine_at,
    next_block_at,
    now,
    open_round,
    payment,
    register,
    register_with_voucher,
    request,
    reverts,
    sign_voucher,
    submit,
)

MOST = 2**128 - 1


def closed_and_withdrawn(federation, organization):
    federation.close({"from": organization})
    return federation.withdraw(organization, {"from": organization}).return_value


def rewards(federation, round, people):
    return [client_of(federation, round, person)["reward"] for person in people]


def stakes(federation, people):
    return [client_of(federation, 0, person)["stake"] for person in people]


# ------------------------------------------------------------------------------------------ by the organization


@pytest.mark.parametrize("rejected", [0, 1, 4, 5])
def test_rejecting_clients_and_closing_gains_nothing(staked, organization, clients, rejected):
    """They lose their reward and a half of their stake, to nobody."""
    round = open_round(staked, reward=100 * GWEI)
    for client in clients:
        submit(staked, client, 2000)
    finalize(staked, dict.fromkeys(clients[:rejected], (0, MAX_SLASH_RATE)))
    assert rewards(staked, round, clients) == [0] * rejected + [2 * GWEI] * (5 - rejected)
    assert closed_and_withdrawn(staked, organization) == 90 * GWEI
    for client in clients:
        staked.claim([round], client, {"from": client})
        leave(staked, client)
    assert staked.balance() == rejected * (2 * GWEI + STAKE // 2), "for ever"


def test_settling_nothing_and_closing_costs_what_was_claimed(federation, organization, clients):
    round = open_round(federation, reward=100 * GWEI)
    for client in clients:
        submit(federation, client, 2000)
    with reverts("RoundIsLive", round, 2):
        federation.close({"from": organization})
    abandon(federation)
    assert closed_and_withdrawn(federation, organization) == 90 * GWEI
    for client in clients:
        assert federation.claim([round], client, {"from": client}).return_value == 2 * GWEI
    assert federation.balance() == 0


@pytest.mark.parametrize("rejected, owed", [(0, GWEI), (2, 5 * GWEI // 3), (3, 2 * GWEI), (4, 2 * GWEI)])
def test_rejecting_others_gains_a_client_of_its_own_at_most_its_wage(federation, clients, rejected, owed):
    """Five gwei for ten seconds: the part of the others falls to who is left, up to what the time is worth."""
    round = open_round(federation, reward=5 * GWEI)
    for client in clients:
        submit(federation, client, 2000)
    finalize(federation, dict.fromkeys(clients[:rejected], 0))
    assert rewards(federation, round, clients) == [0] * rejected + [owed] * (5 - rejected)
    assert federation.carried() == 0, "the organization paid the pool itself"


def test_slashing_round_after_round_ends_where_its_client_ends_it(staked, organization, clients):
    """Each round costs at most a half of what is left, and only whoever submits."""
    victim = clients[0]
    for left in (500, 250, 125):
        open_round(staked)
        submit(staked, victim)
        end_training(staked)
        finalize(staked, {victim: (0, MAX_SLASH_RATE)})
        assert stakes(staked, clients) == [left] + [STAKE] * 4
    open_round(staked)
    assert leave(staked, victim).return_value == 125
    end_training(staked)
    assert closed_and_withdrawn(staked, organization) == 4 * Terms().reward - 3 * GWEI


def test_opening_rounds_without_a_break_locks_no_stake(staked, clients):
    """What locks a stake is its client's own update in the live round."""
    open_round(staked)
    submit(staked, clients[0])
    end_training(staked)
    finalize(staked)
    open_round(staked, wait=0)
    assert [leave(staked, client).return_value for client in clients] == [STAKE] * 5


# ------------------------------------------------------------------------------------------ by a stolen operator


def test_a_stolen_operator_key_costs_the_live_pool_the_carry_and_bounded_slashes(
    staked, organization, clients, stranger
):
    """The thief has a client of its own. It settles the live round and one more before the owner notices."""
    staked.setOperator(stranger, {"from": organization})
    thief, (*honest, accomplice) = stranger, clients
    first = open_round(staked, reward=100 * GWEI)
    staked.fund(50 * GWEI, payment(staked, organization, 50 * GWEI))
    for client in clients:
        submit(staked, client, 1000)
    hardest = dict.fromkeys(honest, (0, MAX_SLASH_RATE))
    finalize(staked, hardest, sender=thief)
    assert staked.carried() == 145 * GWEI
    second = open_round(staked, reward=0, reward_rate_cap=MOST, sender=thief)
    for client in clients:
        submit(staked, client, 1000)
    finalize(staked, hardest, sender=thief)
    for name, arguments in OWNERS_CALLS.items():
        with reverts("OwnableUnauthorizedAccount", thief):
            getattr(staked, name)(*arguments, {"from": thief})

    staked.setOperator(ZERO_ADDRESS, {"from": organization})
    with reverts("NeitherOwnerNorOperator", thief):
        open_round(staked, reward=0, sender=thief)
    gained = staked.claim([first, second], accomplice, {"from": accomplice}).return_value
    assert gained == (100 + 50) * GWEI - 4 * GWEI, "the live pool and the carry, without what it made the others lose"
    assert rewards(staked, first, honest) == rewards(staked, second, honest) == [0] * 4
    assert stakes(staked, clients) == [STAKE // 4] * 4 + [STAKE], "a half, and a half of that"
    staked.fund(10 * GWEI, payment(staked, organization, 10 * GWEI))
    assert closed_and_withdrawn(staked, organization) == 10 * GWEI, "what comes after the theft is safe"


def test_a_stolen_operator_key_touches_no_reward_of_the_past(federation, organization, clients, stranger):
    round = open_round(federation)
    submit(federation, clients[0], 3000)
    end_training(federation)
    finalize(federation)
    federation.setOperator(stranger, {"from": organization})
    with reverts("WrongPhase", round, 2, 3):
        finalize(federation, {clients[0]: 0}, round=round, sender=stranger)
    open_round(federation, reward=0, reward_rate_cap=MOST, sender=stranger)
    submit(federation, clients[1], 100_000)
    end_training(federation)
    finalize(federation, sender=stranger)
    federation.claim([2], clients[1], {"from": clients[1]})
    assert federation.balance() == federation.claim([1], clients[0], {"from": clients[0]}).return_value == 3 * GWEI


# ---------------------------------------------------------------------------------------------------- by sybils


def test_sybils_cannot_fill_the_slots_of_others(federation, clients):
    """In a round for three of five, two hurry in vain, and two cannot end the round before the third has submitted."""
    round = open_round(federation, max_updates=3)
    selected = [client for client in clients if client_of(federation, round, client)["selected"]]
    for sybil in set(clients) - set(selected):
        with reverts("NotSelected", round, sybil):
            submit(federation, sybil, 100_000)
    *sybils, honest = selected
    assert len(sybils) == 2
    for sybil in sybils:
        submit(federation, sybil, 100_000)
    assert federation.phase(round) == TRAINING
    submit(federation, honest, 1000)
    assert rewards(federation, round, clients) == [0] * 5, "not before it is over"
    finalize(federation)
    assert rewards(federation, round, selected) == [100 * GWEI, 100 * GWEI, GWEI]


def test_registering_after_the_opening_gets_nobody_in(federation, clients, stranger):
    round = open_round(federation, max_updates=1000)
    register(federation, stranger)
    with reverts("NotSelected", round, stranger):
        submit(federation, stranger)
    assert federation.roundView(round, ZERO_ADDRESS)["selectedCount"] == 5
    abandon(federation)
    round = open_round(federation)
    submit(federation, stranger)
    assert federation.roundView(round, ZERO_ADDRESS)["selectedCount"] == 6


def test_registering_many_times_over_needs_many_stakes(staked, stranger):
    register(staked, stranger)
    with reverts("AlreadyRegistered", stranger, 5):
        register(staked, stranger)
    assert staked.balance() == 6 * STAKE


def test_whatever_sybils_claim_a_client_gets_its_floor(federation, clients):
    """Four claim the most that there is; all are paid the same per second, at least the floor."""
    honest, *sybils = clients
    round = open_round(federation, max_updates=5, max_compute_ms=10_000, reward=20 * GWEI)
    floor = federation.roundView(round, ZERO_ADDRESS)["guaranteedRate"]
    assert floor == 20 * GWEI * 1000 // (5 * 10_000)
    submit(federation, honest, 5000)
    for sybil in sybils:
        submit(federation, sybil, 10_000)
    finalize(federation)
    assert rewards(federation, round, clients) == [20 * GWEI * 5 // 45] + [20 * GWEI * 10 // 45] * 4
    assert rewards(federation, round, [honest])[0] >= 5 * floor


# -------------------------------------------------------------------------------------------------- by its claim


def test_claiming_the_bound_pays_the_wage_of_the_bound(federation, clients):
    """Who worked for one second claims a hundred: 99 gwei of the organization's, and nothing of the others'."""
    liar, *honest = clients
    round = open_round(federation)
    with reverts("ComputeTimeOutOfBounds", 1, 100_000, 100_001):
        submit(federation, liar, 100_001)
    submit(federation, liar, 100_000)
    for client in honest:
        submit(federation, client, 1000)
    finalize(federation)
    assert rewards(federation, round, clients) == [100 * GWEI] + [GWEI] * 4


def test_nobody_claims_time_that_has_not_passed(federation, clients):
    round = open_round(federation, wait=0)
    moment = now() + 7
    next_block_at(moment)
    with reverts("ComputeTimeOutOfBounds", 1, 8000, 8001):
        submit(federation, clients[0], 8001)
    next_block_at(moment)
    submit(federation, clients[0], 8000)
    abandon(federation)
    assert rewards(federation, round, clients[:1]) == [8 * GWEI]


@pytest.mark.parametrize(
    "credited, owed",
    [(12_000, [6 * GWEI] + [GWEI // 2] * 4), (1000, [GWEI] * 5), (0, [0] + [GWEI] * 4)],
)
def test_who_claims_too_much_takes_from_the_others_until_it_is_lowered(federation, clients, credited, owed):
    """Eight gwei for four honest seconds and twelve false ones."""
    liar, *honest = clients
    round = open_round(federation, reward=8 * GWEI)
    submit(federation, liar, 12_000)
    for client in honest:
        submit(federation, client, 1000)
    finalize(federation, {liar: credited} if credited < 12_000 else {})
    assert rewards(federation, round, clients) == owed
    assert federation.carried() == 0, "what it claimed too much is not the organization's either"


def test_junk_from_everybody_under_a_dead_organization_costs_what_was_claimed(staked, organization, clients):
    """Nobody rejects it, nobody slashes them: each gets its claim and its stake, and the model stays what it was."""
    round = open_round(staked)
    for client in clients:
        submit(staked, client, 100_000, update_cid=digest("junk"))
    abandon(staked)
    assert [staked.claim([round], each, {"from": each}).return_value for each in clients] == [100 * GWEI] * 5
    assert [leave(staked, client).return_value for client in clients] == [STAKE] * 5
    assert staked.latestRelease()["modelCid"] == digest("initial model")
    assert staked.balance() == closed_and_withdrawn(staked, organization) == 500 * GWEI


def test_junk_cannot_cost_more_than_its_pool(federation, clients):
    """Everybody claims the most at the highest wage; what was earned before stays owed."""
    first = open_round(federation)
    submit(federation, clients[0], 1000)
    end_training(federation)
    finalize(federation)
    second = open_round(federation, reward=0, reward_rate_cap=MOST)
    for client in clients:
        submit(federation, client, 100_000)
    abandon(federation)
    for client in clients:
        assert federation.claim([second], client, {"from": client}).return_value == 999 * GWEI // 5
    assert federation.claim([first], clients[0], {"from": clients[0]}).return_value == GWEI
    assert federation.balance() == 999 * GWEI % 5


# ----------------------------------------------------------------------------------------------- at the deadline


WHILE_LIVE = {"open": "RoundIsLive", "close": "RoundIsLive", "claim": "RoundIsLive", "leave": "StakeIsLocked"}
ONCE_OVER = {"submit": "WrongPhase", "open": None, "close": None, "claim": None, "leave": None}
OUTCOMES = [
    ("trainingDeadline", -1, {"submit": None, "finalize": "WrongPhase"} | WHILE_LIVE),
    ("trainingDeadline", 0, {"submit": "WrongPhase", "finalize": None} | WHILE_LIVE),
    ("aggregationDeadline", -1, {"submit": "WrongPhase", "finalize": None} | WHILE_LIVE),
    ("aggregationDeadline", 0, {"finalize": "WrongPhase"} | ONCE_OVER),
]


@pytest.mark.parametrize("deadline, offset, outcomes", OUTCOMES)
def test_no_block_lets_both_sides_of_a_deadline_act(staked, organization, clients, deadline, offset, outcomes):
    """The client that submitted has left: it comes for its stake and its reward."""
    round = open_round(staked)
    submit(staked, clients[0], 1000)
    leave(staked, clients[0])
    mine_at(staked.roundView(round, ZERO_ADDRESS)[deadline] + offset)
    release = digest("model"), digest("report")
    calls = {
        "submit": (clients[1], "submitUpdate", round, Terms().sealing_key, digest("update"), 1000, 10),
        "finalize": (organization, "finalizeRound", round, 1, 1000, *release, [], SECRET),
        "open": (organization, "openRound", Terms(reward=0)),
        "close": (organization, "close"),
        "claim": (clients[0], "claim", [round], clients[0]),
        "leave": (clients[0], "leave", clients[0]),
    }
    assert {name: refusal(staked, *call) for name, call in calls.items()} == outcomes


def refusal(federation, sender, function, *arguments):
    """The error of a transaction in a block of the very time of the latest."""
    try:
        Direct(federation, Node()).call(function, *arguments, sender=sender)
    except Refused as error:
        return str(error)
    return None


def test_a_finalization_that_comes_too_late_slashes_nobody(staked, clients):
    round = open_round(staked)
    submit(staked, clients[0], 1000)
    next_block_at(staked.roundView(round, ZERO_ADDRESS)["aggregationDeadline"])
    with reverts("WrongPhase", round, 2, 4):
        finalize(staked, {clients[0]: (0, MAX_SLASH_RATE)})
    assert leave(staked, clients[0]).return_value == STAKE
    assert staked.claim([round], clients[0], {"from": clients[0]}).return_value == GWEI


# ----------------------------------------------------------------------------------------------- by copying others


@pytest.mark.parametrize("copied", [False, True], ids=["undisturbed", "copied"])
def test_who_copies_an_update_gains_nothing_and_stops_nobody(staked, clients, copied):
    """The copy is in first, and cannot be opened: the original is paid as if there were none."""
    victim, thief = clients[:2]
    round = open_round(staked)
    if copied:
        submit(staked, thief, 5000, update_cid=digest("update"))
    submit(staked, victim, 5000, update_cid=digest("update"))
    end_training(staked)
    finalize(staked, {thief: (0, MAX_SLASH_RATE)} if copied else {})
    assert rewards(staked, round, [victim, thief]) == [5 * GWEI, 0]
    assert stakes(staked, [victim, thief]) == [STAKE, STAKE // 2 if copied else STAKE]


@pytest.mark.parametrize("front_run", [[], [1], [2, 3], [1, 2, 3]])
def test_who_front_runs_a_claim_only_pays_its_gas(federation, clients, stranger, front_run):
    """What is named by `claimFor` goes to the client's own address, the rest where it says: nothing goes elsewhere."""
    victim, purse = clients[0], clients[1]
    for _ in range(3):
        open_round(federation)
        submit(federation, victim, 1000)
        end_training(federation)
        finalize(federation)
    before = [person.balance() for person in (stranger, victim, purse)]
    federation.claimFor(victim, front_run, {"from": stranger})
    federation.claim([1, 2, 3], purse, {"from": victim})
    after = [person.balance() for person in (stranger, victim, purse)]
    paid = len(front_run)
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, paid * GWEI, (3 - paid) * GWEI]


# -------------------------------------------------------------------------------------------- by another's voucher


@pytest.fixture
def vouchered(organization):
    return deploy_federation(organization, stake=STAKE, admission=VOUCHER)


def test_a_voucher_is_of_no_use_to_others_elsewhere_or_again(vouchered, organization, clients, stranger):
    client = clients[0]
    signature = sign_voucher(vouchered, client, 1)
    other = deploy_federation(organization, stake=STAKE, admission=VOUCHER)
    with reverts("InvalidVoucher", organization, stranger):
        register_with_voucher(vouchered, stranger, 1, signature=signature)
    with reverts("InvalidVoucher", organization, client):
        register_with_voucher(other, client, 1, signature=signature)
    register_with_voucher(vouchered, client, 1, signature=signature)
    assert leave(vouchered, client).return_value == STAKE
    with reverts("VoucherSpent", 1):
        register_with_voucher(vouchered, client, 1, signature=signature)
    assert (vouchered.balance(), other.balance()) == (0, 0)


def test_a_voucher_does_not_pass_to_a_fork_of_the_chain(vouchered, clients):
    """The same contract at the same address, under another chain id."""
    client, chain_id = clients[0], brownie.chain.id
    ours, theirs = (sign_voucher(vouchered, client, 1, chain_id=each) for each in (chain_id, chain_id + 1))
    registering = Direct(vouchered, Node())

    def outcome(signature):
        try:
            return registering.call("registerWithVoucher", 1, FOREVER, signature, sender=client, value=STAKE)
        except Refused as error:
            return str(error)

    assert (outcome(ours), outcome(theirs)) == (0, "InvalidVoucher")
    request("anvil_setChainId", chain_id + 1)
    try:
        assert (outcome(ours), outcome(theirs)) == ("InvalidVoucher", 0)
    finally:
        request("anvil_setChainId", chain_id)


# -------------------------------------------------------------------------------------------- by leaving in time


@pytest.mark.parametrize("leaving", ["never", "in training", "while it is aggregated"])
def test_nobody_leaves_to_dodge_a_slash(staked, clients, leaving):
    """It costs the same half, and the reward, whether and whenever the client leaves."""
    client = clients[0]
    round = open_round(staked)
    submit(staked, client, 1000)
    if leaving == "in training":
        assert leave(staked, client).return_value == 0
    end_training(staked)
    if leaving == "while it is aggregated":
        assert leave(staked, client).return_value == 0
    finalize(staked, {client: (0, MAX_SLASH_RATE)})
    assert leave(staked, client).return_value == STAKE // 2
    assert rewards(staked, round, [client]) == [0]


def test_nobody_exchanges_a_stake_that_is_about_to_be_slashed(staked, clients):
    client = clients[0]
    round = open_round(staked)
    submit(staked, client)
    leave(staked, client)
    with reverts("StakeNotReturned", client, STAKE):
        register(staked, client)
    end_training(staked)
    with reverts("StakeNotReturned", client, STAKE):
        register(staked, client)
    finalize(staked, {client: (0, MAX_SLASH_RATE)})
    with reverts("StakeNotReturned", client, STAKE // 2):
        register(staked, client)
    assert leave(staked, client).return_value == STAKE // 2
    register(staked, client)
    assert rewards(staked, round, [client]) == [0]
    assert stakes(staked, [client]) == [STAKE]


def test_who_registers_again_in_a_live_round_submits_no_second_update(federation, clients):
    """Without a stake nothing keeps it from coming back; it is paid once."""
    client = clients[0]
    round = open_round(federation)
    submit(federation, client, 1000)
    leave(federation, client)
    register(federation, client)
    with reverts("AlreadySubmitted", round, client):
        submit(federation, client, 1000)
    end_training(federation)
    finalize(federation)
    assert federation.claim([round], client, {"from": client}).return_value == GWEI
    assert federation.claim([round], client, {"from": client}).return_value == 0


def test_who_registers_again_before_it_submitted_loses_its_place(staked, clients):
    client = clients[0]
    round = open_round(staked)
    leave(staked, client)
    register(staked, client)
    with reverts("NotSelected", round, client):
        submit(staked, client)


def test_a_stake_slashed_whole_is_not_filled_up_by_registering_again(organization, clients):
    """In the live round the new stake answers for the update too: who comes back early risks it."""
    federation = deploy_federation(organization, clients, stake=STAKE, max_slash_rate=10_000)
    client = clients[0]
    for _ in range(2):
        open_round(federation)
        submit(federation, client)
        if client_of(federation, 1, client)["stake"] == 0:
            leave(federation, client)
            register(federation, client)
        end_training(federation)
        finalize(federation, {client: (0, 10_000)})
        assert stakes(federation, [client]) == [0]
    assert federation.balance() == 2 * Terms().reward + 6 * STAKE


# --------------------------------------------------------------------------------------------- by hostile contracts


@pytest.fixture
def receiver(Receiver, accounts, staked, stranger):
    """A contract that is the sixth member, and is owed 1 gwei of the first round; a person is owed 2."""
    receiver = Receiver.deploy({"from": stranger})
    request("anvil_setBalance", str(receiver), hex(STAKE))
    account = accounts.at(receiver.address, force=True)
    register(staked, account)
    open_round(staked)
    submit(staked, account, 1000)
    submit(staked, accounts[1], 2000)
    end_training(staked)
    finalize(staked)
    return receiver


def test_a_client_that_refuses_coins_harms_only_itself(staked, receiver, clients, stranger):
    receiver.refuse(True, {"from": stranger})
    claim, leaving = staked.claim.encode_input([1], receiver), staked.leave.encode_input(receiver)
    for call in (claim, leaving):
        with reverts("Refused"):
            receiver.perform(staked, call, {"from": stranger})
    with reverts("Refused"):
        staked.claimFor(receiver, [1], {"from": stranger})
    assert staked.claim([1], clients[0], {"from": clients[0]}).return_value == 2 * GWEI
    purse = clients[1]
    before = purse.balance()
    receiver.perform(staked, staked.claim.encode_input([1], purse), {"from": stranger})
    receiver.perform(staked, staked.leave.encode_input(purse), {"from": stranger})
    assert purse.balance() - before == GWEI + STAKE


def test_coins_are_not_accepted_without_a_call(federation, stranger):
    with brownie.reverts():
        stranger.transfer(federation, 1)


def test_coins_forced_by_a_contract_that_destroys_itself_are_lost_to_whoever_sent_them(staked, organization, stranger):
    """The contract never lives: its constructor is PUSH20 <federation> SELFDESTRUCT."""
    before = staked.balance()
    stranger.transfer(amount=77, data="0x73" + staked.address[2:] + "ff")
    assert staked.balance() - before == 77
    assert staked.carried() == 0
    round = open_round(staked, reward=5 * GWEI)
    assert staked.roundView(round, ZERO_ADDRESS)["pool"] == 5 * GWEI
    abandon(staked)
    assert closed_and_withdrawn(staked, organization) == 5 * GWEI
    assert staked.balance() == 5 * STAKE + 77


@pytest.mark.parametrize("asset", ["native coin", "token"])
def test_who_has_itself_paid_to_the_federation_loses_it_alone(Token, organization, clients, asset):
    """Coins come back as an error; tokens arrive, and are nobody's."""
    token = Token.deploy({"from": organization}) if asset == "token" else ZERO_ADDRESS
    federation = deploy_federation(organization, clients[:2], asset=token, stake=STAKE)
    fool, other = clients[:2]
    round = open_round(federation, reward=5 * GWEI)
    submit(federation, fool, 1000)
    submit(federation, other, 1000)
    finalize(federation)
    held = balance_of(federation, federation)
    if asset == "token":
        federation.claim([round], federation, {"from": fool})
        leave(federation, fool, to=federation)
    else:
        with brownie.reverts():
            federation.claim([round], federation, {"from": fool})
        with brownie.reverts():
            leave(federation, fool, to=federation)
    assert balance_of(federation, federation) == held
    assert federation.claim([round], other, {"from": other}).return_value == GWEI
    assert leave(federation, other).return_value == STAKE
    assert closed_and_withdrawn(federation, organization) == 3 * GWEI
    assert balance_of(federation, federation) == GWEI + STAKE
