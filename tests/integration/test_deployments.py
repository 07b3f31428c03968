"""Where scripts write down the factory of a chain, and what they make of a record that is of another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from web3 import Web3

from processor.chain.federation import Factory, factory_deployment
from processor.chain.finality import DEVELOPMENT
from processor.chain.provider import connect
from processor.chain.transactions import Receipt, Sender
from processor.errors import ConfigurationError
from scripts.deployments import (
    CHECKOUT,
    deployment_file,
    make_folder,
    record,
    recorded_factory,
    require_undeployed,
)
from tests.integration.brownie_scripts import rich_account
from tests.nodes import start_anvil

NOBODY = "0x000000000000000000000000000000000000dEaD"
PUBLIC = 11155111


@pytest.fixture(scope="module", params=[31337, PUBLIC])
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Web3, Receipt]]:
    """A chain for development or one that calls itself public, and the deployment of its factory."""
    with start_anvil(tmp_path_factory.mktemp("node"), chain_id=request.param) as node:
        web3 = connect(node.rpc_url)
        yield web3, Sender(web3, rich_account(web3)).send(factory_deployment())


@pytest.mark.parametrize("chain_id", [*DEVELOPMENT, 1, PUBLIC])
def test_every_chain_has_its_file_and_development_chains_have_theirs_in_the_folder_of_the_run(
    chain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KOINON_DEPLOYMENTS", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path if chain_id in DEVELOPMENT else CHECKOUT
    assert deployment_file(chain_id, passing=False) == folder / "deployments" / f"{chain_id}.json"
    assert deployment_file(chain_id, passing=True) is None
    monkeypatch.setenv("KOINON_DEPLOYMENTS", str(tmp_path / "elsewhere"))
    for passing in (False, True):
        assert deployment_file(chain_id, passing) == tmp_path / "elsewhere" / f"{chain_id}.json"


def test_a_factory_that_was_written_down_is_found_and_not_deployed_twice(
    deployed: tuple[Web3, Receipt], tmp_path: Path
) -> None:
    web3, receipt = deployed
    factory, file = Factory(web3, str(receipt.contract)), tmp_path / "new" / "chain.json"
    require_undeployed(web3, file)
    make_folder(file)
    record(file, factory, receipt)
    assert recorded_factory(web3, file).address == factory.address
    assert json.loads(file.read_text())["block"] == receipt.block
    with pytest.raises(ConfigurationError, match=f"names the factory of chain {web3.eth.chain_id} already; remove"):
        require_undeployed(web3, file)


def test_a_record_of_another_chain_is_said_and_only_a_development_chain_is_deployed_to_all_the_same(
    deployed: tuple[Web3, Receipt], tmp_path: Path
) -> None:
    web3, _ = deployed
    file = tmp_path / "chain.json"
    file.write_text(json.dumps({"factory": NOBODY}))
    with pytest.raises(ConfigurationError, match=f"names the factory {NOBODY}, and chain .* has no factory of this"):
        recorded_factory(web3, file)
    if web3.eth.chain_id in DEVELOPMENT:
        require_undeployed(web3, file)
    else:
        with pytest.raises(ConfigurationError, match="already; remove the file"):
            require_undeployed(web3, file)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '"0x12"', "[" * 99_999, '{"factory": 7}', '{"factory": "0x12"}']
)
def test_a_record_that_is_none_is_said_in_a_sentence(
    deployed: tuple[Web3, Receipt], tmp_path: Path, content: str
) -> None:
    file = tmp_path / "chain.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="names no factory|names the factory") as said:
        recorded_factory(deployed[0], file)
    assert "Remove it and deploy, or say factory=ADDRESS" in str(said.value)


def test_where_no_record_can_be_kept_it_is_said_before_the_deployment_and_an_address_is_never_lost(
    deployed: tuple[Web3, Receipt], tmp_path: Path
) -> None:
    web3, receipt = deployed
    factory = Factory(web3, str(receipt.contract))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made: .*Name another with KOINON_DEPLOYMENTS"):
        make_folder(tmp_path / "file" / "deployments" / "chain.json")
    (tmp_path / "chain.json").mkdir()
    with pytest.raises(ConfigurationError, match=f"the factory is {factory.address}, and .* cannot be written"):
        record(tmp_path / "chain.json", factory, receipt)
