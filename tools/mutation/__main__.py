"""`make mutation`: which faults in the contracts do the tests catch? Small ones anywhere, or those of meaning."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tools.mutation.mutants import SEED, Mutant, find_enums, find_mutants, sample
from tools.mutation.results import Results
from tools.mutation.run import try_mutants
from tools.mutation.semantic import LIST as SEMANTIC
from tools.mutation.semantic import read_semantic
from tools.mutation.survivors import Outcome, Survivor, Verdict, read_survivors, review
from tools.mutation.trees import ROOT, BrokenRun, fingerprint, read_contracts

LIST = ROOT / "tests" / "mutation-survivors.toml"
RESULTS = ROOT / "build" / "mutation.json"
QUICK, FULL = 16, 200  # faults in a run
T = TypeVar("T")


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end like Ctrl-C: with nothing left behind
    options = _options()
    sources, all_sources = read_contracts()
    small = find_mutants(sources, find_enums(all_sources))
    meant = _read(SEMANTIC, lambda text: read_semantic(text, sources))
    mutants = meant if options.semantic else small
    if options.list:
        _print_mutants(mutants, meant if options.semantic else sample(mutants, options.count))
        return 0

    survivors = _read(LIST, read_survivors) if LIST.exists() else []
    listed = {survivor.id for survivor in survivors}
    chosen = _choose([*small, *meant] if options.only else mutants, listed, options)
    results = Results(RESULTS, fingerprint())
    if not options.resume:
        for mutant in chosen:
            results.forget(mutant.id)
    began = time.monotonic()
    try:
        outcomes = try_mutants(chosen, listed, sources, results)
    except KeyboardInterrupt:
        raise SystemExit("interrupted: --resume goes on from here") from None
    except BrokenRun as error:
        raise SystemExit(f"The tests do not run, so that they cannot catch anything:\n{error}") from None

    print(f"\n{time.monotonic() - began:.0f} s, {len(chosen)} of {len(mutants)} faults, seed {SEED}")
    whole = not options.quick and not options.only
    return _report([*small, *meant], outcomes, survivors, whole)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} faults, none of them listed, in two minutes")
    parser.add_argument("--semantic", action="store_true", help="the faults of meaning, for forge's tests alone")
    parser.add_argument("--count", type=int, default=FULL, help=f"faults to try, spread over functions ({FULL})")
    parser.add_argument("--only", nargs="+", metavar="ID", help="these faults alone")
    parser.add_argument("--list", action="store_true", help="print every fault; * marks those that a run tries")
    parser.add_argument("--resume", action="store_true", help=f"go on from {RESULTS.relative_to(ROOT)}")
    return parser.parse_args()


def _read(path: Path, read: Callable[[str], list[T]]) -> list[T]:
    try:
        return read(path.read_text())
    except ValueError as error:
        raise SystemExit(f"{path.relative_to(ROOT)}: {error}") from None


def _choose(mutants: Sequence[Mutant], listed: set[str], options: argparse.Namespace) -> list[Mutant]:
    if options.only:
        if unknown := set(options.only) - {mutant.id for mutant in mutants}:
            raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}; --list prints all")
        return [mutant for mutant in mutants if mutant.id in options.only]
    if options.quick:
        return sample([mutant for mutant in mutants if mutant.id not in listed], QUICK)
    return list(mutants) if options.semantic else sample(mutants, options.count)


def _print_mutants(mutants: Sequence[Mutant], sampled: Sequence[Mutant]) -> None:
    for mutant in mutants:
        mark = "*" if mutant in sampled else " "
        says = f"  {mutant.says}" if mutant.says else ""
        print(f"{mark} {mutant.id}{says}\n      {mutant.line}: {mutant.was}\n      {mutant.line}: {mutant.becomes}")


def _report(
    mutants: Sequence[Mutant], outcomes: Mapping[str, Outcome], survivors: Sequence[Survivor], whole: bool
) -> int:
    result = review(mutants, outcomes, survivors, whole=whole)
    print(
        f"the tests catch {result.killed} of {result.killed + result.survived}: {result.share:.1%}; "
        f"{result.invalid} do not compile"
    )
    for survivor in survivors:
        if survivor.id in outcomes and outcomes[survivor.id].verdict is Verdict.SURVIVED:
            print(f"\nsurvives: {survivor.id}\n  `{survivor.becomes}`\n  {survivor.reason}")
    for problem in result.problems:
        print(f"\n{problem}", file=sys.stderr)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
