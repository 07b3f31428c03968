"""A changed plan is announced before a round opens under it, agreed to and counted; and no round is opened again and
again for nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs
from web3.types import RPCEndpoint

from processor import keystore
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Plan
from processor.chain.posts import AGREED, PLAN, Post, Posts
from processor.chain.provider import connect
from processor.cid import cid_of
from processor.daemons.client import ClientDaemon
from processor.daemons.plan_news import EVERY
from processor.demo.settings import DemoSettings
from processor.demo.stage import plan_of
from processor.errors import ChainError
from processor.protocol.decide import Announce, OpenRound, PostAgreement, Register, Train, Wait
from processor.types import Cid
from tests.integration.command_line import FAST, PASSPHRASE, all_fail, together, write
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil

NOTICE = 3_600
TOLD = "another plan is announced"


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node.rpc_url


@pytest.fixture
def town(rpc: str, tmp_path: Path) -> LocalFederation:
    """Two clients in a federation that gives an hour's notice, in its first round."""
    federation = LocalFederation(
        connect(rpc),
        tmp_path,
        clients_wanted=2,
        rounds_wanted=100,
        plan_notice=NOTICE,
        longest_pause=10 * NOTICE,
    )
    federation.register()
    federation.open_round()
    return federation


def pass_the_round(town: LocalFederation) -> None:
    """Nobody submits anything in it."""
    left = town.federation.round_view().training_deadline - town.federation.block().timestamp
    town.pass_time(max(left, 0) + 1)


def change(town: LocalFederation) -> Cid:
    """The organization is started with another plan."""
    plan = town.organization.plan
    town.organization.plan = replace(plan, optimizer=replace(plan.optimizer, learning_rate=0.2))
    return cid(town.organization.plan)


def cid(plan: Plan) -> Cid:
    return cid_of(PLANS.encode(plan))


def announce_to_all(town: LocalFederation) -> Cid:
    """Everybody has agreed to a plan that is announced."""
    pass_the_round(town)
    plan = change(town)
    assert town.organization.cycle() == Announce(plan)
    town.agree()
    town.pass_time(EVERY)
    return plan


def posts(town: LocalFederation, topic: bytes) -> tuple[Post, ...]:
    return Posts(town.federation, topic).read(0, town.federation.block())


def told(client: ClientDaemon) -> list[str]:
    """What a cycle says of plans that are announced."""
    with capture_logs() as logs:
        client.cycle()
    return [each["plan"] for each in logs if each["event"] == TOLD]


def no_logs(*arguments: Any) -> NoReturn:
    raise ChainError("the node gives no logs")


def test_a_round_opens_under_another_plan_once_it_was_announced_and_its_clients_have_agreed(
    town: LocalFederation,
) -> None:
    pass_the_round(town)
    plan = change(town)
    assert town.organization.cycle() == Announce(plan)
    assert [(post.sender, post.cid) for post in posts(town, PLAN)] == [(town.organization.address, plan)]
    waiting = town.organization.cycle()
    assert isinstance(waiting, Wait) and f"clients were told of the new plan {plan}" in waiting.reason

    town.pass_time(EVERY)
    assert [told(client) for client in town.clients] == [[plan], [plan]]
    assert [told(client) for client in town.clients] == [[], []]
    town.agree()
    assert [client.cycle() for client in town.clients] == [PostAgreement(plan), PostAgreement(plan)]
    assert all(isinstance(client.cycle(), Wait) for client in town.clients)
    assert isinstance(town.client(0).cycle(), Wait)  # a restart says it no second time
    assert {post.sender for post in posts(town, AGREED)} == {client.address for client in town.clients}

    assert isinstance(town.organization.cycle(), OpenRound)
    assert town.federation.round_view().plan == plan
    assert isinstance(town.clients[0].cycle(), Train)


def test_nobody_is_asked_again_about_the_plan_that_goes_on(town: LocalFederation) -> None:
    town.train_and_submit()
    town.finalize()
    assert isinstance(town.organization.cycle(), OpenRound)
    assert posts(town, PLAN) == () and posts(town, AGREED) == ()


def test_a_round_that_nobody_may_join_costs_less_and_less_until_somebody_agrees(town: LocalFederation) -> None:
    pass_the_round(town)
    plan, begins = change(town), town.federation.round_view().round
    assert town.organization.cycle() == Announce(plan)
    town.pass_time(NOTICE)
    assert isinstance(town.organization.cycle(), OpenRound)
    for _ in range(40):
        town.pass_time(town.training_period)
        town.organization.cycle()
    opened = town.federation.round_view().round - begins
    assert 3 <= opened <= 8, "forty periods would have been forty rounds"
    pass_the_round(town)
    paused = town.organization.cycle()
    assert isinstance(paused, Wait) and "ended without an update" in paused.reason
    assert all(isinstance(client.cycle(), Wait) for client in town.clients)

    town.agree()
    for client in town.clients:
        assert client.cycle() == PostAgreement(plan)
    assert isinstance(town.organization.cycle(), OpenRound)
    assert isinstance(town.clients[0].cycle(), Train)


def test_a_plan_that_is_changed_while_a_round_goes_on_is_announced_at_once_and_by_its_report(
    town: LocalFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = change(town)
    assert town.organization.cycle() == Announce(plan)
    assert isinstance(town.organization.cycle(), Wait)
    town.train_and_submit()
    town.finalize()
    assert town.report(1).next_plan == plan
    assert town.violations() == []
    for client in town.clients:
        client.cycle()  # claims
    monkeypatch.setattr(Posts, "read", no_logs)
    assert told(town.client(0)) == [plan], "who sees no logs reads the report"


def test_an_organization_that_restarts_announces_nothing_twice_and_without_logs_it_waits_for_the_notice(
    town: LocalFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_the_round(town)
    plan = change(town)
    assert town.organization.cycle() == Announce(plan)
    changed = town.organization.plan
    town.organization = town.restarted_organization()
    town.organization.plan = changed
    assert isinstance(town.organization.cycle(), Wait)
    assert len(posts(town, PLAN)) == 1
    monkeypatch.setattr(Posts, "read", no_logs)
    with capture_logs() as logs:
        assert isinstance(town.organization.cycle(), Wait)
        assert isinstance(town.organization.cycle(), Wait)
    assert [each["event"] for each in logs].count("nobody can be seen to agree to the plan") == 1
    town.pass_time(NOTICE)
    assert isinstance(town.organization.cycle(), OpenRound)


def test_only_the_organization_announces_and_only_members_agree_each_once(town: LocalFederation) -> None:
    pass_the_round(town)
    another = town.organization.federation.round_view().plan or ""
    plan = change(town)
    town.send(0, town.federation.post(PLAN, another))
    town.pass_time(EVERY)
    assert told(town.clients[1]) == []
    assert town.organization.cycle() == Announce(plan)
    for _ in range(2):
        town.send(0, town.federation.post(AGREED, plan))
    town.send(1, town.federation.post(AGREED, another))
    waiting = town.organization.cycle()
    assert isinstance(waiting, Wait) and ", 1 so far" in waiting.reason


def test_a_client_that_is_not_to_post_or_cannot_pay_for_it_goes_on_without(town: LocalFederation) -> None:
    client, silent, web3 = town.clients[0], town.clients[1], town.web3
    announce_to_all(town)
    silent._news.settings = replace(silent.settings, post_agreement=False)
    assert all(isinstance(silent.cycle(), Wait) for _ in range(3))
    web3.provider.make_request(RPCEndpoint("anvil_setBalance"), [client.address, "0x1"])
    with capture_logs() as logs:
        assert all(isinstance(client.cycle(), Wait) for _ in range(3))
    assert [each["event"] for each in logs].count("our agreement is not posted") == 1
    assert posts(town, AGREED) == ()


def test_a_federation_that_has_finished_goes_on_with_another_plan_though_a_member_has_left(
    rpc: str, tmp_path: Path
) -> None:
    """Who is to become a member hears of the plan before the round that needs it opens."""
    town = LocalFederation(connect(rpc), tmp_path, clients_wanted=2, rounds_wanted=1, plan_notice=NOTICE)
    town.register()
    town.open_round()
    town.train_and_submit()
    town.finalize()
    town.send(0, town.federation.leave(town.clients[0].address))
    returning = town.client(0)
    finished = returning.cycle()
    assert isinstance(finished, Wait) and "not registered: the federation has finished" in finished.reason

    stopping = replace(town.organization.plan.stopping, max_rounds=10)
    town.organization.plan = replace(town.organization.plan, stopping=stopping)
    plan = cid(town.organization.plan)
    assert town.organization.cycle() == Announce(plan)
    town.pass_time(EVERY)
    returning.cycle()
    asked = returning.cycle()
    assert isinstance(asked, Wait) and f"{plan} (digest" in asked.reason and f"--plan {plan}`" in asked.reason
    town.agree()
    assert isinstance(returning.cycle(), Register)


# ----------------------------------------------------------------------------------------------------------- commands


def configured(town: LocalFederation, rpc: str, **plan: Any) -> Path:
    """The organization's configuration file."""
    folder = town.folder
    account = town.accounts[0]
    if not (folder / "wallet").exists():
        keystore.import_key(folder / "wallet", account.key.hex(), PASSPHRASE, iterations=FAST)
    settings = {
        "network": {"rpc": rpc, "store": str(folder / "store")},
        "organization": {
            "federation": town.federation.address,
            "wallet": str(keystore.list_wallets(folder / "wallet")[0].path),
            "state": str(folder / "elsewhere"),
            "validation": str(folder / "validation.npz"),
            "min_members": 2,
        },
        "round": {
            "training_period": 120,
            "aggregation_period": 120,
            "max_updates": 2,
            "max_compute_ms": 1000,
            "reward_rate_cap": "1",
            "reward": "0",
        },
        "plan": {**plan_of(DemoSettings(clients=2, rounds=100)), **plan},
    }
    return write(folder / "organization.toml", settings)


def test_what_clients_will_be_asked_is_shown_before_they_are(town: LocalFederation, rpc: str) -> None:
    optimizer = {"name": "sgd", "learning_rate": 0.2, "momentum": 0.0}
    config, folder = configured(town, rpc, optimizer=optimizer), town.folder
    before = town.federation.round_view().plan
    shown, difference, changes = together(
        ["organization", "plan", "show", "--config", config],
        ["organization", "plan", "diff", "--config", config],
        ["organization", "plan", "diff", "--config", config, "--json"],
        folder=folder,
    )
    plan = change(town)
    agreement = town.agreement()
    assert "a learning rate of 0.2" in " ".join(shown.stdout.split())
    assert agreement.digest() in shown.stdout and plan in shown.stdout
    assert json.loads(changes.stdout) == {
        "federation": town.federation.address,
        "chain_id": town.federation.chain_id,
        "plan": plan,
        "digest": agreement.digest(),
        "current_plan": before,
        "clients_are_asked": True,
        "changes": [{"setting": "optimizer.learning_rate", "before": "0.4", "after": "0.2"}],
    }
    assert "optimizer.learning_rate: 0.4 becomes 0.2" in difference.stdout
    assert "once all of them have, or 3600 seconds after that" in " ".join(difference.stdout.split())
    assert "once it is started with this configuration" in " ".join(difference.stdout.split())
    assert town.federation.round_view().plan == before and posts(town, PLAN) == (), "nothing was sent"

    assert town.organization.cycle() == Announce(plan)
    (told_already,) = together(["organization", "plan", "diff", "--config", config], folder=folder)
    said = " ".join(told_already.stdout.split())
    assert "The other is announced" in said and "3600 seconds after it was announced" in said
    assert "once it is started" not in said

    config = configured(town, rpc)
    (same,) = together(["organization", "plan", "diff", "--config", config], folder=folder)
    assert same.stdout == "It is the plan that the federation has now: whoever agreed to it is not asked again.\n"
    config = configured(town, rpc, task={"name": "poetry", "arguments": {}})
    (said,) = all_fail(["organization", "plan", "show", "--config", config], folder=folder)
    assert "there is no task called 'poetry'" in said
