"""A checkpoint's form: a training that was begun, as a file to go on from after a restart.

It is private to its client: the parameters and the seed in it say a lot about the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from processor import jcs
from processor.artifacts.artifact_file import BUFFER, FISHER, naming
from processor.artifacts.canonical import CidField, Count, Fields, Hex32, RoundNumber
from processor.artifacts.versions import Group, Kind, Older
from processor.errors import ArtifactError
from processor.files import PRIVATE
from processor.keystore import private_directory
from processor.tensors import TensorFile, Tensors, write_tensors

PARAMETER = "param/"
MOMENTUM = "momentum/"


@dataclass(frozen=True)
class Work(Fields):
    """Which training this is, and how long: from a checkpoint only the very same one goes on.

    `sealing_key` is in hexadecimal digits, `samples` are those of the data set; `steps` of the optimizer, and `rows`
    for the Fisher information (0 where none is asked for), make the whole work.
    """

    round: RoundNumber
    sealing_key: Hex32
    base_model: CidField
    plan: CidField
    samples: Count
    steps: Count
    rows: Count


@dataclass(frozen=True)
class CheckpointHeader1(Work):
    """How far the work is. `digest` is of everything else in the file: one changed bit is noticed."""

    seed: Count
    steps_done: Count
    rows_done: Count
    digest: Hex32


@dataclass(frozen=True)
class CheckpointHeader(CheckpointHeader1):
    """How far the work is, and the compute time that it took so far, in milliseconds."""

    metered_ms: Count


def _from_1(header: CheckpointHeader1) -> CheckpointHeader:
    return CheckpointHeader(**asdict(header), metered_ms=0)


def _to_1(header: CheckpointHeader) -> CheckpointHeader1 | None:
    fields = asdict(header)
    return None if fields.pop("metered_ms") else CheckpointHeader1(**fields)


_TYPES = ("float32", "float64", "int64")
"""Those of a module's own tensors."""
CHECKPOINT = Kind(
    "checkpoint",
    32 << 30,
    CheckpointHeader,
    version=2,
    older=(Older(CheckpointHeader1, up=_from_1, down=_to_1),),
    groups=(*(Group(own, _TYPES) for own in (PARAMETER, BUFFER, MOMENTUM)), Group(FISHER, ("float64",))),
)


def write_checkpoint(path: Path, header: CheckpointHeader, tensors: Tensors) -> None:
    """Writes a checkpoint that its owner alone can read, whole or not at all; the header's digest is computed here.

    Raises OSError where the disk is full.
    """
    header = replace(header, digest=_digest(header, tensors))
    write_tensors(path, tensors, CHECKPOINT.tagged(header), PRIVATE)


def check_digest(header: CheckpointHeader, tensors: Tensors) -> None:
    """ArtifactError where a bit of the file was changed after `write_checkpoint`."""
    if header.digest != _digest(header, tensors):
        raise ArtifactError("was changed after it was written: its digest is another one")


def adopt_checkpoint(old: Path, new: Path, metered_ms: int) -> None:
    """Moves a checkpoint that does not say its compute time, because a daemon of before kept that in its journal, and
    lets it say so. One that cannot be read is moved as it is.
    """
    private_directory(new.parent)
    try:
        with TensorFile(old, CHECKPOINT.limit) as file, naming(old):
            header = CHECKPOINT.value_of(file.header)
            tensors = {name: file.read(name) for name in file.names}
            check_digest(header, tensors)
    except ArtifactError:
        old.replace(new)
        return
    write_checkpoint(new, replace(header, metered_ms=max(header.metered_ms, metered_ms)), tensors)
    old.unlink()


def _digest(header: CheckpointHeader, tensors: Tensors) -> str:
    """Of the header as its own version writes it, and of every tensor."""
    digest = blake2b(jcs.dumps(_said(header)), digest_size=32)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def _said(header: CheckpointHeader) -> Mapping[str, object]:
    tagged = CHECKPOINT.tagged(header)
    return {name: value for name, value in tagged.items() if name not in ("kind", "version", "digest")}
