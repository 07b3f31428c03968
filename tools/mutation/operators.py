"""The kinds of fault. Each is a function from a scope to the edits that make such a fault somewhere in it.

Left out is what cannot be told from the text alone (types), and what changes nothing that a test could see by
design: a checked sum within `unchecked` and the other way round, the counter of a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tools.mutation.solidity import Code, Scope

_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_COMPARISON = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_LOGIC = {"&&": "||", "||": "&&"}
_ARITHMETIC = {
    **{"+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "&": "|", "|": "&", "<<": ">>", ">>": "<<"},
    **{"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "++": "--", "--": "++"},
}
_EXTREMES = {"min": "max", "max": "min", "Ceil": "Floor", "Floor": "Ceil"}
_COMMUTATIVE = frozenset({"min", "max", "saturatingAdd", "average"})
_VISIBILITY = frozenset({"external", "public", "internal", "private", "view", "pure", "payable", "virtual"})
_COMPOUND = frozenset({"if", "for", "while", "do", "else", "try", "catch", "unchecked", "assembly"})
_STAYS = _COMPOUND | {
    "return",
    "revert",
    "require",
    "assert",
    "emit",
    "continue",
    "break",
    "_",
    "{",
    "}",
}


@dataclass(frozen=True)
class Edit:
    """Replaces source[start:end] by the text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Site:
    """Where faults are looked for."""

    code: Code
    scope: Scope
    enums: Mapping[str, tuple[str, ...]]  # of the whole project: the members of each

    def indices(self) -> Iterator[int]:
        """The tokens of the body; assembly is another language."""
        index = self.scope.body.start
        while index < self.scope.body.stop:
            if self.code.text(index) == "assembly":
                index = self.code.partners[self.code.find("{", index)]
            yield index
            index += 1

    def replace(self, tokens: range, text: str) -> Edit:
        return Edit(self.code.tokens[tokens.start].start, self.code.tokens[tokens.stop - 1].end, text)

    def statements(self) -> Iterator[range]:
        """The simple statements, each with its semicolon."""
        code = self.code
        for i in self.indices():
            if self._is_block(code.enclosing[i]) and self._starts_statement(i):
                end = code.find(";", i)
                if code.text(end) == ";":
                    yield range(i, end + 1)

    def _is_block(self, brace: int) -> bool:
        """Whether the braces hold statements, and not options of a call or named arguments."""
        before = self.code.text(brace - 1)
        is_body = brace == self.scope.body.start - 1
        return self.code.text(brace) == "{" and (is_body or before in ("{", "}", ";", ")") or before in _COMPOUND)

    def _starts_statement(self, index: int) -> bool:
        before = self.code.text(index - 1)
        if before in ("{", ")", "}"):
            opening = min(index - 1, self.code.partners[index - 1])
            headed = before == ")" and self.code.text(opening - 1) in ("if", "for", "while")
            return headed or before != ")" and self._is_block(opening)
        return before in (";", "else", "do")

    def calls(self) -> Iterator[tuple[int, list[range]]]:
        """The opening parenthesis of each call, event or error, and its arguments."""
        for i in self.indices():
            before = self.code.tokens[i - 1]
            if self.code.text(i) != "(" or before.kind != "name" or before.text in _COMPOUND:
                continue
            arguments, start = [], i + 1
            while start < self.code.partners[i]:
                end = self.code.find(",", start)
                arguments.append(range(start, end))
                start = end + 1
            yield i, arguments


def _replace_each(table: Mapping[str, str]) -> Callable[[Site], Iterator[Edit]]:
    def edits(site: Site) -> Iterator[Edit]:
        for i in site.indices():
            if (other := table.get(site.code.text(i))) is not None:
                yield site.replace(range(i, i + 1), other)

    return edits


def _arithmetic(site: Site) -> Iterator[Edit]:
    loops = [site.code.partners[i + 1] for i in site.indices() if site.code.text(i) == "for"]
    for i in site.indices():
        operator, before = site.code.text(i), site.code.tokens[i - 1]
        counts_a_loop = operator in ("++", "--") and any(site.code.partners[end] < i < end for end in loops)
        is_sign = operator == "-" and (before.text == "return" or before.kind == "symbol" and before.text not in ")]")
        if operator in _ARITHMETIC and not counts_a_loop and not is_sign:
            yield site.replace(range(i, i + 1), _ARITHMETIC[operator])


def _negation(site: Site) -> Iterator[Edit]:
    for i in site.indices():
        if site.code.text(i) == "!":
            yield site.replace(range(i, i + 1), "")


def _constant(site: Site) -> Iterator[Edit]:
    """One more, and true for false."""
    for i in site.indices():
        token = site.code.tokens[i]
        if token.text in ("true", "false"):
            yield site.replace(range(i, i + 1), "false" if token.text == "true" else "true")
        elif token.kind == "number" and token.text.replace("_", "").isdecimal():
            yield site.replace(range(i, i + 1), str(int(token.text.replace("_", "")) + 1))


def _condition(value: str) -> Callable[[Site], Iterator[Edit]]:
    def edits(site: Site) -> Iterator[Edit]:
        code = site.code
        for i in site.indices():
            if code.text(i) != "if":
                continue
            end = code.partners[i + 1]
            guards = code.text(end + 1) == "revert" or code.text(end + 2) == "revert"
            if value == "false" or not guards:  # a guard that always reverts fails every test
                yield site.replace(range(i + 2, end), value)

    return edits


def _requirement(site: Site) -> Iterator[Edit]:
    for opening, arguments in site.calls():
        if site.code.text(opening - 1) in ("require", "assert"):
            yield site.replace(arguments[0], "true")


def _removed_statement(site: Site) -> Iterator[Edit]:
    """Assignments, deletions and calls; without a declaration the rest would not compile."""
    for statement in site.statements():
        if site.code.text(statement.start) not in _STAYS and not _declares(site.code, statement):
            yield site.replace(statement, "{}")


def _declares(code: Code, statement: range) -> bool:
    """A type and a name stand side by side left of the `=`."""
    equals = next((i for i in statement if code.text(i) == "="), statement.stop)
    names = [code.tokens[i].kind == "name" for i in range(statement.start, equals)]
    return code.text(statement.start) != "delete" and any(
        a and b or code.text(i) == "]" and b
        for i, (a, b) in enumerate(zip(names, names[1:], strict=False), start=statement.start)
    )


def _removed_event(site: Site) -> Iterator[Edit]:
    for statement in site.statements():
        if site.code.text(statement.start) == "emit":
            yield site.replace(statement, "{}")


def _removed_modifier(site: Site) -> Iterator[Edit]:
    header = site.scope.header
    index = header.start
    while index < header.stop:
        has_arguments = site.code.text(index + 1) == "("
        end = site.code.partners[index + 1] + 1 if has_arguments else index + 1
        if site.code.text(index) not in _VISIBILITY | {"override", "returns"}:
            yield site.replace(range(index, end), "")
        index = end


def _swapped_arguments(site: Site) -> Iterator[Edit]:
    """Two that stand side by side; where their types differ the fault does not compile, and does not count."""
    for opening, arguments in site.calls():
        if site.code.text(opening - 1) in _COMMUTATIVE:
            continue
        for left, right in zip(arguments, arguments[1:], strict=False):
            first, second = site.code.slice(left), site.code.slice(right)
            if first != second:
                yield site.replace(range(left.start, right.stop), f"{second}, {first}")


def _rounded_down(site: Site) -> Iterator[Edit]:
    for opening, arguments in site.calls():
        if site.code.text(opening - 1) == "ceilDiv":
            start = opening - 3 if site.code.text(opening - 2) == "." else opening - 1
            dividend, divisor = map(site.code.slice, arguments)
            yield site.replace(range(start, site.code.partners[opening] + 1), f"(({dividend}) / ({divisor}))")


def _other_member(site: Site) -> Iterator[Edit]:
    """The member of the enumeration that follows."""
    for i in site.indices():
        members = site.enums.get(site.code.text(i), ())
        if site.code.text(i + 1) == "." and (member := site.code.text(i + 2)) in members:
            other = members[(members.index(member) + 1) % len(members)]
            yield site.replace(range(i + 2, i + 3), other)


OPERATORS: dict[str, Callable[[Site], Iterator[Edit]]] = {
    "boundary": _replace_each(_BOUNDARY),
    "comparison": _replace_each(_COMPARISON),
    "logic": _replace_each(_LOGIC),
    "negation": _negation,
    "never": _condition("false"),
    "always": _condition("true"),
    "requirement": _requirement,
    "arithmetic": _arithmetic,
    "constant": _constant,
    "extreme": _replace_each(_EXTREMES),
    "rounding": _rounded_down,
    "enum": _other_member,
    "statement": _removed_statement,
    "event": _removed_event,
    "modifier": _removed_modifier,
    "arguments": _swapped_arguments,
}
