"""Kinds of files and their versions: everything that was ever written stays readable, and an upgrade changes no CID.

Each version of a kind has a strict schema of its own. A file is read in the version that it names and brought up one
version at a time; it is written in the lowest version that holds its content, so that what says nothing new keeps its
bytes. There is one spelling for a content: a file in a higher version than its content needs is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from processor import jcs
from processor.artifacts.canonical import Fields, build_reader, read, shown, widest
from processor.errors import ArtifactError, ArtifactTooLarge, NewerVersion

T = TypeVar("T", bound=Fields)


@dataclass(frozen=True)
class Group:
    """The tensors whose names start with `prefix`, and the types that they may have, by NumPy's names."""

    prefix: str
    types: tuple[str, ...]


@dataclass(frozen=True)
class Older:
    """A version that is still read, and the two pure steps between it and the next.

    `down` gives None for what this version cannot hold.
    """

    fields: type[Fields]
    up: Callable[[Any], Fields]
    down: Callable[[Any], Fields | None]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of file: its name, the most bytes it may have, the fields of its newest version, and the versions before.

    `older` are those that this program reads, the oldest first; what is older still is refused. `implied` are the
    members out of `kind` and `version` that such a file does not have: its place says the one, and a file without the
    other is of version 1. `groups` are those of a file of tensors.

    Of canonical JSON a few bytes can stand for much: `values` is how many values a file may have in all, 0 for an
    eighth of the limit, and `widest` how many members one list or object. Both are looked at before fields are.
    """

    name: str
    limit: int
    fields: type[T]
    version: int = 1
    older: tuple[Older, ...] = ()
    implied: frozenset[str] = frozenset()
    groups: tuple[Group, ...] = ()
    values: int = 0
    widest: int = 1_000

    def decode(self, data: bytes) -> T:
        """What the canonical JSON `data` holds.

        Raises ArtifactTooLarge over the limit, else as `value_of`, and for bytes that are not canonical JSON.
        """
        if len(data) > self.limit:
            raise ArtifactTooLarge(f"a {self.name} of {len(data)} bytes is over the limit of {self.limit}")
        try:
            document = jcs.loads(data, self.most_values)
        except ArtifactError as error:
            raise ArtifactError(f"the {self.name} {error}") from error
        return self._value_of(document, parsed=True)

    def build_readers(self) -> None:
        """Takes ahead what the first file of each version costs."""
        for fields in self.schemas.values():
            build_reader(fields)

    def encode(self, value: T) -> bytes:
        """The canonical bytes of `value`; ArtifactError, as from `decode`, for what could not be read back."""
        data = jcs.dumps(self.tagged(value))
        self.decode(data)
        return data

    def value_of(self, document: object) -> T:
        """What a JSON object holds that says its kind and version, as the header of a tensor file does.

        Raises NewerVersion for a version above those that this program knows; ArtifactError for one of contracts
        before, another kind, fields that are not valid, all of them together, and a version higher than the content
        needs.
        """
        return self._value_of(document)

    def _value_of(self, document: object, parsed: bool = False) -> T:
        if not isinstance(document, Mapping):
            raise ArtifactError(f"this is no {self.name}: expected a JSON object")
        if "kind" not in self.implied and document.get("kind") != self.name:
            raise ArtifactError(f"this is no {self.name}: its kind is {shown(document.get('kind'))}")
        if widest(document) > self.widest:
            raise ArtifactError(f"this {self.name} has a list or an object of more than {self.widest} members")
        number = self._number_of(document)
        said = self._members(number)
        rest = {name: value for name, value in document.items() if name not in said}
        value: Any = read(self.schemas[number], self.name, rest, parsed)
        for older in self.older[number - self.oldest :]:
            value = older.up(value)
        lowest, _ = self._lowest(value)
        if lowest != number:
            raise ArtifactError(
                f"this {self.name} has version {number}, and version {lowest} holds what it says: expected that"
            )
        return value

    def tagged(self, value: T) -> dict[str, Any]:
        """`value` as a JSON object that says its kind and version, the lowest that holds it."""
        number, fields = self._lowest(value)
        return self._members(number) | asdict(fields)

    def version_of(self, value: T) -> int:
        """The version that `value` is written in: the lowest that holds it."""
        return self._lowest(value)[0]

    @property
    def most_values(self) -> int:
        return self.values or self.limit // 8

    @property
    def oldest(self) -> int:
        """The lowest version that is read."""
        return self.version - len(self.older)

    @property
    def schemas(self) -> dict[int, type[Fields]]:
        """The fields of each version that is read."""
        all_fields = [older.fields for older in self.older] + [self.fields]
        return dict(enumerate(all_fields, start=self.oldest))

    def _members(self, number: int) -> dict[str, Any]:
        members = {"kind": self.name, "version": number}
        left_out = self.implied if number == 1 else self.implied - {"version"}
        return {name: value for name, value in members.items() if name not in left_out}

    def _number_of(self, document: Mapping[str, Any]) -> int:
        if "version" in self.implied and "version" not in document:
            return 1
        number = document.get("version")
        if type(number) is not int or number < 1:
            raise ArtifactError(f"this {self.name} has version {shown(number)}: expected a whole number from 1")
        if number > self.version:
            raise NewerVersion(
                f"this {self.name} has version {number}, this program reads up to {self.version}: update Koinon"
            )
        if number < self.oldest:
            raise ArtifactError(
                f"this {self.name} has version {number}, of contracts before those that this program knows "
                f"(version {self.oldest}): read it with the version of Koinon that wrote it"
            )
        return number

    def _lowest(self, value: Fields) -> tuple[int, Fields]:
        number = self.version
        for older in reversed(self.older):
            lower = older.down(value)
            if lower is None:
                break
            number, value = number - 1, lower
        return number, value
