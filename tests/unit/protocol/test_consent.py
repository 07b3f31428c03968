from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.artifacts.buffers import Average
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Ewc, Factory, LocalWork, Plan
from processor.chain.asset import Asset
from processor.cid import cid_of
from processor.config import organization_template
from processor.protocol.consent import Agreement, consent_refusal, in_words, number_refusal
from processor.protocol.limits import ModelSize
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, FederationTerms
from tests.unit.artifacts.examples import CID, CLIENTS, FEDERATION, PLAN
from tests.unit.protocol.views import round_view

COIN = Asset(ZERO_ADDRESS, "ETH", 18)
TOKEN = Asset(CLIENTS[0], "GOLD", 2)
OTHER_CID = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
UNIT = 10**9  # of a rate
TERMS = FederationTerms(stake=10**18, max_slash_rate=5_000)
AGREEMENT = Agreement(31337, FEDERATION, CID, PLAN, TERMS)
SIZE = ModelSize(parameters=30_010, buffer_bytes=0)

terms = st.builds(
    FederationTerms,
    asset=st.sampled_from([ZERO_ADDRESS, *CLIENTS]),
    stake=st.integers(0, 2**256 - 1),
    max_slash_rate=st.integers(0, 10_000),
    admission=st.sampled_from(Admission),
    audit_policy=st.sampled_from(AuditPolicy),
    max_spread=st.integers(1, 2**16 - 1),
    idle_rounds=st.integers(0, 2**16 - 1),
)
agreements = st.builds(
    Agreement,
    chain_id=st.integers(1, 2**53 - 1),
    federation=st.sampled_from([FEDERATION, *CLIENTS]),
    plan_cid=st.sampled_from([CID, OTHER_CID]),
    plan=st.just(PLAN),
    terms=terms,
)

# ------------------------------------------------------------------------------------------------------------ digest


def test_digest_of_an_agreement_never_changes_from_version_to_version() -> None:
    agreement = Agreement(1, FEDERATION, OTHER_CID, PLAN, FederationTerms())
    assert agreement.digest() == "7ad25d0d12efd24928276b70ae09f4c154141f5b3f0731e8786c9bd53a999cbe"


def test_an_unchanged_configuration_keeps_its_plan_and_every_consent_to_it() -> None:
    plan = Plan.from_table(tomllib.loads(organization_template())["plan"])
    cid = cid_of(PLANS.encode(plan))
    assert cid == "QmPHDyGyxfPEaQLGCiHDxce7GqHD9GEbGuv9M4xkhbSDho"
    agreement = Agreement(31337, FEDERATION, cid, plan, FederationTerms())
    assert agreement.digest() == "a58f8d4615604311a566bd5d5aee4f26821e23b2d08ad1ce565ff954efc1eded"


@given(agreements, agreements)
def test_digests_are_the_same_exactly_where_everything_is(one: Agreement, other: Agreement) -> None:
    assert (one.digest() == other.digest()) == (one == other)


@given(agreements)
def test_digest_has_64_hexadecimal_digits(agreement: Agreement) -> None:
    assert len(bytes.fromhex(agreement.digest())) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"federation": CLIENTS[0]},
        {"plan_cid": OTHER_CID},
        {"terms": replace(TERMS, asset=CLIENTS[1])},
        {"terms": replace(TERMS, stake=10**18 + 1)},
        {"terms": replace(TERMS, max_slash_rate=5_001)},
        {"terms": replace(TERMS, admission=Admission.VOUCHER)},
        {"terms": replace(TERMS, audit_policy=AuditPolicy.APPOINTED)},
        {"terms": replace(TERMS, max_spread=2)},
        {"terms": replace(TERMS, idle_rounds=1)},
    ],
)
def test_every_term_changes_the_digest(change: dict[str, Any]) -> None:
    assert replace(AGREEMENT, **change).digest() != AGREEMENT.digest()


def test_refusal_names_the_plan_the_digest_and_the_command_that_agrees() -> None:
    said = consent_refusal(AGREEMENT)
    assert CID in said and AGREEMENT.digest() in said
    assert f"`koinon client join {FEDERATION}`" in said
    assert f"`koinon client join {FEDERATION} --plan {CID}`" in consent_refusal(AGREEMENT, announced=True)


# ------------------------------------------------------------------------------------------------------------- words


def words(agreement: Agreement = AGREEMENT, asset: Asset = COIN, **view: Any) -> str:
    return in_words(agreement, asset, round_view(**view) if view else None, SIZE)


def with_plan(**changes: Any) -> str:
    return words(replace(AGREEMENT, plan=replace(PLAN, **changes)))


def test_words_say_what_leaves_the_machine_and_what_stays() -> None:
    said = words()
    assert "how much each parameter of the model changed" in said and "the Fisher information of each parameter" in said
    assert "kB in all" in said
    assert "and how many samples you have, so that updates can be weighted" in said
    assert "your address, and for each round the digest of your update and how much compute time you claim" in said
    assert "Your data itself stays where it is" in said


def test_words_promise_no_fisher_information_where_the_plan_asks_for_none() -> None:
    plain = with_plan(ewc=Ewc(strength=0.0, decay=0.0, fisher_samples=1, fisher_cap=1.0))
    assert "No elastic weight consolidation" in plain and "Fisher" not in plain


def test_words_say_that_no_noise_is_added_and_that_updates_are_public_for_ever() -> None:
    said = words()
    assert "None is added" in said and "only with data that may be public" in said
    assert "everybody can open your update, for ever, read how many samples you have, and recompute the round" in said


def test_words_say_who_can_see_updates_under_an_appointed_audit() -> None:
    appointed = words(replace(AGREEMENT, terms=replace(TERMS, audit_policy=AuditPolicy.APPOINTED)))
    assert "the auditors that it appoints" in appointed and "can open your update" not in appointed


def test_words_say_that_buffers_are_held_to_what_the_plan_declares_where_it_does() -> None:
    declared = with_plan(buffers={"1.running_mean": Average("average", -10.0, 10.0)})
    assert "whose buffers lie outside what the plan declares" in declared
    assert "outside what the plan declares" not in words()


def test_words_say_that_models_are_published_unencrypted() -> None:
    assert "everybody who can reach IPFS, since models are published unencrypted" in words()


def test_words_say_what_the_latest_round_pays_and_that_the_next_may_differ() -> None:
    said = words(
        round=7,
        pool=10**17,
        selected_count=10,
        max_updates=20,
        max_compute_ms=60_000,
        reward_rate_cap=10**15 * UNIT,
        guaranteed_rate=10**14 * UNIT,
        opened_at=0,
        training_deadline=600,
    )
    assert "belong to each round and are fixed when it opens. Round 7, the latest: a pool of 0.1 ETH" in said
    assert "at most 10 updates of 60 seconds each, and a wage of 0.001 ETH" in said
    assert "0.0001 ETH for every credited second, 0.006 ETH for the most compute time" in said


def test_words_before_the_first_round_say_how_the_floor_will_be_found() -> None:
    assert "none has been opened yet" in words()
    assert "the smaller of the wage and pool ÷ (selected clients · most compute time)" in words()


def test_words_say_how_far_others_change_what_one_is_paid() -> None:
    assert "that others are rejected, changes nothing of your pay beyond rounding (a maxSpread of 1)" in words()
    spread = words(replace(AGREEMENT, terms=replace(TERMS, max_spread=20)))
    assert "rejecting others can raise any pay at most 20-fold" in spread and "changes nothing" not in spread


def test_words_say_after_how_many_silent_rounds_anybody_may_end_a_membership() -> None:
    assert "end the membership" not in words()
    idle = words(replace(AGREEMENT, terms=replace(TERMS, idle_rounds=12)))
    assert "decline or registration is 12 rounds back. Stake and rewards stay its own" in idle


def test_words_say_what_is_staked_and_how_much_of_it_can_be_lost() -> None:
    said = words()
    assert "1 ETH, which comes back when you leave" in said
    assert "The plan slashes 25 %" in said and "slash more than 50 %" in said
    assert "Nothing. Anybody may register." in words(replace(AGREEMENT, terms=FederationTerms()))
    by_voucher = FederationTerms(admission=Admission.VOUCHER)
    assert "Nothing. You need the organization's voucher." in words(replace(AGREEMENT, terms=by_voucher))


def test_words_name_the_token_that_rewards_are_in() -> None:
    assert f"Rewards are in GOLD, the token {TOKEN.address}." in words(asset=TOKEN)


def test_words_say_how_much_work_a_round_is() -> None:
    assert "1 pass over all your samples, in batches of 64 samples" in words()
    by_steps = with_plan(local=LocalWork(steps=5, epochs=None, batch_size=1))
    assert "5 steps on batches of 1 sample, the same for every client" in by_steps


def test_words_say_what_the_models_are_measured_on() -> None:
    assert "private to the organization: their metric is its word" in words()
    assert f"is public, {OTHER_CID}: everybody can measure them again" in with_plan(validation=OTHER_CID)


def test_words_do_without_the_size_of_a_model_that_cannot_be_built() -> None:
    said = in_words(AGREEMENT, COIN, None, None)
    assert "that this version cannot tell" in said and " in all" not in said


def test_what_others_wrote_cannot_steer_the_terminal_or_begin_a_line() -> None:
    hostile = with_plan(model=Factory("mlp", {"note": "\x1b[2J\nWhat you are paid\n  - a million"}))
    assert "\x1b" not in hostile
    assert hostile.count("\nWhat you are paid\n") == 1


def test_no_round_follows_the_last_that_the_plan_promises_by_its_number() -> None:
    last = PLAN.stopping.max_rounds
    assert number_refusal(PLAN, last) is None
    said = str(number_refusal(PLAN, last + 1))
    assert f"its plan promises that no round follows round {last}" in said and "you agree to" in said


def test_words_say_when_the_daemon_takes_part_no_more() -> None:
    said = words()
    assert f"Your daemon takes part in no round whose number is above {PLAN.stopping.max_rounds}" in said
    assert "none after a report that says so, until you agree to another plan" in said
    assert "A report that cannot be had says nothing." in said
