"""What all artifacts share: a kind, a version, and fields that are read strictly and all at once.

The fields of an artifact are frozen dataclasses whose types carry their ranges; pydantic checks them, so that a person
who wrote a plan by hand reads all mistakes together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

from eth_utils.address import is_checksum_address
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from processor import jcs
from processor.cid import digest_of
from processor.errors import ArtifactError, ArtifactTooLarge

T = TypeVar("T", bound="Fields")

MISTAKES_SHOWN = 20


@dataclass(frozen=True)
class Fields:
    """Base of the dataclasses that artifacts are made of: no field more, and no value converted to fit.

    `VERSION` is that of the kind of artifact whose fields these are.
    """

    VERSION: ClassVar[int] = 1
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


CidField = Annotated[str, AfterValidator(checked_cid)]
AddressField = Annotated[str, AfterValidator(_address)]
Count = Annotated[int, Field(ge=0, le=jcs.INTEGER_LIMIT)]
ChainId = Annotated[int, Field(ge=1, le=jcs.INTEGER_LIMIT)]
Hex20 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RoundNumber = Annotated[int, Field(ge=0, le=2**32 - 1)]
Metric = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]


def encode(value: object) -> bytes:
    """The canonical bytes (RFC 8785) of a JSON value; ArtifactError for a value that has none."""
    return jcs.dumps(value)


def decode(data: bytes, kind: str, limit: int, version: int = Fields.VERSION) -> dict[str, Any]:
    """The fields of a JSON artifact of this kind, without `kind` and `version`.

    Raises ArtifactTooLarge over `limit` bytes, ArtifactError for bytes that are not canonical JSON, or of another kind
    or version.
    """
    if len(data) > limit:
        raise ArtifactTooLarge(f"a {kind} of {len(data)} bytes is over the limit of {limit}")
    try:
        document = jcs.loads(data)
    except ArtifactError as error:
        raise ArtifactError(f"the {kind} {error}") from error
    return untagged(document, kind, version)


def tagged(kind: str, fields: Fields) -> dict[str, Any]:
    """`fields` as a JSON object that says its kind and version."""
    return {"kind": kind, "version": fields.VERSION} | asdict(fields)


def untagged(document: object, kind: str, version: int = Fields.VERSION) -> dict[str, Any]:
    """The inverse of `tagged`: ArtifactError if the object says another kind or version."""
    if not isinstance(document, Mapping):
        raise ArtifactError(f"this is no {kind}: expected a JSON object")
    if document.get("kind") != kind:
        raise ArtifactError(f"this is no {kind}: its kind is {_shown(document.get('kind'))}")
    if type(document.get("version")) is not int or document["version"] != version:
        raise ArtifactError(
            f"this {kind} has version {_shown(document.get('version'))}: this program reads version {version}"
        )
    return {name: value for name, value in document.items() if name not in ("kind", "version")}


def read(fields: type[T], kind: str, document: object) -> T:
    """The dataclass `fields` from its JSON object; one ArtifactError lists every mistake."""
    try:
        value: T = _adapter(fields).validate_json(encode(document))  # type: ignore[arg-type]
        return value
    except ValidationError as error:
        mistakes = [_sentence(mistake) for mistake in error.errors(include_url=False)]
    more = len(mistakes) - MISTAKES_SHOWN
    lines = mistakes[:MISTAKES_SHOWN] + ([f"and {more} more"] if more > 0 else [])
    raise ArtifactError(f"the {kind} is not valid:\n" + "\n".join(f"  {line}" for line in lines))


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
    return f"{where}: {what} (found {_shown(mistake['input'])})"


def _shown(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return encode(value).decode()
    text = repr(value)
    return text if len(text) <= 64 else text[:61] + "..."
