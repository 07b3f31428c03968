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
from processor.artifacts.round import RoundFile
from processor.chain.asset import balance_of
from processor.chain.receipts import receipt_of
from processor.chain.snapshot import Snapshot, Snapshots
from processor.daemons.base import journal_path
from processor.demo import settings as knobs
from processor.demo.nodes import Node
from processor.demo.page import ClientLine, ClosingPage, Verdict
from processor.demo.processes import Party, environment, koinon, start_daemon
from processor.demo.stage import Stage, starting_balance, starting_coins
from processor.demo.watch import Watch
from processor.errors import KoinonError
from processor.journal import Journal
from processor.protocol.rewards import Money, money_of
from processor.protocol.walk import walk_back
from processor.protocol.walk.start import start_of
from processor.storage.library import Library
from processor.types import Address


def play(stage: Stage, say: Callable[[str], None]) -> ClosingPage:
    """Runs the federation until its organization stops, and returns the closing page.

    No process outlives the call. Raises KoinonError where a daemon ends before its time.
    """
    names = {party.address: party.name for party in stage.clients}
    watch = Watch(stage.web3, stage.federation, Library(stage.storage), names, say)
    with contextlib.ExitStack() as stack:
        others: list[tuple[Party, Node]] = []
        if stage.relay is not None:
            others.append((stage.relay, stack.enter_context(start_daemon(stage.relay, "relay", "run"))))
        organization = stack.enter_context(start_daemon(stage.organization, "organization", "run"))
        for party in stage.clients:
            others.append((party, stack.enter_context(start_daemon(party, "client", "run"))))
        join(stage, stage.plan)  # the daemons wait for that
        say("every client has agreed to the plan")
        _until_the_organization_stops(stage, watch, organization, others)
    if stage.relay is None:
        _every_client(stage, "client", "claim", "--yes")
    else:  # what the relay has not claimed for them yet
        _koinon(stage.organization, "organization", "pay", "--yes")
    watch.look()
    say("every client has been paid; training the same clients alone, for comparison")
    alone = _alone(stage)
    say("auditing every round")
    return _closing_page(stage, watch, alone)


def join(stage: Stage, plan: Plan) -> None:
    """Every client agrees to a plan, by its digest."""
    agreement = stage.announce(plan)
    _every_client(
        *(stage, "client", "join", agreement.federation),
        *("--plan", agreement.plan_cid, "--accept", agreement.digest()),
    )


def proved_rounds(snapshot: Snapshot, library: Library) -> tuple[RoundFile, ...]:
    """The rounds that the record of a block proves, in order."""
    return walk_back(start_of(snapshot), library).files


def _alone(stage: Stage) -> float:
    from processor.demo.alone import local_only_accuracy  # torch: seconds to import, which no round waits for

    return local_only_accuracy(stage.plan, stage.settings.rounds, stage.datasets, stage.validation)


def _until_the_organization_stops(
    stage: Stage, watch: Watch, organization: Node, others: Sequence[tuple[Party, Node]]
) -> None:
    while organization.process.poll() is None:
        watch.look()
        for party, node in others:
            if node.process.poll() is not None:
                raise _ended(party, node)
        time.sleep(knobs.POLL_INTERVAL)
    if organization.process.returncode != 0:
        raise _ended(stage.organization, organization)


def _ended(party: Party, node: Node) -> KoinonError:
    said = node.log.read_text("utf-8", "replace").strip().splitlines()[-5:]
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
    """What the chain holds and its record proves of every round, with every reward computed once more."""
    federation, stake = stage.federation, stage.settings.stake
    snapshot = Snapshots(federation).latest()
    asset, rounds = federation.asset(), proved_rounds(snapshot, Library(stage.storage))
    moneys = [_money(round) for round in rounds]
    clients = [_client_line(stage, party, rounds, moneys) for party in stage.clients]
    return ClosingPage(
        federation=federation.address,
        chain_id=federation.chain_id,
        asset=asset,
        rounds_wanted=stage.settings.rounds,
        rounds=tuple(watch.rounds),
        local_only_accuracy=alone,
        clients=tuple(clients),
        pool=stage.settings.reward * len(rounds),
        paid=sum(client.balance_change + client.stake + (client.fees_wei if asset.native else 0) for client in clients),
        carried=snapshot.carried,
        forfeited=sum(money.forfeited + money.rounding for money in moneys),
        staked_in=stake * len(clients),
        slashed=sum(stake - client.stake for client in clients),
        holdings=snapshot.holdings,
        audit=_audit(stage),
    )


def _credited(round: RoundFile) -> dict[Address, int]:
    """The compute time that a round credits each of its clients."""
    claimed = {submitted.client: submitted.compute_ms for submitted in round.submitted}
    lowered = () if round.outcome is None else round.outcome.value().adjustments
    return claimed | {adjustment.client: adjustment.credited_ms for adjustment in lowered}


def _money(round: RoundFile) -> Money:
    opening, claimed = round.opening.value(), sum(submitted.compute_ms for submitted in round.submitted)
    return money_of(opening.pool, opening.reward_rate_cap, claimed, _credited(round))


def _client_line(stage: Stage, party: Party, rounds: Sequence[RoundFile], moneys: Sequence[Money]) -> ClientLine:
    """A client's account, from its balance and from the receipts of the transactions in its journal."""
    web3, federation, asset = stage.web3, stage.federation, stage.federation.asset()
    coins = web3.eth.get_balance(Web3.to_checksum_address(party.address))
    identity = federation.chain_id, federation.address, party.address
    with Journal(journal_path(party.state), *identity, read_only=True) as journal:
        fees = fees_of(web3, journal)
    before = starting_balance(stage.settings, asset)
    return ClientLine(
        address=party.address,
        compute_ms=sum(one.compute_ms for round in rounds for one in round.submitted if one.client == party.address),
        credited_ms=sum(_credited(round).get(party.address, 0) for round in rounds),
        reward=sum(money.rewards.get(party.address, 0) for money in moneys),
        stake=federation.balance_of(party.address)[1],
        balance_change=balance_of(web3, asset, party.address) - before,
        coin_change_wei=coins - (before if asset.native else starting_coins(stage.settings)),
        fees_wei=fees,
    )


def fees_of(web3: Web3, journal: Journal) -> int:
    """What the transactions in a journal cost, in wei, also those that a daemon was ended before it saw mined."""
    fees = 0
    for intent in journal.intents():
        for form in journal.broadcasts(intent):
            receipt = receipt_of(web3, form.tx_hash)
            fees += (receipt.fee_wei or 0) if receipt is not None else 0
    return fees


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
