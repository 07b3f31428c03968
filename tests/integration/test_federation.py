"""A federation of processes, whole: on anvil with a local store, and on a real geth over a real IPFS node."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from processor.daemons.kept import KeptRounds, rounds_folder
from processor.demo.play import play
from processor.demo.settings import DemoSettings
from processor.demo.stage import Stage, set_the_stage
from tests.nodes import find_program, start_anvil, start_geth, start_kubo

SETTINGS = DemoSettings(clients=3, rounds=2, seed=1)

pytestmark = pytest.mark.usefixtures("quick_stage")


def assert_everything_holds(stage: Stage) -> None:
    lines: list[str] = []
    page = play(stage, lines.append)
    assert page.failures() == []
    assert page.audit.checks > 50
    assert [row.updates for row in page.rounds] == [3, 3]
    assert page.federated_accuracy > page.local_only_accuracy
    assert page.as_json()["audit"] == {"ok": True, "checks": page.audit.checks, "violations": []}
    said = "\n".join(lines)
    for event in ("client-1 registered", "round 2 opened", "client-3 submitted", "round 2 finalized", "was paid"):
        assert event in said
    assert_no_secret_in_the_logs(stage)


def assert_no_secret_in_the_logs(stage: Stage) -> None:
    for party in (stage.organization, *stage.clients):
        log = (party.folder / "log.jsonl").read_text()
        assert log
        assert party.passphrase_file.read_text() not in log
    kept = KeptRounds(rounds_folder(stage.organization.state), structlog.get_logger())
    first, last = kept.read(1), stage.federation.round_view()
    assert first is not None and first.outcome is not None and last.round == 2
    for secret in (first.outcome.secret, last.secret.hex()):
        assert any(bytes.fromhex(secret)) and secret not in (stage.organization.folder / "log.jsonl").read_text()


def test_federation_of_processes_on_anvil_with_a_local_store(tmp_path: Path) -> None:
    with start_anvil(tmp_path / "chain", block_time=1) as chain:
        storage = {"store": str(tmp_path / "store")}
        assert_everything_holds(set_the_stage(SETTINGS, tmp_path, chain.rpc_url, storage, print))


def test_federation_of_processes_on_a_real_geth_over_a_real_ipfs_node(tmp_path: Path) -> None:
    program = find_program("ipfs")
    with (
        start_kubo(program, tmp_path / "kubo") as kubo,
        start_geth(find_program("geth"), tmp_path / "chain") as chain,
    ):
        stage = set_the_stage(SETTINGS, tmp_path, chain.rpc_url, {"ipfs": kubo.api}, print)
        assert stage.federation.chain_id == 1337
        assert_everything_holds(stage)
