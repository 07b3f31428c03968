"""How `koinon client run` and `koinon organization run` go about it: for weeks, once, or only in words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from structlog.typing import FilteringBoundLogger

from processor.chain.amounts import format_ether
from processor.chain.contracts import to_address
from processor.chain.federation import Federation
from processor.chain.heads import Heads
from processor.cli.connections import address_of
from processor.config import DaemonSettings, WorkingSettings
from processor.daemons.dry_run import NextStep, UnsentTransactions, copy_of_state
from processor.daemons.funds_watch import FundsWatch
from processor.daemons.health import served
from processor.daemons.loop import outlast, run
from processor.daemons.recovery import open_journal
from processor.errors import ConfigurationError, Interrupted
from processor.metrics import PATIENCE, Metrics
from processor.protocol.jobs.folder import jobs_folder
from processor.types import Address
from processor.worker.process import WorkerProcess

Once = Annotated[
    bool, typer.Option("--once", help="Do what there is to do now, and end; status 1 at the first trouble. For cron.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would do now, and what that costs; needs no key, writes nothing.")
]
As = Annotated[
    str | None, typer.Option("--address", help="With --dry-run: as the wallet of this address; no file is needed.")
]

Settings = TypeVar("Settings", bound=DaemonSettings)
Load = Callable[[Mapping[str, Any], Path | None], Settings]


def load_as(load: Load[Settings], options: Mapping[str, Any], config: Path | None, address: str | None) -> Settings:
    """The settings; a wallet need not be named where an address stands for it. Raises ConfigurationError as `load`."""
    if address is None:
        return load(options, config)
    try:
        return load(options, config)
    except ConfigurationError:
        return load({**options, "wallet": to_address(address)}, config)


def require_dry_run(address: str | None, dry_run: bool, once: bool) -> None:
    """Raises ConfigurationError for options that do not go together."""
    if address is not None and not dry_run:
        raise ConfigurationError("--address goes with --dry-run: to send transactions takes the wallet itself")
    if once and dry_run:
        raise ConfigurationError("--once sends transactions and --dry-run does not: give one of them")


def metrics_of(settings: DaemonSettings) -> Metrics:
    """The daemon's metrics; it may be silent for as long as some cycles and a transaction take."""
    return Metrics(patience=max(PATIENCE, 10 * settings.poll_interval, 3 * settings.network.stuck_after))


def worker_of(
    settings: WorkingSettings, log: FilteringBoundLogger, done: threading.Event | None = None
) -> WorkerProcess:
    """The daemon's worker, which has its jobs in the daemon's state folder; `done` is set whenever one of them ends."""
    return WorkerProcess(jobs_folder(settings.state), log, keep=settings.worker_keep, news=done)


def begin(
    start: Callable[[], None],
    settings: DaemonSettings,
    once: bool,
    log: FilteringBoundLogger,
    stopping: threading.Event,
) -> None:
    """Starts a daemon, and waits while it cannot start for want of a node or room on a disk, unless it runs once."""
    if once:
        try:
            start()
        except Interrupted:
            if not stopping.is_set():
                raise
    else:
        outlast(start, settings.poll_interval, stopping, log)


def keep_running(
    cycle: Callable[[], object],
    settings: DaemonSettings,
    watch: FundsWatch,
    metrics: Metrics,
    log: FilteringBoundLogger,
    once: bool,
    stopping: threading.Event,
    done: threading.Event | None = None,
) -> None:
    """Runs a daemon until it is told to stop, serving its metrics next to it. `done` ends a pause between cycles."""
    with served(metrics, settings.metrics), Heads(settings.network.rpc, done) as heads:
        run(
            watch.before(cycle),
            settings.poll_interval,
            stopping,
            log,
            metrics=metrics,
            pause=heads.wait,
            once=once,
        )


@contextmanager
def without_key(
    settings: Settings, federation: Federation, address: str | None, log: FilteringBoundLogger
) -> Iterator[tuple[Address, Settings, UnsentTransactions]]:
    """Who would act, the settings with a copy of the state, and transactions that are never sent."""
    who = address_of(settings.wallet, settings.passphrase_file) if address is None else to_address(address)
    with (
        copy_of_state(settings.state) as state,
        open_journal(state, federation.chain_id, federation.address, who, log) as journal,
    ):
        ceiling = settings.network.max_fee_per_gas
        yield who, replace(settings, state=state), UnsentTransactions(federation.web3, who, journal, log, ceiling)


def say(step: NextStep, address: Address, federation: Federation) -> None:
    """Prints what a dry run found."""
    print(f"dry run at block {step.block.number}: nothing is sent, published or written")
    print(f"{address} in the federation {federation.address}")
    print(step.in_words())
    if step.call is not None and step.price is not None:
        print(f"  gas: {format_ether(step.price.cost)} ETH at most")
        if step.call.value:
            print(f"  sends: {format_ether(step.call.value)} ETH")
