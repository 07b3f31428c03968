"""From accepted updates to the next model: the arithmetic of the organization, which the audit repeats bit for bit.

Federated averaging (McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data").
Normative: only elementwise numpy + - * / (and `tensors.norm`) on float64, updates in the order of their clients'
addresses. Everything else (torch, BLAS, einsum, np.average, np.sum, pow) may differ between processors in the last bit,
and with it the CID. It streams: in memory are one tensor of one update and one float64 sum of the same shape, however
many clients there are.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from processor.artifacts.artifact_file import FISHER
from processor.artifacts.model import PARAMETER, ModelFile, ModelHeader, model_writer, open_model
from processor.artifacts.plan import Ewc, Plan, Stopping
from processor.artifacts.state import StateHeader
from processor.artifacts.update import DELTA, UpdateFile, open_update
from processor.cid import cid_of_file
from processor.tensors import Array, norm, positive_zero
from processor.types import Address, Cid


@dataclass(frozen=True)
class Accepted:
    """An opened update that passed every check, and its integer weight (samples, at most the plan's `max_weight`)."""

    client: Address
    update: Path
    weight: int


@dataclass(frozen=True)
class _Voice:
    """An update's open file, what it weighs, and the factor that brings its Fisher information under the cap."""

    update: UpdateFile
    weight: int
    fisher_scale: float


def aggregate(base: Path, accepted: Sequence[Accepted], plan: Plan, header: ModelHeader, out: Path) -> Cid:
    """Writes the model that follows `base` to `out` and returns its CID.

    With n_j the weights and S their sum, for every element:

    - parameter: float32(base + sum(delta_j n_j) / S);
    - buffer: float32(sum(buffer_j n_j) / S), of integers (counters) the largest;
    - Fisher information, where the plan's strength is above 0: float32(decay * base + sum(F_j c_j n_j) / S), where c_j
      scales the whole of F_j to the L2 norm `fisher_cap` if it is above it, or one hostile client could pin the model.

    The order of `accepted` does not matter. Raises ArtifactError for files that are not what they should be, ValueError
    for no updates or a weight below 1: the caller decides what a round without updates means.
    """
    if not accepted or any(vote.weight < 1 for vote in accepted):
        raise ValueError("aggregation needs at least one update, and weights of at least 1")
    with open_model(base) as model, _opened(accepted, plan.ewc) as voices:
        layout = {name: kind for name, kind in model.layout.items() if not name.startswith(FISHER)}
        if plan.ewc.strength > 0:
            layout |= {FISHER + name: (np.dtype(np.float32), shape) for name, shape in model.parameters.items()}
        with model_writer(out, header, layout) as writer:
            for name in writer.names:
                writer.write(name, _next(name, model, voices, plan.ewc))
    return cid_of_file(out)


def _next(name: str, model: ModelFile, voices: Sequence[_Voice], ewc: Ewc) -> Array:
    """One tensor of the next model, by its full name."""
    if name.startswith(PARAMETER):
        mean = _weighted_mean(DELTA + name.removeprefix(PARAMETER), voices)
        return _rounded(model.read(name).astype(np.float64) + mean)
    if name.startswith(FISHER):
        mean = _weighted_mean(name, voices, scaled=True)
        return _rounded(model.read(name).astype(np.float64) * ewc.decay + mean if model.has_fisher else mean)
    if model.layout[name][0] == np.int64:
        return _largest(name, voices)
    return _rounded(_weighted_mean(name, voices))


def _weighted_mean(name: str, voices: Sequence[_Voice], scaled: bool = False) -> Array:
    """sum(x_j n_j) / sum(n_j) in float64, one update after the other."""
    total: Array | None = None
    for voice in voices:
        term = voice.update.read(name).astype(np.float64)
        if scaled:
            term *= voice.fisher_scale
        term *= float(voice.weight)
        total = term if total is None else np.add(total, term, out=total)
    return np.asarray(total) / float(sum(voice.weight for voice in voices))


def _largest(name: str, voices: Sequence[_Voice]) -> Array:
    largest = voices[0].update.read(name)
    for voice in voices[1:]:
        largest = np.maximum(largest, voice.update.read(name))
    return largest


def _rounded(values: Array) -> Array:
    return positive_zero(values.astype(np.float32))


@contextmanager
def _opened(accepted: Sequence[Accepted], ewc: Ewc) -> Iterator[list[_Voice]]:
    """All updates, open, in the order of their clients' addresses."""
    _allow_open_files(len(accepted) + 256)
    with ExitStack() as stack:
        voices = []
        for vote in sorted(accepted, key=lambda vote: int(vote.client, 16)):
            update = stack.enter_context(open_update(vote.update))
            scale = _fisher_scale(update, ewc.fisher_cap) if ewc.strength > 0 else 1.0
            voices.append(_Voice(update, vote.weight, scale))
        yield voices


def _allow_open_files(needed: int) -> None:
    """Raises this process's own limit as far as it may: a round of 1,000 updates passes the usual 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))


def _fisher_scale(update: UpdateFile, cap: float) -> float:
    length = norm(update.group(FISHER))
    return cap / length if length > cap else 1.0


def next_state(
    previous: StateHeader | None, parent: Cid | None, round: int, metric: float, stopping: Stopping
) -> StateHeader:
    """The server state after `round`, whose model reached `metric` (higher is better).

    An improvement is measured from the last improvement, not from the last round: slow progress counts once it adds up
    to `min_improvement`.
    """
    best = previous.best_metric if previous is not None else None
    if previous is None or best is None or (metric > best and metric - best >= stopping.min_improvement):
        return StateHeader(round=round, parent=parent, best_metric=metric, rounds_without_improvement=0)
    stale = previous.rounds_without_improvement + 1
    return StateHeader(round=round, parent=parent, best_metric=best, rounds_without_improvement=stale)


def should_stop(state: StateHeader, round: int, stopping: Stopping) -> str | None:
    """Why no round should follow `round`: "max_rounds", "patience", or None if one should."""
    if round >= stopping.max_rounds:
        return "max_rounds"
    if round >= stopping.min_rounds and state.rounds_without_improvement >= stopping.patience:
        return "patience"
    return None
