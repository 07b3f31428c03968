"""Opens one update of a round, checks it against the plan, and gathers the facts that judging and averaging go by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from processor.aggregation.facts import Facts, check_tensors, facts_of
from processor.artifacts.model import ModelFile
from processor.artifacts.plan import PLAN, Plan
from processor.artifacts.update import NEWEST_UNDER_PLAN, Binding, UpdateFile, check_binding, open_update
from processor.errors import ArtifactError
from processor.privacy.sealing import open_file
from processor.protocol.opened import OpenedRound
from processor.types import Submitted

MIB = 1 << 20


@dataclass(frozen=True)
class Content:
    """What an opened update says: its working file, the samples that its header claims, and the facts about it."""

    path: Path
    samples: int
    facts: Facts


@dataclass(frozen=True)
class Examined:
    """An update of a round's list: its content, or the code of the reason why it is rejected."""

    submitted: Submitted
    content: Content | None
    reason: str | None

    @staticmethod
    def rejected(submitted: Submitted, reason: str) -> Examined:
        return Examined(submitted, None, reason)


@dataclass(frozen=True)
class Examination:
    """What every update of a round is held against: its plan, its base model, and the secret that opens it.

    Opened updates are written into `folder`, which only their owner should be able to enter. Several threads may
    examine at a time. They read headers one after the other: a stranger's takes much memory until it is known to name
    the base model's tensors.
    """

    round: OpenedRound
    base: ModelFile
    secret: bytes
    folder: Path
    _reading_headers: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def limit(self) -> int:
        """The most bytes of an update: a delta and a Fisher for each parameter, and room for headers."""
        return 2 * self.base.path.stat().st_size + MIB

    def examine(self, submitted: Submitted, sealed: Path) -> Examined:
        """Whatever a client may have sent ends in a reason, not in an exception.

        What is this machine's own fault does not: then this raises Unreadable, MachineError or OSError.
        """
        plain = self.folder / f"{submitted.client}.update"
        try:
            open_file(sealed, plain, self.secret, self.limit)
            with self._reading_headers:
                update = opened(plain, self.round.binding(submitted.client), self.base, self.round.plan)
            with update:
                content = content_of(update, self.base, self.round.plan)
        except ArtifactError as error:
            plain.unlink(missing_ok=True)
            return Examined.rejected(submitted, error.code)
        return Examined(submitted, content, None)


def opened(path: Path, expected: Binding, base: ModelFile, plan: Plan) -> UpdateFile:
    """Opens an update, to be closed, whose header says what it should; its numbers are not read yet.

    Raises ArtifactError, with its reason code, for one that the plan rejects. The plan's version says up to which
    version an update is known at all: a program that has learned more judges an old round as it was judged then.
    """
    update = open_update(path, NEWEST_UNDER_PLAN[PLAN.version_of(plan)])
    try:
        check_binding(update.header, expected)
        check_tensors(update, base, plan)
    except BaseException:
        update.close()
        raise
    return update


def content_of(update: UpdateFile, base: ModelFile, plan: Plan) -> Content:
    """Reads all of an opened update, once. Raises ArtifactError, with its reason code, for one that the plan rejects.

    A client asks before it submits: what would be rejected here is paid nothing, and may cost stake.
    """
    facts = facts_of(update, base, plan)
    if facts.delta_norm > plan.aggregation.max_norm:
        raise ArtifactError(
            f"the update's norm is {facts.delta_norm:g}, above the max_norm of {plan.aggregation.max_norm:g}",
            code="norm",
        )
    return Content(update.path, update.header.samples, facts)
