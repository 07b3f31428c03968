"""What the package lets in: no version of what it needs that has a known advisory, and what is installed here fits."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
DEPENDENCIES = {
    str(canonicalize_name(each.name)): each
    for each in map(Requirement, [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]])
}
PINS = {
    str(canonicalize_name(name)): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (CHECKOUT / "requirements.txt").read_text(), re.MULTILINE)
}
ADVISORIES = [
    ("numpy", "1.22.2", "CVE-2021-41495"),
    ("pydantic", "2.4.0", "CVE-2024-3772"),
    ("pynacl", "1.6.2", "CVE-2025-69277, libsodium"),
    ("requests", "2.32.0", "CVE-2024-35195"),
    ("requests", "2.32.4", "CVE-2024-47081"),
    ("requests", "2.33.0", "CVE-2026-25645"),
    ("scikit-learn", "1.5.0", "CVE-2024-5206"),
    ("setuptools", "78.1.1", "CVE-2025-47273"),
    ("setuptools", "83.0.0", "CVE-2026-59890"),
    ("torch", "2.6.0", "CVE-2025-32434"),
    ("torch", "2.8.0", "CVE-2025-2953, CVE-2025-3730"),
    ("torch", "2.10.0", "CVE-2026-24747"),
    ("torch", "2.11.0", "CVE-2026-4538"),
    ("torch", "2.13.0", "CVE-2025-3000, and CVE-2026-136427 of 2.12.1"),
    ("urllib3", "2.2.2", "CVE-2024-37891"),
    ("urllib3", "2.5.0", "CVE-2025-50181, CVE-2025-50182"),
    ("urllib3", "2.6.0", "CVE-2025-66418, CVE-2025-66471"),
    ("urllib3", "2.6.3", "CVE-2026-21441"),
    ("urllib3", "2.7.0", "CVE-2026-44431, CVE-2026-44432"),
    ("urllib3", "2.8.0", "CVE-2026-97687, CVE-2026-97688, CVE-2026-97689"),
    ("web3", "7.15.0", "CVE-2026-40072"),
]
"""Package, the first version without the fault, and its advisories: looked up in November 2026."""
BROWNIE = {str(canonicalize_name(each.name)): each for each in map(Requirement, requires("eth-brownie") or [])}


@pytest.mark.parametrize(("package", "mended", "advisory"), ADVISORIES)
def test_no_version_with_a_known_advisory_is_let_in(package: str, mended: str, advisory: str) -> None:
    fixed = Version(mended)
    floor = min(Version(each.version) for each in DEPENDENCIES[package].specifier if each.operator in (">=", "=="))
    assert floor >= fixed, f"{package} {floor} has {advisory}"


def test_every_package_that_is_let_in_has_a_floor() -> None:
    for name, dependency in DEPENDENCIES.items():
        assert any(each.operator in (">=", "==") for each in dependency.specifier), name


def test_what_is_pinned_here_is_what_the_package_lets_in_unless_brownie_pins_it_below() -> None:
    outside = {name for name, each in DEPENDENCIES.items() if not each.specifier.contains(PINS[name])}
    assert outside == {"urllib3"} and str(BROWNIE["urllib3"].specifier) == f"=={PINS['urllib3']}"


def test_pins_are_those_that_brownie_asks_for() -> None:
    for name, asked in BROWNIE.items():
        if name in PINS and asked.marker is None:
            assert asked.specifier.contains(PINS[name]), name
