"""`make chaos`: does the federation keep its promises whatever happens to it?"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from processor.demo.nodes import CHECKOUT
from processor.errors import KoinonError
from tests.chaos.episode import play_episode
from tests.chaos.nodes import program
from tests.chaos.record import Outcome, table
from tests.chaos.schedule import GAP, Episode, plan_episodes

RESULTS = CHECKOUT / "build" / "chaos.json"
KEPT = CHECKOUT / "build" / "chaos"
SEED, FAULTS, SIZE, CLIENTS = 1, 200, 40, 6
QUICK_FAULTS = (
    "SIGKILL at a broadcast",
    "SIGKILL at a request",
    "SIGKILL in training",
    "SIGKILL of a worker",
    "SIGKILL of a worker's parent",
    "SIGTERM",
    "frozen worker",
    "frozen worker's parent",
    "worker without memory",
    "full pipe",
    "RPC outage",
    "RPC answers lost",
    "stale chain",
    "reorganization",
    "fee spike",
    "disk full",
    "hostile update",
)
QUICK = Episode(0, len(QUICK_FAULTS), "anvil", "local", 3, QUICK_FAULTS)
QUICK_GAP = (1.0, 2.0)
DECIDES = ("processor", "tests/chaos", "contracts")


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end like Ctrl-C: with nothing left behind
    options = _options()
    print(f"seed {options.seed}", flush=True)
    chains = [options.chain] if options.chain else ["anvil", *_where_there_is("geth", "geth")]
    storages = [options.storage] if options.storage else [*_where_there_is("kubo", "ipfs"), "local"]
    played = plan_episodes(options.faults, SIZE, chains, storages, options.clients)
    episodes = [QUICK] if options.quick else played
    results = Results(RESULTS, f"{fingerprint()} {options.seed} {episodes}")
    outcomes = []
    began = time.monotonic()
    for episode in episodes:
        outcome = results.get(episode.number) if options.resume else None
        if outcome is None:
            try:
                outcome = _play(options.seed, episode, QUICK_GAP if options.quick else GAP, options.keep)
            except KeyboardInterrupt:
                raise SystemExit("interrupted: --resume goes on with the next episode") from None
            except KoinonError as error:
                raise SystemExit(f"episode {episode.number + 1} cannot be played: {error}") from None
            if not options.quick:
                results.put(outcome)
        print(f"{outcome.title}: {outcome.seconds:.0f} s, {len(outcome.violations)} promises broken\n", flush=True)
        outcomes.append(outcome)
    print(table(outcomes))
    faults = sum(len(outcome.events) for outcome in outcomes)
    print(f"{faults} faults in {time.monotonic() - began:.0f} s, seed {options.seed}")
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="draws every fault (default: %(default)s)")
    parser.add_argument("--faults", type=int, default=FAULTS, help="how many, in all (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="how many clients (default: %(default)s)")
    parser.add_argument("--chain", choices=("anvil", "geth"), help="only this chain (default: in turn)")
    parser.add_argument("--storage", choices=("local", "kubo"), help="only this storage (default: in turn)")
    parser.add_argument("--quick", action="store_true", help="a few faults on anvil and a local store, in two minutes")
    parser.add_argument("--keep", action="store_true", help="keep logs and journals also where no promise was broken")
    parser.add_argument("--resume", action="store_true", help="do not repeat what was played with the same code")
    return parser.parse_args()


def _where_there_is(kind: str, name: str) -> list[str]:
    """What a run with nothing else asked for goes without, where the program is missing: it says so."""
    if program(name) is not None:
        return [kind]
    print(f"skipped: no episode with {kind}: there is no `{name}` on PATH or in KOINON_TEST_BIN", flush=True)
    return []


def _play(seed: int, episode: Episode, gap: tuple[float, float], keep: bool) -> Outcome:
    """Plays an episode; what it left behind is kept where a promise was broken."""
    folder = Path(tempfile.mkdtemp(prefix="koinon-chaos-"))
    try:
        outcome = play_episode(seed, episode, folder, lambda line: print(line, flush=True), gap)
        if outcome.violations or keep:
            kept = KEPT / f"{seed}-{episode.number + 1}"
            shutil.rmtree(kept, ignore_errors=True)
            _keep(folder, kept)
            print(f"logs and journals are kept in {kept}")
        return outcome
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(folder: Path, kept: Path) -> None:
    for path in folder.glob("*/*"):
        if path.is_file() and path.suffix in (".jsonl", ".log", ".toml"):
            (kept / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, kept / path.parent.name / path.name)
    for path in [*folder.glob("*/state/journal.sqlite*"), *folder.glob("seen/*/journal.sqlite*")]:
        name = path.parent.name if path.parent.parent.name == "seen" else path.parent.parent.name
        shutil.copy(path, kept / name / path.name)
    shutil.copy(folder / "evidence.txt", kept / "evidence.txt")


class Results:
    """Outcomes of episodes, kept as they end, so that an interrupted run can go on; those of other code are
    forgotten."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint
        stored = json.loads(path.read_text()) if path.exists() else {}
        outcomes = stored["outcomes"] if stored.get("fingerprint") == fingerprint else []
        self._outcomes = {each["number"]: Outcome.from_json(each) for each in outcomes}

    def get(self, number: int) -> Outcome | None:
        return self._outcomes.get(number)

    def put(self, outcome: Outcome) -> None:
        self._outcomes[outcome.number] = outcome
        self._path.parent.mkdir(exist_ok=True)
        stored = {"fingerprint": self._fingerprint, "outcomes": [asdict(each) for each in self._outcomes.values()]}
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text(json.dumps(stored, indent=1) + "\n")
        unfinished.replace(self._path)


def fingerprint() -> str:
    """Of everything that decides what becomes of an episode."""
    digest = hashlib.sha256()
    for name in DECIDES:
        for path in sorted((CHECKOUT / name).rglob("*")):
            if path.suffix in (".py", ".json", ".toml", ".sol"):
                digest.update(
                    f"{path.relative_to(CHECKOUT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
                )
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
