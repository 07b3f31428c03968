"""Runs every detector of slither over contracts/ and asks for a reason for each finding (`make slither`).

The reasons stand in tests/slither-triage.toml. A finding is known by its detector, the place in the program and the
code concerned, so that moving lines changes nothing and changing the code asks again. A reason without a finding is
refused too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.forge import ROOT, environment

TRIAGE = ROOT / "tests" / "slither-triage.toml"
COMPILED = "slither"
BUILD = ("forge", "build", "--build-info", "--ast", "--skip", "tests/**", "--skip", "contracts/mocks/**")
SLITHER = (
    *("slither", ".", "--compile-force-framework", "foundry", "--ignore-compile"),
    *("--foundry-out-directory", f"build/{COMPILED}"),
    *("--foundry-build-info-directory", f"build/{COMPILED}/build-info"),
    *("--filter-paths", "node_modules|contracts/mocks|tests/", "--json-types", "detectors"),
)


@dataclass(frozen=True)
class Finding:
    """What slither found: `check` is the detector, `where` the function or declaration, `code` what it points at."""

    check: str
    where: str
    code: str = ""

    def __str__(self) -> str:
        """As an entry of the triage file, without its reason."""
        fields = {"check": self.check, "where": self.where, "code": self.code}
        return "[[finding]]\n" + "".join(f"{name} = {json.dumps(text)}\n" for name, text in fields.items() if text)


def read_findings(report: Mapping[str, Any]) -> list[Finding]:
    """The findings of slither's report (its JSON)."""
    return [_finding(found["check"], found["elements"]) for found in report["results"].get("detectors", [])]


def read_triage(text: str) -> dict[Finding, str]:
    """The reason for each finding. Raises ValueError for an entry without a reason, and for one that stands twice."""
    reasons: dict[Finding, str] = {}
    for entry in tomllib.loads(text).get("finding", []):
        finding = Finding(entry["check"], entry["where"], entry.get("code", ""))
        if not entry.get("reason", "").strip():
            raise ValueError(f"no reason is given for\n{finding}")
        if finding in reasons:
            raise ValueError(f"this stands there twice:\n{finding}")
        reasons[finding] = entry["reason"]
    return reasons


def review(findings: Sequence[Finding], reasons: Mapping[Finding, str]) -> list[str]:
    """What has to be done about findings without a reason, and reasons without a finding."""
    problems = [f"no reason is given for\n{finding}" for finding in findings if finding not in reasons]
    problems += [f"slither does not find this (any more):\n{finding}" for finding in reasons if finding not in findings]
    return problems


def run_slither() -> list[Finding]:
    """Compiles contracts/ and analyzes it. Raises SystemExit with what forge or slither printed where it fails."""
    shutil.rmtree(ROOT / "build" / COMPILED, ignore_errors=True)
    _run(BUILD)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        printed = _run((*SLITHER, "--json", str(path)))
        if not path.exists():
            raise SystemExit(printed)
        report = json.loads(path.read_text())
    if not report["success"]:
        raise SystemExit(report["error"])
    return read_findings(report)


def main() -> int:
    try:
        reasons = read_triage(TRIAGE.read_text())
    except ValueError as error:
        raise SystemExit(f"{TRIAGE.relative_to(ROOT)}: {error}") from None
    findings = run_slither()
    problems = review(findings, reasons)
    for problem in problems:
        print(problem, file=sys.stderr)
    explained = len(findings) - sum(finding not in reasons for finding in findings)
    print(f"slither: {len(findings)} findings, {explained} of them explained in {TRIAGE.relative_to(ROOT)}")
    return 1 if problems else 0


def _finding(check: str, elements: Sequence[Mapping[str, Any]]) -> Finding:
    code = [element["name"] for element in elements if element["type"] == "node"]
    return Finding(check, _place(elements[0]) if elements else "", "; ".join(code))


def _place(element: Mapping[str, Any]) -> str:
    """Contract.function(types), Contract.function(types).variable, ..."""
    fields = element.get("type_specific_fields", {})
    if element["type"] == "pragma":
        return element["source_mapping"]["filename_relative"] + ": " + "".join(fields.get("directive", []))
    name = fields.get("signature") or element["name"]
    parent = fields.get("parent")
    return f"{_place(parent)}.{name}" if parent else str(name)


def _run(command: Sequence[str]) -> str:
    """Slither ends with the number of its findings, and forge with 1 where it does not compile."""
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        env=environment(profile="test", folder=COMPILED),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if command[0] == "forge" and done.returncode != 0:
        raise SystemExit(done.stdout)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
