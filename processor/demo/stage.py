"""The stage of a demo on any development chain: wallets with coins, contracts, data, configurations."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.types import TxParams, Wei

from processor.artifacts.dataset import Dataset, DatasetHeader, write_dataset
from processor.artifacts.plan import PLAN, Plan
from processor.chain.asset import Asset, asset_at, mint
from processor.chain.federation import Federation, deploy_token
from processor.chain.provider import connect
from processor.chain.transactions import Call, Sender
from processor.chain.vouchers import sign_voucher
from processor.config import organization_template
from processor.data.digits import digits_partition
from processor.data.npz import save_npz
from processor.demo import settings as knobs
from processor.demo.deploy import deploy
from processor.demo.nodes import free_port
from processor.demo.processes import Party, make_party, write_config
from processor.demo.settings import DemoSettings
from processor.keystore import passphrase, unlock
from processor.protocol.consent import Agreement
from processor.storage import Storage, open_storage, put_bytes
from processor.storage.library import Library
from processor.storage_address import address_of
from processor.types import ZERO_ADDRESS, Admission, FederationTerms

STORAGE_TIMEOUT = 30.0
WALLETS_AT_ONCE = 2
"""A new wallet takes 256 MiB of memory and a good part of a second."""


@dataclass(frozen=True)
class Stage:
    """A federation that is created, and everybody who will take part in it. `network` is how they reach it, and `plan`
    what its rounds will name. There is a relay where the clients hold no coins."""

    settings: DemoSettings
    folder: Path
    web3: Web3
    network: dict[str, Any]
    storage: Storage
    organization: Party
    clients: list[Party]
    relay: Party | None
    federation: Federation
    plan: Plan
    datasets: list[Dataset]
    validation: Dataset

    def announce(self, plan: Plan) -> Agreement:
        """Publishes a plan ahead of its first round, so that clients can agree to it."""
        federation = self.federation
        cid = Library(self.storage).publish(PLAN, plan)
        return Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())


def set_the_stage(
    settings: DemoSettings, folder: Path, rpc_url: str, storage_settings: Mapping[str, str], say: Callable[[str], None]
) -> Stage:
    """Sets everything up in `folder`, on a chain whose first account is unlocked and rich.

    Raises KoinonError where storage or chain cannot be used.
    """
    ipfs, store = storage_settings.get("ipfs"), storage_settings.get("store")
    storage = open_storage([ipfs or address_of(Path(store or ""))], timeout=STORAGE_TIMEOUT)
    put_bytes(storage, b"koinon")  # a node that cannot be reached is better found out now
    web3 = connect(rpc_url)
    names = [
        "organization",
        *(["relay"] if settings.relay else ()),
        *(f"client-{number}" for number in range(1, settings.clients + 1)),
    ]
    with ThreadPoolExecutor(WALLETS_AT_ONCE) as pool:
        organization, *others = pool.map(lambda name: make_party(folder / name, name), names)
    relay, clients = (others[0], others[1:]) if settings.relay else (None, others)
    coin = asset_at(web3, ZERO_ADDRESS)
    with_coins = (organization, *clients) if relay is None else (organization, relay)
    _give(web3, [_gift(coin, party, knobs.BALANCE) for party in with_coins])
    account = unlock(organization.wallet, passphrase(False, organization.passphrase_file))
    asset = asset_at(web3, deploy_token(Sender(web3, account))) if settings.token else coin
    stakes = [_gift(asset, client, settings.stake) for client in clients] if settings.stake else []
    _give(web3, [_gift(asset, organization, settings.rounds * settings.reward), *stakes])
    terms = _terms(settings, asset)
    federation = deploy(web3, rpc_url, organization, account, terms, folder, say)
    say(f"federation {federation.address} on chain {federation.chain_id}: {_in_words(asset, terms)}")
    if terms.admission is Admission.VOUCHER:
        _hand_out_vouchers(account, federation, clients)

    datasets, validation = digits_partition(settings.clients, settings.seed)
    network = {"rpc": rpc_url, **storage_settings, "chain_id": federation.chain_id}
    table = plan_of(settings)
    plan = Plan.from_table(table)
    _equip_organization(settings, organization, federation, network, table, validation)
    relays = [] if relay is None else [_equip_relay(relay, federation, network)]
    for client, dataset in zip(clients, datasets, strict=True):
        _equip_client(client, federation, network, dataset, relays)
    return Stage(
        settings=settings,
        folder=folder,
        web3=web3,
        network=network,
        storage=storage,
        organization=organization,
        clients=clients,
        relay=relay,
        federation=federation,
        plan=with_published(plan, validation, storage),
        datasets=datasets,
        validation=validation,
    )


def plan_of(settings: DemoSettings) -> dict[str, Any]:
    """The plan of the organization's template, with the demo's seed, number of rounds and slashes."""
    plan: dict[str, Any] = tomllib.loads(organization_template())["plan"]
    plan["initialization_seed"] = settings.seed
    plan["slashing"] = {"rate": knobs.SLASH_RATE if settings.stake else 0}
    plan["stopping"] = {**plan["stopping"], "min_rounds": settings.rounds, "max_rounds": settings.rounds}
    return plan


def with_published(plan: Plan, validation: Dataset, storage: Storage) -> Plan:
    """The plan with the CID of its validation data, which is then in the storage, as its organization puts it there."""
    with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
        path = Path(folder) / "dataset"
        write_dataset(path, DatasetHeader(task=plan.task.name), validation.features, validation.labels)
        return replace(plan, validation=storage.put(path))


def _equip_organization(
    settings: DemoSettings,
    organization: Party,
    federation: Federation,
    network: dict[str, Any],
    plan: dict[str, Any],
    validation: Dataset,
) -> None:
    data = organization.folder / "validation.npz"
    save_npz(data, validation)
    write_config(
        organization,
        {
            "network": network,
            "organization": {
                **_common(organization, federation),
                "validation": str(data),
                "publish_validation": True,
                "min_members": settings.clients,
                "worker_keep": knobs.WORKER_KEEP,
            },
            "round": {
                "training_period": knobs.TRAINING_PERIOD,
                "aggregation_period": knobs.AGGREGATION_PERIOD,
                "max_updates": settings.clients,
                "max_compute_ms": knobs.MAX_COMPUTE_MS,
                "selection_rate": 10_000,
                "reward_rate_cap": str(knobs.REWARD_RATE_CAP),
                "reward": str(settings.reward),
            },
            "plan": plan,
        },
    )


def _equip_relay(relay: Party, federation: Federation, network: dict[str, Any]) -> str:
    """Returns where clients reach it."""
    address = f"127.0.0.1:{free_port()}"
    write_config(
        relay,
        {
            "network": {name: network[name] for name in ("rpc", "chain_id")},
            "relay": {
                **_common(relay, federation),
                "listen": address,
                "claim_threshold": str(knobs.CLAIM_THRESHOLD),
                "requests_per_minute": knobs.REQUESTS_PER_MINUTE,
            },
        },
    )
    return f"http://{address}"


def _equip_client(
    client: Party, federation: Federation, network: dict[str, Any], dataset: Dataset, relays: list[str]
) -> None:
    data = client.folder / "data.npz"
    save_npz(data, dataset)
    write_config(
        client,
        {
            "network": network,
            "client": {
                **_common(client, federation),
                **_terms_accepted(client, federation.terms()),
                "data": str(data),
                "accept_public_updates": True,
                **({"relays": relays} if relays else {}),
                "claim_threshold": str(knobs.CLAIM_THRESHOLD),
                "max_gas_per_day": knobs.MAX_GAS_PER_DAY,
                "threads": 1,
                "worker_keep": knobs.WORKER_KEEP,
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


def _terms_accepted(client: Party, terms: FederationTerms) -> dict[str, Any]:
    """What the client takes part for, and the most that it may lose by it."""
    accepted = {"asset": terms.asset, "max_stake": str(terms.stake)}
    return {**accepted, "voucher": str(client.voucher)} if terms.admission is Admission.VOUCHER else accepted


# ------------------------------------------------------------------------------------------------- money and admission


def starting_coins(settings: DemoSettings) -> int:
    """What a client has of the chain's coin before it takes part, its stake aside."""
    return 0 if settings.relay else knobs.BALANCE


def starting_balance(settings: DemoSettings, asset: Asset) -> int:
    """What a client has of the asset before it takes part: its stake, and its coins where the asset is the coin."""
    return settings.stake + (starting_coins(settings) if asset.native else 0)


def _terms(settings: DemoSettings, asset: Asset) -> FederationTerms:
    return FederationTerms(
        asset=asset.address,
        stake=settings.stake,
        max_slash_rate=knobs.MAX_SLASH_RATE if settings.stake else 0,
        admission=settings.admission,
    )


def _in_words(asset: Asset, terms: FederationTerms) -> str:
    paid_in = asset.symbol if asset.native else f"{asset.symbol}, the token {asset.address}"
    stake = f", a stake of {asset.format(terms.stake)}" if terms.stake else ""
    return f"rewards in {paid_in}{stake}, admission {'by voucher' if terms.admission is Admission.VOUCHER else 'open'}"


def _gift(asset: Asset, party: Party, amount: int) -> Call:
    if asset.native:
        return Call(party.address, b"", amount, f"give {party.name} {asset.format(amount)}")
    return mint(asset, party.address, amount)


def _give(web3: Web3, gifts: Iterable[Call]) -> None:
    """Sends gifts from the chain's own account, all at once."""
    sent = []
    for gift in gifts:
        transaction: TxParams = {
            "from": web3.eth.accounts[0],
            "to": Web3.to_checksum_address(gift.to or ZERO_ADDRESS),
            "value": Wei(gift.value),
            "data": HexBytes(gift.data),
        }
        sent.append(web3.eth.send_transaction(transaction))
    for transaction_hash in sent:
        web3.eth.wait_for_transaction_receipt(transaction_hash, poll_latency=0.1)


def _hand_out_vouchers(account: LocalAccount, federation: Federation, clients: Iterable[Party]) -> None:
    """The organization signs a voucher for every client, into the client's own folder."""
    identity = (federation.chain_id, federation.address)
    expiry, nonce = federation.block().timestamp + knobs.VOUCHER_PERIOD, federation.owner_nonce()
    for client in clients:
        voucher = sign_voucher(account, *identity, client.address, expiry, nonce)
        client.voucher.write_bytes(voucher.encode())
