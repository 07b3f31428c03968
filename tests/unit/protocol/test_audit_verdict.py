"""What comes of an artifact that an audit cannot use: a violation, or a round without a proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from processor.artifacts.plan import PLAN
from processor.artifacts.report import REPORT
from processor.artifacts.versions import Kind
from processor.chain.asset import Asset
from processor.errors import ArtifactError, ArtifactUnavailable
from processor.protocol.audit.verdict import Checks, Unproved, Violation
from processor.types import ZERO_ADDRESS


def checks() -> Checks:
    return Checks(Asset(ZERO_ADDRESS, "ETH", 18))


def raising(error: Exception) -> Callable[[], None]:
    def use() -> None:
        raise error

    return use


@pytest.mark.parametrize("error", [ArtifactError("it is damaged"), ArtifactUnavailable("nobody serves it")])
def test_an_artifact_that_is_damaged_or_missing_is_a_violation(error: Exception) -> None:
    found = checks()
    assert found.artifact(3, "plan Qm", raising(error)) is None
    assert found.violations == [Violation(3, "plan Qm", "an artifact that is available and intact", str(error))]
    assert found.readable(3)


@pytest.mark.parametrize("kind", [PLAN, REPORT])
def test_an_artifact_of_a_newer_version_is_no_violation_and_no_check(kind: Kind[Any]) -> None:
    found, document = checks(), {"kind": kind.name, "version": kind.version + 1}
    assert found.artifact(3, "artifact Qm", lambda: kind.value_of(document)) is None
    assert (found.count, found.violations) == (0, [])
    said = f"this {kind.name} has version {kind.version + 1}, this program reads up to {kind.version}: update Koinon"
    assert found.unread == [Unproved(3, f"its artifact Qm cannot be read: {said}")]
    assert (found.readable(2), found.readable(3)) == (True, False)


def test_an_artifact_that_is_as_it_should_be_is_a_check_that_held() -> None:
    found = checks()
    assert found.artifact(3, "plan Qm", lambda: "the plan") == "the plan"
    assert (found.count, found.violations, found.unread) == (1, [], [])
