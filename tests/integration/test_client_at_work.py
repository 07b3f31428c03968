"""A client whose worker is at work: its daemon sees what happens on the chain, and does what else there is to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from web3 import Web3

from processor.chain.provider import connect
from processor.daemons.loop import run
from processor.protocol.decide import Claim, Publish, Submit, Train, Working
from processor.protocol.jobs.worker import Progress
from tests.integration.local_federation import LOG, LocalFederation
from tests.nodes import start_anvil
from tests.scripted_worker import Scripted


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


def test_while_its_worker_trains_a_client_claims_and_sees_a_reorganization_and_then_submits(
    web3: Web3, tmp_path: Path
) -> None:
    played = LocalFederation(web3, tmp_path, clients_wanted=1, confirmations=2)
    played.register()
    played.open_round()
    played.train_and_submit()
    played.finalize()
    played.worker = worker = Scripted()
    client = played.client(0)
    before = web3.provider.make_request("evm_snapshot", [])["result"]  # type: ignore[arg-type]
    played.open_round()

    assert client.cycle() == Working("round 2: training")
    assert isinstance(client.cycle(), Claim)
    assert worker.begun == [worker.folder.name], "plan and data were looked at in the round before"
    worker.gets_on(Progress(step=3, steps=5, loss=0.5, metered_ms=10))
    assert client.cycle() == Working("round 2: training")
    assert client.metrics.registry.get_sample_value("koinon_training_step") == 3

    web3.provider.make_request("evm_revert", [before])  # type: ignore[arg-type]
    web3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
    assert not isinstance(client.cycle(), Working)
    assert client.metrics.registry.get_sample_value("koinon_reorganizations_total") == 1
    assert worker.ended == worker.begun

    played.organization.cycle()  # sends the transaction that opened it again
    assert played.federation.round_view().round == 2
    actions = [client.cycle() for _ in range(4)]
    assert actions[-1] == Working("round 2: training"), actions
    worker.finishes()
    assert [type(client.cycle()) for _ in range(3)] == [Train, Submit, Publish]


def test_a_client_that_refuses_a_round_asks_its_worker_once_and_run_once_waits_for_a_training(
    web3: Web3, tmp_path: Path
) -> None:
    played = LocalFederation(web3, tmp_path, clients_wanted=1)
    played.worker = worker = Scripted()
    client = played.client(0)
    played.clients = [client]
    played.agree()
    played.register()
    played.open_round()
    accepts, client.settings = client.settings, replace(client.settings, accept_public_updates=False)
    for _ in range(3):
        assert "accept_public_updates = true" in str(client.cycle())
    assert worker.begun == ["inspect"]

    client.settings = accepts
    pauses: list[float] = []

    def pause(seconds: float, stopping: object) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            worker.finishes()

    run(client.cycle, 0.1, threading.Event(), LOG, pause=pause, once=True)
    assert len(pauses) == 3
    assert played.federation.round_view().update_count == 1
