"""The faults of meaning: each changes one place of the contracts as they are, and compiles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.forge import environment
from tools.mutation import run
from tools.mutation.mutants import Mutant, disjoint, mutate
from tools.mutation.results import Results
from tools.mutation.semantic import LIST, read_semantic
from tools.mutation.survivors import Outcome, Verdict, review
from tools.mutation.trees import ROOT, read_contracts

SOURCES, _ = read_contracts()
FAULTS = read_semantic(LIST.read_text(), SOURCES)
FAULT = '[[fault]]\nid = "a"\nsays = "One is two."\npath = "A.sol"\nwas = "a = 1;"\nbecomes = "a = 2;"\n'
A = {"A.sol": "contract A {\nfunction f() public {\na = 1; b = 1;\n}\n}"}


def test_there_are_enough_of_them_and_in_every_contract() -> None:
    assert len(FAULTS) >= 60
    assert {"Federation.sol", "Registry.sol", "Ownership.sol", "FederationFactory.sol"} < {f.path for f in FAULTS}


def test_a_fault_is_read() -> None:
    (fault,) = read_semantic(FAULT, A)
    assert (fault.id, fault.function, fault.says) == ("semantic:a", "f", "One is two.")
    assert (fault.line, fault.was, fault.becomes) == (3, "a = 1; b = 1;", "a = 2; b = 1;")
    assert mutate(A, [fault]) == {"A.sol": A["A.sol"].replace("a = 1", "a = 2")}


def test_a_survivor_is_named_by_what_it_means() -> None:
    faults = read_semantic(FAULT, A)
    (problem,) = review(faults, {"semantic:a": Outcome(Verdict.SURVIVED)}, [], whole=False).problems
    assert problem.startswith("semantic:a survives (One is two.): no test fails with `a = 2; b = 1;`")


class NoTrees:
    """Of which no fault is ever noticed."""

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[NoTrees]:
        yield cls()

    def warm(self) -> Outcome:
        return Outcome(Verdict.ESCAPED)

    @contextmanager
    def copy(self, sources: dict[str, str]) -> Iterator[Path]:
        yield Path()


def test_what_forge_does_not_catch_has_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of meaning is not left to brownie's tests."""
    monkeypatch.setattr(run, "Trees", NoTrees)
    monkeypatch.setattr(run, "run_forge", lambda tree: Outcome(Verdict.ESCAPED))
    monkeypatch.setattr(run, "run_brownie", lambda tree: pytest.fail("brownie was asked"))
    faults = read_semantic(FAULT, A)
    outcomes = run.try_mutants(faults, set(), A, Results(tmp_path / "mutation.json", "these"))
    assert outcomes == {"semantic:a": Outcome(Verdict.SURVIVED)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            FAULT.replace("a = 1;", "a = 3;"),
            "a: expected `a = 3;` exactly once in A.sol, and changed, found it 0 times",
        ),
        (FAULT.replace("a = 1;", "= 1;"), "found it 2 times"),
        (FAULT.replace("a = 1;", "a = 2;"), "found it 0 times"),
        (FAULT.replace("a = 2;", "a = 1;"), "and changed"),
        (FAULT.replace("a = 1;", ""), "found it 0 times"),
        (FAULT.replace("A.sol", "B.sol"), "a: there is no contracts/B.sol"),
        (FAULT.replace('says = "One is two."\n', ""), "a fault has becomes, id, path, says, was"),
        (FAULT.replace('"One is two."', "12"), "each a text"),
        (FAULT * 2, "listed twice: semantic:a"),
        ("[other]\n", r"tables \[\[fault\]\] only, found other"),
        ("[[fault]", "at line 1"),
    ],
)
def test_a_list_with_a_mistake_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_semantic(text, A)


def test_every_fault_compiles() -> None:
    """Those that change different places are compiled together."""
    rest = FAULTS
    while rest:
        together = disjoint(rest)
        rest = [fault for fault in rest if fault not in together]
        assert errors(together) == []


def errors(faults: list[Mutant]) -> list[str]:
    """Of the compiler, which looks at names and types and makes no code."""
    changed = {f"contracts/{path}": {"content": source} for path, source in mutate(SOURCES, faults).items()}
    interface = ROOT / "contracts" / "interfaces" / "IFederation.sol"
    changed["contracts/interfaces/IFederation.sol"] = {"content": interface.read_text()}
    settings = {"remappings": ["@openzeppelin/=node_modules/@openzeppelin/"], "outputSelection": {}}
    done = subprocess.run(
        ("tools/solc", "--standard-json"),
        cwd=ROOT,
        env=environment(),
        input=json.dumps({"language": "Solidity", "sources": changed, "settings": settings}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout).get("errors", [])
    return [error["formattedMessage"] for error in found if error["severity"] == "error"]
