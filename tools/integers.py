"""Answers halmos's questions over the integers: `halmos --solver-command "python -m tools.integers"`.

halmos asks whether bit-vectors exist that lead to a failure. Solvers that look at single bits do not get through
products and quotients of 256 bits. Here bounds of the inputs are taken from what is assumed of each, and follow for
every term: where nothing can wrap around, a term is an integer, and z3 decides about integers within a second.

A translated question has every answer of the original: what cannot be translated is left out, which can only add
answers. So `unsat` is a proof. `sat` is printed only with values that are an answer to the original question, tried
there; anything else is `unknown`, which halmos reports as a failure.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from operator import mul
from pathlib import Path

import z3

TIME_LIMIT = 60_000  # ms, of each question
_ABSTRACTION = re.compile(
    r"\(declare-fun f_evm_(bvmul|bvudiv|bvurem)_(\d+) \(\(_ BitVec \2\) \(_ BitVec \2\)\) .*?\)\)"
)


class Untranslatable(Exception):
    """A term that is none of the few that arithmetic compiles to."""


@dataclass(frozen=True)
class Bounded:
    """An integer term and bounds that hold for its value."""

    term: z3.ArithRef
    low: int
    high: int


@dataclass
class Translation:
    """Bit-vector terms as integer terms: a term of n bits is an integer from 0 to 2^n - 1.

    `bounds` gives the most that a variable can be, by name.
    """

    bounds: dict[str, int]
    variables: dict[str, z3.ArithRef] = field(default_factory=dict)
    _known: dict[int, tuple[z3.BitVecRef, Bounded]] = field(default_factory=dict)

    def formula(self, e: z3.BoolRef) -> z3.BoolRef:
        """A formula over bit-vectors as one over integers. Raises Untranslatable."""
        return self._claim(_with_choices(e))

    def _claim(self, e: z3.BoolRef) -> z3.BoolRef:
        kind, parts = e.decl().kind(), e.children()
        if kind in _CONNECTIVES:
            return _CONNECTIVES[kind]([self._claim(part) for part in parts])
        if parts and not all(z3.is_bv(part) for part in parts):
            raise Untranslatable(e)
        if kind in _COMPARISONS:
            left, right = (self._value(part).term for part in parts)
            return _COMPARISONS[kind](left, right)
        raise Untranslatable(e)

    def _value(self, e: z3.BitVecRef) -> Bounded:
        if e.get_id() not in self._known:  # which keeps the term: an identity without its term is given away again
            self._known[e.get_id()] = (e, self._wrapped(self._translate(e), e.size()))
        return self._known[e.get_id()][1]

    def constraints(self) -> Iterable[z3.BoolRef]:
        """What is known of the variables."""
        for name, variable in self.variables.items():
            yield z3.And(variable >= 0, variable <= self.bounds[name])

    def _translate(self, e: z3.BitVecRef) -> Bounded:
        """The exact result, which may lie outside of what the bits can hold."""
        kind, parts, name = e.decl().kind(), e.children(), e.decl().name()
        if z3.is_bv_value(e):
            return _constant(e.as_long())
        if z3.is_const(e):
            variable = self.variables.setdefault(name, z3.Int(name))
            return Bounded(variable, 0, self.bounds[name])
        if kind == z3.Z3_OP_ITE:
            yes, no = self._value(parts[1]), self._value(parts[2])
            chosen = z3.If(self._claim(parts[0]), yes.term, no.term)
            return Bounded(chosen, min(yes.low, no.low), max(yes.high, no.high))
        if kind == z3.Z3_OP_BADD:
            return _sum([self._summand(part) for part in parts])
        if kind == z3.Z3_OP_BMUL or name.startswith("f_evm_bvmul"):
            return reduce(_product, [self._value(part) for part in parts])
        if kind == z3.Z3_OP_CONCAT:
            return self._concatenated(parts)
        if kind == z3.Z3_OP_EXTRACT:
            last, first = e.params()
            shifted = _shifted(self._value(parts[0]), first)
            return self._wrapped(shifted, last - first + 1)
        if kind == z3.Z3_OP_BXOR:
            return self._value(_without_xor(parts))
        if name.startswith("f_evm_bvudiv"):
            return self._quotient(*parts)
        if name.startswith("f_evm_bvurem"):
            over, by = (self._value(part) for part in parts)
            return Bounded(z3.If(by.term == 0, 0, over.term % by.term), 0, min(over.high, max(by.high - 1, 0)))
        raise Untranslatable(e)

    def _summand(self, e: z3.BitVecRef) -> Bounded:
        """`- x` is written as a product with a constant that is all ones."""
        parts = e.children()
        if e.decl().kind() == z3.Z3_OP_BMUL and z3.is_bv_value(parts[0]) and parts[0].as_signed_long() < 0:
            factors = [_constant(parts[0].as_signed_long()), *(self._value(part) for part in parts[1:])]
            return reduce(_product, factors)
        return self._value(e)

    def _quotient(self, over: z3.BitVecRef, by: z3.BitVecRef) -> Bounded:
        """As in the EVM: 0 where `by` is 0."""
        dividend, divisor = self._value(over), self._value(by)
        if over.decl().name().startswith("f_evm_bvmul"):
            one, other = over.children()
            if one.eq(by) or other.eq(by):
                left = self._value(other if one.eq(by) else one)
                if left.high * divisor.high < 2 ** over.size():  # the check of a product for overflow
                    return Bounded(z3.If(divisor.term == 0, 0, left.term), 0, left.high)
        quotient = z3.If(divisor.term == 0, 0, dividend.term / divisor.term)
        return Bounded(quotient, 0, dividend.high // max(divisor.low, 1))

    def _concatenated(self, parts: list[z3.BitVecRef]) -> Bounded:
        summands, shift = [], 0
        for part in reversed(parts):
            summands.append(_product(_constant(2**shift), self._value(part)))
            shift += part.size()
        return _sum(summands)

    def _wrapped(self, exact: Bounded, bits: int) -> Bounded:
        size = 2**bits
        if exact.low >= 0 and exact.high < size:
            return exact
        if -size <= exact.low and exact.high < size:
            return Bounded(z3.If(exact.term < 0, exact.term + size, exact.term), 0, size - 1)
        return Bounded(exact.term % size, 0, size - 1)


def bounds_of(assertions: Iterable[z3.BoolRef], variables: Iterable[z3.BitVecRef]) -> dict[str, int]:
    """The most that each variable can be, as a power of two less one, by the assertions that speak of it alone."""
    spoken_of = [(assertion, _variables(assertion)) for assertion in assertions]
    bounds = {}
    for variable in variables:
        solver = z3.SolverFor("QF_BV")
        solver.add([assertion for assertion, names in spoken_of if names == {variable.decl().name()}])
        low, high = 0, variable.size()
        while low < high:
            middle = (low + high) // 2
            fits = solver.check(z3.UGE(variable, z3.BitVecVal(2**middle, variable.size()))) == z3.unsat
            low, high = (low, middle) if fits else (middle + 1, high)
        bounds[variable.decl().name()] = 2**low - 1
    return bounds


def decide(question: str) -> str:
    """`unsat`, `sat` with a model, or `unknown`, for a question in SMT-LIB."""
    assertions = list(z3.parse_smt2_string(_without_commands(question)))
    variables = list({v.get_id(): v for v in chain.from_iterable(map(_bit_vectors, assertions))}.values())
    translation = Translation(bounds_of(assertions, variables))
    solver = z3.SolverFor("QF_NIA")
    solver.set("timeout", TIME_LIMIT)
    for assertion in assertions:
        try:
            solver.add(translation.formula(assertion))
        except Untranslatable:
            continue
    solver.add(list(translation.constraints()))
    answer = solver.check()
    if answer == z3.unsat:
        return "unsat"
    if answer == z3.sat:
        model = solver.model()
        values = {name: model.eval(v, model_completion=True).as_long() for name, v in translation.variables.items()}
        if _answers(question, values):
            return "\n".join(["sat", "(model", *_definitions(variables, values), ")"])
    return "unknown"


def _answers(question: str, values: dict[str, int]) -> bool:
    """Whether the values, with any of the other variables, are an answer to the question as the EVM computes."""
    solver = z3.Solver()
    solver.set("timeout", TIME_LIMIT)
    defined = _ABSTRACTION.sub(_definition, _without_commands(question))
    assertions = list(z3.parse_smt2_string(defined))
    variables = {v.decl().name(): v for v in chain.from_iterable(map(_bit_vectors, assertions))}
    solver.add(assertions)
    solver.add([variables[name] == value for name, value in values.items() if name in variables])
    return bool(solver.check() == z3.sat)


def _definition(match: re.Match[str]) -> str:
    operator, bits = match[1], match[2]
    word = f"(_ BitVec {bits})"
    result = f"({operator} x y)"
    if operator != "bvmul":
        result = f"(ite (= y (_ bv0 {bits})) (_ bv0 {bits}) {result})"
    return f"(define-fun f_evm_{operator}_{bits} ((x {word}) (y {word})) {word} {result})"


def _definitions(variables: Iterable[z3.BitVecRef], values: dict[str, int]) -> Iterable[str]:
    for variable in variables:
        name, size = variable.decl().name(), variable.size()
        yield f"(define-fun {name} () (_ BitVec {size}) (_ bv{values.get(name, 0)} {size}))"


def _without_commands(question: str) -> str:
    return "\n".join(line for line in question.splitlines() if not line.startswith(("(check-sat", "(get-", "(set-")))


def _bit_vectors(e: z3.ExprRef) -> Iterable[z3.BitVecRef]:
    """The variables of an expression that are bit-vectors."""
    waiting, seen = [e], set()
    while waiting:
        part = waiting.pop()
        if part.get_id() in seen:
            continue
        seen.add(part.get_id())
        waiting += part.children()
        if z3.is_const(part) and z3.is_bv(part) and part.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            yield part


def _variables(e: z3.ExprRef) -> set[str]:
    return {variable.decl().name() for variable in _bit_vectors(e)}


def _with_choices(e: z3.BoolRef) -> z3.BoolRef:
    """The same with products by (condition ? 1 : 0) written as choices, which z3 simplifies further."""
    waiting, seen, choices = [e], set(), []
    while waiting:
        part = waiting.pop()
        if part.get_id() in seen:
            continue
        seen.add(part.get_id())
        waiting += part.children()
        if part.decl().name().startswith("f_evm_bvmul"):
            for bit, factor in (part.children(), reversed(part.children())):
                if bit.decl().kind() == z3.Z3_OP_ITE and all(map(_is_bit, bit.children()[1:])):
                    condition, yes, no = bit.children()
                    zero = z3.BitVecVal(0, part.size())
                    written = z3.If(condition, factor if yes.as_long() else zero, factor if no.as_long() else zero)
                    choices.append((part, written))
    while choices:  # one by one: they lie in each other
        part, written = choices.pop(0)
        e = z3.substitute(e, (part, written))
        choices = [(z3.substitute(p, (part, written)), z3.substitute(w, (part, written))) for p, w in choices]
    return z3.simplify(e, pull_cheap_ite=True)


def _without_xor(parts: Iterable[z3.BitVecRef]) -> z3.BitVecRef:
    """The same as the parts' exclusive or where that only chooses between terms, as OpenZeppelin's Math.min does: it
    computes b ^ ((a ^ b) * (a < b ? 1 : 0)). Raises Untranslatable.
    """
    left = _odd_ones(parts)
    if len(left) < 2:
        return left[0] if left else z3.BitVecVal(0, next(iter(parts)).size())
    size = left[0].size()
    for part in left:
        others = [other for other in left if not other.eq(part)]
        inner = part.children()[0] if part.decl().kind() == z3.Z3_OP_EXTRACT else part
        if inner.decl().kind() == z3.Z3_OP_ITE:
            condition, *ends = inner.children()
            if inner is not part:
                ends = [z3.simplify(z3.Extract(*part.params(), end)) for end in ends]
            return z3.If(condition, *(_without_xor([*others, end]) for end in ends))
        if part.decl().kind() == z3.Z3_OP_CONCAT:
            cut = size - part.children()[0].size()
            halves = ((size - 1, cut), (cut - 1, 0))
            above, below = ([z3.simplify(z3.Extract(*half, p)) for p in left] for half in halves)
            return z3.Concat(_without_xor(above), _without_xor(below))
    raise Untranslatable(left)


def _odd_ones(parts: Iterable[z3.BitVecRef]) -> list[z3.BitVecRef]:
    """Without zeros, and without what stands there twice: x ^ x = 0."""
    left: list[z3.BitVecRef] = []
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        twin = next((index for index, other in enumerate(left) if other.eq(part)), None)
        if part.decl().kind() == z3.Z3_OP_BXOR:
            waiting += part.children()
        elif twin is not None:
            del left[twin]
        elif not (z3.is_bv_value(part) and part.as_long() == 0):
            left.append(part)
    return left


def _is_bit(value: z3.BitVecRef) -> bool:
    return z3.is_bv_value(value) and value.as_long() in (0, 1)


def _constant(value: int) -> Bounded:
    return Bounded(z3.IntVal(value), value, value)


def _sum(summands: list[Bounded]) -> Bounded:
    return Bounded(z3.Sum([s.term for s in summands]), sum(s.low for s in summands), sum(s.high for s in summands))


def _product(one: Bounded, other: Bounded) -> Bounded:
    ends = [mul(a, b) for a in (one.low, one.high) for b in (other.low, other.high)]
    return Bounded(one.term * other.term, min(ends), max(ends))


def _shifted(value: Bounded, bits: int) -> Bounded:
    return Bounded(value.term / 2**bits, value.low >> bits, value.high >> bits) if bits else value


_CONNECTIVES: dict[int, Callable[[list[z3.BoolRef]], z3.BoolRef]] = {
    z3.Z3_OP_TRUE: lambda _: z3.BoolVal(True),
    z3.Z3_OP_FALSE: lambda _: z3.BoolVal(False),
    z3.Z3_OP_AND: z3.And,
    z3.Z3_OP_OR: z3.Or,
    z3.Z3_OP_NOT: lambda parts: z3.Not(parts[0]),
    z3.Z3_OP_IMPLIES: lambda parts: z3.Implies(*parts),
}
_COMPARISONS: dict[int, Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]] = {
    z3.Z3_OP_EQ: lambda a, b: a == b,
    z3.Z3_OP_ULEQ: lambda a, b: a <= b,
    z3.Z3_OP_UGEQ: lambda a, b: a >= b,
    z3.Z3_OP_ULT: lambda a, b: a < b,
    z3.Z3_OP_UGT: lambda a, b: a > b,
}


if __name__ == "__main__":
    print(decide(Path(sys.argv[-1]).read_text()))
