"""Private nodes: they start on their own ports, keep what they are asked to, and never outlive who started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ipfshttpclient
import pytest
from web3 import Web3

from processor.chain.provider import connect
from processor.demo.nodes import CHECKOUT, start_chain
from processor.errors import KoinonError
from tests.nodes import find_program, free_port, start_anvil, start_kubo


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_chain_is_dumped_when_it_stops_and_goes_on_with_its_past(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with start_anvil(tmp_path / "first", dump_state=state) as node:
        web3 = connect(node.rpc_url)
        sender, receiver, *_ = list(web3.eth.accounts)
        before = web3.eth.get_balance(receiver)
        paid = web3.eth.send_transaction({"from": sender, "to": receiver, "value": Web3.to_wei(1, "ether")})
        web3.eth.wait_for_transaction_receipt(paid, poll_latency=0.05)
    with start_anvil(tmp_path / "second", load_state=state) as node:
        web3 = connect(node.rpc_url)
        assert web3.eth.get_balance(receiver, 0) == before
        assert web3.eth.get_balance(receiver, 1) == before + Web3.to_wei(1, "ether")


def test_two_ipfs_nodes_of_one_machine_do_not_meet(tmp_path: Path) -> None:
    ipfs = find_program("ipfs")
    with start_kubo(ipfs, tmp_path / "one") as one, start_kubo(ipfs, tmp_path / "two") as two:
        first, second = (ipfshttpclient.Client(node.api, session=True) for node in (one, two))
        cid = first.add_bytes(b"koinon")
        assert first.cat(cid) == b"koinon"
        with pytest.raises(ipfshttpclient.exceptions.ErrorResponse):
            second.cat(cid, timeout=10)
    assert one.process.returncode == 0
    assert two.process.returncode == 0


def test_a_program_that_ends_at_once_is_reported_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(KoinonError, match="broken ended at once with status 3: no such chain"):
        start_chain("broken", ["sh", "-c", "echo no such chain; exit 3"], tmp_path, free_port())


def test_a_node_that_nobody_stopped_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from processor.demo.nodes import start_anvil; "
    script += "print(start_anvil(Path(sys.argv[1])).process.pid); raise SystemExit('a mistake')"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert not running(int(done.stdout))
