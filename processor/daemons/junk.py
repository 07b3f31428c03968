"""Whether bytes that somebody submitted as an update, and that do not open as one, may be needed for what they are.

Whoever submits can name the CID of anything, also of what another federation keeps on the same node, which counts no
owners. A sealed update of another federation looks like any bytes: there the same `keep_days` for both has to do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from processor import jcs
from processor.artifacts.dataset import DATASET
from processor.artifacts.model import MODEL
from processor.artifacts.plan import PLAN
from processor.artifacts.report import REPORT
from processor.artifacts.round import ROUND
from processor.artifacts.state import STATE
from processor.errors import ArtifactError, ArtifactUnavailable
from processor.storage.base import Storage
from processor.tensors import TensorFile
from processor.types import Cid

TEXTS = {kind.name for kind in (PLAN, REPORT, ROUND)}
FILES = {kind.name for kind in (MODEL, STATE, DATASET)}
LONGEST_TEXT = max(PLAN.limit, REPORT.limit, ROUND.limit)
LIMIT = max(MODEL.limit, STATE.limit, DATASET.limit)
SECONDS = 30.0
"""How long the bytes are waited for: what is pinned here is at hand."""


def may_be_needed(storage: Storage, cid: Cid) -> bool:
    """Whether the artifact says that it is a plan, a model or anything else that is published, in whatever version; or
    cannot be had: then it is not pinned here either.

    Raises StorageError where the storage cannot be reached at all.
    """
    with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
        path = Path(folder) / "junk"
        try:
            storage.get(cid, path, LIMIT, SECONDS)
        except (ArtifactError, ArtifactUnavailable):
            return True
        return _kind_of_text(path) in TEXTS or _kind_of_tensors(path) in FILES


def _kind_of_text(path: Path) -> object:
    if path.stat().st_size > LONGEST_TEXT:
        return None
    try:
        document = jcs.loads(path.read_bytes())
    except ArtifactError:
        return None
    return document.get("kind") if isinstance(document, Mapping) else None


def _kind_of_tensors(path: Path) -> object:
    try:
        file = TensorFile(path, LIMIT)
    except ArtifactError:
        return None
    try:
        return file.header.get("kind") if isinstance(file.header, Mapping) else None
    finally:
        file.close()
