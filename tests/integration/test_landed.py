"""What was made when Koinon landed stays good: every later version audits it, and goes on with its journals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_utils import to_checksum_address

from processor.artifacts.committed import UpdateLine
from processor.artifacts.round import RoundFile
from processor.artifacts.update import UPDATE, open_update
from processor.chain.federation import Federation
from processor.demo.processes import Party
from processor.journal import MINED
from processor.privacy.sealing import open_file
from processor.protocol.audit import Audit, audit
from processor.protocol.measuring import measure_by
from processor.protocol.model_form import forms_by
from processor.tensors import Array
from processor.types import Address, Phase
from tests.chaos.daemon import Start, run
from tests.in_process import InProcess
from tests.integration.command_line import succeeds
from tests.landed.relocate import LANDED, MOMENTS, Landed, expected, relocate
from tests.landed.said import said, sha256
from tests.warm import server

PATIENCE = 120.0
PARTIES = tuple(expected()["wallets"])


def test_every_round_to_the_end_is_proved_and_recomputed(tmp_path: Path) -> None:
    landed = relocate("end", tmp_path)
    with landed.start_chain() as chain:
        result = audited(landed, landed.federation(chain))
        where = ["--rpc", chain.rpc_url, "--store", str(landed.store.directory)]
        printed = succeeds("audit", expected()["federation"], *where, "--no-logs", "--json", folder=tmp_path)

    assert [row.phase for row in result.rounds] == [Phase.FINALIZED] * 4
    assert released(result) == [(row["base_model"], row["model"], row["report"]) for row in expected()["rounds"]]
    page = json.loads(printed)
    assert (page["ok"], page["violations"], page["unproved"], len(page["rounds"])) == (True, [], [], 4)


@pytest.mark.parametrize("name", PARTIES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_every_journal_says_what_it_said(moment: str, name: str, tmp_path: Path) -> None:
    landed = relocate(moment, tmp_path)
    assert says(landed, name) == landed.said(name)


def test_the_round_that_was_under_way_goes_on_with_what_was_on_disk(tmp_path: Path) -> None:
    landed = relocate("mid", tmp_path)
    with landed.start_chain() as chain:
        federation = landed.federation(chain)
        is_in_the_middle_of_its_third_round(federation)
        landed.configure(chain)
        with daemons(landed):
            until(lambda: over(federation, 3))
        result = audited(landed, federation)

    assert result.rounds[2].phase is Phase.FINALIZED
    submitted = {row.client: row for row in result.files[2].updates}
    assert set(submitted) == {landed.parties[name].address for name in PARTIES if name != "organization"}
    sealed_update_was_submitted_as_it_is(landed, "client-1", submitted)
    training_went_on(landed, "client-3", submitted)
    it_learned_what_it_was_about_to(landed, "client-3", result.files[2])
    for name in PARTIES:
        forgot_nothing(landed, name)
        assert logged(landed.parties[name], "the chain was reorganized") == []


def test_daemons_that_go_on_at_the_end_find_nothing_left_to_do(tmp_path: Path) -> None:
    landed = relocate("end", tmp_path)
    with landed.start_chain() as chain:
        federation = landed.federation(chain)
        before = on_chain(landed, federation)
        landed.configure(chain)
        end_well(started(landed, "--once"))
        assert on_chain(landed, federation) == before

    for name in PARTIES:
        assert says(landed, name) | {"blocks": None} == landed.said(name) | {"blocks": None}
        events = [line["event"] for line in all_logged(landed.parties[name])]
        idle = ["stopped"] if name == "organization" else ["the federation has finished", "waiting"]
        assert events == ["starting", "started", *idle]


# --------------------------------------------------------------------------------------------------- what must be true


def is_in_the_middle_of_its_third_round(federation: Federation) -> None:
    view, passed = federation.round_view(), federation.block().timestamp - expected()["mid"]["chain"]["timestamp"]
    assert (view.phase, view.round, view.update_count) == (Phase.TRAINING, 3, 1)
    assert 0 <= passed < PATIENCE, "the chain goes on by its own time"


def sealed_update_was_submitted_as_it_is(landed: Landed, name: str, submitted: dict[Address, UpdateLine]) -> None:
    """The same update by the same transaction, and the same bytes in the store."""
    then = landed.said(name)
    [update], intent = [row for row in then["updates"] if row["round"] == 3], then["intents"][-1]
    [form] = intent["broadcasts"]
    assert (intent["kind"], intent["status"], update["published"]) == ("submitted", None, False)
    assert submitted[landed.parties[name].address].update == update["cid"]
    assert sha256(landed.store.directory / update["cid"]) == update["sha256"]
    with landed.journal(name) as journal:
        now = journal.intent(intent["id"])
    assert (now.status, now.tx_hash) == (MINED, form["tx_hash"])


def training_went_on(landed: Landed, name: str, submitted: dict[Address, UpdateLine]) -> None:
    """From the checkpoint, with the compute time that was metered before."""
    [metered] = [row for row in landed.said(name)["metered"] if row["round"] == 3]
    assert [line["step"] > 0 for line in logged(landed.parties[name], "resumed") if line["round"] == 3] == [True]
    assert [line for line in logged(landed.parties[name], "training") if line["round"] == 3] == []
    with landed.journal(name) as journal:
        update = journal.update_in(3, bytes.fromhex(metered["sealing_key"]))
    assert update is not None and update.compute_ms > metered["ms"] > 0
    assert submitted[landed.parties[name].address].update == update.cid


def it_learned_what_it_was_about_to(landed: Landed, name: str, round: RoundFile) -> None:
    """To the bit on one machine, and nearly so where its like multiplies in another order; another order of the samples
    leads a hundred times farther away."""
    now, then = (
        next(row["cid"] for row in updates if row["round"] == 3)
        for updates in (says(landed, name)["updates"], expected()["end"]["journals"][name]["updates"])
    )
    assert now != then and round.outcome is not None
    found = [
        learned(path, landed.folder / f"learned-{number}", bytes.fromhex(round.outcome.secret))
        for number, path in enumerate((landed.store.directory / now, LANDED / "store" / then))
    ]
    assert [set(each) for each in found] == [set(found[1])] * 2
    for name, values in found[0].items():
        np.testing.assert_allclose(values, found[1][name], rtol=0, atol=1e-5)


def learned(sealed: Path, plain: Path, secret: bytes) -> dict[str, Array]:
    """What a sealed update says."""
    open_file(sealed, plain, secret, UPDATE.limit)
    with open_update(plain) as update:
        return {name: update.read(name) for name in update.layout}


def forgot_nothing(landed: Landed, name: str) -> None:
    """What was signed, sealed, metered and kept secret is there, the same but for what became of it since."""
    then, now = landed.said(name), says(landed, name)
    same = {
        "intents": ("id", "kind", "round", "nonce", "broadcasts"),
        "updates": ("round", "sealing_key", "base", "cid", "path", "compute_ms", "samples", "ends_at"),
        "secrets": ("public_key", "round", "base", "plan"),
        "metered": ("round", "sealing_key"),
    }
    for table, fields in same.items():
        before = [[row[field] for field in fields] for row in then[table]]
        assert [[row[field] for field in fields] for row in now[table]][: len(before)] == before, table
    assert all(old["ms"] <= new["ms"] for old, new in zip(then["metered"], now["metered"], strict=True))


# ------------------------------------------------------------------------------------------------------------- helpers


def audited(landed: Landed, federation: Federation) -> Audit:
    """The audit, which finds nothing wrong and leaves nothing without a proof."""
    work = landed.folder / "audit"
    work.mkdir()
    jobs = work / "jobs"
    measure, forms = measure_by(InProcess(), jobs / "evaluate"), forms_by(InProcess(), jobs / "inspect")
    result = audit(federation, landed.store, work, measure, forms, logs_from=None)
    assert (result.violations, result.unproved) == ((), ())
    return result


def on_chain(landed: Landed, federation: Federation) -> object:
    """What daemons could change: the rounds, and how many transactions each wallet has sent."""
    sent = [
        federation.web3.eth.get_transaction_count(to_checksum_address(party.address))
        for party in landed.parties.values()
    ]
    return federation.round_view(), federation.record(), sent


def released(result: Audit) -> list[tuple[str | None, str, str]]:
    """Base model, model and report of every round."""
    rounds = [(file.opening.base_model, file.outcome) for file in result.files]
    return [(base, outcome.model, outcome.report) for base, outcome in rounds if outcome is not None]


def says(landed: Landed, name: str) -> dict[str, Any]:
    then = landed.said(name)
    metered = [(row["round"], bytes.fromhex(row["sealing_key"])) for row in then["metered"]]
    keys = [bytes.fromhex(row["public_key"]) for row in then["secrets"]]
    with landed.journal(name) as journal:
        return said(journal, landed.parties[name].state, metered, keys)


@contextmanager
def daemons(landed: Landed) -> Iterator[None]:
    """The daemon of every party runs during the block, and ends well."""
    processes = started(landed)
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join(PATIENCE)
    end_well(processes)


def started(landed: Landed, *options: str) -> list[ForkServerProcess]:
    """The daemon of every party."""
    processes = []
    for party in landed.parties.values():
        arguments = (party.config.stem, "run", "--config", str(party.config), *options)
        processes.append(
            server().Process(target=run, args=(Start(arguments, party.folder / "log.jsonl"),), daemon=True)
        )
        processes[-1].start()
    return processes


def end_well(processes: list[ForkServerProcess]) -> None:
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def logged(party: Party, event: str) -> list[dict[str, Any]]:
    """Every line of a party's log about this event."""
    return [line for line in all_logged(party) if line["event"] == event]


def all_logged(party: Party) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (party.folder / "log.jsonl").read_text().splitlines()]


def over(federation: Federation, round: int) -> bool:
    view = federation.round_view()
    return view.round > round or view.phase.over


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s"
        time.sleep(0.2)
