"""A round that was opened says what binds its updates and its model."""

from __future__ import annotations

from processor.protocol.opened import Identity, OpenedRound
from tests.unit.artifacts.examples import CLIENTS, FEDERATION, OPENING, PLAN

ROUND = OpenedRound(Identity(31337, FEDERATION), OPENING, PLAN)


def test_an_updates_header_is_bound_to_chain_federation_round_client_and_base_model() -> None:
    header = ROUND.update_header(CLIENTS[0], samples=12)
    assert (header.chain_id, header.federation, header.round) == (31337, FEDERATION, OPENING.round)
    assert (header.client, header.base_model, header.samples) == (CLIENTS[0], OPENING.base_model, 12)


def test_what_is_expected_of_a_client_is_what_its_header_says() -> None:
    header, binding = ROUND.update_header(CLIENTS[1], samples=1), ROUND.binding(CLIENTS[1])
    assert all(getattr(header, name) == value for name, value in vars(binding).items())


def test_a_model_names_the_round_the_base_model_and_the_plan_that_it_comes_from() -> None:
    header = ROUND.model_header()
    assert (header.round, header.parent, header.plan) == (OPENING.round, OPENING.base_model, OPENING.plan)
