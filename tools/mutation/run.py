"""A run: forge's tests try every fault of the sample; brownie's, which are slow, those that escape.

Faults of meaning are for forge's tests alone: those have to know what the contracts mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tools.mutation.mutants import Mutant, disjoint, mutate
from tools.mutation.results import Results
from tools.mutation.semantic import KIND
from tools.mutation.survivors import Outcome, Verdict
from tools.mutation.trees import BrokenRun, Trees, run_brownie, run_forge, stop

WORKERS = 2

Suite = Callable[[Path], Outcome]


def try_mutants(
    mutants: Sequence[Mutant], listed: Collection[str], sources: Mapping[str, str], results: Results
) -> dict[str, Outcome]:
    """What becomes of each, by its id; what the results know already is not tried again. `listed` are the ids of those
    that are expected to survive. Raises BrokenRun, also where the tests fail without any fault."""
    with Trees.temporary() as trees:
        run = _Run(trees, sources, results)
        untried = [mutant for mutant in mutants if results.get(mutant.id) is None]
        if untried:
            print("forge: the contracts as they are", flush=True)
            run.expect(Verdict.ESCAPED, trees.warm())
            run.each(untried, run_forge)
        escaped = [mutant for mutant in mutants if results.get(mutant.id) == Outcome(Verdict.ESCAPED)]
        for mutant in escaped:
            if mutant.operator == KIND:
                run.settle(mutant, Outcome(Verdict.SURVIVED), "        ")
        if untold := [mutant for mutant in escaped if mutant.operator != KIND]:
            run.brownie(untold, listed)
    return {mutant.id: outcome for mutant in mutants if (outcome := results.get(mutant.id))}


@dataclass(frozen=True)
class _Run:
    trees: Trees
    sources: Mapping[str, str]
    results: Results

    def each(self, mutants: Sequence[Mutant], suite: Suite) -> None:
        with ThreadPoolExecutor(WORKERS) as pool:
            futures = {pool.submit(self.together, [mutant], suite): mutant for mutant in mutants}
            try:
                for number, future in enumerate(as_completed(futures), start=1):
                    self.settle(futures[future], future.result(), f"{number:4}/{len(mutants)}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                stop()
                raise

    def brownie(self, mutants: Sequence[Mutant], listed: Collection[str]) -> None:
        """Tries those that are expected to survive all at once: where the tests pass with all, they pass with each."""
        together = disjoint([mutant for mutant in mutants if mutant.id in listed])
        alone = [mutant for mutant in mutants if mutant not in together]
        print(f"brownie: {len(together)} listed faults at once, {len(alone)} one by one", flush=True)
        outcome = self.together(together, run_brownie)
        if outcome.verdict is Verdict.SURVIVED:
            for mutant in together:
                self.settle(mutant, outcome, "together")
        else:
            alone = list(mutants)
            self.expect(Verdict.SURVIVED, self.together([], run_brownie) if together else outcome)
        self.each(alone, run_brownie)

    def together(self, mutants: Sequence[Mutant], suite: Suite) -> Outcome:
        with self.trees.copy(mutate(self.sources, mutants)) as tree:
            return suite(tree)

    def settle(self, mutant: Mutant, outcome: Outcome, progress: str) -> None:
        self.results.put(mutant.id, outcome)
        print(f"{progress}  {outcome.verdict:8}  {mutant.id}  {outcome.by}".rstrip(), flush=True)

    def expect(self, verdict: Verdict, outcome: Outcome) -> None:
        if outcome.verdict is not verdict:
            raise BrokenRun(f"without any fault: {outcome.verdict} {outcome.by}".rstrip())
