"""What daemons do when something goes wrong: restarts, hostile updates, an absent organization, rounds refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from processor.artifacts.plan import Factory
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.daemons.updates import saved_updates
from processor.errors import ConfigurationError, Interrupted, TrainingError
from processor.protocol.decide import (
    Announce,
    Claim,
    OpenRound,
    Publish,
    Register,
    SetInitialModel,
    Stop,
    Submit,
    Train,
    Wait,
    Working,
)
from processor.protocol.jobs.worker import Progress
from processor.protocol.rewards import rate_in_words
from processor.types import Phase
from tests.chaos.hostile import KINDS, Forge
from tests.in_process import InProcess
from tests.integration.hostile import Hostile, reasons
from tests.integration.local_federation import LOG, LocalFederation
from tests.integration.parties import wallet
from tests.nodes import start_anvil
from tests.scripted_worker import Scripted

MINUTE = 60


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


@pytest.fixture
def opened(web3: Web3, tmp_path: Path) -> LocalFederation:
    """Three clients in the first round, none of which has trained."""
    return in_its_first_round(web3, tmp_path, rounds=1)


@pytest.fixture
def longer(web3: Web3, tmp_path: Path) -> LocalFederation:
    """The same, where a second round may follow."""
    return in_its_first_round(web3, tmp_path, rounds=2)


def in_its_first_round(web3: Web3, folder: Path, rounds: int) -> LocalFederation:
    federation = LocalFederation(web3, folder, rounds_wanted=rounds, training_period=10 * MINUTE)
    federation.register()
    federation.open_round()
    return federation


# -------------------------------------------------------------------------------------------------------- restarts


def test_restart_between_training_and_submission_submits_the_very_same_update(opened: LocalFederation) -> None:
    assert isinstance(opened.clients[0].cycle(), Train)
    view = opened.federation.round_view()
    saved = opened.clients[0]._saved(view)
    assert saved is not None
    restarted = opened.client(0)
    assert isinstance(restarted.cycle(), Submit)
    assert opened.federation.round_view(restarted.address).client.update == saved.cid
    assert not (opened.storage.directory / saved.cid).exists()
    assert opened.client(0).cycle() == Publish(1)
    assert (opened.storage.directory / saved.cid).exists()


def test_restart_after_the_submission_submits_nothing_more(opened: LocalFederation, web3: Web3) -> None:
    opened.train_and_submit(0)
    restarted = opened.client(0)
    before = web3.eth.get_transaction_count(Web3.to_checksum_address(restarted.address))
    assert isinstance(restarted.cycle(), Wait)
    assert web3.eth.get_transaction_count(Web3.to_checksum_address(restarted.address)) == before


def test_transaction_that_was_sent_before_the_crash_is_waited_for_and_not_repeated(
    opened: LocalFederation, web3: Web3
) -> None:
    client = opened.clients[0]
    client.cycle()
    web3.provider.make_request("evm_setAutomine", [False])  # type: ignore[arg-type]
    try:
        assert isinstance(client.cycle(), Submit)
        restarted = opened.client(0)
        assert restarted.cycle() == Wait("an earlier transaction is not mined yet")
    finally:
        web3.provider.make_request("evm_setAutomine", [True])  # type: ignore[arg-type]
        web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
    assert isinstance(restarted.cycle(), Publish)
    assert isinstance(restarted.cycle(), Wait)
    assert [intent.status for intent in restarted.journal.intents()] == ["mined", "mined"]
    assert opened.federation.round_view().update_count == 1


def test_compute_time_of_an_interrupted_training_is_kept(opened: LocalFederation) -> None:
    opened.worker = worker = Scripted()
    client, view, heard = opened.client(0), opened.federation.round_view(), 12 * 3600 * 1000
    assert isinstance(client.cycle(), Working)
    worker.gets_on(Progress(step=3, steps=5, metered_ms=heard))
    assert isinstance(client.cycle(), Working)
    worker.dies()
    assert client.journal.metered_ms(1, view.sealing_key) == heard
    opened.worker = InProcess()
    restarted = opened.client(0)
    restarted.cycle()
    saved = restarted._saved(view)
    assert saved is not None and saved.compute_ms == heard, "the larger of the two, and not their sum"


def test_update_that_was_sealed_right_before_a_crash_is_taken_and_not_made_again(
    opened: LocalFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, view = opened.clients[0], opened.federation.round_view()

    def crash(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(client.journal, "save_update", crash)
        with pytest.raises(KeyboardInterrupt):
            client.cycle()
    (sealed,) = saved_updates(client.settings.state / "updates", LOG)
    monkeypatch.setattr("processor.learning.local.train", crash)  # nobody trains a second time
    restarted = opened.client(0)
    assert isinstance(restarted.cycle(), Train)
    assert restarted._saved(view) == sealed
    assert isinstance(restarted.cycle(), Submit)
    assert opened.federation.round_view(client.address).client.update == sealed.cid


def test_organization_without_its_journal_says_what_will_happen(opened: LocalFederation) -> None:
    opened.train_and_submit()
    (opened.folder / "organization" / "journal.db").unlink()
    action = opened.restarted_organization().cycle()
    assert isinstance(action, Wait)
    assert "does not hold the secret" in action.reason and "abandoned" in action.reason


# ------------------------------------------------------------------------------------------------- hostile updates


def test_every_kind_of_bad_update_is_rejected_with_its_reason_and_the_round_goes_on(web3: Web3, tmp_path: Path) -> None:
    kinds = list(KINDS)
    federation = LocalFederation(web3, tmp_path, clients_wanted=len(kinds) + 1, rounds_wanted=1)
    federation.register()
    federation.open_round()
    honest, *clients = federation.clients
    federation.train_and_submit(0)
    view = federation.federation.round_view()
    for number, (client, kind) in enumerate(zip(clients, kinds, strict=True), start=1):
        forge = Forge(view, federation.federation, federation.storage, client.address, tmp_path / kind)
        update = KINDS[kind].make(forge)
        Hostile(federation).submit(number, update.cid)

    assert isinstance(federation.organization.cycle(), Wait)  # for the one that cannot be fetched
    view = federation.federation.round_view()
    federation.pass_time((view.aggregation_deadline - federation.federation.block().timestamp) // 2)
    federation.finalize()
    found = reasons(federation)
    assert found.pop(honest.address) is None
    wrong = {kind: found[client.address] for client, kind in zip(clients, kinds, strict=True)}
    assert {kind: reason for kind, reason in wrong.items() if reason not in KINDS[kind].reasons} == {}
    assert {"header", "sealed_wrong", "malformed", "shape", "not_finite", "norm", "unavailable"} <= set(wrong.values())
    heaviest = federation.organization.plan.aggregation.max_weight
    assert max(update.weight for update in federation.report(1).updates) == heaviest  # whatever samples are claimed
    view = federation.federation.round_view(clients[0].address)
    assert (view.phase, view.client.owed) == (Phase.FINALIZED, 0)
    assert view.released.model != federation.kept(1).opening.base_model
    assert federation.violations() == []


def test_update_that_nobody_serves_is_waited_for_and_then_rejected(opened: LocalFederation) -> None:
    opened.train_and_submit()
    withheld = opened.federation.updates()[0]
    path = opened.folder / "store" / withheld.update
    content = path.read_bytes()
    path.unlink()
    action = opened.organization.cycle()
    assert isinstance(action, Wait) and "cannot be fetched" in action.reason
    view = opened.federation.round_view()
    opened.pass_time((view.aggregation_deadline - opened.federation.block().timestamp) // 2)
    opened.finalize()
    assert reasons(opened)[withheld.client] == "unavailable"
    assert opened.violations() == []
    path.write_bytes(content)
    assert any("expected nothing, found unavailable" in line for line in opened.violations())


def test_claim_far_above_the_others_is_lowered_and_the_rest_forfeited(opened: LocalFederation) -> None:
    opened.train_and_submit(0, 1)
    opened.pass_time(MINUTE)
    greedy = opened.clients[2]
    greedy.cycle()
    saved = greedy._saved(opened.federation.round_view())
    assert saved is not None
    opened.storage.put(saved.path)
    Hostile(opened).submit(2, saved.cid, compute_ms=50_000)
    opened.finalize()
    view = opened.federation.round_view(greedy.address)
    honest = sorted(line.claimed_ms for line in opened.report(1).updates)[:2]
    assert view.client.adjusted and view.client.compute_ms == max(1000, 3 * honest[1])
    assert view.forfeited > 0
    assert reasons(opened)[greedy.address] == "metering"
    assert opened.violations() == []


# ------------------------------------------------------------------------------------------------ rounds that fail


def test_clients_of_an_organization_that_is_gone_are_paid_what_they_claimed(opened: LocalFederation) -> None:
    opened.train_and_submit()
    opened.pass_to_the_end_of(1)
    assert opened.federation.round_view().phase is Phase.ABANDONED
    for client in opened.clients:
        owed, _ = opened.federation.balance_of(client.address)
        assert client.cycle() == Claim(owed) and owed > 0
        assert opened.federation.balance_of(client.address) == (0, 0)
    result = opened.audit()
    assert result.ok
    assert [row.recomputed for row in result.rounds] == [False]


def test_round_without_updates_is_abandoned_and_its_pool_is_carried_to_the_next(longer: LocalFederation) -> None:
    before = longer.federation.round_view()
    longer.pass_time(before.training_deadline - longer.federation.block().timestamp)
    longer.open_round()
    view = longer.federation.round_view()
    assert view.round == 2 and view.pool == 2 * before.pool
    assert view.base == before.base
    assert longer.violations() == []


def test_round_with_too_few_good_updates_keeps_the_model(web3: Web3, tmp_path: Path) -> None:
    federation = LocalFederation(web3, tmp_path, rounds_wanted=1, min_updates=3)
    federation.register()
    federation.open_round()
    hostile = Hostile(federation)
    garbage = federation.folder / "garbage"
    garbage.write_bytes(b"garbage" * 100)
    hostile.submit(2, federation.storage.put(garbage))
    federation.train_and_submit(0, 1)
    federation.finalize()
    assert federation.released(1).model == federation.kept(1).opening.base_model
    assert federation.federation.balance_of(federation.clients[0].address)[0] > 0
    assert federation.violations() == []


# -------------------------------------------------------------------------------------------------- client's limits


def test_client_that_does_not_accept_public_updates_skips_the_round_and_says_why(opened: LocalFederation) -> None:
    client = opened.clients[0]
    client.settings = replace(client.settings, accept_public_updates=False)
    action = client.cycle()
    assert isinstance(action, Wait) and "accept_public_updates = true" in action.reason


def test_client_skips_a_round_that_guarantees_less_than_its_minimum(opened: LocalFederation) -> None:
    client = opened.clients[0]
    rate = opened.federation.round_view().guaranteed_rate
    client.settings = replace(client.settings, minimum_rate=rate + 1)
    action = client.cycle()
    asset = opened.federation.asset()
    assert isinstance(action, Wait) and f"guarantees {rate_in_words(asset, rate)} for a second" in action.reason


def test_client_that_left_registers_again_and_waits_for_the_next_round(opened: LocalFederation) -> None:
    client = opened.clients[0]
    client.transactions.send("left", opened.federation.leave(client.address))
    assert isinstance(client.cycle(), Register)
    action = client.cycle()
    assert isinstance(action, Wait) and "did not select" in action.reason


def test_client_does_not_submit_what_the_plan_would_reject_it_for(web3: Web3, tmp_path: Path) -> None:
    federation = LocalFederation(web3, tmp_path, rounds_wanted=1)
    federation.register()
    plan = federation.organization.plan
    federation.organization.plan = replace(plan, aggregation=replace(plan.aggregation, max_norm=1e-6))
    federation.agree()
    federation.open_round()
    client = federation.clients[0]
    assert isinstance(client.cycle(), Train)
    action = client.cycle()
    assert isinstance(action, Wait) and "above the max_norm of 1e-06" in action.reason
    assert federation.federation.round_view().update_count == 0


def test_client_leaves_small_rewards_until_they_are_worth_the_gas(opened: LocalFederation) -> None:
    for client in opened.clients:
        client.settings = replace(client.settings, claim_threshold=10**24)
    opened.train_and_submit()
    opened.finalize()
    assert all(isinstance(client.cycle(), Wait) for client in opened.clients)


def test_client_refuses_a_plan_whose_model_does_not_fit_the_task(web3: Web3, tmp_path: Path) -> None:
    federation = LocalFederation(web3, tmp_path, rounds_wanted=1)
    federation.register()
    assert isinstance(federation.organization.cycle(), SetInitialModel)
    plan = federation.organization.plan
    federation.organization.plan = replace(plan, model=Factory("mlp", {"inputs": 63, "hidden": [5], "outputs": 10}))
    federation.agree()
    federation.open_round()
    action = federation.clients[0].cycle()
    assert isinstance(action, Wait) and "cannot take the 64 features" in action.reason


def test_organization_does_not_start_with_a_plan_that_cannot_be_carried_out(opened: LocalFederation) -> None:
    plan = opened.organization.plan
    opened.organization.plan = replace(plan, model=Factory("mlp", {"inputs": 64, "hidden": [5], "outputs": 5}))
    with pytest.raises(ConfigurationError, match="answers with shape .1, 5. for a sample: expected .1, 10."):
        opened.organization.prepare()


def test_training_that_fails_is_not_tried_again_in_the_round(
    opened: LocalFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(*arguments: Any, **settings: Any) -> None:
        raise TrainingError("the loss is nan")

    monkeypatch.setattr("processor.learning.local.train", diverges)
    client = opened.clients[0]
    assert isinstance(client.cycle(), Train)
    action = client.cycle()
    assert isinstance(action, Wait) and "the loss is nan" in action.reason


def test_training_ends_with_the_training_period(opened: LocalFederation) -> None:
    opened.worker = worker = Scripted()
    view, client = opened.federation.round_view(), opened.client(0)
    assert isinstance(client.cycle(), Working)
    worker.gets_on(Progress(step=1, steps=5))
    opened.pass_time(view.training_deadline - opened.federation.block().timestamp - MINUTE)
    for _ in range(2):
        action = client.cycle()
        assert isinstance(action, Wait) and "no time was left at step 1 of 5" in action.reason
    assert worker.begun[-1:] == worker.ended


def test_no_training_begins_so_late_that_its_update_could_not_be_submitted_in_time(opened: LocalFederation) -> None:
    view, client = opened.federation.round_view(), opened.clients[0]
    opened.pass_time(view.training_deadline - opened.federation.block().timestamp - MINUTE)
    action = client.cycle()
    assert isinstance(action, Wait)
    assert "the last 60 s of its training period are kept for publishing and submitting" in action.reason


def test_an_update_that_is_there_already_is_submitted_until_the_deadline(opened: LocalFederation) -> None:
    view, client = opened.federation.round_view(), opened.clients[0]
    assert isinstance(client.cycle(), Train)
    opened.pass_time(view.training_deadline - opened.federation.block().timestamp - MINUTE // 2)
    assert isinstance(client.cycle(), Submit)


def test_a_training_that_is_to_stop_leads_to_no_update(opened: LocalFederation) -> None:
    opened.worker = InProcess(stopping=lambda: True)
    client = opened.client(0)
    with pytest.raises(Interrupted):
        client.cycle()
    assert client._saved(opened.federation.round_view()) is None


def test_what_a_killed_settlement_left_is_removed_at_the_next_start(opened: LocalFederation) -> None:
    left = opened.folder / "organization" / "work" / "round-1-killed" / "opened.update"
    left.parent.mkdir(parents=True)
    left.write_text("somebody's update")
    opened.restarted_organization()
    assert not left.exists()


def test_organization_does_not_open_a_round_whose_pool_would_be_too_small_and_says_what_is_missing(
    longer: LocalFederation,
) -> None:
    longer.pass_time(longer.training_period)
    organization = longer.organization
    terms = organization.settings.round
    organization.settings = replace(
        organization.settings, round=replace(terms, max_compute_ms=4 * terms.max_compute_ms)
    )
    action = organization.cycle()
    assert isinstance(action, Wait) and "for 3 selected clients the federation's max_spread asks for" in action.reason
    assert f"{longer.federation.asset().format(2 * terms.reward)} is missing" in action.reason
    longer.owner.send(longer.federation.fund(2 * terms.reward))
    assert isinstance(organization.cycle(), OpenRound)


def test_strangers_that_register_make_a_round_select_no_more_than_its_pool_pays(
    longer: LocalFederation, web3: Web3
) -> None:
    longer.pass_time(longer.training_period)
    organization = longer.organization
    organization.settings = replace(organization.settings, round=replace(organization.settings.round, max_updates=10))
    for number in range(5):
        Sender(web3, wallet(web3, f"stranger-{number}")).send(longer.federation.register())
    assert isinstance(organization.cycle(), OpenRound)
    view = longer.federation.round_view()  # with what the first round left, the pool pays six
    assert (view.member_count, view.selected_count) == (8, 6)


def test_organization_does_not_start_with_a_round_that_no_pool_could_pay(opened: LocalFederation) -> None:
    organization = opened.organization
    terms = replace(
        organization.settings.round, reward_rate_cap=2**112 - 1, max_compute_ms=2_592_000_000, max_updates=1_000
    )
    organization.settings = replace(organization.settings, round=terms, min_members=1_000)
    with pytest.raises(ConfigurationError, match="lower round.reward_rate_cap"):
        organization.prepare()


def test_update_whose_file_is_lost_is_submitted_if_it_was_published(opened: LocalFederation) -> None:
    client = opened.clients[0]
    client.cycle()
    saved = client._saved(opened.federation.round_view())
    assert saved is not None
    opened.storage.put(saved.path)
    client.journal.publish_update(saved)  # as before a reorganization
    saved.path.unlink()
    assert isinstance(client.cycle(), Submit)
    assert opened.federation.round_view(client.address).client.update == saved.cid


def test_organization_does_not_show_the_secret_when_a_block_too_late_would_waste_it(opened: LocalFederation) -> None:
    opened.train_and_submit()
    view = opened.federation.round_view()
    opened.pass_time(view.aggregation_deadline - opened.federation.block().timestamp - 2)
    action = opened.organization.cycle()
    assert isinstance(action, Wait) and "too late to finalize" in action.reason


def test_federation_goes_on_with_a_plan_that_allows_more_rounds(opened: LocalFederation) -> None:
    opened.train_and_submit()
    opened.finalize()
    assert isinstance(opened.organization.cycle(), Stop)
    organization = opened.organization
    organization.plan = replace(organization.plan, stopping=replace(organization.plan.stopping, max_rounds=2))
    assert isinstance(organization.cycle(), Announce)
    assert isinstance(organization.cycle(), OpenRound)


def test_two_federations_on_one_machine_do_not_interfere(web3: Web3, tmp_path: Path) -> None:
    one, two = (LocalFederation(web3, tmp_path / name, clients_wanted=2, rounds_wanted=1) for name in ("one", "two"))
    for step in ("register", "open_round", "train_and_submit", "finalize"):
        for federation in (one, two):
            getattr(federation, step)()
    for federation in (one, two):
        for client in federation.clients:
            assert isinstance(client.cycle(), Claim)
        assert isinstance(federation.organization.cycle(), Stop)
        assert federation.violations() == []
    assert one.federation.address != two.federation.address
