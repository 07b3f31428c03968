"""What became of each fault, kept in a file as it becomes known, so that an interrupted run can go on."""

from __future__ import annotations

import json
from pathlib import Path

from tools.mutation.survivors import Outcome, Verdict


class Results:
    """Outcomes by the id of the fault. Those of other sources or other tests, by their fingerprint, are forgotten."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint
        stored = json.loads(path.read_text()) if path.exists() else {}
        outcomes = stored["outcomes"] if stored.get("fingerprint") == fingerprint else {}
        self._outcomes = {id: Outcome(Verdict(outcome["verdict"]), outcome["by"]) for id, outcome in outcomes.items()}

    def get(self, id: str) -> Outcome | None:
        return self._outcomes.get(id)

    def forget(self, id: str) -> None:
        self._outcomes.pop(id, None)

    def put(self, id: str, outcome: Outcome) -> None:
        self._outcomes[id] = outcome
        outcomes = {id: {"verdict": outcome.verdict, "by": outcome.by} for id, outcome in self._outcomes.items()}
        self._path.parent.mkdir(exist_ok=True)
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text(json.dumps({"fingerprint": self._fingerprint, "outcomes": outcomes}, indent=1) + "\n")
        unfinished.replace(self._path)
