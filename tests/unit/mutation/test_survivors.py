"""What the list of survivors may say, and what a run says against it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.mutation.mutants import find_enums, find_mutants
from tools.mutation.results import Results
from tools.mutation.semantic import LIST, read_semantic
from tools.mutation.survivors import Outcome, Survivor, Verdict, read_survivors, review
from tools.mutation.trees import ROOT, BrokenRun, failed_forge_test, read_contracts

MUTANTS = find_mutants({"A.sol": "contract A {\nfunction f() public {\na = 1;\n}\n}"}, {})
ID, OTHER = "A.sol:f:constant:1", "A.sol:f:statement:1"
KILLED, SURVIVED, INVALID = (Outcome(v) for v in (Verdict.KILLED, Verdict.SURVIVED, Verdict.INVALID))
LISTED = Survivor(ID, "a = 2;", "nobody reads a")


def test_a_listed_survivor_is_accepted() -> None:
    result = review(MUTANTS, {ID: SURVIVED, OTHER: KILLED}, [LISTED], whole=False)
    assert (result.problems, result.killed, result.survived, result.share) == ((), 1, 1, 0.5)


@pytest.mark.parametrize(
    ("outcomes", "listed", "problem"),
    [
        ({ID: SURVIVED}, [], "no test fails with `a = 2;`"),
        ({ID: KILLED}, [LISTED], "listed and was killed"),
        ({ID: INVALID}, [LISTED], "listed and was invalid"),
        ({ID: SURVIVED}, [Survivor(ID, "a = 3;", "nobody reads a")], "listed as `a = 3;` and makes `a = 2;`"),
        ({}, [Survivor(ID, "a = 3;", "nobody reads a")], "listed as `a = 3;` and makes `a = 2;`"),
        ({}, [Survivor("A.sol:f:logic:1", "a || b", "the same")], "there is no such fault"),
    ],
)
def test_a_run_speaks_against_the_list(outcomes: dict[str, Outcome], listed: list[Survivor], problem: str) -> None:
    problems = review(MUTANTS, outcomes, listed, whole=False).problems
    assert len(problems) == 1 and problem in problems[0]


def test_a_listed_fault_that_was_not_tried_is_left_alone() -> None:
    assert review(MUTANTS, {OTHER: KILLED}, [LISTED], whole=True).problems == ()


def test_a_whole_run_is_held_to_the_share_that_tests_catch() -> None:
    result = review(MUTANTS, {ID: SURVIVED, OTHER: KILLED}, [LISTED], whole=True)
    assert result.problems == ("The tests catch 50.0% of the faults, expected 95% or more.",)


def test_what_does_not_compile_does_not_count() -> None:
    assert review(MUTANTS, {ID: INVALID, OTHER: KILLED}, [], whole=True).share == 1


def test_a_list_is_read() -> None:
    text = f'[[survivor]]\nid = "{ID}"\nbecomes = "a = 2;"\nreason = "nobody reads a"\n'
    assert read_survivors(text) == [LISTED]
    assert read_survivors("") == []


def test_the_list_of_the_contracts_speaks_of_their_source() -> None:
    sources, all_sources = read_contracts()
    mutants = find_mutants(sources, find_enums(all_sources))
    mutants += read_semantic(LIST.read_text(), sources)
    survivors = read_survivors((ROOT / "tests" / "mutation-survivors.toml").read_text())
    assert review(mutants, {}, survivors, whole=False).problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[survivor]]\nid = "a"\nbecomes = "b"\nreason = " "\n', "a reason"),
        ('[[survivor]]\nid = "a"\nbecomes = "b"\n', "a reason"),
        ('[[survivor]]\nid = "a"\nbecomes = "b"\nreason = "c"\nline = 3\n', "a reason"),
        ('[[survivor]]\nid = "a"\nbecomes = "b"\nreason = "c"\n' * 2, "listed twice: a"),
        ("[other]\n", r"tables \[\[survivor\]\] only, found other"),
        ("[[survivor]", "at line 1"),
    ],
)
def test_a_list_with_a_mistake_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_survivors(text)


def test_a_test_that_failed_is_named() -> None:
    report = {"tests/foundry/A.t.sol:ATest": {"test_results": {"test_a()": {"status": "Success"}}}}
    report["tests/foundry/B.t.sol:BTest"] = {"test_results": {"test_b(uint256)": {"status": "Failure"}}}
    assert failed_forge_test(json.dumps(report), "") == "BTest.test_b"


@pytest.mark.parametrize("output", ["", "{}", "thread panicked"])
def test_a_run_without_a_failed_test_is_no_catch(output: str) -> None:
    with pytest.raises(BrokenRun, match="out of memory"):
        failed_forge_test(output, "out of memory")


def test_results_are_kept_for_the_same_sources_and_tests(tmp_path: Path) -> None:
    path = tmp_path / "build" / "mutation.json"
    caught = Outcome(Verdict.KILLED, "ATest.test_a")
    Results(path, "these").put(ID, caught)
    assert Results(path, "these").get(ID) == caught
    assert Results(path, "others").get(ID) is None


def test_a_result_that_is_forgotten_is_tried_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "mutation.json", "these")
    results.put(ID, KILLED)
    results.forget(ID)
    assert results.get(ID) is None
