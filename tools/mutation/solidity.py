"""Solidity source as tokens and scopes: as much grammar as faults need, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(
    r"""
      (?P<blank>  \s+ | //[^\n]* | /\*.*?\*/ )
    | (?P<string> (?:hex|unicode)? (?: "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' ) )
    | (?P<number> 0[xX][0-9a-fA-F_]+ | \d[\d_]* (?:\.\d[\d_]*)? (?:[eE]-?\d+)? )
    | (?P<name>   [A-Za-z_$][\w$]* )
    | (?P<symbol> >>>= | <<= | >>= | >>> | \*\* | => | == | != | <= | >= | && | \|\| | \+\+ | -- | << | >>
                | [-+*/%|&^]= | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_FUNCTIONS = frozenset({"function", "constructor", "modifier", "receive", "fallback"})
_DECLARATIONS = frozenset({"pragma", "import", "using", "struct", "enum", "error", "event", "interface"})


@dataclass(frozen=True)
class Token:
    kind: str  # string, number, name or symbol
    text: str
    start: int  # offsets into the source
    end: int


@dataclass(frozen=True)
class Scope:
    """A function, a modifier, or a state variable with a value; the ranges are of token indices."""

    name: str
    header: range  # what stands between the parameters and the body; empty for a variable and a constructor
    body: range  # within the braces; for a variable its value


@dataclass(frozen=True)
class Code:
    """Source that compiles; of anything else nothing is promised."""

    source: str

    @cached_property
    def tokens(self) -> list[Token]:
        matches = _TOKEN.finditer(self.source)
        return [
            Token(match.lastgroup, match.group(), match.start(), match.end())
            for match in matches
            if match.lastgroup and match.lastgroup != "blank"
        ]

    @cached_property
    def partners(self) -> dict[int, int]:
        """The index of each bracket's counterpart, both ways."""
        pairs: dict[int, int] = {}
        opened: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.text in _OPENING:
                opened.append(index)
            elif token.text in _CLOSING:
                start = opened.pop()
                pairs[start], pairs[index] = index, start
        return pairs

    @cached_property
    def enclosing(self) -> list[int]:
        """The index of the innermost bracket that is open at each token, -1 at the top."""
        opened, innermost = [-1], []
        for index in range(len(self.tokens)):
            partner = self.partners.get(index, index)
            if partner < index:
                opened.pop()
            innermost.append(opened[-1])
            if partner > index:
                opened.append(index)
        return innermost

    def text(self, index: int) -> str:
        """The token's text, empty outside of the file."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def slice(self, tokens: range) -> str:
        """The source from the first of the tokens to the last."""
        return self.source[self.tokens[tokens.start].start : self.tokens[tokens.stop - 1].end]

    def find(self, characters: str, start: int) -> int:
        """The first token from `start` that is one of the characters and lies in no bracket opened on the way.

        Where there is none: the bracket that closes around `start`.
        """
        index = start
        while self.text(index) not in characters and self.text(index) not in _CLOSING:
            index = self.partners.get(index, index) + 1
        return index

    def scopes(self) -> Iterator[Scope]:
        """In the order of the file. Declarations, which hold nothing to run, are left out."""
        index = 0
        while index < len(self.tokens):
            word = self.text(index)
            if word in ("contract", "library"):
                index = self.find("{", index) + 1
            elif word in ("abstract", "}"):
                index += 1
            elif word in _FUNCTIONS:
                end = self.find("{;", index)
                if self.text(end) == "{":
                    yield self._function(index, end)
                    end = self.partners[end]
                index = end + 1
            elif word in _DECLARATIONS:
                # `import {X} from "y";` and `using {f} for T;` go on behind their braces, the others end with them.
                end = self.find(";" if word in ("import", "using") else "{;", index)
                index = self.partners.get(end, end) + 1
            else:
                end = self.find(";", index)
                value = next((i for i in range(index, end) if self.text(i) == "="), end)
                if value != end:
                    yield Scope(self.text(value - 1), range(0), range(value + 1, end))
                index = end + 1

    def _function(self, start: int, brace: int) -> Scope:
        name = self.text(start + 1) if self.text(start) in ("function", "modifier") else self.text(start)
        parameters = self.find("({", start)
        after = self.partners[parameters] + 1 if self.text(parameters) == "(" else brace
        header = range(0) if name == "constructor" else range(after, brace)
        return Scope(name, header, range(brace + 1, self.partners[brace]))
