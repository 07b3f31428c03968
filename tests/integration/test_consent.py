"""What a client agrees to: asked by `koinon client join`, kept, and asked again when the plan changes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from processor import keystore
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.versions import Kind
from processor.chain.provider import connect
from processor.daemons.consents import agreed, consent_path
from processor.demo.processes import environment, koinon
from processor.protocol.decide import Claim, Publish, Submit, Train, Wait
from processor.protocol.rewards import guaranteed_rate
from processor.storage import put_bytes
from processor.storage.library import Library
from processor.types import Cid
from tests.integration.command_line import FAST, PASSPHRASE, all_fail, fails, run, succeeds, together, write
from tests.integration.local_federation import ETHER, LOG, LocalFederation
from tests.nodes import start_anvil

NOBODY = "0x" + "1" * 40
TWO_ROUNDS = 2


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node.rpc_url


@pytest.fixture
def web3(rpc: str) -> Web3:
    return connect(rpc)


@pytest.fixture
def played(web3: Web3, tmp_path: Path) -> LocalFederation:
    """One client in a federation of two rounds, none of which is open."""
    federation = LocalFederation(web3, tmp_path / "federation", clients_wanted=1, rounds_wanted=TWO_ROUNDS)
    federation.register()
    return federation


class Joining:
    """A stranger with a wallet and a configuration, who has not agreed to anything."""

    def __init__(self, rpc: str, played: LocalFederation, folder: Path) -> None:
        self.folder, self.played = folder, played
        account = Account.create()
        keystore.import_key(folder / "wallet", account.key.hex(), PASSPHRASE, iterations=FAST)
        self.state = folder / "state"
        self.settings: dict[str, Any] = {
            "network": {"rpc": rpc, "store": str(played.folder / "store")},
            "client": {
                "federation": played.federation.address,
                "wallet": str(keystore.list_wallets(folder / "wallet")[0].path),
                "state": str(self.state),
                "data": str(played.folder / "data-0.npz"),
                "accept_public_updates": True,
            },
        }
        self.config = folder / "client.toml"
        self.configure()

    def configure(self, **changes: Any) -> None:
        write(self.config, {**self.settings, "client": {**self.settings["client"], **changes}})

    def command(self, *options: str, federation: str | None = None) -> list[str]:
        address = federation or self.played.federation.address
        return ["client", "join", address, "--config", str(self.config), *options]

    def agreed(self) -> frozenset[str]:
        return agreed(self.state, LOG)

    def facts(self, *options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(succeeds(*self.command("--json", *options), folder=self.folder))
        return found


@pytest.fixture
def joining(rpc: str, played: LocalFederation, tmp_path: Path) -> Joining:
    return Joining(rpc, played, tmp_path)


def changed(plan: Plan) -> Plan:
    return replace(plan, optimizer=replace(plan.optimizer, learning_rate=0.2))


# -------------------------------------------------------------------------------------------------------------- join


def test_client_reads_the_plan_in_words_and_agrees_to_its_digest(joining: Joining) -> None:
    joining.played.open_round()
    agreement = joining.played.agreement()
    digest, wrong = agreement.digest(), "0" * 64
    shown, refused, dry, facts = together(
        joining.command(),
        joining.command("--accept", wrong),
        joining.command("--dry-run", "--accept", digest),
        joining.command("--json"),
        folder=joining.folder,
    )
    assert (shown.returncode, shown.stdout) == (1, "")
    for part in ("What leaves your machine", "None is added", "Guaranteed there", f"digest {digest}"):
        assert part in shown.stderr and part in dry.stdout
    assert f"nobody is here to be asked. To agree, give --accept {digest}" in shown.stderr
    assert "would refuse a round" not in shown.stderr

    assert (refused.returncode, refused.stdout) == (1, "")
    assert wrong in refused.stderr and digest in refused.stderr and "nothing was agreed to" in refused.stderr
    assert dry.returncode == 0

    found = json.loads(facts.stdout)
    view = joining.played.federation.round_view()
    rate = guaranteed_rate(view.pool, view.reward_rate_cap, view.selected_count, view.max_compute_ms)
    assert (found["plan"], found["round"], found["digest"]) == (view.plan, 1, digest)
    assert (found["guaranteed_rate"], found["guaranteed_reward"]) == (str(rate // 10**9), str(rate * 60 // 10**9))
    assert (found["parameters"], found["noise"], found["audit_policy"]) == (30_010, "none", "open")
    assert (found["agreed"], found["refusals"]) == (False, [])
    assert not consent_path(joining.state).exists()

    said = succeeds(*joining.command("--accept", digest), folder=joining.folder)
    assert said == f"agreed to the plan {view.plan} of {agreement.federation}, with the digest {digest}\n"
    assert joining.agreed() == {digest}
    assert consent_path(joining.state).stat().st_mode & 0o777 == 0o600
    assert "you have agreed to the plan" in succeeds(*joining.command(), folder=joining.folder)


def test_join_needs_no_address_where_the_configuration_names_the_federation(joining: Joining) -> None:
    joining.played.open_round()
    digest = joining.played.agreement().digest()
    said = succeeds("client", "join", "--accept", digest, "--config", joining.config, folder=joining.folder)
    assert f"agreed to the plan {joining.played.federation.round_view().plan}" in said
    assert joining.agreed() == {digest}
    joining.configure(federation="")
    assert "client.federation is missing" in fails("client", "join", "--config", joining.config, folder=joining.folder)
    assert "you have agreed to the plan" in succeeds(*joining.command(), folder=joining.folder)


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1)])
def test_person_in_a_terminal_is_asked(joining: Joining, answer: str, status: int) -> None:
    joining.played.open_round()
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        koinon(*joining.command()), cwd=joining.folder, env=environment(), stdin=theirs, stderr=theirs, stdout=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while b"Do you agree? [y/N]:" not in said:
            said += os.read(ours, 4096)
        os.write(ours, answer.encode() + b"\n")
        assert process.wait(60) == status
    os.close(ours)
    assert len(joining.agreed()) == 1 - status


def test_plan_of_the_initial_model_is_agreed_to_before_the_first_round(joining: Joining) -> None:
    said = fails(*joining.command(), folder=joining.folder)
    assert "has no plan yet: its organization has not set the initial model" in said
    joining.played.organization.cycle()
    assert joining.played.federation.round_count() == 0
    facts = joining.facts()
    assert facts["digest"] == joining.played.agreement().digest()
    assert facts["round"] is None and facts["guaranteed_rate"] is None
    joining.played.open_round()
    assert joining.played.federation.round_view().plan == facts["plan"]


def test_announced_plan_can_be_agreed_to_ahead_of_its_round(joining: Joining) -> None:
    played = joining.played
    played.organization.plan = changed(played.organization.plan)
    announced = played.agreement()
    command = joining.command("--plan", announced.plan_cid, "--accept", announced.digest())
    succeeds(*command, folder=joining.folder)
    played.open_round()
    assert played.federation.round_view().plan == announced.plan_cid
    assert joining.facts()["agreed"] is True


def test_join_says_what_the_clients_own_configuration_would_refuse(joining: Joining) -> None:
    joining.played.open_round()
    reward = str(1000 * ETHER)
    joining.configure(accept_public_updates=False, max_parameters=100, minimum_reward=reward, data="nowhere.npz")
    refusals = joining.facts()["refusals"]
    for number, part in enumerate(
        ("minimum_reward of 1000 ETH", "nowhere.npz", "accept_public_updates", "max_parameters")
    ):
        assert part in refusals[number]
    shown = run(*joining.command("--dry-run"), folder=joining.folder).stdout
    assert "As it is configured, your daemon would refuse a round of it" in shown and "client.max_parameters" in shown


def test_a_plan_that_is_announced_is_not_judged_by_what_the_latest_round_pays(joining: Joining) -> None:
    played = joining.played
    played.open_round()
    now = played.agreement().plan_cid
    joining.configure(accept_public_updates=False, minimum_reward=str(1000 * ETHER))
    played.organization.plan = changed(played.organization.plan)
    announced = played.agreement().plan_cid
    (refusal,) = joining.facts("--plan", announced)["refusals"]
    assert "accept_public_updates" in refusal
    assert len(joining.facts("--plan", now)["refusals"]) == 2


def test_federation_is_the_one_of_the_configuration_or_fills_it_in(joining: Joining) -> None:
    joining.played.open_round()
    other = fails(*joining.command(federation=NOBODY), folder=joining.folder)
    assert f"the configuration names the federation {joining.played.federation.address}" in other
    joining.configure(federation="")
    assert joining.facts()["federation"] == joining.played.federation.address


def test_plan_that_cannot_be_carried_out_or_is_none_is_not_agreed_to(joining: Joining) -> None:
    joining.played.open_round()
    store, plan = joining.played.storage, joining.played.organization.plan
    unknown = put_bytes(store, PLAN.encode(replace(plan, task=replace(plan.task, name="poetry"))))
    no_plan = put_bytes(store, b"meow")
    poetry, meow, malformed = all_fail(
        joining.command("--plan", unknown), joining.command("--plan", no_plan), joining.command("--plan", "Qm"),
        folder=joining.folder,
    )  # fmt: skip
    assert "there is no task called 'poetry'" in poetry
    assert "is not JSON" in meow
    assert "is not a CIDv0" in malformed
    assert joining.agreed() == frozenset()


# ------------------------------------------------------------------------------------------------------------ daemon


def test_round_with_another_plan_is_refused_until_the_client_agrees_and_then_played(played: LocalFederation) -> None:
    played.open_round()
    played.train_and_submit()
    played.finalize()
    (client,) = played.clients
    client.cycle()  # claims

    played.organization.plan = changed(played.organization.plan)
    played.open_round()
    refused = client.cycle()
    plan = played.federation.round_view().plan
    assert isinstance(refused, Wait) and f"you have not agreed to its plan {plan}" in refused.reason
    assert f"koinon client join {played.federation.address}" in refused.reason
    assert client.cycle() == refused  # the loop logs what is new alone

    played.agree()
    assert isinstance(client.cycle(), Train)
    assert isinstance(client.cycle(), Submit)
    assert isinstance(client.cycle(), Publish)
    played.finalize()
    assert played.federation.balance_of(client.address)[0] > 0
    assert played.violations() == []


def test_client_whose_consents_are_damaged_takes_no_part_until_it_agrees_again(played: LocalFederation) -> None:
    (client,) = played.clients
    played.open_round()
    consent_path(client.settings.state).write_text("lost")
    refused = client.cycle()
    assert isinstance(refused, Wait) and "you have not agreed" in refused.reason
    played.agree()
    assert isinstance(client.cycle(), Train)


LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"max_parameters": 30_009}, "30010 parameters in the model, and client.max_parameters allows 30009"),
    ({"max_bytes": 100_000}, "bytes in an artifact, and client.max_bytes allows 100000"),
    ({"max_steps": 4}, "5 optimizer steps, and client.max_steps allows 4"),
    ({"max_seconds": 59.0}, "60 seconds of training, and client.max_seconds allows 59"),
    ({"max_memory": 1_000_000}, "client.max_memory allows 1000000"),
    ({"max_epsilon": 8.0}, "privacy without bound"),
    ({"minimum_reward": 1000 * ETHER}, "less than the minimum_reward of 1000 ETH"),
]


def test_daemon_skips_a_round_beyond_its_limits_and_says_which(played: LocalFederation) -> None:
    (client,) = played.clients
    played.open_round()
    settings = client.settings
    for limits, said in LIMITS:
        client.settings = replace(settings, **limits)
        action = client.cycle()
        assert isinstance(action, Wait) and said in action.reason
    client.settings = settings
    assert isinstance(client.cycle(), Train)


def test_daemon_waits_while_gas_costs_more_than_it_pays(played: LocalFederation) -> None:
    (client,) = played.clients
    played.open_round()
    network = client.settings.network
    client.settings = replace(client.settings, network=replace(network, max_fee_per_gas=1))
    action = client.cycle()
    assert isinstance(action, Wait) and "network.max_fee_per_gas of 1 wei" in action.reason
    client.settings = replace(client.settings, network=network)
    assert isinstance(client.cycle(), Train)


def test_base_model_larger_than_the_client_reads_is_not_fetched_twice(played: LocalFederation) -> None:
    """Its plan promises a small model, but what the chain names is a large one."""
    (client,) = played.clients
    played.open_round()
    view = played.federation.round_view(client.address)
    client.settings = client._training.settings = replace(client.settings, max_bytes=400_000)
    padded = played.folder / "padded"
    padded.write_bytes(bytes(500_000))
    large = replace(view, base=replace(view.base, model=played.storage.put(padded)))
    client._train(Train(large.round), large, played.federation.block())
    action = client.cycle()
    assert isinstance(action, Wait) and "larger than its plan or client.max_bytes allow" in action.reason


def test_plan_that_is_none_keeps_nobody_from_claiming(played: LocalFederation) -> None:
    (client,) = played.clients
    client.settings = replace(client.settings, claim_threshold=10**30)
    played.open_round()
    played.train_and_submit()
    played.finalize()
    assert isinstance(client.cycle(), Wait)

    class Meow(Library):
        def publish(self, kind: Kind[Any], value: Any) -> Cid:
            return put_bytes(self.storage, b"meow")

    played.organization.library = Meow(played.organization.library.storage)
    played.open_round()
    refused = client.cycle()
    assert isinstance(refused, Wait) and "its plan cannot be used: the plan is not JSON" in refused.reason
    client.settings = replace(client.settings, claim_threshold=1)
    assert isinstance(client.cycle(), Claim)
