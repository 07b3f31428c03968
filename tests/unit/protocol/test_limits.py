from __future__ import annotations

import inspect
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.artifacts.plan import Ewc, Optimizer
from processor.chain.asset import Asset
from processor.learning.ewc import fisher_information
from processor.protocol.limits import (
    CLAIM_GAS,
    FISHER_CHUNK,
    SUBMIT_GAS,
    Demand,
    Limits,
    ModelSize,
    Offer,
    Work,
    artifact_bytes,
    estimated_memory,
    offer_of,
    refusal,
    refusals,
    work_of,
)
from processor.protocol.rewards import guaranteed_rate
from processor.tensors import Layout
from processor.types import ZERO_ADDRESS
from tests.unit.artifacts.examples import CLIENTS, PLAN
from tests.unit.protocol.views import round_view

COIN = Asset(ZERO_ADDRESS, "ETH", 18)
TOKEN = Asset(CLIENTS[0], "GOLD", 2)
GWEI = UNIT = 10**9
OFFER = Offer(COIN, rate=1000 * UNIT, reward=10**18, seconds=60.0, gas_price=GWEI)
WORK = Work(parameters=1000, bytes=9000, steps=50, memory=10**6, epsilon=math.inf, public=True)
SIZE = ModelSize(parameters=1000, buffer_bytes=16)
NO_EWC = Ewc(strength=0.0, decay=0.0, fisher_samples=1, fisher_cap=1.0)

amounts = st.integers(0, 2**200)
offers = st.builds(
    Offer,
    asset=st.sampled_from([COIN, TOKEN]),
    rate=amounts,
    reward=amounts,
    seconds=st.floats(0, 1e9),
    gas_price=amounts,
)
works = st.builds(
    Work,
    parameters=amounts,
    bytes=amounts,
    steps=amounts,
    memory=amounts,
    epsilon=st.floats(0, math.inf),
    public=st.booleans(),
)


@given(st.one_of(offers, works))
def test_nothing_is_refused_without_limits(demand: Demand) -> None:
    assert list(refusals(Limits(), demand)) == []


@pytest.mark.parametrize(
    ("limit", "demand", "said"),
    [
        (
            {"minimum_rate": 1001 * UNIT},
            OFFER,
            "it guarantees 0.000000000000001 ETH for a second of compute, less than the minimum_rate of "
            "0.000000000000001001 ETH that is configured",
        ),
        (
            {"max_seconds": 59.5},
            OFFER,
            "it may take 60 seconds of training, and client.max_seconds allows 59.5: raise that to take part",
        ),
        (
            {"minimum_reward": 10**18},
            OFFER,
            "what it guarantees for the most compute time that it accepts, 1 ETH, is less than the minimum_reward of "
            "1 ETH that is configured, once submission and claim are paid at the price that gas has now",
        ),
        (
            {"minimum_reward": 201},
            replace(OFFER, asset=TOKEN, reward=200),
            "it guarantees 2 GOLD for the most compute time that it accepts, less than the minimum_reward of 2.01 GOLD "
            "that is configured",
        ),
        (
            {"max_fee_per_gas": GWEI - 1},
            OFFER,
            "a unit of gas costs more now than the network.max_fee_per_gas of 999999999 wei that is configured: it is "
            "looked at again when the price has changed",
        ),
        (
            {"accept_public_updates": False},
            WORK,
            "its updates carry no noise and become public when the round is finalized; set "
            "accept_public_updates = true if your data may be",
        ),
        (
            {"max_epsilon": 8.0},
            WORK,
            "its updates spend privacy without bound, for want of noise, and client.max_epsilon allows 8: raise "
            "that to take part",
        ),
        (
            {"max_epsilon": 8.0},
            replace(WORK, epsilon=8.5),
            "its updates spend an epsilon of 8.5, and client.max_epsilon allows 8: raise that to take part",
        ),
        (
            {"max_parameters": 999},
            WORK,
            "it asks for 1000 parameters in the model, and client.max_parameters allows 999: raise that to take part",
        ),
        (
            {"max_bytes": 8999},
            WORK,
            "it asks for 9000 bytes in an artifact, and client.max_bytes allows 8999: raise that to take part",
        ),
        (
            {"max_steps": 49},
            WORK,
            "it asks for 50 optimizer steps, and client.max_steps allows 49: raise that to take part",
        ),
        (
            {"max_memory": 10**6 - 1},
            WORK,
            "it asks for 1000000 bytes of memory, by estimate, and client.max_memory allows 999999: raise "
            "that to take part",
        ),
    ],
)
def test_each_limit_says_what_is_asked_what_is_allowed_and_where_to_change_it(
    limit: dict[str, Any], demand: Demand, said: str
) -> None:
    assert list(refusals(Limits(**limit), demand)) == [said]
    assert refusal(Limits(**limit), demand) == said


def test_what_is_exactly_at_the_limits_is_taken() -> None:
    gas = GWEI * (SUBMIT_GAS + CLAIM_GAS)
    limits = Limits(
        minimum_rate=1000 * UNIT,
        minimum_reward=10**18 - gas,
        max_fee_per_gas=GWEI,
        max_seconds=60.0,
        max_steps=50,
        max_parameters=1000,
        max_bytes=9000,
        max_memory=10**6,
        max_epsilon=2.0,
    )
    assert refusal(limits, OFFER) is None
    assert refusal(limits, replace(WORK, epsilon=2.0)) is None
    assert "minimum_reward" in str(refusal(replace(limits, minimum_reward=10**18 - gas + 1), OFFER))


def test_reward_in_a_token_is_compared_without_the_gas_that_it_cannot_be_compared_with() -> None:
    dear = replace(OFFER, asset=TOKEN, reward=200, gas_price=10**20)
    assert refusal(Limits(minimum_reward=200), dear) is None


NOTHING_FOR_NOTHING = Limits(accept_unpaid_rounds=False)


def test_a_round_that_guarantees_nothing_is_refused_unless_it_is_accepted() -> None:
    for asset in (COIN, TOKEN):
        unpaid = replace(OFFER, asset=asset, rate=0, reward=0, gas_price=0)
        assert "it guarantees no reward: set client.accept_unpaid_rounds = true" in str(
            refusal(NOTHING_FOR_NOTHING, unpaid)
        )
        assert refusal(Limits(accept_unpaid_rounds=True), unpaid) is None


def test_a_reward_that_does_not_pay_the_gas_of_an_update_is_none_to_whoever_pays_that_gas() -> None:
    gas = GWEI * SUBMIT_GAS
    assert "is less than the gas of submitting an update" in str(
        refusal(NOTHING_FOR_NOTHING, replace(OFFER, reward=gas - 1))
    )
    assert refusal(NOTHING_FOR_NOTHING, replace(OFFER, reward=gas)) is None
    assert refusal(replace(NOTHING_FOR_NOTHING, own_gas=False), replace(OFFER, reward=1)) is None
    assert refusal(NOTHING_FOR_NOTHING, replace(OFFER, asset=TOKEN, reward=1)) is None


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_reason_does_not_change_with_the_price_of_gas(one: int, other: int) -> None:
    limits = Limits(minimum_reward=10**30, max_fee_per_gas=1)
    said = {refusal(limits, replace(OFFER, gas_price=price)) for price in (one, other)}
    assert len(said) == 1


# ------------------------------------------------------------------------------------------------- what a round asks


def test_offer_of_a_round_is_its_floor_for_the_most_compute_time() -> None:
    view = round_view(
        opened_at=100,
        training_deadline=700,
        max_compute_ms=60_000,
        selected_count=10,
        pool=10_000,
        guaranteed_rate=16 * UNIT,
    )
    assert offer_of(view, COIN, 5) == Offer(COIN, rate=16 * UNIT, reward=960, seconds=60.0, gas_price=5)


def test_compute_time_that_the_training_period_has_no_room_for_is_not_counted_on() -> None:
    view = round_view(
        opened_at=100,
        training_deadline=130,
        max_compute_ms=60_000,
        selected_count=10,
        pool=10_000,
        guaranteed_rate=16 * UNIT,
    )
    assert offer_of(view, COIN, 5) == Offer(COIN, rate=16 * UNIT, reward=480, seconds=30.0, gas_price=5)


@given(
    pool=st.integers(0, 10**24),
    cap=st.integers(1, 10**29),
    selected=st.integers(1, 1_000),
    most_ms=st.integers(1, 10**9),
    period=st.integers(30, 10**6),
)
def test_guaranteed_reward_is_never_more_than_a_share_of_the_pool(
    pool: int, cap: int, selected: int, most_ms: int, period: int
) -> None:
    view = round_view(
        opened_at=0,
        training_deadline=period,
        pool=pool,
        reward_rate_cap=cap,
        selected_count=selected,
        max_compute_ms=most_ms,
        guaranteed_rate=guaranteed_rate(pool, cap, selected, most_ms),
    )
    assert offer_of(view, COIN, 0).reward * selected <= pool


def test_update_without_noise_is_public_and_spends_privacy_without_bound() -> None:
    work = work_of(PLAN, SIZE, example_bytes=264, outputs=10, samples=100)
    assert work.public and work.epsilon == math.inf
    assert work.parameters == 1000


def test_artifact_holds_the_fisher_information_only_where_the_plan_asks_for_it() -> None:
    assert artifact_bytes(PLAN, SIZE) >= 8 * 1000 + 16
    assert 4 * 1000 + 16 <= artifact_bytes(replace(PLAN, ewc=NO_EWC), SIZE) < 8 * 1000


def test_fisher_information_takes_as_many_rows_at_a_time_as_the_estimate_says() -> None:
    assert inspect.signature(fisher_information).parameters["chunk"].default == FISHER_CHUNK


def test_memory_without_anchor_and_momentum_is_two_models_gradients_and_the_data() -> None:
    plan = replace(PLAN, ewc=NO_EWC, optimizer=Optimizer("sgd", 0.1, 0.0))
    data = (100 + plan.local.batch_size) * 264
    assert estimated_memory(plan, SIZE, 264, 10, 100) == 2 * (4 * 1000 + 16) + 4 * 1000 + data
    with_momentum = replace(plan, optimizer=Optimizer("sgd", 0.1, 0.9))
    assert estimated_memory(with_momentum, SIZE, 264, 10, 100) == estimated_memory(plan, SIZE, 264, 10, 100) + 4 * 1000


def test_memory_of_the_fisher_information_grows_with_rows_and_outputs() -> None:
    few = estimated_memory(PLAN, SIZE, 264, outputs=10, samples=1)
    assert (
        estimated_memory(PLAN, SIZE, 264, outputs=20, samples=16)
        - estimated_memory(PLAN, SIZE, 264, outputs=10, samples=16)
        == 8 * 1000 * 16 * 10
    )
    assert few < estimated_memory(PLAN, SIZE, 264, outputs=10, samples=16)


def test_size_of_a_model_is_that_of_its_parameters_and_of_the_bytes_of_its_buffers() -> None:
    layout: Layout = {
        "param/0.weight": (np.dtype(np.float32), (3, 4)),
        "param/0.bias": (np.dtype(np.float32), (3,)),
        "buffer/1.running_mean": (np.dtype(np.float32), (3,)),
        "buffer/1.num_batches_tracked": (np.dtype(np.int64), ()),
    }
    assert ModelSize.of(layout) == ModelSize(parameters=15, buffer_bytes=3 * 4 + 8)
