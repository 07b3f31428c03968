"""A federation of one organization and one client, whose daemons run as processes, and what they are put through."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from daemon_data import Subject
from resident_memory import family, resident_mib

from processor.artifacts.plan import PLAN, Plan
from processor.chain.federation import Factory, Federation, deploy_factory
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.config import organization_template
from processor.data.npz import save_npz
from processor.demo.nodes import Node, start_anvil
from processor.demo.processes import Party, environment, koinon, make_party, start_daemon
from processor.keystore import passphrase, unlock
from processor.protocol.consent import Agreement
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import FederationTerms, Phase

KEEP = 15.0
"""Seconds for which workers stay: as long as a settlement takes, so that a second round finds one."""
SETTLED = 3.0
"""Seconds for which a daemon has nothing to do before its memory is looked at."""
POLL = 0.2
"""Seconds between two looks of a daemon at the chain."""
PATIENCE = 240.0
DEPTH = 3
"""Blocks of the reorganization: some that the daemon has seen, all of them after the round opened."""
LONG = 1_000_000
"""Steps that take longer than anybody waits."""
TRIES = 4
COINS = 10**19
Found = TypeVar("Found")


@dataclass
class World:
    """Chain, storage and both parties, in a folder that is thrown away."""

    folder: Path
    subject: Subject
    rpc: str
    chain: subprocess.Popen[bytes]
    federation: Federation
    organization: Party
    client: Party
    plan: dict[str, Any]
    steps: dict[str, int] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data.npz"

    def agree(self) -> None:
        """The client agrees to the plan as it is now, which is published for that."""
        plan = Plan.from_table(self.plan)
        cid = Library(LocalStorage(self.folder / "store")).publish(PLAN, plan)
        federation = self.federation
        digest = Agreement(federation.chain_id, federation.address, cid, plan, federation.terms()).digest()
        _koinon(self.client, "client", "join", federation.address, "--plan", cid, "--accept", digest)

    def configure(self, min_members: int = 1) -> None:
        """Writes both configurations, with the plan as it is now."""
        self._write(
            self.organization,
            "organization",
            {"validation": str(self.folder / "validation.npz"), "min_members": min_members},
            {"round": _ROUND, "plan": self.plan},
        )
        accepts = {"accept_public_updates": True, "accept_unpaid_rounds": True}
        self._write(self.client, "client", {"data": str(self.data), **accepts, "threads": 1}, {})

    def _write(self, party: Party, role: str, own: dict[str, Any], more: dict[str, Any]) -> None:
        common = {
            "federation": self.federation.address,
            "wallet": str(party.wallet),
            "passphrase_file": str(party.passphrase_file),
            "state": str(party.state),
            "poll_interval": POLL,
            "worker_keep": KEEP,
        }
        network = {"rpc": self.rpc, "store": str(self.folder / "store"), "chain_id": self.federation.chain_id}
        party.config.write_text(tomli_w.dumps({"network": network, role: {**common, **own}, **more}))


_ROUND = {
    "training_period": 600,
    "aggregation_period": 600,
    "max_updates": 10,
    "max_compute_ms": 600_000,
    "selection_rate": 10_000,
    "reward_rate_cap": "1",
    "reward": "0",
}


@contextlib.contextmanager
def world(subject: Subject, folder: Path) -> Iterator[World]:
    """Everything that two daemons need, before they run."""
    with start_anvil(folder / "chain", block_time=1) as chain:
        web3 = connect(chain.rpc_url)
        organization = make_party(folder / "organization", "organization")
        client = make_party(folder / "client-1", "client-1")
        for party in (organization, client):
            web3.provider.make_request("anvil_setBalance", [party.address, hex(COINS)])  # type: ignore[arg-type]
        sender = Sender(web3, unlock(organization.wallet, passphrase(False, organization.passphrase_file)))
        factory = Factory(web3, deploy_factory(sender))
        federation = Federation(web3, factory.created(sender.send(factory.create_federation(FederationTerms()))))
        plan = tomllib.loads(organization_template())["plan"]
        plan |= {"task": subject.task, "model": subject.model}
        plan["optimizer"]["learning_rate"] = subject.learning_rate
        there = World(folder, subject, chain.rpc_url, chain.process, federation, organization, client, plan)
        save_npz(there.data, subject.data)
        save_npz(folder / "validation.npz", subject.validation)
        yield there


def memory(there: World) -> dict[str, float]:
    """MiB of both daemons with their children, idle and after rounds; seconds to the first step of the first two."""
    found = dict[str, float]()
    there.configure(min_members=2)
    with _client(there) as client:
        with _organization(there) as organization:
            until("the client registers", lambda: there.federation.standing().member_count == 1)
            there.agree()
            _rest(client, organization)
            found |= {"idle_mib": _held(client), "organization_idle_mib": _held(organization)}
        there.configure(min_members=1)
        with _organization(there) as organization:
            found["first_step_cold_s"] = _first_step(there, 1)
            found["first_step_warm_s"] = _warm_step(there, client)
            _koinon(there.organization, "organization", "pause", "--yes")
            until("the last round ends", lambda: there.federation.round_view().phase is Phase.FINALIZED)
            _rest(client, organization)
            found |= {"after_round_mib": _held(client), "organization_after_round_mib": _held(organization)}
    return found


def reactions(there: World) -> dict[str, float]:
    """What a client holds that trains; seconds until it notices a reorganization, and until it ends after SIGTERM."""
    there.plan["local"] |= {"steps": LONG}
    there.plan["local"].pop("epochs", None)
    there.configure()
    there.agree()
    rounds = there.federation.round_view().round
    _koinon(there.organization, "organization", "resume", "--yes")
    with _organization(there), _client(there) as client:
        _first_step(there, rounds + 1)
        time.sleep(SETTLED + DEPTH)
        training = _held(client)
        seen = len(said(there.client, "the chain was reorganized"))
        there.federation.web3.provider.make_request("anvil_reorg", [DEPTH, []])  # type: ignore[arg-type]
        begun = time.monotonic()
        until("the reorganization is noticed", lambda: len(said(there.client, "the chain was reorganized")) > seen)
        noticed = time.monotonic() - begun
        begun = time.monotonic()
        client.process.send_signal(signal.SIGTERM)
        status = client.process.wait(PATIENCE)
        ended = time.monotonic() - begun
    if status != 0 or not list((there.client.state / "jobs").glob("train-*/checkpoint")):
        raise SystemExit(f"the client ended with status {status}; expected 0, and a checkpoint in {there.client.state}")
    return {"training_mib": training, "reorganization_s": noticed, "sigterm_s": ended}


def said(party: Party, event: str) -> list[dict[str, Any]]:
    """Every line of the party's log about an event."""
    log = party.folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in map(_parsed, lines) if line.get("event") == event]


def until(what: str, happened: Callable[[], Found]) -> Found:
    """What `happened` says once that is something."""
    print(f"waiting until {what}", file=sys.stderr)
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE:.0f} s for nothing until {what}")
        time.sleep(0.01)
    return found


def _client(there: World) -> Node:
    return start_daemon(there.client, "client", "run")


def _organization(there: World) -> Node:
    return start_daemon(there.organization, "organization", "run")


def _held(daemon: Node) -> float:
    if daemon.process.poll() is not None:
        raise SystemExit(f"a daemon ended with status {daemon.process.returncode}: {daemon.log.read_text()[-2000:]}")
    return resident_mib(daemon.process.pid)


def _rest(*daemons: Node) -> None:
    """Waits until the daemons have no children, and some seconds more."""
    until("the workers end", lambda: all(len(family(daemon.process.pid)) == 1 for daemon in daemons))
    time.sleep(SETTLED)


def _opened(there: World, round: int) -> None:
    until(f"round {round} opens", lambda: there.federation.round_view().round >= round)


def _first_step(there: World, round: int) -> float:
    """Seconds from the block that opened a round, as a reader sees it, to the beginning of its training."""
    _opened(there, round)
    opened = time.monotonic()
    until(
        f"training begins in round {round}",
        lambda: round in [line.get("round") for line in said(there.client, "training")],
    )
    return time.monotonic() - opened


def _warm_step(there: World, client: Node) -> float:
    """As `_first_step`, in the first round from the second on that finds the client's worker there."""
    for round in range(2, 2 + TRIES):
        _opened(there, round)
        warm = len(family(client.process.pid)) > 1
        seconds = _first_step(there, round)
        if warm:
            return seconds
    raise SystemExit(f"{TRIES} rounds found no worker: they follow each other too slowly for {KEEP:g} s")


def _koinon(party: Party, *arguments: str) -> None:
    """Runs a command; again where the daemon of the same wallet is just sending."""
    command = koinon(*arguments, "--config", str(party.config))
    for _ in range(20):
        done = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if b"try again in a moment" not in done.stderr:
            break
    if done.returncode:
        raise SystemExit(f"koinon {' '.join(arguments)} failed: {done.stderr.decode()[-2000:]}")


def _parsed(line: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:  # half a line, or not the log's
        return {}
    return found
