"""`koinon demo` as a person runs it: its first line, its closing page, what it keeps, and how it ends on Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from processor.demo.federation import ARTIFACTS, CHAIN_STATE
from processor.demo.processes import environment, koinon
from processor.types import ZERO_ADDRESS
from tests import warm
from tests.nodes import find_program, start_anvil
from tests.quick_stage import set_quickly
from tests.warm import Done

PATIENCE = 600.0
STAKE = 5 * 10**17
ALL_TERMS = ("--token", "--stake", "0.5", "--admission", "voucher")


def run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    env = environment() if path is None else {**environment(), "PATH": path}
    return subprocess.run(koinon(*arguments), env=env, capture_output=True, text=True, check=False)


def run_quickly(*arguments: str, folder: Path) -> Done:
    """The same from an interpreter that has loaded what the demo needs, with wallets that cost nothing to unlock."""
    return warm.run(arguments, folder, environment(), timeout=PATIENCE, prepare=set_quickly)


def test_demo_keeps_what_an_audit_needs_long_after_its_nodes_are_gone(tmp_path: Path) -> None:
    ipfs = find_program("ipfs")
    kept, page = tmp_path / "kept", tmp_path / "page.json"
    search = f"{ipfs.parent}{os.pathsep}{os.environ['PATH']}"
    demo = run("demo", "--clients", "2", "--rounds", "2", "--keep", str(kept), "--json", str(page), path=search)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.startswith("storage: a private IPFS node at /ip4/127.0.0.1/tcp/")
    assert "Everything holds." in demo.stdout
    result = json.loads(page.read_text())
    assert result["asset"]["address"] == ZERO_ADDRESS
    assert_page_adds_up(result)
    assert all(0 < int(client["balance_change"]) < int(client["reward"]) for client in result["clients"])
    for party in ("organization", "client-1", "client-2"):
        assert {"wallet", "state", "log.jsonl"} <= {path.name for path in (kept / party).iterdir()}

    assert_audit_of_what_is_kept_agrees(kept, result)


def test_demo_in_a_token_with_stakes_and_vouchers_holds_to_the_unit(tmp_path: Path) -> None:
    kept, page = tmp_path / "kept", tmp_path / "page.json"
    asked = ("--clients", "2", "--rounds", "2", *ALL_TERMS, "--keep", str(kept), "--json", str(page))
    demo = run_quickly("demo", *asked, folder=tmp_path)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "a stake of 0.5 PLAY, admission by voucher" in demo.stdout
    assert "Everything holds." in demo.stdout
    result = json.loads(page.read_text())
    assert result["asset"]["symbol"] == "PLAY"
    assert_page_adds_up(result)
    for client in result["clients"]:
        assert int(client["stake"]) == STAKE
        assert int(client["balance_change"]) == int(client["reward"]) - STAKE
    assert int(result["holdings"]) == int(result["carried"]) + int(result["forfeited"]) + 2 * STAKE
    assert_audit_of_what_is_kept_agrees(kept, result)


def test_demo_with_a_relay_pays_clients_that_never_held_a_coin(tmp_path: Path) -> None:
    kept, page = tmp_path / "kept", tmp_path / "page.json"
    asked = ("--clients", "2", "--rounds", "2", "--relay", "--keep", str(kept), "--json", str(page))
    demo = run_quickly("demo", *asked, folder=tmp_path)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Everything holds." in demo.stdout
    result = json.loads(page.read_text())
    assert_page_adds_up(result)
    for client in result["clients"]:
        assert int(client["fees_wei"]) == 0
        assert int(client["balance_change"]) == int(client["reward"]) > 0
    receipts = ["--receipts", str(kept / "client-1" / "state" / "receipts")]
    verdicts = [receipt["verdict"] for receipt in assert_audit_of_what_is_kept_agrees(kept, result, *receipts)]
    assert verdicts.count("kept") == 2 and set(verdicts) == {"kept", "not listed"}, "two updates and a registration"


def test_relay_with_a_stake_is_refused_before_anything_starts() -> None:
    demo = run("demo", "--relay", "--stake", "0.5")
    assert demo.returncode == 1
    assert "--relay with --stake" in demo.stderr and demo.stdout == ""


def test_stake_that_is_no_amount_is_refused_before_anything_starts() -> None:
    demo = run("demo", "--stake", "half")
    assert demo.returncode == 1
    assert "--stake" in demo.stderr and demo.stdout == ""


def assert_audit_of_what_is_kept_agrees(kept: Path, page: dict[str, Any], *more: str) -> list[dict[str, Any]]:
    """Returns what the audit says of receipts."""
    with start_anvil(kept / "again", load_state=kept / CHAIN_STATE) as chain:
        store = ["--store", str(kept / ARTIFACTS)]
        audit = run("audit", page["federation"], "--rpc", chain.rpc_url, *store, *more, "--json")
        assert audit.returncode == 0, audit.stdout + audit.stderr
        said = json.loads(audit.stdout)
    assert said["checks"] == page["audit"]["checks"]
    receipts: list[dict[str, Any]] = said["receipts"]
    return receipts


def assert_page_adds_up(page: dict[str, Any]) -> None:
    assert [row["round"] for row in page["rounds"]] == [1, 2]
    assert page["rounds"][1]["base_model"] == page["rounds"][0]["model"]
    assert page["federated_accuracy"] == page["rounds"][1]["accuracy"] > page["local_only_accuracy"]
    amounts = {name: int(page[name]) for name in ("pool", "paid", "carried", "forfeited")}
    assert amounts["pool"] == amounts["paid"] + amounts["carried"] + amounts["forfeited"]
    assert sum(int(client["reward"]) for client in page["clients"]) == amounts["paid"]
    assert page["audit"]["ok"] is True and page["audit"]["violations"] == []


def test_interrupted_demo_ends_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    env = {**environment(), "TMPDIR": str(tmp_path)}
    command = koinon("demo", "--clients", "2", "--store", str(tmp_path / "store"))
    demo = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "registered" in line:
            break
    children = psutil.Process(demo.pid).children(recursive=True)
    assert len(children) >= 4  # the chain, the organization and two clients
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline, "a process outlived the demo"
        time.sleep(0.1)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("koinon-demo")] == []


def test_folder_that_is_not_empty_is_not_kept_into(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    demo = run("demo", "--keep", str(tmp_path))
    assert demo.returncode == 1
    assert "expected a new or an empty folder" in demo.stderr
