"""How checks are shown: a line for each as it is found, or JSON at the end."""

from __future__ import annotations

from collections.abc import Iterable

from processor.cli.checks import Result, Status
from processor.cli.options import print_json
from processor.observability import printable, without_secrets


def print_checks(results: Iterable[Result], as_json: bool) -> bool:
    """Shows every result without what is secret in it; returns whether none failed."""
    shown = []
    for result in results:
        clean = Result(result.check, result.status, printable(without_secrets(result.words)))
        shown.append(clean)
        if not as_json:
            print(f"{clean.check:<12} {clean.status:<8} {clean.words}", flush=True)
    healthy = all(result.status is not Status.FAILED for result in shown)
    if as_json:
        found = [{"check": each.check, "status": each.status.lower(), "words": each.words} for each in shown]
        print_json({"ok": healthy, "checks": found})
    return healthy
