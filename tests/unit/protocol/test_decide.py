from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.chain.asset import Asset
from processor.chain.vouchers import Voucher
from processor.protocol.decide import (
    Announce,
    Approve,
    Claim,
    Finalize,
    OpenRound,
    PostAgreement,
    Publish,
    Register,
    Retire,
    SetInitialModel,
    Stop,
    Submit,
    Train,
    Wait,
    Working,
    decide_client,
    decide_organization,
    entry_refusal,
    payment_step,
    remains,
    voucher_refusal,
)
from processor.protocol.opening import Fruitless, NewPlan
from processor.protocol.situations import Pending
from processor.types import ZERO_ADDRESS, Admission, FederationTerms, Phase
from tests.unit.protocol.situations import ClientSituation, Entry, OrganizationSituation, Purse
from tests.unit.protocol.views import ADDRESS, CID, round_view

COIN = Asset(ZERO_ADDRESS, "ETH", 18)
TOKEN = Asset("0x5FbDB2315678afecb367f032d93F642f64180aa3", "GOLD", 2)
FEDERATION = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"
CHAIN_ID, NOW = 31337, 1_000_000
VOUCHER = Voucher(CHAIN_ID, FEDERATION, ADDRESS, id=7, expiry=NOW + 1, owner_nonce=2, signature=b"signed")

ENTRY = Entry(
    terms=FederationTerms(),
    purse=Purse(COIN, balance=1000, allowance=0),
    accepted_asset=ZERO_ADDRESS,
    max_stake=0,
    stake_held=0,
    update_live=False,
    voucher_refusal=None,
)
TOKEN_ENTRY = Entry(
    terms=FederationTerms(asset=TOKEN.address, stake=500, max_slash_rate=1_000),
    purse=Purse(TOKEN, balance=1000, allowance=0),
    accepted_asset=TOKEN.address,
    max_stake=500,
    stake_held=0,
    update_live=False,
    voucher_refusal=None,
)
CLIENT = ClientSituation(
    closed=False,
    asset=COIN,
    stake=0,
    entry=None,
    round=round_view(),
    has_update=False,
    unpublished=False,
    trained=False,
    underway=None,
    refusal=None,
    set_back=False,
    owed=0,
    claim_cost=0,
    claim_threshold=100,
    transaction_pending=False,
    unconfirmed=False,
)
ORGANIZATION = OrganizationSituation(
    closed=False,
    has_initial_model=True,
    round=None,
    members=3,
    min_members=3,
    paused=False,
    purse=Purse(COIN, balance=1000, allowance=0),
    reward=1000,
    carried=0,
    selected=3,
    least_pool=1000,
    stop=None,
    transaction_pending=False,
    unconfirmed=False,
)


def in_round(situation: ClientSituation, **changes: Any) -> ClientSituation:
    assert situation.round is not None
    view = situation.round
    client = {name: changes.pop(name) for name in ("selected", "update", "declined") if name in changes}
    return replace(situation, round=replace(view, client=replace(view.client, **client), **changes))


def joining(entry: Entry, **changes: Any) -> ClientSituation:
    return replace(CLIENT, entry=replace(entry, **changes))


def test_client_that_is_no_member_registers() -> None:
    assert decide_client(joining(ENTRY)) == Register()


def test_client_of_a_closed_federation_stops_and_says_how_to_get_its_stake_back() -> None:
    closed = replace(CLIENT, closed=True, round=None)
    assert decide_client(closed) == Stop("the federation is closed and nothing is owed")
    stop = decide_client(replace(closed, asset=TOKEN, stake=150))
    assert isinstance(stop, Stop)
    assert stop.reason.endswith("`koinon client leave` returns the stake of 1.5 GOLD")


def test_client_approves_exactly_the_stake_of_a_token_and_then_registers() -> None:
    assert decide_client(joining(TOKEN_ENTRY)) == Approve(500)
    assert decide_client(joining(TOKEN_ENTRY, purse=Purse(TOKEN, 1000, allowance=500))) == Register()


def test_client_takes_back_a_smaller_approval_first() -> None:
    assert decide_client(joining(TOKEN_ENTRY, purse=Purse(TOKEN, 1000, allowance=499))) == Approve(0)


def test_client_that_cannot_pay_the_stake_says_what_is_missing() -> None:
    step = decide_client(joining(TOKEN_ENTRY, purse=Purse(TOKEN, 499, allowance=0)))
    assert step == Wait("the stake is 5 GOLD and the wallet holds 4.99 GOLD: send it some")


def test_client_does_not_join_a_federation_that_pays_in_something_else() -> None:
    refusal = entry_refusal(replace(TOKEN_ENTRY, accepted_asset=ZERO_ADDRESS))
    assert refusal is not None and f"pays and stakes in {TOKEN.address}, and client.asset is {ZERO_ADDRESS}" in refusal
    assert isinstance(decide_client(joining(TOKEN_ENTRY, accepted_asset=ZERO_ADDRESS)), Wait)


def test_client_does_not_stake_more_than_it_allows() -> None:
    refusal = entry_refusal(replace(TOKEN_ENTRY, max_stake=499))
    assert refusal is not None
    assert "asks for a stake of 5 GOLD, and client.max_stake allows 4.99 GOLD: set it to 500" in refusal


def test_client_does_not_register_while_an_old_stake_is_held() -> None:
    step = decide_client(joining(TOKEN_ENTRY, stake_held=250))
    assert isinstance(step, Wait)
    assert "still holds 2.5 GOLD" in step.reason and "`koinon client leave` returns it" in step.reason


def test_client_does_not_register_while_its_update_is_in_the_round_that_goes_on() -> None:
    step = decide_client(joining(ENTRY, update_live=True))
    assert isinstance(step, Wait) and "we can register again after that" in step.reason


def test_client_that_the_voucher_does_not_admit_says_why() -> None:
    admitting = replace(TOKEN_ENTRY, terms=replace(TOKEN_ENTRY.terms, admission=Admission.VOUCHER))
    assert entry_refusal(admitting) is None
    assert decide_client(joining(admitting, voucher_refusal="it expired")) == Wait("not registered: it expired")


def test_refused_client_still_claims_what_it_is_owed() -> None:
    assert decide_client(replace(joining(TOKEN_ENTRY, max_stake=0), owed=1000)) == Claim(1000)


@pytest.mark.parametrize(
    ("voucher", "spent", "said"),
    [
        (None, False, "ask its organization for one and name its file as client.voucher"),
        (VOUCHER, True, "was used or revoked"),
        (replace(VOUCHER, expiry=NOW), False, "has expired"),
        (replace(VOUCHER, client=FEDERATION), False, f"admits {FEDERATION}, not {ADDRESS}"),
        (replace(VOUCHER, federation=ADDRESS), False, f"not for {FEDERATION}"),
        (replace(VOUCHER, owner_nonce=1), False, "what a former owner signed is worthless"),
        (replace(VOUCHER, chain_id=1), False, f"on chain {CHAIN_ID}"),
    ],
)
def test_voucher_that_admits_nobody_is_refused_in_a_sentence(voucher: Voucher | None, spent: bool, said: str) -> None:
    refusal = voucher_refusal(voucher, spent, CHAIN_ID, FEDERATION, ADDRESS, NOW, 2)
    assert refusal is not None and said in refusal


def test_reason_for_waiting_does_not_change_with_the_time() -> None:
    said = {voucher_refusal(VOUCHER, False, CHAIN_ID, FEDERATION, ADDRESS, NOW + later, 2) for later in (1, 60)}
    assert len(said) == 1


def test_voucher_for_this_client_admits_it_until_it_expires() -> None:
    assert voucher_refusal(VOUCHER, False, CHAIN_ID, FEDERATION, ADDRESS, NOW, 2) is None


@given(st.integers(0, 2**128), st.integers(0, 2**256 - 1), st.integers(0, 2**128))
def test_approving_what_is_asked_for_ends_in_an_allowance_that_is_enough(
    balance: int, allowance: int, amount: int
) -> None:
    purse, approvals = Purse(TOKEN, balance, allowance), []
    while isinstance(step := payment_step(purse, amount, "the stake"), Approve):
        approvals.append(step.amount)
        purse = replace(purse, allowance=step.amount)
    assert isinstance(step, Wait) == (balance < amount)
    assert approvals in ([], [amount], [0, amount])
    assert isinstance(step, Wait) or purse.allowance >= amount


def test_the_native_coin_needs_no_approval() -> None:
    assert payment_step(Purse(COIN, balance=5, allowance=0), 5, "the stake") is None


def test_selected_client_trains() -> None:
    assert decide_client(CLIENT) == Train(1)


def test_client_with_a_saved_update_submits_it_and_does_not_train_again() -> None:
    assert decide_client(replace(CLIENT, has_update=True)) == Submit(1)


def test_client_whose_update_is_on_chain_neither_trains_nor_submits() -> None:
    assert isinstance(decide_client(in_round(replace(CLIENT, has_update=True), update=CID)), Wait)


@pytest.mark.parametrize("phase", [Phase.TRAINING, Phase.AGGREGATING])
def test_client_publishes_its_update_once_the_chain_shows_it_and_not_before(phase: Phase) -> None:
    sealed = replace(CLIENT, has_update=True, unpublished=True)
    assert decide_client(sealed) == Submit(1)
    shown = in_round(sealed, update=CID, phase=phase)
    assert decide_client(shown) == Publish(1)
    assert decide_client(replace(shown, transaction_pending=True)) == Publish(1)
    assert isinstance(decide_client(replace(shown, unpublished=False)), Wait)


@pytest.mark.parametrize("phase", [Phase.FINALIZED, Phase.ABANDONED])
def test_client_publishes_nothing_in_a_round_that_is_over(phase: Phase) -> None:
    late = in_round(replace(CLIENT, has_update=True, unpublished=True), update=CID, phase=phase)
    assert isinstance(decide_client(late), Wait)


def test_client_that_left_with_an_update_in_the_live_round_still_publishes_it() -> None:
    left = in_round(replace(joining(ENTRY, update_live=True), unpublished=True), update=CID, phase=Phase.AGGREGATING)
    assert decide_client(left) == Publish(1)


def test_client_whose_update_a_reorganization_took_away_submits_it_again() -> None:
    assert decide_client(replace(CLIENT, has_update=True, unpublished=False)) == Submit(1)


def test_client_that_declined_does_not_train() -> None:
    step = decide_client(in_round(CLIENT, declined=True))
    assert step == Wait("round 1: we declined to take part")


def test_client_that_is_not_selected_waits() -> None:
    assert isinstance(decide_client(in_round(CLIENT, selected=False)), Wait)


@pytest.mark.parametrize("phase", [Phase.AGGREGATING, Phase.FINALIZED, Phase.ABANDONED])
def test_client_is_too_late_once_training_is_over(phase: Phase) -> None:
    assert isinstance(decide_client(in_round(replace(CLIENT, has_update=True), phase=phase)), Wait)


def test_refused_round_is_waited_out_with_its_reason() -> None:
    decision = decide_client(replace(CLIENT, refusal="pays too little"))
    assert isinstance(decision, Wait) and "pays too little" in decision.reason


TRAINING = replace(CLIENT, underway="training")


def test_client_whose_worker_trains_waits_for_it_whatever_its_limits_say_by_now() -> None:
    assert decide_client(TRAINING) == Working("round 1: training")
    assert decide_client(replace(TRAINING, refusal="it pays too little")) == Working("round 1: training")


def test_client_claims_while_its_worker_trains() -> None:
    assert decide_client(replace(TRAINING, owed=100)) == Claim(100)
    assert decide_client(replace(TRAINING, owed=99)) == Working("round 1: training")


def test_client_whose_claim_is_not_mined_yet_is_at_work_as_long_as_its_worker_trains() -> None:
    pending = replace(TRAINING, owed=100, transaction_pending=True)
    assert decide_client(pending) == Working("an earlier transaction is not mined yet")
    assert decide_client(replace(pending, underway=None)) == Wait("an earlier transaction is not mined yet")


def test_client_that_is_to_run_once_does_not_end_with_an_update_that_only_an_earlier_transaction_holds_up() -> None:
    done = replace(CLIENT, trained=True, transaction_pending=True)
    assert decide_client(done) == Working("an earlier transaction is not mined yet")


def test_client_keeps_what_it_trained_though_it_would_not_begin_now() -> None:
    late = replace(CLIENT, trained=True, refusal="the last 3 s of its training period are kept")
    assert decide_client(late) == Train(1)
    assert decide_client(replace(late, has_update=True)) == Submit(1)


def test_client_whose_round_is_gone_waits_for_no_worker() -> None:
    step = decide_client(in_round(replace(TRAINING, trained=True), phase=Phase.AGGREGATING))
    assert step == Wait("round 1 is aggregating")


def test_client_that_has_to_look_first_waits_for_that_and_claims_meanwhile() -> None:
    looking = replace(CLIENT, refusal=Pending("looking at the data"))
    assert decide_client(looking) == Working("round 1: looking at the data")
    assert decide_client(replace(looking, owed=100)) == Claim(100)


def test_client_of_a_federation_that_closes_while_it_trains_goes_on() -> None:
    assert decide_client(replace(TRAINING, closed=True)) == Working("round 1: training")


def test_client_of_a_closed_federation_does_not_stop_over_what_keeps_it_from_the_round_for_a_while() -> None:
    refused = replace(CLIENT, closed=True, refusal="not now: the worker was killed by SIGKILL")
    assert isinstance(decide_client(replace(refused, set_back=True)), Wait)
    assert decide_client(replace(refused, set_back=True, owed=1)) == Claim(1)
    assert isinstance(decide_client(refused), Stop)


def test_client_claims_once_the_threshold_is_reached() -> None:
    waiting = in_round(CLIENT, phase=Phase.FINALIZED)
    assert isinstance(decide_client(replace(waiting, owed=99)), Wait)
    assert decide_client(replace(waiting, owed=100)) == Claim(100)


def test_client_claims_nothing_whose_gas_costs_more_than_it_brings_and_says_so() -> None:
    waiting = replace(in_round(CLIENT, phase=Phase.FINALIZED), owed=100)
    assert decide_client(replace(waiting, claim_cost=100)) == Claim(100)
    step = decide_client(replace(waiting, claim_cost=101))
    assert step == Wait(
        "round 1 is finalized; to claim the 0.0000000000000001 ETH that is owed would cost more gas now than it brings"
    )


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.sampled_from(Phase))
def test_no_claim_costs_more_than_it_brings(owed: int, cost: int, closed: bool, phase: Phase) -> None:
    step = decide_client(replace(in_round(CLIENT, phase=phase), owed=owed, claim_cost=cost, closed=closed))
    assert not isinstance(step, Claim) or cost <= owed


def test_what_a_claim_brings_in_a_token_is_compared_with_no_gas() -> None:
    waiting = replace(in_round(CLIENT, phase=Phase.FINALIZED), owed=100, asset=TOKEN)
    assert decide_client(replace(waiting, claim_cost=10**18)) == Claim(100)


def test_client_that_trains_is_at_work_whatever_a_claim_would_cost() -> None:
    assert isinstance(decide_client(replace(TRAINING, owed=100, claim_cost=101)), Working)


def test_client_of_a_closed_federation_stops_and_says_what_is_left_that_no_claim_is_worth() -> None:
    closed = replace(in_round(CLIENT, phase=Phase.FINALIZED), closed=True, owed=7, claim_cost=8)
    step = decide_client(closed)
    assert isinstance(step, Stop)
    assert "0.000000000000000007 ETH is owed and stays yours" in step.reason
    assert "`koinon client claim`" in step.reason


def test_round_comes_before_a_claim() -> None:
    assert decide_client(replace(CLIENT, owed=1000)) == Train(1)


def test_client_of_a_closed_federation_claims_everything_and_stops() -> None:
    closed = replace(in_round(CLIENT, phase=Phase.FINALIZED), closed=True)
    assert decide_client(replace(closed, owed=1)) == Claim(1)
    assert isinstance(decide_client(closed), Stop)


def test_nothing_is_sent_while_a_transaction_is_pending() -> None:
    assert isinstance(decide_client(replace(joining(ENTRY), transaction_pending=True)), Wait)
    assert isinstance(decide_organization(replace(ORGANIZATION, transaction_pending=True)), Wait)


def test_organization_sets_the_initial_model_first() -> None:
    assert decide_organization(replace(ORGANIZATION, has_initial_model=False)) == SetInitialModel()


def test_organization_waits_for_enough_members() -> None:
    assert isinstance(decide_organization(replace(ORGANIZATION, members=2)), Wait)
    assert decide_organization(ORGANIZATION) == OpenRound()


def test_organization_of_a_paused_federation_waits_and_says_who_can_resume_it() -> None:
    step = decide_organization(replace(ORGANIZATION, paused=True))
    assert isinstance(step, Wait) and "`koinon organization resume`" in step.reason


def test_paused_federation_finalizes_its_live_round() -> None:
    live = replace(ORGANIZATION, paused=True, round=round_view(phase=Phase.AGGREGATING))
    assert decide_organization(live) == Finalize(1)


def test_organization_approves_exactly_the_reward_of_a_token_and_then_opens_the_round() -> None:
    paying = replace(ORGANIZATION, purse=Purse(TOKEN, balance=1000, allowance=0))
    assert decide_organization(paying) == Approve(1000)
    assert decide_organization(replace(paying, purse=Purse(TOKEN, 1000, allowance=1000))) == OpenRound()


def test_organization_that_cannot_pay_the_reward_says_what_is_missing() -> None:
    step = decide_organization(replace(ORGANIZATION, purse=Purse(TOKEN, balance=50, allowance=0)))
    assert isinstance(step, Wait)
    assert step.reason.startswith("the reward of the next round is 10 GOLD and the wallet holds 0.5 GOLD")


def test_organization_does_not_open_a_round_whose_pool_is_too_small_and_says_what_is_missing() -> None:
    short = replace(ORGANIZATION, purse=Purse(TOKEN, 1000, 1000), carried=500, reward=1000, least_pool=1525)
    assert decide_organization(short) == Wait(
        "the pool of the next round would be 15 GOLD (5 GOLD carried and a reward of 10 GOLD), and for 3 selected "
        "clients the federation's max_spread asks for 15.25 GOLD: 0.25 GOLD is missing. Raise round.reward, fund the "
        "federation, or lower round.reward_rate_cap, round.max_compute_ms or round.max_updates"
    )
    assert decide_organization(replace(short, carried=525)) == OpenRound()


def test_organization_opens_a_round_that_pays_nothing_at_all() -> None:
    assert decide_organization(replace(ORGANIZATION, reward=0, carried=0)) == OpenRound()
    assert isinstance(decide_organization(replace(ORGANIZATION, reward=0, carried=1)), Wait)


def test_organization_waits_in_training_and_finalizes_in_aggregating() -> None:
    assert isinstance(decide_organization(replace(ORGANIZATION, round=round_view())), Wait)
    assert decide_organization(replace(ORGANIZATION, round=round_view(phase=Phase.AGGREGATING))) == Finalize(1)


@pytest.mark.parametrize("phase", [Phase.FINALIZED, Phase.ABANDONED])
def test_organization_opens_the_next_round_when_one_is_over(phase: Phase) -> None:
    assert decide_organization(replace(ORGANIZATION, round=round_view(phase=phase))) == OpenRound()


def test_organization_stops_when_the_stopping_rule_holds() -> None:
    assert decide_organization(replace(ORGANIZATION, stop="max_rounds")) == Stop("max_rounds")


def test_organization_finalizes_a_live_round_before_it_stops() -> None:
    live = replace(ORGANIZATION, round=round_view(phase=Phase.AGGREGATING), stop="max_rounds")
    assert decide_organization(live) == Finalize(1)


def test_nobody_stops_while_a_reorganization_may_undo_the_last_transaction() -> None:
    closed = replace(CLIENT, closed=True, round=None, unconfirmed=True)
    for action in (
        decide_client(closed),
        decide_organization(replace(ORGANIZATION, stop="max_rounds", unconfirmed=True)),
        decide_organization(replace(ORGANIZATION, closed=True, unconfirmed=True)),
    ):
        assert isinstance(action, Wait) and "until it is final" in action.reason
    assert isinstance(decide_client(replace(closed, unconfirmed=False)), Stop)


def test_a_round_goes_on_while_earlier_transactions_become_final() -> None:
    assert decide_organization(replace(ORGANIZATION, unconfirmed=True)) == OpenRound()
    assert decide_client(replace(CLIENT, unconfirmed=True)) == Train(1)


NEW_PLAN = NewPlan(CID, announced_at=None, agreed=0, needed=3, notice=600)


def test_organization_announces_a_changed_plan_also_while_a_round_of_the_old_one_trains() -> None:
    changed = replace(ORGANIZATION, new_plan=NEW_PLAN)
    assert decide_organization(changed) == Announce(CID)
    assert decide_organization(replace(changed, round=round_view())) == Announce(CID)
    assert decide_organization(replace(changed, members=2)) == Announce(CID), "for those who are to become members"
    assert decide_organization(replace(changed, round=round_view(phase=Phase.AGGREGATING))) == Finalize(1)


def test_organization_opens_no_round_under_a_plan_before_its_clients_had_time_to_agree() -> None:
    told = replace(ORGANIZATION, new_plan=replace(NEW_PLAN, announced_at=1_000), now=1_599)
    assert isinstance(decide_organization(told), Wait)
    assert decide_organization(replace(told, now=1_600)) == OpenRound()
    agreed = replace(told, new_plan=replace(NEW_PLAN, announced_at=1_000, agreed=3))
    assert decide_organization(agreed) == OpenRound()


def test_organization_pauses_after_a_round_that_nobody_joined() -> None:
    empty = Fruitless(rounds=2, over_at=1_000, period=60, longest_pause=3_600, agreed=0, needed=3)
    paused = replace(ORGANIZATION, round=round_view(phase=Phase.ABANDONED), fruitless=empty, now=1_119)
    step = decide_organization(paused)
    assert isinstance(step, Wait) and "ended without an update" in step.reason
    assert decide_organization(replace(paused, now=1_120)) == OpenRound()
    assert decide_organization(replace(paused, fruitless=replace(empty, agreed=3))) == OpenRound()


def test_organization_retires_an_idle_member_between_rounds() -> None:
    idle = replace(ORGANIZATION, round=round_view(phase=Phase.FINALIZED), idle=ADDRESS)
    assert decide_organization(idle) == Retire(ADDRESS)
    assert isinstance(decide_organization(replace(idle, round=round_view())), Wait)


def test_client_that_could_take_part_in_no_round_does_not_register() -> None:
    assert decide_client(joining(ENTRY, unfit="our data does not fit")) == Wait("not registered: our data does not fit")
    looking = joining(ENTRY, unfit=Pending("looking at our data"))
    assert decide_client(looking) == Working("not registered yet: looking at our data")


def test_client_says_that_it_agreed_once_there_is_nothing_else_to_do() -> None:
    agreed = in_round(replace(CLIENT, to_post=CID), phase=Phase.FINALIZED)
    assert decide_client(agreed) == PostAgreement(CID)
    assert decide_client(replace(agreed, owed=100)) == Claim(100)
    assert decide_client(replace(CLIENT, to_post=CID)) == Train(1)
    assert isinstance(decide_client(replace(agreed, closed=True)), Stop)


def test_client_whose_voucher_is_used_up_hears_of_that_and_not_of_its_stake() -> None:
    terms = replace(TOKEN_ENTRY.terms, admission=Admission.VOUCHER)
    entry = replace(TOKEN_ENTRY, terms=terms, max_stake=0, voucher_refusal="the voucher is used up")
    assert entry_refusal(entry) == "the voucher is used up"


def test_client_that_is_told_to_leave_first_hears_that_its_voucher_admits_it_no_more() -> None:
    terms = replace(TOKEN_ENTRY.terms, admission=Admission.VOUCHER)
    entry = replace(TOKEN_ENTRY, terms=terms, stake_held=250, voucher_refusal="the voucher was used")
    for waiting in (entry, replace(entry, stake_held=0, update_live=True)):
        assert "another voucher of the organization admits us again" in (entry_refusal(waiting) or "")
        assert "we can register again" in (entry_refusal(replace(waiting, voucher_refusal=None)) or "")


def test_what_remains_to_do_in_a_finished_federation_is_said_in_a_sentence() -> None:
    view = round_view(phase=Phase.FINALIZED)
    member = replace(view, client=replace(view.client, owed=5, stake=7))
    said = remains(member, COIN)
    assert "koinon client claim" in said and "koinon client leave" in said and "the stake of" in said
    stranger = replace(view, client=replace(view.client, member=False))
    assert "leave" not in remains(stranger, COIN) and "stop it if you are done" in remains(stranger, COIN)
