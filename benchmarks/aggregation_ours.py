"""One measurement of our aggregation, in a process of its own: `aggregation_ours.py {combine,settle} FOLDER ...`."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from itertools import cycle
from pathlib import Path

from aggregation_files import SAMPLES, Files, opened_round, plan, sealed_round
from peak_memory import Peak

from processor.aggregation.combine import combine
from processor.aggregation.facts import facts_of
from processor.aggregation.inputs import Accepted
from processor.artifacts.model import open_model
from processor.artifacts.state import FIRST_STATE
from processor.artifacts.update import open_update
from processor.cid import cid_of
from processor.protocol.settlement import settle
from processor.storage.library import Library
from processor.storage.local import LocalStorage


def combined(files: Files, clients: int) -> dict[str, float]:
    """Gathers the facts about every update, then combines `clients` updates, whose files are used in turn."""
    rules, header = plan(), opened_round(cid_of(b"the base model"), bytes(32)).model_header()
    out = files.folder / "model"
    peak, start = Peak(), time.perf_counter()
    facts = []
    for path in files.updates:
        with open_model(files.base) as base, open_update(path) as update:
            facts.append(facts_of(update, base, rules))
    gathered = time.perf_counter()
    accepted = [
        Accepted(f"0x{index + 1:040x}", path, SAMPLES + index, known)
        for index, (path, known) in zip(range(clients), cycle(zip(files.updates, facts, strict=True)), strict=False)
    ]
    combine(files.base, FIRST_STATE, accepted, rules, header, out)
    end = time.perf_counter()
    return {"facts_s": gathered - start, "seconds": end - gathered, "extra_mib": peak.extra_mib()}


def settled(files: Files) -> dict[str, float]:
    """Settles the round: fetches, opens and examines every sealed update, judges, and combines."""
    sealed = sealed_round(files)
    working = files.folder / "working"
    peak, start = Peak(), time.perf_counter()
    library = Library(LocalStorage(files.store))
    with settle(sealed.opened, sealed.submitted, sealed.secret, FIRST_STATE, None, library, working) as settlement:
        took, extra = time.perf_counter() - start, peak.extra_mib()
        rejected = [update.reason for update in settlement.updates if update.weight == 0]
    shutil.rmtree(working)
    if rejected:
        raise SystemExit(f"{len(rejected)} updates were rejected, the first as {rejected[0]}: expected none")
    return {"seconds": took, "extra_mib": extra}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["combine", "settle"])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("clients", type=int, help="whose files are there")
    arguments.add_argument("elements", type=int)
    arguments.add_argument("--as-if", type=int, help="how many clients to combine; the files' own unless given")
    given = arguments.parse_args()
    files = Files(given.folder, given.clients, given.elements)
    print(json.dumps(combined(files, given.as_if or files.clients) if given.what == "combine" else settled(files)))


if __name__ == "__main__":
    main()
