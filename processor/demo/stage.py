"""The stage of a demo on any development chain: wallets with coins, contracts, data, configurations."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web3 import Web3
from web3.types import TxParams, Wei

from processor.artifacts.plan import Plan
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.config import organization_template
from processor.demo import settings as knobs
from processor.demo.deploy import deploy
from processor.demo.processes import Party, make_party, write_config
from processor.demo.settings import DemoSettings
from processor.learning.tasks import Dataset, digits_partition, save_dataset
from processor.storage import Storage, open_storage, put_bytes

STORAGE_TIMEOUT = 30.0


@dataclass(frozen=True)
class Stage:
    """A federation that is created, and everybody who will take part in it. `network` is how they reach it."""

    settings: DemoSettings
    folder: Path
    web3: Web3
    network: dict[str, Any]
    storage: Storage
    organization: Party
    clients: list[Party]
    federation: Federation
    plan: Plan
    datasets: list[Dataset]
    validation: Dataset


def set_the_stage(
    settings: DemoSettings, folder: Path, rpc_url: str, storage_settings: Mapping[str, str], say: Callable[[str], None]
) -> Stage:
    """Sets everything up in `folder`, on a chain whose first account is unlocked and rich.

    Raises KoinonError where storage or chain cannot be used.
    """
    storage = open_storage(storage_settings.get("ipfs"), _path(storage_settings.get("store")), STORAGE_TIMEOUT)
    put_bytes(storage, b"koinon")  # a node that cannot be reached is better found out now
    web3 = connect(rpc_url)
    organization = make_party(folder / "organization", "organization")
    clients = [make_party(folder / f"client-{number}", f"client-{number}") for number in range(1, settings.clients + 1)]
    _fund(web3, {organization: knobs.BALANCE + settings.rounds * knobs.REWARD, **dict.fromkeys(clients, knobs.BALANCE)})
    federation = Federation(web3, deploy(web3, rpc_url, organization, folder, say))
    say(f"federation {federation.address} on chain {federation.chain_id}")

    datasets, validation = digits_partition(settings.clients, settings.seed)
    network = {"rpc": rpc_url, **storage_settings, "chain_id": federation.chain_id}
    plan = plan_of(settings)
    _equip_organization(settings, organization, federation, network, plan, validation)
    for client, dataset in zip(clients, datasets, strict=True):
        _equip_client(client, federation, network, dataset)
    return Stage(
        settings=settings,
        folder=folder,
        web3=web3,
        network=network,
        storage=storage,
        organization=organization,
        clients=clients,
        federation=federation,
        plan=Plan.from_table(plan),
        datasets=datasets,
        validation=validation,
    )


def plan_of(settings: DemoSettings) -> dict[str, Any]:
    """The plan of the organization's template, with the demo's seed and number of rounds."""
    plan: dict[str, Any] = tomllib.loads(organization_template())["plan"]
    plan["initialization_seed"] = settings.seed
    plan["stopping"] = {**plan["stopping"], "min_rounds": settings.rounds, "max_rounds": settings.rounds}
    return plan


def _equip_organization(
    settings: DemoSettings,
    organization: Party,
    federation: Federation,
    network: dict[str, Any],
    plan: dict[str, Any],
    validation: Dataset,
) -> None:
    data = organization.folder / "validation.npz"
    save_dataset(data, validation)
    write_config(
        organization,
        {
            "network": network,
            "organization": {
                **_common(organization, federation),
                "validation": str(data),
                "publish_validation": True,
                "min_members": settings.clients,
            },
            "round": {
                "training_period": knobs.TRAINING_PERIOD,
                "aggregation_period": knobs.AGGREGATION_PERIOD,
                "max_updates": settings.clients,
                "max_compute_ms": knobs.MAX_COMPUTE_MS,
                "selection_rate": 10_000,
                "reward_rate_cap": str(knobs.REWARD_RATE_CAP),
                "reward": str(knobs.REWARD),
            },
            "plan": plan,
        },
    )


def _equip_client(client: Party, federation: Federation, network: dict[str, Any], dataset: Dataset) -> None:
    data = client.folder / "data.npz"
    save_dataset(data, dataset)
    write_config(
        client,
        {
            "network": network,
            "client": {
                **_common(client, federation),
                "data": str(data),
                "accept_public_updates": True,
                "claim_threshold": str(knobs.CLAIM_THRESHOLD),
                "threads": 1,
            },
        },
    )


def _common(party: Party, federation: Federation) -> dict[str, Any]:
    return {
        "federation": federation.address,
        "wallet": str(party.wallet),
        "passphrase_file": str(party.passphrase_file),
        "state": str(party.state),
        "poll_interval": knobs.POLL_INTERVAL,
    }


def _fund(web3: Web3, amounts: Mapping[Party, int]) -> None:
    """Gives each new account exactly so many wei, from the chain's own."""
    sent = []
    for party, wei in amounts.items():
        address = Web3.to_checksum_address(party.address)
        gift: TxParams = {"from": web3.eth.accounts[0], "to": address, "value": Wei(wei)}
        sent.append(web3.eth.send_transaction(gift))
    for transaction in sent:
        web3.eth.wait_for_transaction_receipt(transaction, poll_latency=0.1)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
