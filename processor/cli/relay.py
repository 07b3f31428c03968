"""`koinon relay`: send what clients without coins signed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import typer
from eth_account.signers.local import LocalAccount
from web3 import Web3

from processor import keystore
from processor.chain.asset import asset_at, balance_of
from processor.chain.blocks import latest_block
from processor.chain.fees import market_fees
from processor.chain.provider import connect, node_errors
from processor.cli import checks
from processor.cli.checks import NodeHead, Result, failed, ok
from processor.cli.checks_page import print_checks
from processor.cli.connections import address_of, chain_of, federation_of, unlock
from processor.cli.daemon import logger, only_daemon, stopped_by_signals, transactions_of, write_template
from processor.cli.options import AsJson, Config, Out, Rpc
from processor.cli.running import Once, begin, keep_running, metrics_of
from processor.cli.writable import hindrance
from processor.config_relay import RelaySettings, load_relay, relay_template
from processor.daemons.funds_watch import FundsWatch
from processor.daemons.relay import RelayDaemon
from processor.daemons.relay_desk import RelayDesk
from processor.daemons.relay_limits import Rates
from processor.daemons.relay_queue import Queue, queue_path
from processor.daemons.relay_server import answering
from processor.errors import KoinonError
from processor.observability import shown
from processor.protocol.funds import ROUNDS_AHEAD
from processor.protocol.relaying import Budget
from processor.types import ZERO_ADDRESS
from processor.words import in_full, reason

app = typer.Typer(
    help="Relay for clients without coins.",
    no_args_is_help=True,
    epilog="Example: koinon relay run --config relay.toml",
)


@app.command(epilog="Example: koinon relay init --out relay.toml")
def init(out: Out = Path("relay.toml")) -> None:
    """Write a commented configuration to start from."""
    write_template(out, relay_template())


@app.command("run", epilog="Example: koinon relay run --config relay.toml")
def run_(config: Config = None, rpc: Rpc = None, once: Once = False) -> None:
    """Take what clients signed, give receipts, send it in batches, and claim for them; until interrupted."""
    settings = load_relay({"rpc": rpc}, config)
    account = unlock(settings.wallet, settings.passphrase_file)
    with stopped_by_signals(logger()) as stopping:
        begin(partial(_run, settings, account, once, stopping), settings, once, logger(), stopping)


def _run(settings: RelaySettings, account: LocalAccount, once: bool, stopping: threading.Event) -> None:
    federation, log, metrics = federation_of(settings, stopping.is_set), logger(), metrics_of(settings)
    identity = (federation.chain_id, federation.address, account.address)
    with (
        only_daemon(settings.state, federation.chain_id, account.address),
        transactions_of(settings, federation, account, metrics) as transactions,
        Queue(queue_path(settings.state), *identity) as queue,
    ):
        desk = RelayDesk(
            account=account,
            federation=federation_of(
                settings, stopping.is_set
            ),  # with connections of its own: it answers in other threads
            queue=queue,
            budget=Budget(settings.gas_per_day, settings.gas_per_client),
            log=log,
            batch=settings.batch,
            ceiling=settings.network.max_fee_per_gas,
            claim_threshold=settings.claim_threshold,
        )
        daemon = RelayDaemon(
            address=account.address,
            federation=federation,
            transactions=transactions,
            queue=queue,
            desk=desk,
            journal=transactions.journal,
            log=log,
            keep_days=settings.keep_days,
            metrics=metrics,
        )
        rates = Rates(settings.requests_per_minute, burst=settings.requests_per_minute)
        watch = FundsWatch(federation, account.address, settings.gas_per_day // ROUNDS_AHEAD, 0, metrics, log)
        with answering(desk, settings.listen, rates, log):
            host, port = settings.listen
            log.info("started", address=account.address, federation=federation.address, listen=f"{host}:{port}")
            keep_running(daemon.cycle, settings, watch, metrics, log, once, stopping)


@app.command(epilog="Example: koinon relay check --config relay.toml")
def check(config: Config = None, rpc: Rpc = None, as_json: AsJson = False) -> None:
    """Check nodes, contract, key, money, clock, the address to listen at and the state folder.

    A line for each: ok, warning, or FAILED with what to do. Sends nothing and asks for no passphrase; status 1 where
    something failed.
    """
    logger()
    if not print_checks(_checked(load_relay({"rpc": rpc}, config)), as_json):
        raise typer.Exit(1)


def _checked(settings: RelaySettings) -> Iterator[Result]:
    """Every check, whatever becomes of the others."""
    network, heads = settings.network, list[NodeHead]()
    finds: list[tuple[str, Callable[[], Result]]] = [
        ("node", partial(_node, address, settings, heads)) for address in network.rpc
    ]
    finds += [
        ("chain", lambda: checks.chain_of_all(heads, network.chain_id)),
        ("contract", partial(_contract, settings)),
        ("key", partial(_key, settings)),
        ("balance", partial(_balance, settings)),
        ("clock", lambda: checks.clock(time.time(), latest_block(_web3(settings)).timestamp)),
        ("listen", partial(_listen, settings)),
        ("disk", partial(_state_folder, settings)),
    ]
    for name, find in finds:
        try:
            yield find()
        except KoinonError as error:
            yield failed(name, str(error))
        except OSError as error:
            yield failed(name, in_full(error))


def _web3(settings: RelaySettings) -> Web3:
    return chain_of(settings.network)


def _node(address: str, settings: RelaySettings, heads: list[NodeHead]) -> Result:
    web3 = connect((address,), settings.network.timeout, None)
    with node_errors("name its chain"):
        chain_id = web3.eth.chain_id
    heads.append(NodeHead(shown(address), chain_id, latest_block(web3).number))
    return ok("node", f"{heads[-1].shown} is on chain {chain_id}, at block {heads[-1].number}")


def _contract(settings: RelaySettings) -> Result:
    federation = federation_of(settings)
    stake = federation.terms().stake
    if stake:
        return checks.warning(
            "contract",
            f"{federation.address} has the code of this version, and asks for a stake of "
            f"{federation.asset().format(stake)}: nobody can be registered through a relay",
        )
    return ok("contract", f"{federation.address} has the code of this version")


def _key(settings: RelaySettings) -> Result:
    address = address_of(settings.wallet, settings.passphrase_file, prompt=False)
    if settings.passphrase_file is None and keystore.PASSPHRASE_VARIABLE not in os.environ:
        return checks.key(address, None)
    unlock(settings.wallet, settings.passphrase_file, prompt=False)
    return checks.key(address, True)


def _balance(settings: RelaySettings) -> Result:
    """The wallet should pay for a day of what it promises."""
    web3 = _web3(settings)
    address = address_of(settings.wallet, settings.passphrase_file, prompt=False)
    held = balance_of(web3, asset_at(web3, ZERO_ADDRESS), address)
    price = market_fees(web3, settings.network.max_fee_per_gas).max_fee
    return checks.balance(held, settings.gas_per_day // ROUNDS_AHEAD, price, 0)


def _state_folder(settings: RelaySettings) -> Result:
    if (hindered := hindrance(settings.state)) is not None:
        return failed("disk", hindered)
    return ok("disk", f"{settings.state} can be written")


def _listen(settings: RelaySettings) -> Result:
    """Whether the address is free; a relay that runs there already has it."""
    host, port = settings.listen
    [(family, *_, address), *_others] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            return failed("listen", f"{host}:{port}: {reason(error)}: name another address as relay.listen")
    return ok("listen", f"{host}:{port} is free")
