"""What expired is let go of on a real chain, and the federation goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web3 import Web3

from processor.chain.provider import connect
from processor.chain.snapshot import Snapshots
from processor.daemons.kept import KeptRounds, rounds_folder
from processor.daemons.retention import release_rounds, release_updates
from processor.protocol.retention import DAY
from processor.storage import LocalStorage
from processor.storage.library import Library
from processor.types import Cid
from tests.integration.local_federation import LOG, LocalFederation
from tests.nodes import start_anvil


class Forgetting(LocalStorage):
    """A store that drops what is unpinned, as an IPFS node does when it clears up."""

    def unpin(self, cid: Cid) -> None:
        self._path(cid).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


def play_a_round(played: LocalFederation) -> None:
    played.open_round()
    played.train_and_submit()
    played.finalize()


def test_a_federation_goes_on_after_what_expired_is_gone(web3: Web3, tmp_path: Path) -> None:
    played = LocalFederation(web3, tmp_path, clients_wanted=2, rounds_wanted=3, publish_validation=True)
    played.register()
    play_a_round(played)
    played.organization.cycle()  # which keeps the round with its outcome
    first = played.kept(1)
    assert first.outcome is not None
    updates = {line.update for line in first.submitted}
    played.pass_time(3 * DAY)
    store = Forgetting(played.storage.directory)
    released = release_rounds(
        snapshot=Snapshots(played.federation).latest(),
        library=Library(store),
        kept=KeptRounds(rounds_folder(played.organization.settings.state), LOG),
        keep_days=2,
        state=played.organization.settings.state,
        log=LOG,
    )
    assert released == (1,)
    left = {path.name for path in store.directory.iterdir()}
    assert not left & updates
    assert first.opening.base_model in left

    played.organization = played.restarted_organization()
    played.clients = [played.client(number) for number in range(2)]
    play_a_round(played)
    assert played.federation.latest_release().model != first.outcome.model


def test_a_client_lets_go_of_nothing_but_its_own_update(web3: Web3, tmp_path: Path) -> None:
    played = LocalFederation(web3, tmp_path, clients_wanted=2, rounds_wanted=1)
    played.register()
    play_a_round(played)
    played.pass_time(3 * DAY)
    store, client = Forgetting(played.storage.directory), played.clients[0]
    before = {path.name for path in store.directory.iterdir()}
    done = release_updates(
        storage=store,
        updates=client.journal.updates(),
        keep_days=2,
        state=client.settings.state,
        block=played.federation.block(),
        log=LOG,
    )
    assert done == (1,)
    own = played.federation.round_view(client.address).client.update
    assert before - {path.name for path in store.directory.iterdir()} == {own}
