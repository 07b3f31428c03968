"""What happens on the stage: the daemons run their rounds, claim, are compared with training alone, and audited."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from web3 import Web3

from processor.artifacts.plan import Plan
from processor.chain.asset import balance_of
from processor.daemons.base import journal_path
from processor.demo import settings as knobs
from processor.demo.nodes import Node
from processor.demo.page import ClientLine, ClosingPage, Verdict
from processor.demo.processes import Party, environment, koinon, start_daemon
from processor.demo.stage import Stage, starting_balance
from processor.demo.watch import Watch
from processor.errors import KoinonError
from processor.journal import Journal
from processor.learning.evaluation import accuracy
from processor.learning.tasks import Dataset
from processor.learning.trainer import Progress, train
from processor.protocol.resolve import module_of
from processor.protocol.rewards import money_of
from processor.protocol.stakes import stakes_of


def play(stage: Stage, say: Callable[[str], None]) -> ClosingPage:
    """Runs the federation until its organization stops, and returns the closing page.

    No process outlives the call. Raises KoinonError where a daemon ends before its time.
    """
    names = {party.address: party.name for party in stage.clients}
    watch = Watch(stage.web3, stage.federation, stage.storage, names, say)
    with contextlib.ExitStack() as stack:
        organization = stack.enter_context(start_daemon(stage.organization, "organization", "run"))
        clients = [stack.enter_context(start_daemon(party, "client", "run")) for party in stage.clients]
        join(stage, stage.plan)  # the daemons wait for that
        say("every client has agreed to the plan")
        _until_the_organization_stops(stage, watch, organization, clients)
    _every_client(stage, "client", "claim", "--yes")
    watch.look()
    say("every client has claimed; training the same clients alone, for comparison")
    alone = local_only_accuracy(stage.plan, stage.settings.rounds, stage.datasets, stage.validation)
    say("auditing every round")
    return _closing_page(stage, watch, alone)


def join(stage: Stage, plan: Plan) -> None:
    """Every client agrees to a plan, by its digest."""
    agreement = stage.announce(plan)
    _every_client(
        *(stage, "client", "join", agreement.federation),
        *("--plan", agreement.plan_cid, "--accept", agreement.digest()),
    )


def local_only_accuracy(plan: Plan, rounds: int, datasets: Sequence[Dataset], validation: Dataset) -> float:
    """The mean accuracy of the same clients, each training the initial model alone for as many steps as together."""
    reached = []
    for number, dataset in enumerate(datasets):
        module = module_of(plan)
        for round in range(rounds):
            train(
                module,
                dataset,
                optimizer=plan.optimizer,
                work=plan.local,
                anchor=None,
                strength=0.0,
                progress=Progress(seed=number * rounds + round),
            )
        reached.append(accuracy(module, validation))
    return sum(reached) / len(reached)


def _until_the_organization_stops(stage: Stage, watch: Watch, organization: Node, clients: list[Node]) -> None:
    while organization.process.poll() is None:
        watch.look()
        for party, node in zip(stage.clients, clients, strict=True):
            if node.process.poll() is not None:
                raise _ended(party, node)
        time.sleep(knobs.POLL_INTERVAL)
    if organization.process.returncode != 0:
        raise _ended(stage.organization, organization)


def _ended(party: Party, node: Node) -> KoinonError:
    said = node.log.read_text(errors="replace").strip().splitlines()[-5:]
    return KoinonError(f"{party.name} ended with status {node.process.returncode}; it last said:\n" + "\n".join(said))


def _every_client(stage: Stage, *arguments: str) -> None:
    """All of them run a command, side by side."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda party: _koinon(party, *arguments), stage.clients))


def _koinon(party: Party, *arguments: str) -> None:
    done = subprocess.run(
        koinon(*arguments, "--config", str(party.config)),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KoinonError(f"{party.name}: koinon {' '.join(arguments)} failed: {done.stderr.strip()}")


def _closing_page(stage: Stage, watch: Watch, alone: float) -> ClosingPage:
    federation = stage.federation
    block = federation.block()
    count = federation.round_count(at=block)
    asset, terms = federation.asset(), federation.terms()
    clients = [_client_line(stage, party, count) for party in stage.clients]
    updates = [federation.updates(number, at=block) for number in range(1, count + 1)]
    stakes = stakes_of(terms.stake, federation.members(at=block), updates)
    forfeited = 0
    for number, submitted in enumerate(updates, start=1):
        view = federation.round_view(number, at=block)
        credited = {client.client: client.credited_ms for client in submitted}
        money = money_of(view.pool, view.reward_rate_cap, view.claimed_ms, credited)
        forfeited += money.forfeited + money.rounding
    return ClosingPage(
        federation=federation.address,
        chain_id=federation.chain_id,
        asset=asset,
        rounds_wanted=stage.settings.rounds,
        rounds=tuple(watch.rounds),
        local_only_accuracy=alone,
        clients=tuple(clients),
        pool=knobs.REWARD * count,
        paid=sum(client.balance_change + client.stake + (client.fees_wei if asset.native else 0) for client in clients),
        carried=federation.carried(at=block),
        forfeited=forfeited,
        staked_in=terms.stake * len(clients),
        slashed=sum(stake.slashed for stake in stakes),
        holdings=federation.holdings(at=block),
        audit=_audit(stage),
    )


def _client_line(stage: Stage, party: Party, rounds: int) -> ClientLine:
    """A client's account, from its balance and from the receipts of the transactions in its journal."""
    web3, federation, asset = stage.web3, stage.federation, stage.federation.asset()
    stake = federation.terms().stake
    coins = web3.eth.get_balance(Web3.to_checksum_address(party.address))
    views = [federation.round_view(number, party.address).client for number in range(1, rounds + 1)]
    with Journal(journal_path(party.state), federation.chain_id, federation.address, party.address) as journal:
        hashes = [intent.tx_hash for intent in journal.intents() if intent.tx_hash]
    receipts = [web3.eth.get_transaction_receipt(tx_hash) for tx_hash in hashes]  # type: ignore[arg-type]
    return ClientLine(
        address=party.address,
        compute_ms=sum(view.compute_ms for view in views),
        credited_ms=sum(view.credited_ms for view in views),
        reward=sum(view.reward for view in views if view.claimed),
        stake=federation.round_view(rounds, party.address).client.stake,
        balance_change=balance_of(web3, asset, party.address) - starting_balance(asset, stake),
        coin_change_wei=coins - (starting_balance(asset, stake) if asset.native else knobs.BALANCE),
        fees_wei=sum(receipt["gasUsed"] * receipt["effectiveGasPrice"] for receipt in receipts),
    )


def _audit(stage: Stage) -> Verdict:
    """What an auditor sees who has the federation's address, and nothing of what the demo knows."""
    arguments = ["audit", stage.federation.address, "--json"]
    for name in ("rpc", "ipfs", "store"):
        if name in stage.network:
            arguments += [f"--{name}", str(stage.network[name])]
    command = koinon(*arguments)
    done = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        said = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise KoinonError(f"the audit failed: {done.stderr.decode(errors='replace').strip()}") from None
    violations = [
        f"round {row['round']}: {row['subject']}: expected {row['expected']}, found {row['found']}"
        for row in said["violations"]
    ]
    return Verdict(said["ok"] and done.returncode == 0, said["checks"], violations)
