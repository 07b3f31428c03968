"""Questions of 256 bits, answered over the integers."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
import z3
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tools.integers import Translation, Untranslatable, bounds_of, decide

WORD, SIZE = 256, 2**256
BITS = {"a": 128, "b": 48, "c": 256}
VARIABLES = {name: z3.BitVec(name, WORD) for name in BITS}
BOUNDS = {name: 2**bits - 1 for name, bits in BITS.items()}
SORT = z3.BitVecSort(WORD)
MUL, DIV, REM = (z3.Function(f"f_evm_{name}_256", SORT, SORT, SORT) for name in ("bvmul", "bvudiv", "bvurem"))


@dataclass(frozen=True)
class Term:
    """A term and what the EVM computes for it."""

    expression: z3.BitVecRef
    compute: Callable[[Mapping[str, int]], int]


def combined(function: Callable[..., z3.BitVecRef], compute: Callable[[int, int], int], x: Term, y: Term) -> Term:
    return Term(
        function(x.expression, y.expression),
        lambda values: compute(x.compute(values), y.compute(values)) % SIZE,
    )


def minimum(x: Term, y: Term) -> Term:
    """As OpenZeppelin computes it."""
    a, b = x.expression, y.expression
    chosen = b ^ MUL(a ^ b, z3.If(z3.ULT(a, b), z3.BitVecVal(1, WORD), z3.BitVecVal(0, WORD)))
    return Term(chosen, lambda values: min(x.compute(values), y.compute(values)))


def cut(x: Term, last: int, first: int) -> Term:
    width = last - first + 1
    expression = z3.Concat(z3.BitVecVal(0, WORD - width), z3.Extract(last, first, x.expression))
    return Term(expression, lambda values: (x.compute(values) >> first) % 2**width)


variables = st.sampled_from(list(BITS)).map(lambda name: Term(VARIABLES[name], lambda values: values[name]))
constants = (st.integers(0, 2000) | st.integers(0, SIZE - 1)).map(
    lambda value: Term(z3.BitVecVal(value, WORD), lambda _: value)
)
OPERATIONS = [
    lambda x, y: combined(operator.add, operator.add, x, y),
    lambda x, y: combined(operator.sub, operator.sub, x, y),
    lambda x, y: combined(operator.mul, operator.mul, x, y),
    lambda x, y: combined(MUL, operator.mul, x, y),
    lambda x, y: combined(DIV, lambda a, b: a // b if b else 0, x, y),
    lambda x, y: combined(REM, lambda a, b: a % b if b else 0, x, y),
    lambda x, y: cut(combined(operator.add, operator.add, x, y), 127, 0),
    lambda x, y: cut(combined(MUL, operator.mul, x, y), 255, 128),
    minimum,
]
terms = st.recursive(
    variables | constants,
    lambda inner: st.builds(lambda operation, x, y: operation(x, y), st.sampled_from(OPERATIONS), inner, inner),
    max_leaves=6,
)
inputs = st.fixed_dictionaries(
    {name: st.integers(0, 2**bits - 1) | st.integers(0, 5) for name, bits in BITS.items()},
)


@settings(deadline=None, max_examples=200)
@given(term=terms, values=inputs)
def test_an_integer_term_is_what_the_evm_computes(term: Term, values: dict[str, int]) -> None:
    translation = Translation(BOUNDS)
    try:
        claim = translation.formula(term.expression == z3.BitVecVal(term.compute(values), WORD))
    except Untranslatable:
        reject()
    substituted = z3.substitute(claim, *((v, z3.IntVal(values[name])) for name, v in translation.variables.items()))
    assert z3.is_true(z3.simplify(substituted))


def test_a_variable_is_bounded_by_what_is_assumed_of_it_alone() -> None:
    a, b, c = VARIABLES.values()
    assumed = [a == z3.Concat(z3.BitVecVal(0, 128), z3.Extract(127, 0, a)), z3.ULE(b, 1000), z3.ULE(c, a)]
    assert bounds_of(assumed, [a, b, c]) == {"a": 2**128 - 1, "b": 1023, "c": 2**256 - 1}


def question(*assertions: z3.BoolRef) -> str:
    solver = z3.Solver()
    solver.add(*assertions)
    return str(solver.to_smt2())


def test_a_product_of_what_is_small_does_not_overflow() -> None:
    a, b, _ = VARIABLES.values()
    small = (z3.ULT(a, 2**128), z3.ULT(b, 2**48))
    assert decide(question(*small, a != 0, DIV(MUL(a, b), a) != b)) == "unsat"
    assert decide(question(a != 0, DIV(MUL(a, b), a) != b)).startswith("sat\n(model\n(define-fun ")


def test_an_answer_is_an_answer_to_the_question_as_asked() -> None:
    a, b, _ = VARIABLES.values()
    answer = decide(question(z3.ULT(a, 100), z3.ULT(b, 100), MUL(a, b) == 391, z3.ULT(a, b), a != 1))
    values = {name: int(value) for name, value in re.findall(r"define-fun (\w) .* \(_ bv(\d+) 256\)", answer)}
    assert values == {"a": 17, "b": 23}


@pytest.mark.parametrize("impossible", [True, False])
def test_what_cannot_be_translated_never_makes_a_proof(impossible: bool) -> None:
    a, b, _ = VARIABLES.values()
    assert decide(question((a | b) == 1, (a | b) == (2 if impossible else 1), z3.ULT(a, 9), z3.ULT(b, 9))) != "unsat"
