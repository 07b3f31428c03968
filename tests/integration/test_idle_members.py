"""Members who sit still: what they cost the others is shown, and the organization's daemon does something about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from processor.chain.provider import connect
from processor.protocol.decide import Claim, Finalize, OpenRound, Retire, Wait
from processor.types import FederationTerms
from tests.integration.command_line import together
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil

IDLE_ROUNDS = 2
SHORTEST = 30


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node.rpc_url


def of_three(rpc: str, folder: Path, min_members: int) -> LocalFederation:
    """Three clients, the last of which never does anything; training may be cut down."""
    terms = FederationTerms(idle_rounds=IDLE_ROUNDS)
    town = LocalFederation(connect(rpc), folder, clients_wanted=3, rounds_wanted=20, terms=terms)
    settings = town.organization.settings
    round = replace(settings.round, shortest_training_period=SHORTEST)
    town.organization.settings = replace(settings, min_members=min_members, round=round)
    town.register()
    return town


def play(town: LocalFederation) -> None:
    """One round, in which the last client is silent."""
    town.open_round()
    town.train_and_submit(0, 1)
    assert isinstance(town.organization.cycle(), Wait)
    town.pass_time(town.federation.round_view().training_deadline - town.federation.block().timestamp)
    assert isinstance(town.organization.cycle(), Finalize)
    for client in town.clients[:2]:
        assert isinstance(client.cycle(), Claim)


def test_a_member_that_sits_still_is_retired_once_the_terms_allow_it(rpc: str, tmp_path: Path) -> None:
    town = of_three(rpc, tmp_path, min_members=2)
    idle = town.clients[2].address
    for _ in range(IDLE_ROUNDS):
        assert idle in town.federation.members()
        play(town)

    words, facts = together(
        ["status", town.federation.address, "--rpc", rpc],
        ["status", town.federation.address, "--rpc", rpc, "--json"],
        folder=tmp_path,
    )
    said = " ".join(words.stdout.split())
    assert "silent 1, for whom the others waited the whole 120 s of training" in said
    assert f"idle {idle}: anybody may end this membership now" in said
    found = json.loads(facts.stdout)
    assert (found["idle"], found["round"]["silent"], found["round"]["waited_seconds"]) == ([idle], 1, 120)

    willing = town.organization.settings
    town.organization.settings = replace(willing, retire_idle=False)
    block = town.federation.block()
    assert town.organization.decide(town.federation.round_view(), block) == OpenRound()
    town.organization.settings = willing
    assert town.organization.cycle() == Retire(idle)
    assert idle not in town.federation.members()
    assert isinstance(town.organization.cycle(), OpenRound)
    assert town.federation.round_view().selected_count == 2, "nobody waits for it any more"


def test_nobody_is_retired_whose_seat_is_needed_but_the_others_wait_less_long(rpc: str, tmp_path: Path) -> None:
    town = of_three(rpc, tmp_path, min_members=3)
    periods = []
    for _ in range(IDLE_ROUNDS + 1):
        play(town)
        view = town.federation.round_view()
        periods.append(view.training_deadline - view.opened_at)
    assert periods[:2] == [town.training_period, town.training_period], "it may only be slow"
    assert SHORTEST <= periods[2] < town.training_period
    assert len(town.federation.members()) == 3
