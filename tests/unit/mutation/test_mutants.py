"""Where faults are made in Solidity, what they are called, and which of them a run tries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.mutation.mutants import Mutant, disjoint, find_enums, find_mutants, mutate, sample
from tools.mutation.solidity import Code
from tools.mutation.trees import read_contracts

FAULTY, EVERYTHING = read_contracts()
MUTANTS = find_mutants(FAULTY, find_enums(EVERYTHING))
ENUMS = {"Phase": ("None", "Training", "Over")}


def faults(source: str) -> list[Mutant]:
    return find_mutants({"A.sol": source}, ENUMS)


def of_statements(body: str) -> set[tuple[str, str]]:
    """(kind of fault, what the line becomes) for a function with this body of one line."""
    return {(m.operator, m.becomes) for m in faults(f"contract A {{\nfunction f() external {{\n{body}\n}}\n}}")}


@pytest.mark.parametrize(
    ("statement", "kind", "becomes"),
    [
        ("return a < b;", "boundary", {"return a <= b;"}),
        ("return a < b;", "comparison", {"return a >= b;"}),
        ("return a != b;", "comparison", {"return a == b;"}),
        ("return a && b;", "logic", {"return a || b;"}),
        ("return !a;", "negation", {"return a;"}),
        ("return a + b * c;", "arithmetic", {"return a - b * c;", "return a + b / c;"}),
        ("return -a;", "arithmetic", set()),
        ("a += b;", "arithmetic", {"a -= b;"}),
        ("for (uint256 i; i < n; ++i) ++a;", "arithmetic", {"for (uint256 i; i < n; ++i) --a;"}),
        ("return 1_000 + 0x10;", "constant", {"return 1001 + 0x10;"}),
        ("return true;", "constant", {"return false;"}),
        ("if (a(b)) revert Wrong(b);", "never", {"if (false) revert Wrong(b);"}),
        ("if (a(b)) revert Wrong(b);", "always", set()),
        ("if (a) { revert Wrong(b); }", "always", set()),
        ("if (a) b = c;", "always", {"if (true) b = c;"}),
        ('require(a, "b");', "requirement", {'require(true, "b");'}),
        ("return Math.min(a, b);", "extreme", {"return Math.max(a, b);"}),
        ("return Math.ceilDiv(a + 1, b);", "rounding", {"return ((a + 1) / (b));"}),
        ("return Phase.Over;", "enum", {"return Phase.None;"}),
        ("return Phase.Unheard;", "enum", set()),
        ("a = b;", "statement", {"{}"}),
        ("delete a[b];", "statement", {"{}"}),
        ("a.push(b);", "statement", {"{}"}),
        ("(a.b, c) = (d, e);", "statement", {"{}"}),
        ("if (a) b = c; else d();", "statement", {"if (a) {} else d();", "if (a) b = c; else {}"}),
        ("unchecked { a = b; }", "statement", {"unchecked { {} }"}),
        ("a.call{value: b}(c);", "statement", {"{}"}),
        ("uint256 a = b;", "statement", set()),
        ("A.B memory a = b;", "statement", set()),
        ("uint256[] memory a = b;", "statement", set()),
        ("(bool a, uint256 b) = c();", "statement", set()),
        ("for (uint256 i; i < n; ++i) { return; }", "statement", set()),
        ("emit Done(a);", "event", {"{}"}),
        ("emit Done(a);", "statement", set()),
        ("f(a, b(c, d));", "arguments", {"f(b(c, d), a);", "f(a, b(d, c));"}),
        ("revert Wrong(a, a);", "arguments", set()),
        ("Math.min(a, b);", "arguments", set()),
    ],
)
def test_a_fault_is_made_of_a_statement(statement: str, kind: str, becomes: set[str]) -> None:
    assert {line for operator, line in of_statements(statement) if operator == kind} == becomes


def test_modifiers_are_removed_and_what_else_a_header_says_stays() -> None:
    header = "function f(uint256 a) external view virtual override(A, B) onlyOwner only(a) returns (uint256 b)"
    assert [m.becomes for m in faults(f"contract A {{ {header} {{}} }}")] == [
        f"contract A {{ {header.replace('onlyOwner', '').replace('  ', ' ')} {{}} }}",
        f"contract A {{ {header.replace('only(a)', '').replace('  ', ' ')} {{}} }}",
    ]


def test_what_does_not_run_is_left_alone() -> None:
    assert not faults(
        """
        // 1 < 2
        pragma solidity >=0.8.30;
        import {A, B} from "1 + 1.sol";
        using {f} for uint256;
        error TooMuch(uint256 maximum, uint256 actual);
        struct Pair { uint256[2] a; uint256 b; }
        enum Phase { None, Training }
        interface I { function f(uint256 a, uint256 b) external returns (bool); }
        /// @notice if (a < b) revert;
        abstract contract A is B(1), C {
            using Rounds for Round;
            event Done(address indexed a, uint256 b);
            /* a = 1; */
            mapping(uint32 round => Round) private _rounds;
            function f(uint256 a) internal view virtual;
            function g() external { return "a < b && 'c' + \\" 1"; }
            function h() external { assembly ("memory-safe") { a := add(1, 2) } }
        }
        """
    )


def test_constants_of_a_contract_are_changed() -> None:
    lines = [m.becomes for m in faults("library A {\nuint256 constant B = 2 days;\nuint256 constant C = B * 3;\n}")]
    assert lines == ["uint256 constant B = 3 days;", "uint256 constant C = B / 3;", "uint256 constant C = B * 4;"]


def test_an_id_names_file_function_kind_and_number() -> None:
    found = faults(
        "contract A { constructor() { a = 1; } modifier b() { c = 1; _; } function d() public { e(2, 3); } }"
    )
    assert [m.id for m in found] == [
        *("A.sol:constructor:constant:1", "A.sol:constructor:statement:1"),
        *("A.sol:b:constant:1", "A.sol:b:statement:1"),
        *("A.sol:d:constant:1", "A.sol:d:constant:2", "A.sol:d:statement:1", "A.sol:d:arguments:1"),
    ]


def test_ids_outlive_what_changes_elsewhere() -> None:
    function = "function f() public { a = b + 1; }"
    before = f"contract A {{ {function} }}"
    after = f"// a line\n\ncontract A {{ uint256 c = 1 + 2;\nfunction g() public {{ b = 1; }}\n{function} }}"
    assert {m.id for m in faults(before)} < {m.id for m in faults(after)}


def test_enums_are_found_with_their_members() -> None:
    source = "contract A { enum B { C, D } } enum E { F /* the one */ }"
    assert find_enums([source]) == {"B": ("C", "D"), "E": ("F",)}


def test_every_function_of_the_contracts_with_something_to_do_has_a_fault() -> None:
    functions = {(path, scope.name) for path, source in FAULTY.items() for scope in Code(source).scopes()}
    assert {path for path, _ in functions} == {m.path for m in MUTANTS} == set(FAULTY)
    assert {(m.path, m.function) for m in MUTANTS} <= functions
    assert len({m.id for m in MUTANTS}) == len(MUTANTS) >= 200


@settings(deadline=None)
@given(st.sampled_from(MUTANTS))
def test_a_fault_changes_one_place_and_leaves_something_to_compile(mutant: Mutant) -> None:
    source, changed = FAULTY[mutant.path], mutate(FAULTY, [mutant])
    edit = mutant.edit
    assert changed[mutant.path] == source[: edit.start] + edit.text + source[edit.end :] != source
    assert Code(changed[mutant.path]).partners
    assert {path for path in FAULTY if changed[path] != FAULTY[path]} == {mutant.path}


@settings(deadline=None)
@given(st.lists(st.sampled_from(MUTANTS), unique_by=lambda m: m.id, max_size=30))
def test_disjoint_faults_can_be_made_together(mutants: list[Mutant]) -> None:
    chosen = disjoint(mutants)
    changed = mutate(FAULTY, chosen)
    grown = sum(len(m.edit.text) - (m.edit.end - m.edit.start) for m in chosen)
    assert sum(map(len, changed.values())) == sum(map(len, FAULTY.values())) + grown
    assert all(disjoint([*chosen, mutant]) == chosen for mutant in mutants if mutant not in chosen)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=len(MUTANTS)))
def test_a_sample_is_spread_over_functions_and_kinds(size: int) -> None:
    chosen = sample(MUTANTS, size)
    assert len(chosen) == size
    for parts in (lambda m: (m.path, m.function), lambda m: (m.path, m.function, m.operator)):
        assert len({parts(m) for m in chosen}) == min(size, len({parts(m) for m in MUTANTS}))


def test_a_new_function_leaves_the_choice_in_the_others_alone() -> None:
    function = "function {}() public {{ a = b + 1; if (c < 2) revert D(); e(f, 3); }}"
    old = faults(f"contract A {{ {function.format('g')} }}")
    new = faults(f"contract A {{ {function.format('h')} {function.format('g')} }}")
    assert sample(old, 3) and {m.id for m in sample(old, 3)} <= {m.id for m in sample(new, len(new) - 3)}
    assert [m.id for m in sample(old, 1)] == [m.id for m in sample(new, 2) if m.function == "g"]
