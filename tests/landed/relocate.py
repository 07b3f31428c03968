"""The federation that landed, somewhere else: its folders copied, its configurations written, its chain running on."""

from __future__ import annotations

import gzip
import json
import shutil
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.daemons.base import journal_path
from processor.demo.nodes import ChainNode, anvil_binary, free_port, start_chain
from processor.demo.processes import Party, write_config
from processor.journal import Journal
from processor.storage import LocalStorage

LANDED = Path(__file__).parent
MOMENTS = ("mid", "end")
BLOCK_TIME = 1


@cache
def expected() -> dict[str, Any]:
    """What was true when the fixture was made."""
    return dict(json.loads((LANDED / "expected.json").read_text()))


@dataclass(frozen=True)
class Landed:
    """A copy of one moment in `folder`, each party in a folder of its own."""

    moment: str
    folder: Path
    parties: dict[str, Party]

    @property
    def store(self) -> LocalStorage:
        return LocalStorage(self.folder / "store")

    def said(self, name: str) -> dict[str, Any]:
        """What the journal of a party said when it was copied."""
        return dict(expected()[self.moment]["journals"][name])

    def journal(self, name: str) -> Journal:
        party = self.parties[name]
        return Journal(journal_path(party.state), expected()["chain_id"], expected()["federation"], party.address)

    def start_chain(self) -> ChainNode:
        """Goes on with the chain at the time at which it stopped: by this machine's time, every round of it would be
        over."""
        state = self.folder / "chain.json"
        state.write_bytes(gzip.decompress((LANDED / self.moment / "chain.json.gz").read_bytes()))
        port, time = free_port(), expected()[self.moment]["chain"]["timestamp"]
        command = [str(anvil_binary()), "--silent", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--chain-id", str(expected()["chain_id"]), "--cache-path", str(self.folder / "chain" / "cache")]
        command += ["--load-state", str(state), "--timestamp", str(time), "--block-time", str(BLOCK_TIME)]
        return start_chain("anvil", command, self.folder / "chain", port)

    def federation(self, chain: ChainNode) -> Federation:
        return Federation(connect(chain.rpc_url), expected()["federation"])

    def configure(self, chain: ChainNode) -> None:
        """Gives every party its configuration: all of it was kept but the nodes, and paths are relative to it."""
        network = {"rpc": chain.rpc_url, "store": "../store", "chain_id": expected()["chain_id"]}
        for party in self.parties.values():
            settings = tomllib.loads((LANDED / "parties" / party.name / party.config.name).read_text())
            write_config(party, {"network": network, **settings})


def relocate(moment: str, folder: Path) -> Landed:
    """Copies one moment to `folder`. Files that must be private are so again: git keeps no such mode."""
    (folder / "store").mkdir()
    for cid in expected()[moment]["store"]:  # what was published later is not there yet
        shutil.copyfile(LANDED / "store" / cid, folder / "store" / cid)
    parties = {name: _party(moment, folder / name, address) for name, address in expected()["wallets"].items()}
    return Landed(moment, folder, parties)


def _party(moment: str, folder: Path, address: str) -> Party:
    shutil.copytree(LANDED / "parties" / folder.name, folder)
    party = Party(folder.name, folder, address, folder / "wallet.json", folder / "passphrase")
    for private in (party.wallet, party.passphrase_file):
        private.chmod(0o600)
    shutil.copytree(LANDED / moment / folder.name, party.state)
    return party
