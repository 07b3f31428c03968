"""One episode: a federation is set up, faults are injected as planned, it is left to recover, and judged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from processor.chain.logs import events, rounds_in
from processor.errors import ChainError, JournalError
from tests.chaos import faults
from tests.chaos.daemon import Daemon
from tests.chaos.evidence import gather, write
from tests.chaos.faults import Injected
from tests.chaos.invariants import lost, violations
from tests.chaos.record import Disturbance, Event, Outcome
from tests.chaos.schedule import GAP, Episode, Planned, plan_faults
from tests.chaos.stage import Stage, open_stage
from tests.chaos.workers import GONE

TICK = 0.1
WARM_UP = 90.0  # seconds within which the first round must be open
PATIENCE = 120.0  # seconds to recover from a fault
EXCUSED = 30.0  # seconds after a fault's end during which it still excuses what a daemon misses
CALM_ROUND = 150.0  # seconds within which, undisturbed, a round with everybody must be finalized
REST = 150.0  # seconds within which, paused, everything must come to rest
CLEAN_END = 30.0

Say = Callable[[str], None]


@dataclass
class Running:
    """A fault between its begin and the recovery from it. `before` are the starts and the cycles of the disturbed at
    its end; no cycles where they did not answer."""

    event: Event
    injected: Injected
    began: float
    ends: float
    healed: float | None = None
    before: dict[str, tuple[int, int | None]] = field(default_factory=dict)


class Player:
    """Plays the faults of one episode on a stage."""

    def __init__(self, stage: Stage, planned: list[Planned], say: Say) -> None:
        self.stage, self.say = stage, say
        self.ahead, self.running = planned[::-1], list[Running]()
        self.events: list[Event] = []
        self.disturbances: list[Disturbance] = []
        self.violations: list[str] = []
        self.began = time.time()

    def play(self) -> None:
        """Until every fault was injected and healed, and the federation is over each or has lost its time for that."""
        self.began = time.time()
        while self.ahead or self.running:
            now = time.time()
            while self.ahead and now - self.began >= self.ahead[-1].at:
                self._inject(self.ahead.pop())
            for running in list(self.running):
                self._look_after(running)
            self.stage.supervise()
            time.sleep(TICK)

    def _inject(self, planned: Planned) -> None:
        began = time.time()
        injected = faults.inject(self.stage, planned)
        names = [daemon.name for daemon in injected.disturbed]
        whom = names[0] if len(names) == 1 else "hostile" if not names else "several"
        seconds = (injected.seconds or planned.seconds) if injected.lasts else 0.0
        event = Event(planned.name, whom, began - self.began, seconds, injected.detail)
        self.events.append(event)
        self.running.append(Running(event, injected, began, began + seconds))

    def _look_after(self, running: Running) -> None:
        now = time.time()
        if running.healed is None:
            if now >= running.ends or running.injected.done():
                running.injected.heal()
                running.healed = time.time()
                running.event.detail = running.injected.detail
                running.event.seconds = running.healed - running.began
                running.before = {each.name: (each.starts, each.cycles()) for each in running.injected.disturbed}
            return
        there = [each for each in running.injected.disturbed if each.wanted]  # who is away has another fault to blame
        over = all(self._has_cycled(each, running) for each in there)
        if over and _holds(running.injected.recovered):
            running.event.recovered = now - running.healed
        elif now - running.healed > PATIENCE:
            self.violations.append(f"not over {running.event.line().strip()}")
        else:
            return
        end = min(now, running.healed + EXCUSED)
        self.disturbances += [Disturbance(each.name, running.began, end) for each in running.injected.disturbed]
        self.violations += running.injected.violations
        self.running.remove(running)
        self.say(running.event.line())

    def _has_cycled(self, daemon: Daemon, running: Running) -> bool:
        cycles = daemon.cycles()
        starts, before = running.before[daemon.name]
        if cycles is None:
            return False
        if daemon.starts != starts:
            return cycles > 0
        if before is None:
            running.before[daemon.name] = (starts, cycles)
            return False
        return cycles > before


def _holds(condition: Callable[[], bool]) -> bool:
    """Whether something holds; not, while the chain is being reorganized or a journal is written."""
    try:
        return condition()
    except (ChainError, JournalError):
        return False


def play_episode(seed: int, episode: Episode, folder: Path, say: Say, gap: tuple[float, float] = GAP) -> Outcome:
    """Plays an episode in an empty folder. Raises KoinonError where a node cannot be started."""
    began = time.monotonic()
    title = f"episode {episode.number + 1} ({episode.chain}, {episode.storage})"
    draw = random.Random(f"{seed}/{episode.number}/stage")
    with open_stage(folder, draw, episode.chain, episode.storage, episode.clients) as stage:
        say(f"{title}: {episode.clients} clients, {episode.faults} faults, federation {stage.federation.address}")
        stage.start()
        player = Player(stage, plan_faults(seed, episode, faults.available(stage), gap), say)
        problems = _until(stage, WARM_UP, lambda: stage.federation.round_count() > 0, "the first round was opened")
        if not problems:
            player.play()
            problems = _come_to_rest(stage, player)
        ended = dict.fromkeys(_ended(name, at, status, player.disturbances) for name, at, status in stage.ended)
        evidence = gather(stage, player.disturbances)
        write(evidence, folder / "evidence.txt")
        return Outcome(
            number=episode.number,
            title=title,
            seconds=time.monotonic() - began,
            rounds=len(evidence.rounds),
            checked=evidence.summary(),
            events=player.events,
            violations=[*player.violations, *problems, *filter(None, ended), *violations(evidence)],
            lost=lost(evidence),
            skipped=faults.skipped(stage),
        )


def _come_to_rest(stage: Stage, player: Player) -> list[str]:
    """A last round with everybody in it, a pause, and a clean end; gives what did not happen."""
    since = stage.federation.round_count()
    problems = _until(stage, CALM_ROUND, lambda: _calm_round(stage, since), "a calm round was finalized with everybody")
    stage.pause()
    problems += _until(
        stage, REST, lambda: _at_rest(stage), "the federation came to rest: rounds over, rewards claimed"
    )
    for daemon in stage.daemons:
        daemon.wanted = False
    for daemon in stage.daemons:
        status = daemon.terminate(CLEAN_END)
        if status != 0:
            problems.append(f"{daemon.name} ended with status {status} when it was asked to end")
    stage.hostile.stop()
    return [*problems, *_left(stage)]


def _left(stage: Stage) -> list[str]:
    """Workers that are there though every daemon has ended, and had time to."""
    deadline = time.monotonic() + GONE
    while (left := stage.workers.left()) and time.monotonic() < deadline:
        time.sleep(TICK)
    return [f"{each}, is left at the end" for each in left]


def _until(stage: Stage, patience: float, happened: Callable[[], bool], what: str) -> list[str]:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        stage.supervise()
        if _holds(happened):
            return []
        time.sleep(5 * TICK)
    return [f"it did not come true within {patience:.0f} s that {what}"]


def _calm_round(stage: Stage, since: int) -> bool:
    """Whether a round that was opened in the calm is finalized with an update of every client."""
    happened = events(stage.federation.web3, stage.federation.address, 0, stage.federation.block().number)
    rounds = [each for each in rounds_in(happened) if each.opening.round > since]
    return any(each.outcome is not None and len(each.updates) == each.opening.selected_count for each in rounds)


def _at_rest(stage: Stage) -> bool:
    """No round is live, nothing is owed, and no transaction is under way."""
    federation, eth = stage.federation, stage.chain.web3.eth
    if federation.round_view().phase.live:
        return False
    if any(federation.balance_of(account.address)[0] for account in stage.accounts.values()):
        return False
    for account in stage.accounts.values():
        if eth.get_transaction_count(account.address, "pending") != eth.get_transaction_count(account.address):
            return False
    for daemon in stage.daemons:
        with stage.journal(daemon) as journal:
            if journal.open_intents():
                return False
    return True


def _ended(name: str, at: float, status: int, disturbances: list[Disturbance]) -> str | None:
    """A daemon may end only while it is disturbed: there are troubles in which it cannot even start."""
    if any(each.daemon == name and each.begin <= at <= each.end + 5 for each in disturbances):
        return None
    return f"{name} ended by itself with status {status}, though nothing disturbed it"
