"""`koinon check`: whether everything is there that a daemon needs, before it runs for weeks."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from web3 import Web3

from processor import keystore
from processor.artifacts.model import MODEL
from processor.artifacts.plan import Plan
from processor.chain.amounts import format_ether
from processor.chain.asset import asset_at, balance_of
from processor.chain.blocks import latest_block
from processor.chain.federation import Federation
from processor.chain.fees import gas_price, market_fees
from processor.chain.provider import connect, node_errors
from processor.cli import checks
from processor.cli.admission import not_admitted
from processor.cli.checks import NodeHead, Result, Status, failed, ok, skipped, warning
from processor.cli.checks_page import print_checks
from processor.cli.connections import address_of, chain_of, federation_of, storage_of, unlock
from processor.cli.daemon import logger
from processor.cli.join import agreement_on, current_plan
from processor.cli.options import AsJson, Config, Ipfs, Rpc, Store
from processor.cli.refused import refused_of_round
from processor.cli.writable import hindrance
from processor.config import (
    ClientSettings,
    OrganizationSettings,
    config_file,
    load_client,
    load_organization,
)
from processor.daemons.consents import agreed
from processor.daemons.dry_run import copy_of_state
from processor.errors import ChainError, ConfigurationError, DatasetError, KeystoreError, KoinonError, StorageError
from processor.observability import shown
from processor.protocol.consent import Agreement
from processor.protocol.funds import CLIENT_GAS, ORGANIZATION_GAS
from processor.protocol.limits import SUBMIT_GAS, Limits, ModelSize, artifact_bytes, refusals, work_of
from processor.protocol.rewards import SCALE, guaranteed_rate, least_pool_under, selected_under
from processor.storage import GatewayStorage, IpfsStorage, LocalStorage, get_bytes, put_bytes
from processor.storage.library import Library
from processor.storage_address import folder_of
from processor.toml_texts import read_toml
from processor.types import ZERO_ADDRESS, Address, Phase, RoundView
from processor.words import in_full, noun, reason

if TYPE_CHECKING:
    from processor.learning.tasks import Task

SAMPLE = 1024
"""Bytes that are put into every storage, and read again."""

app = typer.Typer()


@app.command(epilog="Example: koinon check --config client.toml")
def check(
    config: Config = None, rpc: Rpc = None, ipfs: Ipfs = None, store: Store = None, as_json: AsJson = False
) -> None:
    """Check nodes, contract, storage, key, money, clock, disk, data and model of a daemon's configuration.

    A line for each: ok, warning, or FAILED with what to do. Sends no transaction and asks for no passphrase; status 1
    where something failed.
    """
    logger()
    options = {"rpc": rpc, "ipfs": ipfs, "store": store}
    settings = load_organization(options, config) if _is_organization(config) else load_client(options, config)
    if not print_checks(_Checks(settings).run(), as_json):
        raise typer.Exit(1)


def _is_organization(config: Path | None) -> bool:
    """Whose configuration it is. Raises ConfigurationError where there is none."""
    path = config_file(config)
    if path is None:
        raise ConfigurationError("name the configuration of an organization or a client with --config")
    tables = read_toml(path)
    if "relay" in tables and not tables.keys() & {"client", "organization"}:
        raise ConfigurationError(f"{path} is the configuration of a relay: `koinon relay check` checks that")
    return "organization" in tables


class _NotKnown(Exception):
    """A check rests on another, which has failed and said why."""


class _Checks:
    """The checks of one configuration. What several of them need is found out once; one that fails hides no other."""

    def __init__(self, settings: ClientSettings | OrganizationSettings) -> None:
        self._settings = settings
        self._network = settings.network
        self._heads: list[NodeHead] = []

    def run(self) -> Iterator[Result]:
        for name, find in self._all():
            try:
                yield find()
            except _NotKnown as missing:
                yield skipped(name, str(missing))
            except KoinonError as error:
                yield failed(name, str(error))
            except OSError as error:
                yield failed(name, in_full(error))
            except ImportError as error:
                yield failed(name, f"torch cannot be imported: {error}. Install Koinon again")

    def _all(self) -> Iterator[tuple[str, Callable[[], Result]]]:
        network = self._network
        yield from (("node", partial(self._node, address)) for address in network.rpc)
        yield "chain", lambda: checks.chain_of_all(self._heads, network.chain_id)
        yield "contract", self._contract
        for address in network.storage:
            folder = folder_of(address)
            yield ("ipfs", partial(self._ipfs, address)) if folder is None else ("store", partial(self._store, folder))
        if network.quorum is not None:
            yield "quorum", partial(self._quorum, network.quorum)
        yield from (("gateway", partial(self._gateway, address)) for address in network.gateways)
        yield "key", self._key
        yield "balance", self._balance
        yield "asset", self._asset
        if isinstance(self._settings, ClientSettings):
            yield "admission", self._admission
        if isinstance(self._settings, OrganizationSettings):
            yield "pool", partial(self._pool, self._settings)
        yield "clock", lambda: checks.clock(time.time(), latest_block(self._web3).timestamp)
        yield "plan", self._plan_found
        yield "model", self._model
        yield "data", self._data
        if isinstance(self._settings, ClientSettings):
            if self._settings.device == "cuda":
                yield "device", partial(self._device, self._settings.device)
            yield "limits", partial(self._limits, self._settings)
            yield "consent", self._consent
        yield "disk", self._state_folder
        yield "disk", lambda: self._disk(Path(tempfile.gettempdir()))

    # ------------------------------------------------------------------------------------------- what several need

    @cached_property
    def _web3(self) -> Web3:
        if not self._heads:
            raise _NotKnown("no node answers")
        try:
            return chain_of(self._network)
        except ChainError:
            raise _NotKnown("the nodes are not on one chain") from None

    @cached_property
    def _federation(self) -> Federation:
        _ = self._web3
        try:
            return Federation(self._web3, self._settings.federation)
        except ChainError:
            raise _NotKnown("the contract cannot be read") from None

    @cached_property
    def _address(self) -> Address:
        try:
            return address_of(self._settings.wallet, self._settings.passphrase_file, prompt=False)
        except KeystoreError:
            raise _NotKnown("the wallet cannot be read") from None

    @cached_property
    def _view(self) -> RoundView | None:
        """The latest round; None before the first."""
        view = self._federation.round_view()
        return None if view.phase is Phase.NONE else view

    @cached_property
    def _plan(self) -> Plan:
        """What the next round will ask for: the organization's own plan, or that of the latest round."""
        if isinstance(self._settings, OrganizationSettings):
            try:
                return Plan.from_table(self._settings.plan)
            except KoinonError:
                raise _NotKnown("the plan has mistakes") from None
        try:
            return self._agreement.plan
        except KoinonError:
            raise _NotKnown("the federation's plan cannot be read yet") from None

    @property
    def _agreement(self) -> Agreement:
        """What a client agrees to. Raises KoinonError where there is no plan yet, or it cannot be had."""
        if isinstance(self._looked_up, KoinonError):
            raise self._looked_up
        return self._looked_up

    @cached_property
    def _looked_up(self) -> Agreement | KoinonError:
        """Looked up once, also where that fails: it may take its time."""
        settings, federation = self._settings, self._federation
        if not isinstance(settings, ClientSettings):
            raise TypeError("an organization has a plan of its own")
        try:
            library = Library(storage_of(self._network))
            plan = current_plan(federation, library, self._view, settings, federation.block())
            return agreement_on(federation, library, plan)
        except KoinonError as error:
            return error

    @cached_property
    def _task(self) -> Task:
        from processor.learning.resolve import task_of

        try:
            return task_of(self._plan)
        except ConfigurationError:
            raise _NotKnown("the plan's task is not known") from None

    @cached_property
    def _data_file(self) -> Path:
        settings = self._settings
        return settings.data if isinstance(settings, ClientSettings) else settings.validation

    @cached_property
    def _samples(self) -> int:
        """How many samples the party's own data has. Raises DatasetError where it is not of the plan's task."""
        from processor.worker.jobs.reading import own_data

        return len(own_data(self._task, self._data_file))

    @cached_property
    def _size(self) -> ModelSize:
        """Raises ConfigurationError where the plan's model is unknown or cannot be built."""
        from processor.learning.models import layout_of
        from processor.learning.resolve import sketch_of

        return ModelSize.of(layout_of(sketch_of(self._plan)))

    # ------------------------------------------------------------------------------------------------- the checks

    def _node(self, address: str) -> Result:
        web3 = connect(address, self._network.timeout)
        with node_errors("name its chain"):
            chain_id = web3.eth.chain_id
        head = NodeHead(shown(address), chain_id, latest_block(web3).number)
        self._heads.append(head)
        return ok("node", f"{head.shown} is on chain {head.chain_id}, at block {head.number}")

    def _contract(self) -> Result:
        _ = self._web3
        federation = federation_of(self._settings)
        factory = self._settings.factory
        maker = federation.made_by() if factory is None else factory
        more = "; name it as factory, if you trust it" if factory is None else ""
        return ok("contract", f"{federation.address} has the code of this version, made by the factory {maker}{more}")

    def _ipfs(self, address: str) -> Result:
        storage = IpfsStorage(address, self._network.timeout)
        sample = secrets.token_bytes(SAMPLE)
        cid = put_bytes(storage, sample)
        found = get_bytes(storage, cid, SAMPLE)
        storage.unpin(cid)
        if found != sample:
            raise StorageError(f"the IPFS node at {address} gave back something else than was put there")
        return ok("ipfs", f"{address} takes artifacts and gives them back")

    def _store(self, directory: Path) -> Result:
        storage = LocalStorage(directory)
        sample = secrets.token_bytes(SAMPLE)
        cid = put_bytes(storage, sample)
        found = get_bytes(storage, cid, SAMPLE)
        (directory / cid).unlink()
        if found != sample:
            raise StorageError(f"the store {directory} gave back something else than was put there")
        return ok("store", f"{directory} takes artifacts and gives them back")

    def _quorum(self, quorum: int) -> Result:
        storage_of(self._network)
        return ok("quorum", f"{quorum} of {len(self._network.storage)} must hold what is published")

    def _gateway(self, address: str) -> Result:
        """A gateway takes nothing: it is asked for what the federation published last."""
        release = self._federation.latest_release().model
        if release is None:
            return skipped("gateway", f"{shown(address)}: the federation has published nothing yet to ask it for")
        settings = self._settings
        limit = settings.max_bytes if isinstance(settings, ClientSettings) else None
        with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
            path = Path(folder) / "model"
            GatewayStorage(address, self._network.timeout).get(release, path, min(MODEL.limit, limit or MODEL.limit))
        return ok("gateway", f"{shown(address)} serves the latest model")

    def _key(self) -> Result:
        settings = self._settings
        address = address_of(settings.wallet, settings.passphrase_file, prompt=False)
        if settings.passphrase_file is None and keystore.PASSPHRASE_VARIABLE not in os.environ:
            return checks.key(address, None)
        unlock(settings.wallet, settings.passphrase_file, prompt=False)
        return checks.key(address, True)

    def _balance(self) -> Result:
        held = balance_of(self._web3, asset_at(self._web3, ZERO_ADDRESS), self._address)
        price = market_fees(self._web3, self._network.max_fee_per_gas).max_fee
        if isinstance(self._settings, ClientSettings):
            if self._settings.relays:
                return ok("balance", f"{format_ether(held)} ETH; relays send for it what it cannot pay for")
            return checks.balance(held, CLIENT_GAS, price, 0)
        own = self._settings.round.reward if self._federation.asset().native else 0
        return checks.balance(held, ORGANIZATION_GAS, price, own)

    def _asset(self) -> Result:
        """What rewards and stakes are paid in, where that is a token."""
        federation, settings = self._federation, self._settings
        asset = federation.asset()
        if isinstance(settings, OrganizationSettings):
            wanted, what = settings.round.reward, "the reward of a round"
        else:
            if asset.address != settings.asset:
                return failed(
                    "asset",
                    f"the federation pays in {asset.address}, and client.asset is {settings.asset}: set it to the "
                    "federation's asset if that is what you want",
                )
            wanted, what = (0 if self._member else federation.terms().stake), "the stake"
            if wanted > settings.max_stake and not self._not_admitted:
                return warning(
                    "asset",
                    f"the stake is {asset.format(wanted)}, more than client.max_stake: the daemon does not register by "
                    "itself; use `koinon client register`, or allow it",
                )
        held = balance_of(self._web3, asset, self._address)
        if held < wanted:
            return failed(
                "asset", f"the wallet holds {asset.format(held)}, and {what} is {asset.format(wanted)}: send it some"
            )
        return ok("asset", f"the wallet holds {asset.format(held)}" + (f", and {what} fits in" if wanted else ""))

    @cached_property
    def _member(self) -> bool:
        return self._federation.round_view(self._address).client.member

    @cached_property
    def _not_admitted(self) -> str | None:
        settings = self._settings
        if self._member or not isinstance(settings, ClientSettings):
            return None
        return not_admitted(self._federation, settings, self._address)

    def _admission(self) -> Result:
        if self._not_admitted:
            return failed("admission", self._not_admitted)
        return ok("admission", "the wallet is registered" if self._member else "the wallet may register")

    def _pool(self, settings: OrganizationSettings) -> Result:
        """Whether the pool of the next round pays the fewest that it may open for, and each of them for its gas."""
        federation, terms = self._federation, settings.round
        asset, spread = federation.asset(), federation.terms().max_spread
        fewest = selected_under(terms, settings.min_members)
        least = least_pool_under(terms, settings.min_members, spread)
        pool = federation.carried() + terms.reward
        found = checks.pool(asset, pool, least, fewest, spread)
        if found.status is not Status.OK or not asset.native:
            return found
        rate = guaranteed_rate(pool, terms.reward_rate_cap, fewest, terms.max_compute_ms)
        reward = rate * min(terms.max_compute_ms, terms.training_period * 1000) // SCALE
        return checks.wage(asset, reward, SUBMIT_GAS * gas_price(self._web3)) or found

    def _plan_found(self) -> Result:
        if isinstance(self._settings, OrganizationSettings):
            Plan.from_table(self._settings.plan)
            return ok("plan", "the plan of the configuration is complete")
        try:
            agreement = self._agreement
        except (StorageError, ChainError):
            raise
        except KoinonError as error:
            return warning("plan", str(error))
        return ok("plan", f"the federation's plan is {agreement.plan_cid}")

    def _model(self) -> Result:
        plan = self._plan

        from processor.worker.jobs.inspecting import check_plan  # torch takes seconds

        check_plan(plan)
        return ok("model", f"{plan.model.name} builds: {self._size.parameters:,} parameters")

    def _data(self) -> Result:
        path = self._data_file
        try:
            task = self._task
        except _NotKnown as missing:
            try:
                with path.open("rb") as file:
                    file.read(1)
            except OSError as error:
                raise DatasetError(f"there is no data to read at {path}: {reason(error)}") from None
            return warning("data", f"{path} can be read; whether it fits is not known, since {missing}")

        count = self._samples
        return ok("data", f"{path} holds {count:,} {noun(count, 'sample')} of the task {task.name}")

    def _device(self, setting: str) -> Result:
        from processor.learning.device import device_of

        device_of(setting)
        return ok("device", f"torch finds a GPU, as device = {setting} asks for")

    def _limits(self, settings: ClientSettings) -> Result:
        """Whether the client's own configuration lets it take part."""
        plan, task = self._plan, self._task
        try:
            size = self._size
        except ConfigurationError:
            raise _NotKnown("the plan's model cannot be built") from None
        try:
            samples = self._samples
        except DatasetError:
            samples = 1
        work = work_of(plan, size, task.example_bytes, math.prod(task.answer(1)), samples)
        offered = refused_of_round(self._federation, self._view, settings, self._agreement.plan_cid)
        return checks.limits(list(refusals(Limits.of(settings), work)), list(offered))

    def _consent(self) -> Result:
        """Reads a copy: what is damaged is left for the daemon to say."""
        _ = self._plan
        agreement = self._agreement
        with copy_of_state(self._settings.state) as state:
            known = agreed(state, logger())
        if agreement.digest() in known:
            return ok("consent", f"you have agreed to the plan {agreement.plan_cid}")
        return failed(
            "consent",
            f"you have not agreed to the plan {agreement.plan_cid}: read it and agree with `koinon client join "
            f"{agreement.federation}`",
        )

    def _state_folder(self) -> Result:
        if (hindered := hindrance(self._settings.state)) is not None:
            return failed("disk", hindered)
        return self._disk(self._settings.state)

    def _disk(self, place: Path) -> Result:
        there = next(each for each in (place.absolute(), *place.absolute().parents) if each.exists())
        return checks.disk("disk", str(place), shutil.disk_usage(there).free, self._artifact())

    def _artifact(self) -> int:
        """Bytes of an artifact; 0 where the plan or its model is not known."""
        try:
            return artifact_bytes(self._plan, self._size)
        except (KoinonError, _NotKnown):
            return 0
