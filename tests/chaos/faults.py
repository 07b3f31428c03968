"""Everything that can go wrong, each under a name: how it begins, how it ends, and whom it disturbs."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.chaos.daemon import Daemon, seen_from
from tests.chaos.hostile import pick
from tests.chaos.nodes import GWEI
from tests.chaos.processes import Process, memory_of, process, shrink_pipes
from tests.chaos.proxy import Fault as Misbehaviour
from tests.chaos.proxy import Proxy, Trouble
from tests.chaos.schedule import Planned
from tests.chaos.stage import CONFIRMATIONS, MAX_FEE, Stage

CLEAN_END = 20.0  # seconds within which a daemon that is asked to end must have ended
TRAPPED = 12.0  # seconds to wait at most for the moment that a fault is for
UNTRAINED = 40.0  # seconds to wait at most for a client to train
AWAY = (45.0, 75.0)  # seconds
FROZEN = (2.0, 8.0)  # seconds
UNREAD, LEAST_WORK = 6.0, 0.2  # seconds for which nobody reads, and of processor time that a training takes in them
LARGEST_CLOCK_ERROR = 3 * 24 * 3600


def _nothing() -> None:
    pass


@dataclass
class Injected:
    """A fault that has begun. `heal` ends it. It is over once each of the `disturbed` has completed a cycle since, and
    `recovered` holds. It ends early once `done`, and lasts for `seconds` rather than as planned where that is given.
    `detail` is for the line that is printed, `violations` what should not have happened."""

    disturbed: list[Daemon]
    heal: Callable[[], object] = _nothing
    recovered: Callable[[], bool] = lambda: True
    done: Callable[[], bool] = lambda: False
    seconds: float | None = None
    detail: str = ""
    violations: list[str] = field(default_factory=list)

    @property
    def lasts(self) -> bool:
        """Whether there is something to end: a kill or a reorganization is over at once."""
        return self.heal is not _nothing


Inject = Callable[[Stage, Daemon, random.Random], Injected]


@dataclass(frozen=True)
class Kind:
    """`weight` is how often it comes, against the others. `missing` says why it cannot be had on a stage, if so."""

    inject: Inject
    weight: int
    missing: Callable[[Stage], str]


KINDS: dict[str, Kind] = {}


def _fault(name: str, weight: int, missing: Callable[[Stage], str] = lambda stage: "") -> Callable[[Inject], Inject]:
    def register(inject: Inject) -> Inject:
        KINDS[name] = Kind(inject, weight, missing)
        return inject

    return register


def available(stage: Stage) -> dict[str, int]:
    """The weight of every fault on this stage; 0 for what cannot be had there."""
    return {name: 0 if kind.missing(stage) else kind.weight for name, kind in KINDS.items()}


def skipped(stage: Stage) -> dict[str, str]:
    """What cannot be had on this stage, and why."""
    return {name: reason for name, kind in KINDS.items() if (reason := kind.missing(stage))}


def inject(stage: Stage, planned: Planned) -> Injected:
    """Begins a fault. Where its victim is away, the next who is there has it instead."""
    turn = stage.daemons[planned.victim :] + stage.daemons[: planned.victim]
    victim = next((daemon for daemon in turn if daemon.wanted), turn[0])
    return KINDS[planned.name].inject(stage, victim, planned.random())


def _only_anvil(stage: Stage) -> str:
    return "" if stage.chain.anvil else "geth has no such method"


def _only_kubo(stage: Stage) -> str:
    return "" if stage.kubos else "the local store has no network"


# ------------------------------------------------------------------------------------------------------- processes


@_fault("SIGKILL", 12)
def _kill(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    victim.kill()
    return Injected([victim])


@_fault("SIGKILL of several", 2)
def _massacre(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    victims = draw.sample(stage.daemons, 3)
    for each in victims:
        each.kill()
    return Injected(victims, detail=_names(victims))


@_fault("SIGKILL at a broadcast", 6)
def _kill_at_broadcast(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """The victim dies with a transaction written down and on its way: it arrives, or, in half of the cases, it does
    not."""
    swallow = draw.random() < 0.5
    injected = _misbehaving([victim], victim.rpc if swallow else [], Trouble.SWALLOW)
    injected.detail = "which is lost" if swallow else "which arrives"
    return _trapped(victim, "eth_sendRawTransaction", injected)


@_fault("SIGKILL at a request", 6)
def _kill_at_request(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """The victim dies when it is about to do something, or to learn what it did: between its promises and its acts."""
    moments = ["eth_estimateGas", "eth_estimateGas", "eth_getTransactionReceipt", "eth_getTransactionCount"]
    moment = draw.choice([*moments, *(["/api/v0/add", "/api/v0/cat"] if victim.ipfs else [])])
    return _trapped(victim, moment, Injected([victim], detail=moment))


def _trapped(victim: Daemon, moment: str, injected: Injected) -> Injected:
    """Kills the victim at a moment; where that does not come in time, at the end."""
    end, victim.trap = injected.heal, moment

    def heal() -> None:
        if victim.trap == moment:
            victim.trap = ""
            victim.kill()
        end()

    injected.heal, injected.done, injected.seconds = heal, lambda: victim.trap != moment, TRAPPED
    return injected


@_fault("SIGKILL in training", 6)
def _kill_in_training(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """A client dies between two steps of its worker's; where none trains in time, it dies at the end."""
    client = _client(stage, victim, draw)
    return Injected([client], client.kill, done=client.training, seconds=TRAPPED)


@_fault("long absence", 1)
def _absence(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """A daemon is away for longer than a round takes, and has to find out what it missed."""
    victim.wanted = False
    victim.kill()

    def back() -> None:
        victim.wanted = True

    return Injected([victim], back, seconds=draw.uniform(*AWAY))


@_fault("SIGTERM", 4)
def _terminate(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    if not victim.alive or not victim.wanted:
        return Injected([victim], detail="was not running")
    victim.wanted, began = False, time.monotonic()
    status = victim.terminate(CLEAN_END)
    victim.wanted = True
    took = time.monotonic() - began
    said = (
        f"{victim.name} was asked to end and {'ended with status ' + str(status) if status is not None else 'did not'}"
    )
    return Injected([victim], detail=f"ended in {took:.1f} s", violations=[] if status == 0 else [said])


@_fault("slow daemon", 4)
def _freeze(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    victim.signal(signal.SIGSTOP)
    victim.frozen = True

    def thaw() -> None:
        victim.signal(signal.SIGCONT)
        victim.frozen = False

    return Injected([victim], thaw)


@_fault("wrong clock", 2)
def _wrong_clock(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    victim.clock = draw.choice([-1, 1]) * draw.uniform(60, LARGEST_CLOCK_ERROR)
    victim.kill()

    def right() -> None:
        victim.clock = 0.0
        victim.kill()

    return Injected([victim], right, detail=f"{victim.clock:+.0f} s")


@_fault("disk full", 3, lambda stage: stage.no_small_disk)
def _disk_full(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    daemon = draw.choice(stage.small_disks)
    filler = seen_from(daemon.namespace, daemon.party.state) / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    return Injected([daemon], lambda: filler.unlink(missing_ok=True))


# ---------------------------------------------------------------------------------------------------------- workers

End = Callable[[], object]


def _client(stage: Stage, victim: Daemon, draw: random.Random) -> Daemon:
    return victim if victim is not stage.organization else draw.choice(stage.clients)


def _in_training(
    stage: Stage, client: Daemon, begin: Callable[[Process, Process], End], seconds: float = 0.0
) -> Injected:
    """What happens to a client's worker, its parent and its child, in the middle of a training, for some seconds; where
    the client does not train in time, nothing does."""
    ends: list[tuple[float, End]] = []
    injected = Injected([client], seconds=UNTRAINED + seconds, detail="did not train in time")

    def done() -> bool:
        parent, child = stage.workers.parent(client.name), stage.workers.child(client.name)
        if not ends and parent is not None and child is not None and client.training():
            ends.append((time.monotonic() + seconds, begin(parent, child)))
            injected.detail = ""
        return bool(ends) and time.monotonic() >= ends[0][0]

    def heal() -> None:
        for _, end in ends:
            end()

    injected.done, injected.heal = done, heal
    return injected


@_fault("SIGKILL of a worker", 4)
def _kill_child(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    return _in_training(stage, _client(stage, victim, draw), lambda parent, child: _killed(child))


@_fault("SIGKILL of a worker's parent", 4)
def _kill_parent(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    return _in_training(stage, _client(stage, victim, draw), lambda parent, child: _killed(parent))


@_fault("frozen worker", 3)
def _freeze_child(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    client = _client(stage, victim, draw)
    return _in_training(stage, client, lambda parent, child: _frozen(child), draw.uniform(*FROZEN))


@_fault("frozen worker's parent", 3)
def _freeze_parent(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    client = _client(stage, victim, draw)
    return _in_training(stage, client, lambda parent, child: _frozen(parent), draw.uniform(*FROZEN))


@_fault("worker without memory", 4)
def _no_memory(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """A worker gets no more memory than it has, nor does any child that it makes."""

    def begin(parent: Process, child: Process) -> End:
        for each in (parent, child):
            _limit_memory(each, memory_of(each))

        def lift() -> None:
            for each in (parent, child, stage.workers.child(client.name)):
                _limit_memory(each, None)

        return lift

    client = _client(stage, victim, draw)
    return _in_training(stage, client, begin, draw.uniform(*FROZEN))


@_fault("full pipe", 3)
def _full_pipe(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """The daemon reads nothing while its worker trains, and the pipe between them holds as little as it can: the
    training goes on all the same."""

    def begin(parent: Process, child: Process) -> End:
        client.signal(signal.SIGSTOP)
        client.frozen = True
        shrink_pipes(child)

        def read_on() -> None:
            now = process(child.pid)
            if now is None or now.identity != child.identity:
                injected.detail = "its training came to its end meanwhile"
            elif not now.stopped:
                injected.detail = f"{now.busy - child.busy:.1f} s of work meanwhile"
                if now.busy - child.busy < LEAST_WORK:
                    injected.violations.append(f"{client.name}: its worker stood still while nobody read what it said")
            client.signal(signal.SIGCONT)
            client.frozen = False

        return read_on

    client = _client(stage, victim, draw)
    injected = _in_training(stage, client, begin, UNREAD)
    return injected


def _killed(process: Process) -> End:
    _signal(process, signal.SIGKILL)
    return _nothing


def _frozen(process: Process) -> End:
    _signal(process, signal.SIGSTOP)
    return lambda: _signal(process, signal.SIGCONT)


def _signal(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _limit_memory(process: Process | None, size: int | None) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            soft = resource.RLIM_INFINITY if size is None else size
            resource.prlimit(process.pid, resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


# ------------------------------------------------------------------------------------------------------------ nodes


def _misbehaving(disturbed: list[Daemon], proxies: Iterable[Proxy], trouble: Trouble, amount: float = 0.0) -> Injected:
    fault, chosen = Misbehaviour(trouble, amount), list(proxies)
    for proxy in chosen:
        proxy.begin(fault)

    def heal() -> None:
        for proxy in chosen:
            proxy.end(fault)

    return Injected(disturbed, heal)


def _rpc(trouble: Trouble, *, primary: bool = False, everybody: bool = False, slowest: float = 0.0) -> Inject:
    """Trouble with the first way to the chain or with both, of the victim or of everybody."""

    def begin(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
        disturbed = stage.daemons if everybody else [victim]
        amount = draw.uniform(0.1, slowest) if slowest else 0.0
        proxies = (proxy for daemon in disturbed for proxy in daemon.rpc[: 1 if primary else None])
        return _misbehaving(disturbed, proxies, trouble, amount)

    return begin


_fault("RPC outage", 5)(_rpc(Trouble.DROP))
_fault("RPC outage for all", 2)(_rpc(Trouble.DROP, everybody=True))
_fault("RPC outage of the first node", 3)(_rpc(Trouble.DROP, primary=True))
_fault("RPC silent", 2)(_rpc(Trouble.STALL, primary=True))
_fault("RPC slow", 4)(_rpc(Trouble.DELAY, slowest=1.5))
_fault("RPC error pages", 2)(_rpc(Trouble.GARBLE))
_fault("RPC answers truncated", 3)(_rpc(Trouble.TRUNCATE))
_fault("RPC answers lost", 4)(_rpc(Trouble.DEAFEN))
_fault("transactions swallowed", 3)(_rpc(Trouble.SWALLOW))


@_fault("stale chain", 3)
def _stale(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    head = max(1, stage.chain.head - draw.randrange(3))
    ways = victim.rpc[: draw.choice([1, 1 if victim.hears else 2])]
    injected = _misbehaving([victim], ways, Trouble.STALE, head)
    injected.detail = f"{len(ways)} of its {len(victim.rpc)} nodes at block {head}"
    return injected


def _ipfs(*troubles: Trouble) -> Inject:
    """Trouble on the victim's ways to IPFS, or on the first of them."""

    def begin(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
        trouble, ways = draw.choice(troubles), victim.ipfs[: draw.choice([1, None])]
        injected = _misbehaving([victim], ways, trouble)
        injected.detail = f"{trouble.value}, of {len(ways)} of its {len(victim.ipfs)} nodes"
        return injected

    return begin


_fault("IPFS outage", 4, _only_kubo)(_ipfs(Trouble.DROP, Trouble.STALL, Trouble.GARBLE))
_fault("IPFS bytes corrupted", 4, _only_kubo)(_ipfs(Trouble.CORRUPT))
_fault("IPFS answers truncated", 3, _only_kubo)(_ipfs(Trouble.TRUNCATE))


@_fault("IPFS node killed", 2, _only_kubo)
def _ipfs_killed(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    number = draw.randrange(len(stage.kubos))
    node = stage.kubos[number]
    disturbed = [daemon for daemon in stage.daemons if node.address in (proxy.upstream for proxy in daemon.ipfs)]
    node.kill()

    def restart() -> None:
        node.restart()
        for other in stage.kubos:
            if other is not node:
                node.connect(other)

    return Injected(disturbed, restart, detail=f"node {number + 1} of {len(stage.kubos)}")


@_fault("stored bytes corrupted", 4, lambda stage: "" if stage.store else "the artifacts are on IPFS")
def _rot(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """The newest artifacts rot in the store, and are whole again later: only then can they be had."""
    assert stage.store is not None
    newest = sorted(stage.store.glob("Qm*"), key=lambda path: path.stat().st_mtime)[-3:]
    rotten = {path: path.read_bytes() for path in newest}
    for path, whole in rotten.items():
        path.write_bytes(bytes(len(whole) // 2) + whole[len(whole) // 2 :])

    def mend() -> None:
        for path, whole in rotten.items():
            path.write_bytes(whole)

    return Injected(stage.daemons, mend, detail=f"{len(rotten)} artifacts")


# ------------------------------------------------------------------------------------------------------------ chain


@_fault("reorganization", 8)
def _reorganize(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    depth = draw.randint(1, CONFIRMATIONS)
    stage.chain.reorganize(depth)
    return Injected(list(stage.daemons), detail=f"{depth} blocks")


@_fault("fee spike", 3, _only_anvil)
def _fee_spike(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """Transactions that are under way are priced out; in half of the cases nobody may pay the new price."""
    price = draw.choice([MAX_FEE // 4, 2 * MAX_FEE])
    stage.chain.price_gas(price)
    detail = f"{price // GWEI} gwei, of {MAX_FEE // GWEI} allowed"
    return Injected(list(stage.daemons), lambda: stage.chain.price_gas(GWEI), detail=detail)


@_fault("no blocks", 3, _only_anvil)
def _no_blocks(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """Nothing is mined for a while; in half of the cases the node then forgets what waited."""
    stage.chain.stop_mining()
    forgetful = draw.random() < 0.5

    def go_on() -> None:
        if forgetful:
            stage.chain.empty_the_pool()
        stage.chain.go_on_mining()

    return Injected(list(stage.daemons), go_on, detail="and the pool is emptied" if forgetful else "")


# ---------------------------------------------------------------------------------------------------------- clients


@_fault("hostile update", 10)
def _hostile(stage: Stage, victim: Daemon, draw: random.Random) -> Injected:
    """The member that means ill submits one more bad thing; over once the round with it is."""
    kind, before = pick(draw), len(stage.hostile.done)
    stage.hostile.wanted.put(kind)

    def settled() -> bool:
        for each in stage.hostile.done[before:]:
            view = stage.federation.round_view()
            if each.kind == kind and (view.phase.over or view.sealing_key != each.sealing_key):
                return True
        return False

    return Injected([], recovered=settled, detail=kind)


def _names(daemons: Iterable[Daemon]) -> str:
    return ", ".join(daemon.name for daemon in daemons)
