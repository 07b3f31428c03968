"""What all artifacts share: fields that are read strictly and all at once.

The fields of an artifact are frozen dataclasses whose types carry their ranges; pydantic checks them, so that a person
who wrote a plan by hand reads all mistakes together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar

from eth_utils.address import is_checksum_address
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from processor import jcs
from processor.cid import digest_of
from processor.errors import ArtifactError

T = TypeVar("T", bound="Fields")

MISTAKES_SHOWN = 20


@dataclass(frozen=True)
class Fields:
    """Base of the dataclasses that artifacts are made of: no field more, and no value converted to fit.

    None has a default: what is published is written out in full, and means the same whatever a default becomes.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)


def checked_cid(value: str) -> str:
    """`value` if it is a CIDv0, else ValueError, as pydantic's validators raise it."""
    try:
        digest_of(value)
    except ArtifactError as error:
        raise ValueError(str(error)) from error
    return value


def _address(value: str) -> str:
    if not is_checksum_address(value):
        raise ValueError("expected an address with an EIP-55 checksum")
    return value


CidField = Annotated[str, AfterValidator(checked_cid), WithJsonSchema({"type": "string", "format": "CIDv0"})]
AddressField = Annotated[str, AfterValidator(_address), WithJsonSchema({"type": "string", "format": "EIP-55"})]
Count = Annotated[int, Field(ge=0, le=jcs.INTEGER_LIMIT)]
ChainId = Annotated[int, Field(ge=1, le=jcs.INTEGER_LIMIT)]
Hex20 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RoundNumber = Annotated[int, Field(ge=0, le=2**32 - 1)]
Metric = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]


def encode(value: object) -> bytes:
    """The canonical bytes (RFC 8785) of a JSON value; ArtifactError for a value that has none."""
    return jcs.dumps(value)


def read(fields: type[T], kind: str, document: object, parsed: bool = False) -> T:
    """The dataclass `fields` from its JSON object; one ArtifactError lists every mistake.

    An object that was `parsed` from JSON has a canonical spelling: it is not looked for again, which takes long.
    """
    spelled = json.dumps(document, ensure_ascii=False) if parsed else encode(document)
    try:
        value: T = _adapter(fields).validate_json(spelled)  # type: ignore[arg-type]
        return value
    except ValidationError as error:
        mistakes = [_sentence(mistake) for mistake in error.errors(include_url=False)]
    more = len(mistakes) - MISTAKES_SHOWN
    lines = mistakes[:MISTAKES_SHOWN] + ([f"and {more} more"] if more > 0 else [])
    raise ArtifactError(f"the {kind} is not valid:\n" + "\n".join(f"  {line}" for line in lines))


def build_reader(fields: type[Fields]) -> None:
    """Builds now what `read` otherwise builds when it first meets these fields, some hundredths of a second each."""
    _adapter(fields)  # type: ignore[arg-type]


def widest(document: object) -> int:
    """The most members of a list or an object in a document."""
    most, inner = 0, [document]
    while inner:
        value = inner.pop()
        if isinstance(value, Mapping | list | tuple):
            most = max(most, len(value))
            inner += value.values() if isinstance(value, Mapping) else value
    return most


@cache
def _adapter(fields: Any) -> TypeAdapter[Any]:
    return TypeAdapter(fields)


def _sentence(mistake: ErrorDetails) -> str:
    where = ".".join(str(part)[:64] for part in mistake["loc"]) or "this"
    match mistake["type"]:
        case "missing":
            return f"{where}: is missing"
        case "unexpected_keyword_argument":
            return f"{where}: is unknown"
    what = mistake["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return f"{where}: {what} (found {shown(mistake['input'])})"


def shown(value: object) -> str:
    """A value that somebody wrote, short enough for an error."""
    if isinstance(value, float) and math.isfinite(value):
        return encode(value).decode()
    text = repr(value)
    return text if len(text) <= 64 else text[:61] + "..."
