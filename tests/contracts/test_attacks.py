"""What somebody might try: exactly what the attacker gains by it, and what it costs the others.

Re-entry is in test_assets, gifts that would overflow in test_funding, replays of what is signed in test_signed,
poisoned clones and the bare implementation in test_factory.
"""

from __future__ import annotations

import pytest

from .chain import CHAIN, Refused, deploy
from .helpers import (
    ABANDONED,
    AGGREGATING,
    BASIS_POINTS,
    COMPUTE_TIME,
    FINALIZED,
    FOREVER,
    GWEI,
    MAX_SLASH_RATE,
    MOST,
    NOT_SELECTED,
    OWNERS_CALLS,
    STAKE,
    TRAINING,
    VOUCHER,
    WAGE,
    ZERO_ADDRESS,
    abandon,
    balance_of,
    client_of,
    deploy_federation,
    digest,
    digest_of,
    end_training,
    finalize,
    key_of,
    leave,
    mine_at,
    model_of,
    open_round,
    owed,
    payment,
    person,
    play_round,
    register,
    register_with_voucher,
    relay,
    report_of,
    reverts,
    secret_of,
    sign_update,
    sign_voucher,
    stake_of,
    submit,
    terms_of_round,
    view,
)

POOL = 1000 * GWEI


def closed_and_withdrawn(federation, organization):
    federation.close({"from": organization})
    return federation.withdraw(organization, {"from": organization}).return_value


def selected_of(federation, people):
    return [client for client in people if client_of(federation, client)["selected"]]


# ------------------------------------------------------------------------------------------ by the organization


@pytest.mark.parametrize("rejected", [0, 1, 4, 5])
def test_rejecting_clients_and_closing_gains_nothing(staked, organization, clients, rejected):
    """They lose their reward and a half of their stake, to nobody."""
    play_round(staked, dict.fromkeys(clients, 2000), dict.fromkeys(clients[:rejected], (0, MAX_SLASH_RATE)))
    assert owed(staked, *clients) == [0] * rejected + [2 * GWEI] * (5 - rejected)
    assert closed_and_withdrawn(staked, organization) == POOL - 10 * GWEI
    for client in clients:
        leave(staked, client)
    assert staked.balance() == rejected * (2 * GWEI + STAKE // 2), "for ever"


def test_settling_nothing_and_closing_costs_what_was_claimed(federation, organization, clients):
    """Nor does closing in the live round get it back."""
    open_round(federation)
    for client in clients:
        submit(federation, client, 2000)
    assert closed_and_withdrawn(federation, organization) == 0
    abandon(federation)
    assert federation.withdraw(organization, {"from": organization}).return_value == POOL - 10 * GWEI
    for client in clients:
        assert federation.claim(client, {"from": client}).return_value == 2 * GWEI
    assert federation.balance() == 0


@pytest.mark.parametrize("rejected", [0, 2, 4])
def test_rejecting_others_gains_a_client_of_the_organizations_nothing(federation, clients, rejected):
    """With the default terms the pool never binds: everybody earns the wage, whoever else is rejected."""
    play_round(federation, dict.fromkeys(clients, 100_000), dict.fromkeys(clients[:rejected], 0), reward=500 * GWEI)
    assert owed(federation, *clients) == [0] * rejected + [100 * GWEI] * (5 - rejected)


def test_a_wallet_that_claims_a_millisecond_gets_a_millisecond(federation, clients):
    """Today it got the whole pool where the rate cap was as high as it goes and the others were rejected."""
    *honest, own = clients
    for cap in (MOST, 2 * WAGE + 10**10):
        with reverts("PoolTooSmall", -(-cap * 5 * 100_000 // 10**12), POOL):
            open_round(federation, reward_rate_cap=cap, reward=POOL)
    needed = -(-2 * WAGE * 5 * 100_000 // 10**12)
    times = {own: 1} | dict.fromkeys(honest, 2000)
    play_round(federation, times, dict.fromkeys(honest, 0), reward_rate_cap=2 * WAGE, reward=needed)
    assert owed(federation, own) == 2 * GWEI // 1000


@pytest.mark.parametrize("spread", [1, 2, 4])
@pytest.mark.parametrize("rejected", [0, 1, 3, 4])
def test_where_the_pool_may_bind_rejecting_gains_at_most_s_fold(organization, clients, spread, rejected):
    federation = deploy_federation(organization, clients, max_spread=spread)
    pool = 500 * GWEI // spread
    play_round(federation, dict.fromkeys(clients, 100_000), dict.fromkeys(clients[:rejected], 0), reward=pool)
    fair, left = pool // 5, 5 - rejected
    pay = min(100 * GWEI, pool // left)
    assert owed(federation, *clients) == [0] * rejected + [pay] * left
    assert fair <= pay <= spread * fair
    assert federation.carried() == 0, "and the organization has paid the pool itself"


def test_a_relay_of_the_organizations_gains_nothing_by_withholding_what_clients_can_publish(
    federation, organization, clients, relayer
):
    """Four clients, and a wallet of its own. What is withheld is carried, and what is submitted is not: but a client
    hands over no sealed bytes, and submits itself what it does not see on chain."""
    own, *others = clients
    outcomes = {}
    for how in ("rejecting three", "withholding three", "withholding three, who submit themselves"):
        with CHAIN.imagined():
            open_round(federation)
            signed = [sign_update(federation, client, 10_000) for client in clients]
            kept = dict(zip(clients, signed, strict=True))
            withheld = [] if how == "rejecting three" else others[:3]
            relay(federation, [one for client, one in kept.items() if client not in withheld], relayer)
            if how.endswith("themselves"):
                for client in withheld:
                    submit(federation, client, 10_000)
            end_training(federation)
            finalize(federation, dict.fromkeys(others[:3], 0) if how == "rejecting three" else {})
            outcomes[how] = (owed(federation, own), closed_and_withdrawn(federation, organization))
    rejecting, withholding, published = outcomes.values()
    assert rejecting == published == (10 * GWEI, POOL - 50 * GWEI)
    assert withholding == (10 * GWEI, POOL - 20 * GWEI), "this is why nobody waits for a relay"


def test_slashing_round_after_round_ends_where_its_client_ends_it(staked, organization, clients):
    """Each round costs at most a half of what is left, and only whoever submits."""
    victim = clients[0]
    for left in (500, 250, 125):
        play_round(staked, {victim: 1000}, {victim: (0, MAX_SLASH_RATE)})
        assert stake_of(staked, *clients) == [left] + [STAKE] * 4
    open_round(staked)
    assert leave(staked, victim).return_value == 125
    end_training(staked)
    assert closed_and_withdrawn(staked, organization) == 4 * POOL - 3 * GWEI


def test_opening_rounds_without_a_break_locks_no_stake(staked, clients):
    """What locks a stake is its client's own update in the live round."""
    play_round(staked, {clients[0]: 1000})
    open_round(staked, wait=0)
    assert [leave(staked, client).return_value for client in clients] == [STAKE + GWEI] + [STAKE] * 4


# ------------------------------------------------------------------------------------------ by a stolen operator


def test_a_stolen_operator_key_costs_the_live_pool_the_carry_and_bounded_slashes(
    staked, organization, clients, stranger
):
    """The thief has a client of its own. It settles the live round and one more before the owner notices."""
    staked.setOperator(stranger, {"from": organization})
    thief, (*honest, accomplice) = stranger, clients
    open_round(staked)
    staked.fund(50 * GWEI, payment(staked, organization, 50 * GWEI))
    for client in clients:
        submit(staked, client, 1000)
    hardest = dict.fromkeys(honest, (0, MAX_SLASH_RATE))
    finalize(staked, hardest, sender=thief)
    carried = POOL - 5 * GWEI + 50 * GWEI
    assert staked.carried() == carried
    cap = carried * 10**12 // (5 * 1000)
    with reverts("PoolTooSmall", carried + 5, carried):
        open_round(staked, reward=0, reward_rate_cap=cap + 10**9, max_compute_ms=1000, sender=thief)
    open_round(staked, reward=0, reward_rate_cap=cap, max_compute_ms=1000, sender=thief)
    for client in clients:
        submit(staked, client, 1000)
    finalize(staked, hardest, sender=thief)
    for name, arguments in OWNERS_CALLS.items():
        with reverts("NotTheOwner", organization, thief):
            getattr(staked, name)(*arguments, {"from": thief})

    staked.setOperator(ZERO_ADDRESS, {"from": organization})
    with reverts("NeitherOwnerNorOperator", thief):
        open_round(staked, reward=0, sender=thief)
    gained = staked.claim(accomplice, {"from": accomplice}).return_value
    assert gained == GWEI + carried // 5, "its own wage, and a fifth of the carry: the pool does not fall to it"
    assert owed(staked, *honest) == [0] * 4
    assert stake_of(staked, *clients) == [STAKE // 4] * 4 + [STAKE], "a half, and a half of that"
    staked.fund(10 * GWEI, payment(staked, organization, 10 * GWEI))
    assert closed_and_withdrawn(staked, organization) == 10 * GWEI, "what comes after the theft is safe"


def test_a_stolen_operator_key_touches_no_reward_of_the_past(federation, organization, clients, stranger):
    play_round(federation, {clients[0]: 3000})
    federation.setOperator(stranger, {"from": organization})
    with reverts("WrongPhase", 1, FINALIZED, 1):
        finalize(federation, {clients[0]: 0}, round=1, sender=stranger)
    open_round(federation, reward=0, sender=stranger)
    submit(federation, clients[1], 100_000)
    end_training(federation)
    with reverts("NoUpdate", 2, clients[0]):
        finalize(federation, {clients[0]: 0}, sender=stranger)
    finalize(federation, sender=stranger)
    assert owed(federation, clients[0]) == 3 * GWEI
    assert federation.claim(clients[0], {"from": clients[0]}).return_value == 3 * GWEI


# ---------------------------------------------------------------------------------------------------- by sybils


def test_sybils_cannot_fill_the_slots_of_others(federation, clients):
    """In a round for three of five, two others are refused, and two cannot end it before the third has submitted."""
    round = open_round(federation, max_updates=3)
    selected = selected_of(federation, clients)
    for sybil in set(clients) - set(selected):
        with reverts("UpdateRefused", round, sybil, NOT_SELECTED):
            submit(federation, sybil, 100_000)
    *sybils, honest = selected
    assert len(sybils) == 2
    for sybil in sybils:
        submit(federation, sybil, 100_000)
    assert federation.phase() == TRAINING
    submit(federation, honest, 1000)
    assert owed(federation, *clients) == [0] * 5, "not before it is over"
    finalize(federation)
    assert owed(federation, *selected) == [100 * GWEI, 100 * GWEI, GWEI]


def test_registering_after_the_opening_gets_nobody_in(federation, clients, stranger):
    round = open_round(federation)
    register(federation, stranger)
    with reverts("UpdateRefused", round, stranger, NOT_SELECTED):
        submit(federation, stranger)
    assert view(federation)["selectedCount"] == 5
    abandon(federation)
    open_round(federation)
    submit(federation, stranger)
    assert view(federation)["selectedCount"] == 6


def test_registering_many_times_over_needs_many_stakes(staked, stranger):
    register(staked, stranger)
    with reverts("AlreadyRegistered", stranger, 5):
        register(staked, stranger)
    assert staked.balance() == 6 * STAKE


@pytest.mark.parametrize("when", ["before the opening", "in the round", "after it"])
def test_looping_register_and_leave_makes_no_hole(federation, clients, when):
    """One account, forty times over: exactly the living are selected, and the round waits for nobody else."""
    looper = person("who loops")

    def loop():
        for _ in range(40):
            register(federation, looper)
            leave(federation, looper)

    if when == "before the opening":
        loop()
    open_round(federation, selection_rate=4000)
    if when == "in the round":
        loop()
    if when == "after it":
        abandon(federation)
        loop()
        open_round(federation, selection_rate=4000)
    seen = view(federation)
    assert (federation.memberCount(), seen["memberCount"], seen["selectedCount"]) == (5, 5, 2)
    selected = selected_of(federation, clients)
    assert len(selected) == 2
    for client in selected:
        submit(federation, client)
    assert federation.phase() == AGGREGATING


def test_churn_draws_only_the_living(organization):
    """Twenty members, two replaced in every round: before, after ninety rounds fewer than two of twenty were drawn."""
    crowd = [person(f"a passer-by {number}") for number in range(40)]
    federation = deploy_federation(organization, crowd[:20])
    members = list(crowd[:20])
    for number in range(12):
        for place in range(2):
            gone = members[(7 * number + 3 * place) % 20]
            leave(federation, gone)
            members.remove(gone)
            newcomer = crowd[(20 + 2 * number + place) % 40]
            if newcomer in members:
                newcomer = gone
            register(federation, newcomer)
            members.append(newcomer)
        open_round(federation, selection_rate=5000)
        assert view(federation)["selectedCount"] == len(selected_of(federation, members)) == 10
        for client in selected_of(federation, members)[:10]:
            submit(federation, client)
        assert federation.phase() == AGGREGATING
        abandon(federation)


def test_leaving_and_coming_back_around_an_opening_bends_the_selection_and_no_more(federation, clients):
    """Who leaves stands last when it comes back, so it can choose among positions: selection is no defence. It gains a
    turn, never a second update, and nobody loses more than that turn."""
    schemer = clients[0]
    open_round(federation, selection_rate=2000)
    abandon(federation)
    chances = set()
    for comes_back in (False, True):
        with CHAIN.imagined():
            if comes_back:
                leave(federation, schemer)
                register(federation, schemer)
            open_round(federation, selection_rate=2000)
            selected = selected_of(federation, clients)
            assert len(selected) == 1
            chances.add(selected[0])
            submit(federation, selected[0])
            assert federation.phase() == AGGREGATING
    assert len(chances) == 2, "another is selected where somebody has moved"


def test_an_open_federation_without_stake_can_be_squatted_until_the_idle_are_retired(organization, clients):
    """Twenty silent wallets keep every round open to its deadline; anybody clears them away after two rounds."""
    federation = deploy_federation(organization, clients, idle_rounds=2)
    squatters = [person(f"squatter {number}") for number in range(20)]
    for squatter in squatters:
        register(federation, squatter)
    for round in (1, 2):
        open_round(federation, max_updates=100, max_compute_ms=40_000)
        for client in clients:
            submit(federation, client)
        assert federation.phase() == TRAINING, "the squatters are waited for"
        end_training(federation)
        if round == 1:
            with reverts("NotIdle", squatters[0], 0):
                federation.retire(squatters[0], {"from": clients[0]})
        else:
            for squatter in squatters:
                federation.retire(squatter, {"from": clients[0]})
        finalize(federation)
    assert federation.members(0, 100) == clients
    open_round(federation)
    for client in clients:
        submit(federation, client)
    assert federation.phase() == AGGREGATING


def test_whatever_sybils_claim_a_client_gets_its_floor(organization, clients):
    """Four claim the most that there is; all are paid the same per second, at least the floor."""
    federation = deploy_federation(organization, clients, max_spread=3)
    honest, *sybils = clients
    open_round(federation, max_compute_ms=10_000, reward=20 * GWEI)
    floor = view(federation)["guaranteedRate"]
    assert floor == 20 * GWEI * 10**12 // (5 * 10_000)
    submit(federation, honest, 5000)
    for sybil in sybils:
        submit(federation, sybil, 10_000)
    finalize(federation)
    assert owed(federation, *clients) == [20 * GWEI * 5 // 45] + [20 * GWEI * 10 // 45] * 4
    assert owed(federation, honest) >= 5 * floor // 10**9


# -------------------------------------------------------------------------------------------------- by its claim


def test_claiming_the_bound_pays_the_wage_of_the_bound(federation, clients):
    """Who worked for one second claims a hundred: 99 gwei of the organization's, and nothing of the others'."""
    liar, *honest = clients
    round = open_round(federation)
    with reverts("UpdateRefused", round, liar, COMPUTE_TIME):
        submit(federation, liar, 100_001)
    submit(federation, liar, 100_000)
    for client in honest:
        submit(federation, client, 1000)
    finalize(federation)
    assert owed(federation, *clients) == [100 * GWEI] + [GWEI] * 4


def test_nobody_claims_time_that_has_not_passed(federation, clients):
    round = open_round(federation, wait=7)
    with reverts("UpdateRefused", round, clients[0], COMPUTE_TIME):
        submit(federation, clients[0], 8001)
    submit(federation, clients[0], 8000)
    abandon(federation)
    assert owed(federation, clients[0]) == 8 * GWEI


@pytest.mark.parametrize(
    "credited, due",
    [(12_000, [6 * GWEI] + [GWEI // 2] * 4), (1000, [GWEI] * 5), (0, [0] + [GWEI] * 4)],
)
def test_where_the_pool_may_bind_who_claims_too_much_takes_from_the_others_until_it_is_lowered(
    organization, clients, credited, due
):
    """Eight gwei for four honest seconds and twelve false ones."""
    federation = deploy_federation(organization, clients, max_spread=100)
    liar, *honest = clients
    lowered = {liar: credited} if credited < 12_000 else {}
    play_round(federation, {liar: 12_000} | dict.fromkeys(honest, 1000), lowered, reward=8 * GWEI)
    assert owed(federation, *clients) == due
    assert federation.carried() == 0, "what it claimed too much is not the organization's either"


def test_junk_from_everybody_under_a_dead_organization_costs_what_was_claimed(staked, organization, clients):
    """Nobody rejects it, nobody slashes them: each gets its claim and its stake, and the model stays what it was."""
    open_round(staked)
    for client in clients:
        submit(staked, client, 100_000, update_cid=digest("junk"))
    abandon(staked)
    assert [leave(staked, client).return_value for client in clients] == [100 * GWEI + STAKE] * 5
    assert staked.latestRelease()["modelCid"] == model_of(0)
    assert staked.balance() == closed_and_withdrawn(staked, organization) == 500 * GWEI


def test_junk_cannot_cost_more_than_its_pool(federation, clients):
    """Everybody claims the most, and the pool is just what that may be; what was earned before stays owed."""
    play_round(federation, {clients[0]: 1000})
    open_round(federation, reward=0, reward_rate_cap=999 * WAGE // 500)
    for client in clients:
        submit(federation, client, 100_000)
    abandon(federation)
    assert owed(federation, *clients) == [999 * GWEI // 5 + GWEI] + [999 * GWEI // 5] * 4
    for client in clients:
        federation.claim(client, {"from": client})
    assert federation.balance() == 999 * GWEI % 5


# ----------------------------------------------------------------------------------------------- at the deadline


WHILE_LIVE = {"open": "RoundIsLive", "claim": "NothingOwed", "leave": "UpdateIsLive", "register": "UpdateIsLive"}
ONCE_OVER = {"submit": "WrongPhase", "open": None, "claim": None, "leave": None, "register": "StakeNotReturned"}
BATCH = {"submit": None, "decline": None, "batch": None, "finalize": "WrongPhase"}
OUTCOMES = [
    ("trainingDeadline", -1, BATCH | {"retire": "WrongPhase"} | WHILE_LIVE),
    ("trainingDeadline", 0, dict.fromkeys(BATCH, "WrongPhase") | {"finalize": None, "retire": None} | WHILE_LIVE),
    ("aggregationDeadline", -1, dict.fromkeys(BATCH, "WrongPhase") | {"finalize": None, "retire": None} | WHILE_LIVE),
    ("aggregationDeadline", 0, dict.fromkeys(BATCH, "WrongPhase") | {"retire": None} | ONCE_OVER),
]


@pytest.mark.parametrize("deadline, offset, outcomes", OUTCOMES)
def test_no_block_lets_both_sides_of_a_deadline_act(organization, clients, relayer, deadline, offset, outcomes):
    """The client that submitted has left: it comes for its stake and its reward."""
    staked = deploy_federation(organization, clients, stake=STAKE, max_slash_rate=MAX_SLASH_RATE, idle_rounds=1)
    round = open_round(staked)
    submit(staked, clients[0], 1000)
    leave(staked, clients[0])
    mine_at(view(staked)[deadline] + offset)
    finalization = (round, digest_of(staked), model_of(1), report_of(1), secret_of(1), [])
    calls = {
        "submit": (clients[1], "submitUpdate", round, key_of(1), digest("update"), 1000),
        "decline": (clients[1], "decline", round, key_of(1)),
        "batch": (relayer, "submitUpdates", round, key_of(1), [sign_update(staked, clients[1])]),
        "finalize": (organization, "finalizeRound", finalization),
        "retire": (relayer, "retire", clients[2]),
        "open": (organization, "openRound", terms_of_round(2, reward=0), digest_of(staked)),
        "claim": (clients[0], "claim", clients[0]),
        "leave": (clients[0], "leave", clients[0]),
        "register": (clients[0], "register"),
    }
    coins = {"register": STAKE}
    assert {name: refusal(staked, *call, value=coins.get(name, 0)) for name, call in calls.items()} == outcomes


def refusal(federation, sender, function, *arguments, value=0):
    """The error of a transaction in a block of the very time of the latest."""
    try:
        getattr(federation, function).call(*arguments, {"from": sender, "value": value})
    except Refused as error:
        return error.error
    return None


def test_a_finalization_that_comes_too_late_slashes_nobody(staked, clients):
    round = open_round(staked)
    submit(staked, clients[0], 1000)
    abandon(staked)
    with reverts("WrongPhase", round, ABANDONED, round):
        finalize(staked, {clients[0]: (0, MAX_SLASH_RATE)})
    assert leave(staked, clients[0]).return_value == STAKE + GWEI


# ----------------------------------------------------------------------------------------------- by copying others


@pytest.mark.parametrize("copied", [False, True], ids=["undisturbed", "copied"])
def test_who_copies_an_update_gains_nothing_and_stops_nobody(staked, clients, copied):
    """The copy is in first, and cannot be opened: the original is paid as if there were none."""
    victim, thief = clients[:2]
    open_round(staked)
    if copied:
        submit(staked, thief, 5000, update_cid=digest("update"))
    submit(staked, victim, 5000, update_cid=digest("update"))
    end_training(staked)
    finalize(staked, {thief: (0, MAX_SLASH_RATE)} if copied else {})
    assert owed(staked, victim, thief) == [5 * GWEI, 0]
    assert stake_of(staked, victim, thief) == [STAKE, STAKE // 2 if copied else STAKE]


def test_who_front_runs_a_claim_only_pays_its_gas(federation, clients, stranger):
    """`claimFor` pays to the client's own address: nothing goes elsewhere, and nothing twice."""
    victim, purse = clients[0], clients[1]
    for _ in range(3):
        play_round(federation, {victim: 1000})
    before = [each.balance() for each in (stranger, victim, purse)]
    federation.claimFor(victim, {"from": stranger})
    with reverts("NothingOwed", victim):
        federation.claim(purse, {"from": victim})
    after = [each.balance() for each in (stranger, victim, purse)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 3 * GWEI, 0]


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_who_front_runs_a_batch_spoils_nothing_of_the_rest(federation, clients, stranger, relayer, taken):
    """It takes some entries out of the pool and submits them itself: they are in, and so is the rest."""
    round = open_round(federation)
    batch = [sign_update(federation, client, 1000 + place) for place, client in enumerate(clients[:3])]
    relay(federation, batch[:taken][::-1], stranger)
    if taken == 3:
        with reverts("NothingAccepted", round, 3):
            relay(federation, batch, relayer)
    else:
        assert relay(federation, batch, relayer).return_value == 3 - taken
    assert view(federation)["updateCount"] == 3
    assert view(federation)["claimedMs"] == 3003
    assert owed(federation, stranger) == 0


def test_a_client_that_submits_itself_just_before_the_batch_costs_the_relay_one_entry(federation, clients, relayer):
    open_round(federation)
    batch = [sign_update(federation, client, 1000) for client in clients[:3]]
    submit(federation, clients[1], 2000)
    assert relay(federation, batch, relayer).return_value == 2
    assert view(federation)["claimedMs"] == 4000


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


def test_nothing_signed_passes_to_a_fork_of_the_chain(vouchered, federation, clients, relayer):
    """The same contracts at the same addresses, under another chain id."""
    client, chain_id = clients[0], int(CHAIN.request("eth_chainId"), 16)
    chains = (chain_id, chain_id + 1)
    vouchers = [sign_voucher(vouchered, client, 1, chain_id=each) for each in chains]
    round = open_round(federation)
    updates = [sign_update(federation, client, chain_id=each) for each in chains]

    def outcomes():
        return [
            (
                refusal(vouchered, client, "registerWithVoucher", (1, FOREVER, voucher), value=STAKE),
                refusal(federation, relayer, "submitUpdates", round, key_of(1), [update]),
            )
            for voucher, update in zip(vouchers, updates, strict=True)
        ]

    refused = ("InvalidVoucher", "NothingAccepted")
    assert outcomes() == [(None, None), refused]
    CHAIN.request("anvil_setChainId", chain_id + 1)
    try:
        assert outcomes() == [refused, (None, None)]
    finally:
        CHAIN.request("anvil_setChainId", chain_id)


# -------------------------------------------------------------------------------------------- by leaving in time


@pytest.mark.parametrize("leaving", ["never", "in training", "while it is aggregated"])
def test_nobody_leaves_to_dodge_a_slash(staked, clients, leaving):
    """It costs the same half, and the reward, whether and whenever the client leaves."""
    client = clients[0]
    open_round(staked)
    submit(staked, client, 1000)
    if leaving == "in training":
        assert leave(staked, client).return_value == 0
    end_training(staked)
    if leaving == "while it is aggregated":
        assert leave(staked, client).return_value == 0
    finalize(staked, {client: (0, MAX_SLASH_RATE)})
    assert leave(staked, client).return_value == STAKE // 2


def test_nobody_exchanges_a_stake_that_is_about_to_be_slashed(staked, clients):
    client = clients[0]
    round = open_round(staked)
    submit(staked, client)
    leave(staked, client)
    with reverts("UpdateIsLive", round):
        register(staked, client)
    end_training(staked)
    with reverts("UpdateIsLive", round):
        register(staked, client)
    finalize(staked, {client: (0, MAX_SLASH_RATE)})
    with reverts("StakeNotReturned", client, STAKE // 2):
        register(staked, client)
    assert leave(staked, client).return_value == STAKE // 2
    register(staked, client)
    assert staked.balanceOf(client) == (0, STAKE)


def test_who_was_slashed_is_not_made_whole_by_waiting_claiming_or_being_retired(organization, clients):
    client = clients[0]
    federation = deploy_federation(organization, clients, stake=STAKE, max_slash_rate=MAX_SLASH_RATE, idle_rounds=1)
    play_round(federation, {client: 2000}, {client: (1000, MAX_SLASH_RATE)})
    for other in clients[1:]:
        open_round(federation)
        submit(federation, other)
        end_training(federation)
        if other == clients[1]:
            federation.retire(client, {"from": other})
        finalize(federation)
        assert federation.balanceOf(client) == (GWEI, STAKE // 2)
    assert federation.claimFor(client, {"from": clients[1]}).return_value == GWEI
    assert leave(federation, client).return_value == STAKE // 2


def test_who_comes_back_in_a_live_round_submits_no_second_update(federation, clients):
    """It left with its update in, and has to wait until that is over; then it is paid once."""
    client = clients[0]
    round = open_round(federation)
    submit(federation, client, 1000)
    leave(federation, client)
    with reverts("UpdateIsLive", round):
        register(federation, client)
    with reverts("UpdateRefused", round, client, NOT_SELECTED):
        submit(federation, client, 1000)
    end_training(federation)
    finalize(federation)
    register(federation, client)
    assert federation.claim(client, {"from": client}).return_value == GWEI
    with reverts("NothingOwed", client):
        federation.claim(client, {"from": client})


def test_who_registers_again_before_it_submitted_loses_its_place(staked, clients):
    client = clients[0]
    round = open_round(staked)
    leave(staked, client)
    register(staked, client)
    with reverts("UpdateRefused", round, client, NOT_SELECTED):
        submit(staked, client)


def test_a_stake_slashed_whole_is_filled_up_by_a_new_one_only_after_the_round(organization, clients):
    federation = deploy_federation(organization, clients, stake=STAKE, max_slash_rate=BASIS_POINTS)
    client = clients[0]
    for _ in range(2):
        open_round(federation)
        submit(federation, client)
        end_training(federation)
        finalize(federation, {client: (0, BASIS_POINTS)})
        assert stake_of(federation, client) == 0
        assert leave(federation, client).return_value == 0
        register(federation, client)
        assert stake_of(federation, client) == STAKE
    assert federation.balance() == 2 * POOL + 7 * STAKE


# --------------------------------------------------------------------------------------------- by hostile contracts


@pytest.fixture
def receiver(staked, clients, stranger):
    """A contract that is the sixth member, and is owed 1 gwei of the first round; a person is owed 2."""
    receiver = deploy("Receiver", {"from": stranger})
    CHAIN.set_balance(receiver, STAKE)
    register(staked, receiver)
    play_round(staked, {receiver: 1000, clients[0]: 2000})
    return receiver


def test_a_client_that_refuses_coins_harms_only_itself(staked, receiver, clients, stranger):
    receiver.refuse(True, {"from": stranger})
    for call in (staked.claim.encode_input(receiver), staked.leave.encode_input(receiver)):
        with reverts("Refused"):
            receiver.perform(staked, call, {"from": stranger})
    with reverts("Refused"):
        staked.claimFor(receiver, {"from": stranger})
    assert staked.claim(clients[0], {"from": clients[0]}).return_value == 2 * GWEI
    purse = clients[1]
    before = purse.balance()
    receiver.perform(staked, staked.claim.encode_input(purse), {"from": stranger})
    receiver.perform(staked, staked.leave.encode_input(purse), {"from": stranger})
    assert purse.balance() - before == GWEI + STAKE


def test_a_client_that_refuses_coins_stops_neither_a_round_nor_its_retirement(organization, clients, stranger):
    federation = deploy_federation(organization, clients, idle_rounds=1)
    receiver = deploy("Receiver", {"from": stranger})
    register(federation, receiver)
    play_round(federation, {receiver: 1000})
    receiver.refuse(True, {"from": stranger})
    open_round(federation)
    submit(federation, clients[0])
    end_training(federation)
    federation.retire(receiver, {"from": stranger})
    finalize(federation)
    assert owed(federation, receiver) == GWEI
    receiver.refuse(False, {"from": stranger})
    receiver.perform(federation, federation.leave.encode_input(receiver), {"from": stranger})
    assert receiver.balance() == GWEI


def test_coins_are_not_accepted_without_a_call(federation, stranger):
    with pytest.raises(Refused):
        CHAIN.send({"from": stranger, "to": federation.address, "value": "0x1", "gas": "0x186a0", "gasPrice": "0x0"})


def test_coins_forced_by_a_contract_that_destroys_itself_are_lost_to_whoever_sent_them(staked, organization, stranger):
    """The contract never lives: its constructor is PUSH20 <federation> SELFDESTRUCT."""
    before = staked.balance()
    constructor = "0x73" + staked.address[2:] + "ff"
    CHAIN.send({"from": stranger, "data": constructor, "value": hex(77), "gas": "0x186a0", "gasPrice": "0x0"})
    assert staked.balance() - before == 77
    assert staked.carried() == 0
    open_round(staked, reward=500 * GWEI)
    assert view(staked)["pool"] == 500 * GWEI
    abandon(staked)
    assert closed_and_withdrawn(staked, organization) == 500 * GWEI
    assert staked.balance() == 5 * STAKE + 77


@pytest.mark.parametrize("asset", ["native coin", "token"])
def test_who_has_itself_paid_to_the_federation_loses_it_alone(organization, clients, asset):
    """Coins come back as an error; tokens arrive, and are nobody's."""
    token = deploy("Token", {"from": organization}) if asset == "token" else ZERO_ADDRESS
    federation = deploy_federation(organization, clients[:2], asset=token, stake=STAKE)
    fool, other = clients[:2]
    play_round(federation, {fool: 1000, other: 1000}, reward=500 * GWEI)
    held = balance_of(federation, federation)
    if asset == "token":
        federation.claim(federation, {"from": fool})
        leave(federation, fool, to=federation)
    else:
        with pytest.raises(Refused):
            federation.claim(federation, {"from": fool})
        with pytest.raises(Refused):
            leave(federation, fool, to=federation)
    assert balance_of(federation, federation) == held
    assert leave(federation, other).return_value == GWEI + STAKE
    assert closed_and_withdrawn(federation, organization) == 498 * GWEI
    assert balance_of(federation, federation) == GWEI + STAKE
