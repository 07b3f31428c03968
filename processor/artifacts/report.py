"""The report: how an organization finalized a round, for anyone to recompute."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo

from processor.artifacts.canonical import (
    AddressField,
    ChainId,
    CidField,
    Count,
    Fields,
    Metric,
    RoundNumber,
    decode,
    encode,
    read,
    tagged,
)

KIND = "report"
REPORT_LIMIT = 1 << 20

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def _explained(reason: str | None, info: ValidationInfo) -> str | None:
    weight, credited_ms = info.data.get("weight"), info.data.get("credited_ms")
    if weight is None or credited_ms is None:
        return reason
    if (weight == 0) != (credited_ms == 0):
        raise ValueError(f"weight {weight} with credited_ms {credited_ms}: a rejected update has neither, others both")
    if weight == 0 and reason is None:
        raise ValueError("a rejected update (weight 0) needs a reason")
    return reason


def _only_for_a_rejection(slash_rate: int, info: ValidationInfo) -> int:
    if slash_rate and info.data.get("weight"):
        raise ValueError(f"should be 0 with weight {info.data['weight']}: only a rejected update is slashed for")
    return slash_rate


def _ascending(updates: tuple[ReportedUpdate, ...]) -> tuple[ReportedUpdate, ...]:
    for before, after in pairwise(updates):
        if int(before.client, 16) >= int(after.client, 16):
            raise ValueError(f"{after.client} follows {before.client}: each client once, in ascending order of address")
    return updates


def _without_noise(privacy: dict[str, str]) -> dict[str, str]:
    if privacy != {"where": "none"}:
        raise ValueError("should be exactly where: none")
    return privacy


@dataclass(frozen=True)
class ReportedUpdate(Fields):
    """What became of one update: its weight in the average and the compute time it is paid for, in milliseconds.

    No reason: accepted as claimed. Weight 0: rejected for the reason. Otherwise accepted with less time than claimed.
    `slash_rate`, in basis points of what is left of the client's stake, is what the rejection costs beside.
    """

    client: AddressField
    update: CidField
    weight: Count
    credited_ms: Annotated[int, Field(ge=0, le=2**32 - 1)]
    reason: Annotated[Code | None, AfterValidator(_explained)]
    slash_rate: Annotated[int, Field(ge=0, le=10_000), AfterValidator(_only_for_a_rejection)]


@dataclass(frozen=True)
class Metrics(Fields):
    """The validation metric of the base model and of the round's model."""

    before: Metric
    after: Metric
    name: Code


@dataclass(frozen=True)
class Report(Fields):
    """One finalized round. `updates` ascend by client address; `stop` says why no round follows, if none does."""

    chain_id: ChainId
    federation: AddressField
    round: RoundNumber
    plan: CidField
    base_model: CidField
    model: CidField
    server_state: CidField
    updates: Annotated[tuple[ReportedUpdate, ...], Field(max_length=1_000), AfterValidator(_ascending)]
    metrics: Metrics
    privacy: Annotated[dict[str, str], AfterValidator(_without_noise)]
    versions: Annotated[dict[Text, Text], Field(max_length=64)]
    initialization_seed: Count
    stop: Code | None

    def encode(self) -> bytes:
        """The report's bytes; ArtifactError, as from `decode`, for a report that could not be read back."""
        data = encode(tagged(KIND, self))
        Report.decode(data)
        return data

    @staticmethod
    def decode(data: bytes) -> Report:
        """The report in `data`; one ArtifactError names all mistakes."""
        return read(Report, KIND, decode(data, KIND, REPORT_LIMIT))
