from dataclasses import replace
from typing import Any

import pytest

from processor.protocol.decide import (
    Claim,
    ClientSituation,
    Finalize,
    OpenRound,
    OrganizationSituation,
    Owed,
    Register,
    SetInitialModel,
    Stop,
    Submit,
    Train,
    Wait,
    decide_client,
    decide_organization,
)
from processor.types import Phase
from tests.unit.protocol.views import CID, round_view

CLIENT = ClientSituation(
    closed=False,
    registered=True,
    round=round_view(),
    has_update=False,
    refusal=None,
    owed=(),
    claim_threshold=100,
    transaction_pending=False,
)
ORGANIZATION = OrganizationSituation(
    closed=False,
    has_initial_model=True,
    round=None,
    members=3,
    min_members=3,
    stop=None,
    transaction_pending=False,
)


def in_round(situation: ClientSituation, **changes: Any) -> ClientSituation:
    assert situation.round is not None
    view = situation.round
    client = {name: changes.pop(name) for name in ("selected", "update") if name in changes}
    return replace(situation, round=replace(view, client=replace(view.client, **client), **changes))


def test_client_that_is_no_member_registers() -> None:
    assert decide_client(replace(CLIENT, registered=False)) == Register()


def test_client_does_not_register_with_a_closed_federation() -> None:
    assert isinstance(decide_client(replace(CLIENT, registered=False, closed=True, round=None)), Stop)


def test_selected_client_trains() -> None:
    assert decide_client(CLIENT) == Train(1)


def test_client_with_a_saved_update_submits_it_and_does_not_train_again() -> None:
    assert decide_client(replace(CLIENT, has_update=True)) == Submit(1)


def test_client_whose_update_is_on_chain_neither_trains_nor_submits() -> None:
    assert isinstance(decide_client(in_round(replace(CLIENT, has_update=True), update=CID)), Wait)


def test_client_that_is_not_selected_waits() -> None:
    assert isinstance(decide_client(in_round(CLIENT, selected=False)), Wait)


@pytest.mark.parametrize("phase", [Phase.AGGREGATING, Phase.FINALIZED, Phase.ABANDONED])
def test_client_is_too_late_once_training_is_over(phase: Phase) -> None:
    assert isinstance(decide_client(in_round(replace(CLIENT, has_update=True), phase=phase)), Wait)


def test_refused_round_is_waited_out_with_its_reason() -> None:
    decision = decide_client(replace(CLIENT, refusal="pays too little"))
    assert isinstance(decision, Wait) and "pays too little" in decision.reason


def test_client_claims_once_the_threshold_is_reached() -> None:
    waiting = in_round(CLIENT, phase=Phase.FINALIZED)
    assert isinstance(decide_client(replace(waiting, owed=(Owed(1, 99),))), Wait)
    assert decide_client(replace(waiting, owed=(Owed(1, 60), Owed(3, 40)))) == Claim((1, 3), 100)


def test_round_comes_before_a_claim() -> None:
    assert decide_client(replace(CLIENT, owed=(Owed(1, 1000),))) == Train(1)


def test_client_of_a_closed_federation_claims_everything_and_stops() -> None:
    closed = replace(in_round(CLIENT, phase=Phase.FINALIZED), closed=True)
    assert decide_client(replace(closed, owed=(Owed(1, 1),))) == Claim((1,), 1)
    assert isinstance(decide_client(closed), Stop)


def test_nothing_is_sent_while_a_transaction_is_pending() -> None:
    assert isinstance(decide_client(replace(CLIENT, registered=False, transaction_pending=True)), Wait)
    assert isinstance(decide_organization(replace(ORGANIZATION, transaction_pending=True)), Wait)


def test_organization_sets_the_initial_model_first() -> None:
    assert decide_organization(replace(ORGANIZATION, has_initial_model=False)) == SetInitialModel()


def test_organization_waits_for_enough_members() -> None:
    assert isinstance(decide_organization(replace(ORGANIZATION, members=2)), Wait)
    assert decide_organization(ORGANIZATION) == OpenRound()


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
