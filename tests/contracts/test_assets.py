"""Rewards and stakes in the native coin and in tokens, plain and odd."""

from __future__ import annotations

import pytest

from .chain import CHAIN, deploy
from .helpers import (
    FOREVER,
    GWEI,
    OPEN,
    VOUCHER,
    ZERO_ADDRESS,
    ZERO_DIGEST,
    balance_of,
    deploy_federation,
    digest_of,
    finalize,
    key_of,
    leave,
    open_round,
    payment,
    play_round,
    register,
    register_with_voucher,
    reverts,
    sign_voucher,
    stake_of,
    submit,
    terms_of_round,
    token_of,
    update_of,
    view,
)

TRUE, NOTHING, FALSE = range(3)  # what a token answers
AMOUNT = 1000  # of every stake, and of everything that is paid in
LARGE = 600 * GWEI  # enough for six of the usual rounds
WHOLE = 10_000  # arrives of what is sent, in basis points
LOCKED = "0x3ee5aeb5"  # ReentrancyGuardReentrantCall()


def gains(federation, person, call):
    """What somebody has more of the asset after the call."""
    before = balance_of(federation, person)
    call()
    return balance_of(federation, person) - before


@pytest.fixture(scope="module")
def odd(organization):
    """A token that is plain until it is told otherwise."""
    return deploy("OddToken", {"from": organization})


# ------------------------------------------------------------------------------------------------- a whole life


@pytest.fixture(scope="module", params=["native coin", "plain token", "token that answers nothing"])
def federation(request, organization, clients):
    """Three members with a stake."""
    asset = ZERO_ADDRESS
    if request.param == "plain token":
        asset = deploy("Token", {"from": organization})
    elif request.param == "token that answers nothing":
        asset = deploy("OddToken", {"from": organization})
        asset.setAnswer(NOTHING, {"from": organization})
    return deploy_federation(organization, clients[:3], asset=asset, stake=AMOUNT, max_slash_rate=5000)


def test_every_amount_is_paid_in_the_asset(federation, organization, clients, stranger):
    first, second, third = clients[:3]
    assert balance_of(federation, federation) == 3 * AMOUNT
    federation.fund(7 * GWEI, payment(federation, stranger, 7 * GWEI))
    open_round(federation, reward=393 * GWEI)
    assert balance_of(federation, federation) == 3 * AMOUNT + 400 * GWEI
    for client, ms in ((first, 1000), (second, 2000), (third, 3000)):
        submit(federation, client, ms)
    finalize(federation, {second: 0, third: (0, 5000)})
    assert gains(federation, stranger, lambda: federation.claim(stranger, {"from": first})) == GWEI
    with reverts("NothingOwed", second):
        federation.claimFor(second, {"from": stranger})
    assert gains(federation, second, lambda: leave(federation, second)) == AMOUNT
    assert gains(federation, stranger, lambda: leave(federation, third, to=stranger)) == AMOUNT // 2
    federation.close({"from": organization})
    assert gains(federation, stranger, lambda: federation.withdraw(stranger, {"from": organization})) == 394 * GWEI
    stake, forfeited = AMOUNT, 5 * GWEI + AMOUNT // 2
    assert balance_of(federation, federation) == stake + forfeited


def test_what_is_forced_upon_the_contract_is_nobodys_and_harms_nobody(federation, organization, clients, stranger):
    CHAIN.set_balance(federation, federation.balance() + 77)
    if federation.terms()["asset"] != ZERO_ADDRESS:
        token_of(federation).mint(federation, 77, {"from": stranger})
    assert federation.carried() == 0
    open_round(federation, reward=AMOUNT, reward_rate_cap=10**9)
    assert view(federation)["pool"] == AMOUNT
    for client in clients[:3]:
        submit(federation, client, 100_000)
    finalize(federation)
    for client in clients[:3]:
        assert federation.claim(client, {"from": client}).return_value == 100
        assert leave(federation, client).return_value == AMOUNT
    federation.close({"from": organization})
    carried = AMOUNT - 300
    assert gains(federation, stranger, lambda: federation.withdraw(stranger, {"from": organization})) == carried
    assert balance_of(federation, federation) == 77


# ---------------------------------------------------------------------------------------------------- paying in


def opening(round):
    """Terms under which AMOUNT is enough for six."""
    return terms_of_round(round, reward=AMOUNT, reward_rate_cap=10**9)


class Payments:
    """Every way in which AMOUNT comes into a federation: a name, and a call that pays it."""

    def __init__(self, odd, open_to_all, vouchered, payer):
        self.odd, self.payer = odd, payer
        signature = sign_voucher(vouchered, payer, 1)
        self.ways = {
            "register": (open_to_all, open_to_all.register, ()),
            "registerWithVoucher": (vouchered, vouchered.registerWithVoucher, ((1, FOREVER, signature),)),
            "openRound": (open_to_all, open_to_all.openRound, (opening(1), ZERO_DIGEST)),
            "fund": (open_to_all, open_to_all.fund, (AMOUNT,)),
        }

    def __call__(self, way, *, coins=0, approved=AMOUNT):
        federation, function, arguments = self.ways[way]
        self.odd.mint(self.payer, AMOUNT, {"from": self.payer})
        self.odd.approve(federation, approved, {"from": self.payer})
        function(*arguments, {"from": self.payer, "value": coins})


WAYS_IN = ["register", "registerWithVoucher", "openRound", "fund"]


@pytest.fixture(scope="module")
def open_to_all(odd, organization, clients, stranger):
    federation = deploy_federation(organization, clients[:3], asset=odd, stake=AMOUNT, max_slash_rate=5000)
    federation.setOperator(stranger, {"from": organization})
    return federation


@pytest.fixture(scope="module")
def vouchered(odd, organization):
    return deploy_federation(organization, asset=odd, stake=AMOUNT, admission=VOUCHER)


@pytest.fixture(scope="module")
def pay_in(odd, open_to_all, vouchered, stranger):
    return Payments(odd, open_to_all, vouchered, stranger)


@pytest.fixture
def nothing_came_in(odd, open_to_all, vouchered):
    """Whatever was tried is undone."""
    yield
    assert (odd.balanceOf(open_to_all), odd.balanceOf(vouchered)) == (3 * AMOUNT, 0)
    assert (open_to_all.memberCount(), vouchered.memberCount()) == (3, 0)
    assert (open_to_all.carried(), open_to_all.roundCount()) == (0, 0)
    assert not vouchered.voucherSpent(1)


@pytest.mark.parametrize("arriving", [0, 9_999, 10_010])
def test_what_does_not_arrive_to_the_unit_is_refused(odd, pay_in, stranger, nothing_came_in, arriving):
    odd.setArriving(arriving, {"from": stranger})
    for way in WAYS_IN:
        with reverts("NotReceivedInFull", AMOUNT, AMOUNT * arriving // WHOLE):
            pay_in(way)


def test_a_token_that_answers_false_is_refused(odd, pay_in, stranger, nothing_came_in):
    odd.setAnswer(FALSE, {"from": stranger})
    for way in WAYS_IN:
        with reverts("SafeERC20FailedOperation", odd):
            pay_in(way)


def test_no_more_is_taken_than_was_approved(pay_in, nothing_came_in):
    for way in WAYS_IN:
        federation, _, _ = pay_in.ways[way]
        with reverts("ERC20InsufficientAllowance", federation, AMOUNT - 1, AMOUNT):
            pay_in(way, approved=AMOUNT - 1)


@pytest.mark.parametrize("coins", [1, AMOUNT])
def test_coins_sent_where_the_asset_is_a_token_are_refused(pay_in, nothing_came_in, coins):
    for way in WAYS_IN:
        with reverts("WrongAmount", 0, coins):
            pay_in(way, coins=coins)


def test_exactly_what_is_due_is_taken(odd, pay_in, stranger):
    for way in WAYS_IN:
        federation, _, _ = pay_in.ways[way]
        before = odd.balanceOf(federation)
        pay_in(way)
        assert odd.balanceOf(federation) - before == AMOUNT
        assert odd.allowance(stranger, federation) == odd.balanceOf(stranger) == 0


def test_a_token_may_want_every_approval_taken_back_first(odd, open_to_all, stranger):
    odd.setAnswer(NOTHING, {"from": stranger})
    odd.approve(open_to_all, 1, {"from": stranger})
    with reverts("ApprovalIsNotZero", open_to_all, 1):
        odd.approve(open_to_all, AMOUNT, {"from": stranger})
    odd.approve(open_to_all, 0, {"from": stranger})
    register(open_to_all, stranger)
    assert odd.allowance(stranger, open_to_all) == 0, (
        "exactly what was approved is taken: nothing is in the way next time"
    )


# --------------------------------------------------------------------------------------------------- paying out


@pytest.fixture
def earned(open_to_all, clients):
    """A round in which the first client is owed 1 gwei, the second 2, and the third none; the rest is carried."""
    return play_round(open_to_all, {clients[0]: 1000, clients[1]: 2000}, reward=LARGE)


def test_a_client_whom_the_token_refuses_is_paid_elsewhere(odd, open_to_all, earned, clients, stranger):
    refused, other = clients[:2]
    odd.blacklist(refused, {"from": stranger})
    with reverts("Blacklisted", refused):
        open_to_all.claim(refused, {"from": refused})
    with reverts("Blacklisted", refused):
        open_to_all.claimFor(refused, {"from": stranger})
    with reverts("Blacklisted", refused):
        leave(open_to_all, refused)
    assert gains(open_to_all, other, lambda: open_to_all.claim(other, {"from": other})) == 2 * GWEI
    assert gains(open_to_all, other, lambda: leave(open_to_all, other)) == AMOUNT
    assert gains(open_to_all, stranger, lambda: open_to_all.claim(stranger, {"from": refused})) == GWEI
    assert gains(open_to_all, stranger, lambda: leave(open_to_all, refused, to=stranger)) == AMOUNT
    assert odd.balanceOf(open_to_all) == LARGE - 3 * GWEI + AMOUNT, "what is carried, and the stake of the third"


def test_a_client_whom_the_token_refuses_stops_no_round(odd, open_to_all, earned, clients, organization, stranger):
    for client in clients[:3]:
        odd.blacklist(client, {"from": stranger})
    play_round(open_to_all, {clients[0]: 1000}, {clients[0]: (0, 5000)})
    open_to_all.close({"from": organization})
    withdrawn = gains(open_to_all, stranger, lambda: open_to_all.withdraw(stranger, {"from": organization}))
    assert withdrawn == LARGE + 1000 * GWEI - 4 * GWEI
    assert stake_of(open_to_all, clients[0]) == AMOUNT // 2


def test_an_owner_whom_the_token_refuses_withdraws_elsewhere(odd, open_to_all, earned, organization, stranger):
    odd.blacklist(organization, {"from": stranger})
    open_to_all.close({"from": organization})
    with reverts("Blacklisted", organization):
        open_to_all.withdraw(organization, {"from": organization})
    assert open_to_all.carried() == LARGE - 3 * GWEI
    withdrawn = gains(open_to_all, stranger, lambda: open_to_all.withdraw(stranger, {"from": organization}))
    assert withdrawn == LARGE - 3 * GWEI


def test_what_a_token_does_not_pay_stays_owed(odd, open_to_all, earned, clients, organization, stranger):
    client = clients[0]
    open_to_all.close({"from": organization})
    odd.setAnswer(FALSE, {"from": stranger})
    for function, arguments, sender in (
        (open_to_all.claim, (client,), client),
        (open_to_all.claimFor, (client,), stranger),
        (open_to_all.leave, (client,), client),
        (open_to_all.withdraw, (organization,), organization),
    ):
        with reverts("SafeERC20FailedOperation", odd):
            function(*arguments, {"from": sender})
    odd.setAnswer(TRUE, {"from": stranger})
    assert gains(open_to_all, client, lambda: open_to_all.claim(client, {"from": client})) == GWEI
    assert gains(open_to_all, client, lambda: leave(open_to_all, client)) == AMOUNT
    withdrawn = gains(open_to_all, stranger, lambda: open_to_all.withdraw(stranger, {"from": organization}))
    assert withdrawn == LARGE - 3 * GWEI


def test_a_fee_that_a_token_begins_to_take_is_borne_by_who_is_paid(odd, open_to_all, earned, clients, stranger):
    first, second = clients[:2]
    odd.setArriving(9_000, {"from": stranger})
    assert gains(open_to_all, first, lambda: open_to_all.claim(first, {"from": first})) == GWEI * 9 // 10
    assert gains(open_to_all, first, lambda: leave(open_to_all, first)) == AMOUNT * 9 // 10
    odd.setArriving(WHOLE, {"from": stranger})
    assert gains(open_to_all, second, lambda: open_to_all.claim(second, {"from": second})) == 2 * GWEI
    assert odd.balanceOf(open_to_all) == LARGE - 3 * GWEI + 2 * AMOUNT


def test_nothing_is_moved_where_nothing_is_paid(odd, organization, clients, stranger):
    """The token refuses whatever comes from the federation or goes to it: it is not asked."""
    federation = deploy_federation(organization, asset=odd)
    odd.blacklist(federation, {"from": stranger})
    client = clients[0]
    register(federation, client)
    play_round(federation, {client: 1000}, reward=0)
    for claim in (federation.claim, federation.claimFor):
        with reverts("NothingOwed", client):
            claim(client, {"from": client})
    assert leave(federation, client).return_value == 0
    federation.close({"from": organization})
    assert federation.withdraw(organization, {"from": organization}).return_value == 0
    with reverts("Blacklisted", federation):
        odd.transfer(federation, 0, {"from": stranger})


# ------------------------------------------------------------------------------------------------------ re-entry


WAYS_OUT = ["leave", "claim", "claimFor", "withdraw"]


EXPECTED = dict.fromkeys(WAYS_IN, AMOUNT) | {
    "leave": -AMOUNT - GWEI,
    "claim": -GWEI,
    "claimFor": -GWEI,
    "withdraw": -(LARGE - GWEI),
}


class Stage:
    """A federation whose owner and member is one contract, which is called while money moves to it or from it."""

    def __init__(self, federation, agent, token, signature, sender):
        self.federation, self.agent, self.token, self.sender = federation, agent, token, sender
        self.calls = {
            "register": federation.register.encode_input(),
            "registerWithVoucher": federation.registerWithVoucher.encode_input((2, FOREVER, signature)),
            "openRound": federation.openRound.encode_input(opening(2), digest_of(federation)),
            "fund": federation.fund.encode_input(AMOUNT),
            "leave": federation.leave.encode_input(agent),
            "claim": federation.claim.encode_input(agent),
            "claimFor": federation.claimFor.encode_input(agent),
            "withdraw": federation.withdraw.encode_input(agent),
            "registerSigned": federation.registerSigned.encode_input(
                agent, FOREVER, (bytes(32), bytes(32)), (0, 0, b"")
            ),
            "leaveSigned": federation.leaveSigned.encode_input(agent, agent, FOREVER, (bytes(32), bytes(32))),
        }

    def prepare(self, hook, call, afterwards):
        if self.token is None:
            hook.prepare(self.federation, call, {"from": self.sender})
        else:
            performing = self.agent.perform.encode_input(self.federation, call)
            hook.prepare(self.agent, performing, afterwards, {"from": self.sender})

    def perform(self, call):
        self.agent.perform(self.federation, call, {"from": self.sender})

    def moved(self, outer, inner=None, afterwards=False):
        """What the federation has more after `outer`, and what `inner` answered that was called on the way."""
        hook = self.token or self.agent
        with CHAIN.imagined():
            if outer in ("register", "registerWithVoucher"):
                self.perform(self.calls["leave"])
            if outer == "withdraw":
                self.perform(self.federation.close.encode_input())
            before = balance_of(self.federation, self.federation)
            if inner:
                self.prepare(hook, self.calls[inner], afterwards)
            self.perform(self.calls[outer])
            after = balance_of(self.federation, self.federation)
            return after - before, (hook.succeeded(), hook.returned())


def staged(organization, token, admission):
    """The contract is owed 1 gwei of a round, and the rest is carried."""
    agent = deploy("Wallet", organization, {"from": organization})
    asset = token or ZERO_ADDRESS
    federation = deploy_federation(agent, asset=asset, stake=AMOUNT, max_slash_rate=5000, admission=admission)
    CHAIN.set_balance(agent, 2 * LARGE)
    if admission == VOUCHER:
        register_with_voucher(federation, agent, 1, signature=sign_voucher(federation, agent, 1, signer=organization))
    else:
        register(federation, agent)
    play_round(federation, {agent: 1000}, reward=LARGE)
    if token:
        token.mint(agent, 100 * AMOUNT, {"from": organization})
        token.approve(federation, 100 * AMOUNT, {"from": agent})
    return Stage(federation, agent, token, sign_voucher(federation, agent, 2, signer=organization), organization)


@pytest.fixture(scope="module")
def stages(organization, odd):
    return {
        "native": staged(organization, None, OPEN),
        "open": staged(organization, odd, OPEN),
        "voucher": staged(organization, odd, VOUCHER),
    }


@pytest.mark.parametrize("afterwards", [False, True], ids=["before the move", "after the move"])
@pytest.mark.parametrize("outer", WAYS_IN + WAYS_OUT)
def test_while_tokens_move_nothing_that_moves_money_can_be_called(stages, outer, afterwards):
    stage = stages["voucher" if outer == "registerWithVoucher" else "open"]
    alone, _ = stage.moved(outer)
    assert alone == EXPECTED[outer]
    for inner in stage.calls:
        assert stage.moved(outer, inner, afterwards) == (alone, (False, LOCKED)), inner


@pytest.mark.parametrize("outer", WAYS_OUT)
def test_while_coins_are_paid_nothing_that_moves_money_can_be_called(stages, outer):
    alone, _ = stages["native"].moved(outer)
    assert alone == EXPECTED[outer]
    for inner in stages["native"].calls:
        assert stages["native"].moved(outer, inner) == (alone, (False, LOCKED)), inner


def test_a_gift_within_a_gift_is_not_counted_twice(stages, odd, organization):
    """The token takes a half, and the inner gift would bring just what the outer one lacks."""
    stage = stages["open"]
    federation, agent = stage.federation, stage.agent
    carried = federation.carried()
    gift = federation.fund.encode_input(2 * AMOUNT)
    odd.setArriving(5_000, {"from": organization})
    odd.prepare(agent, agent.perform.encode_input(federation, gift), False, {"from": organization})
    with reverts("NotReceivedInFull", 2 * AMOUNT, AMOUNT):
        agent.perform(federation, gift, {"from": organization})
    assert federation.carried() == carried


def test_what_a_gift_lacks_may_be_sent_on_the_way(stages, odd, organization):
    """Whoever pays the token's fee is credited what arrived, and no more."""
    stage = stages["open"]
    federation, agent = stage.federation, stage.agent
    carried, held = federation.carried(), odd.balanceOf(federation)
    odd.setArriving(5_000, {"from": organization})
    sending = agent.perform.encode_input(odd, odd.transfer.encode_input(federation, 2 * AMOUNT))
    odd.prepare(agent, sending, True, {"from": organization})
    agent.perform(federation, federation.fund.encode_input(2 * AMOUNT), {"from": organization})
    assert federation.carried() - carried == odd.balanceOf(federation) - held == 2 * AMOUNT


def test_closing_while_a_gift_arrives_changes_no_amount(stages, odd, organization):
    stage = stages["open"]
    federation, agent = stage.federation, stage.agent
    odd.prepare(
        agent, agent.perform.encode_input(federation, federation.close.encode_input()), False, {"from": organization}
    )
    agent.perform(federation, federation.fund.encode_input(AMOUNT), {"from": organization})
    assert odd.succeeded()
    assert federation.closed()
    withdraw = federation.withdraw.encode_input(organization)
    assert gains(federation, organization, lambda: agent.perform(federation, withdraw, {"from": organization})) == (
        LARGE - GWEI + AMOUNT
    )


def test_submitting_while_the_reward_arrives_changes_no_amount(stages, odd, organization):
    stage = stages["open"]
    federation, agent = stage.federation, stage.agent
    submit_now = federation.submitUpdate.encode_input(2, key_of(2), update_of(2, agent), 1000)
    odd.prepare(agent, agent.perform.encode_input(federation, submit_now), False, {"from": organization})
    agent.perform(federation, stage.calls["openRound"], {"from": organization})
    assert odd.succeeded()
    assert view(federation)["pool"] == LARGE - GWEI + AMOUNT
    finalize(federation)
    claim = federation.claim.encode_input(organization)
    assert gains(federation, organization, lambda: agent.perform(federation, claim, {"from": organization})) == GWEI + 1
    assert federation.carried() == LARGE - GWEI + AMOUNT - 1
    assert odd.balanceOf(federation) == AMOUNT + federation.carried(), "the stake, and what is carried"
