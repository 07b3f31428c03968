"""Settings, each from the first of: the command's option, the environment, a TOML file, the default.

A key `poll_interval` is the option --poll-interval and the variable KOINON_POLL_INTERVAL; the tables [round] and [plan]
are the file's alone. Empty means not given. Paths in a file are relative to that file. All mistakes are reported
together, each with its place; unknown keys are mistakes too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import platformdirs
from eth_utils.address import is_hex_address, to_checksum_address

from processor import storage_address
from processor.errors import ConfigurationError, KeystoreError
from processor.key_files import wallet_at
from processor.toml_texts import read_toml
from processor.types import ZERO_ADDRESS, Address

PREFIX = "KOINON_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
TABLES = ("network", "client", "organization", "relay", "round", "plan")
ROLES = {"client": "a client", "organization": "an organization", "relay": "a relay"}
"""Whose configuration a file is, by the table that says so."""


# ------------------------------------------------------------------------------------------------- kinds of values


class _Mistake(ValueError):
    """A sentence about a value: what it is, and what was expected."""


@dataclass(frozen=True)
class _Kind:
    """`read` turns a value and the folder that paths are relative to into the setting, or raises ValueError; a _Mistake
    where it can say what is wrong. `path` says that it is the name of something on a disk."""

    expected: str
    read: Callable[[Any, Path], Any]
    shown: bool = True
    path: bool = False


def _node(value: Any, _: Path) -> str:
    parts = urlsplit(str(value))
    over_network = parts.scheme in ("http", "https", "ws", "wss") and parts.hostname and parts.port != 0
    if over_network:
        return str(value)
    if not str(value).endswith(".ipc"):
        raise ValueError
    return str(_expanded(str(value)))


def _url(value: Any, _: Path) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError
    return str(value)


def _relay(value: Any, folder: Path) -> str:
    """An address, and behind a # whose receipts count."""
    url, _sign, wallet = str(value).partition("#")
    if _sign:
        _address(wallet, folder)
    _url(url, folder)
    return str(value)


def _endpoint(value: Any, _: Path) -> tuple[str, int]:
    host, _colon, port = str(value).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError
    return host.strip("[]"), int(port)


def _multiaddr(value: Any, _: Path) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError
    return _storage(value)


def _storage(value: Any) -> str:
    """An address as it is compared with others."""
    try:
        return storage_address.canonical(value)
    except ValueError as error:
        raise _Mistake(str(error)) from None


def _storages(value: Any, _: Path) -> tuple[str, ...]:
    """Addresses in order of preference."""
    values = _split(value)
    if not values:
        raise ValueError
    addresses = [_storage(each) for each in values]
    twice = next((each for each in addresses if addresses.count(each) > 1), None)
    if twice is not None:
        raise _Mistake(f"{twice} is named twice: expected each storage once")
    return tuple(addresses)


def _folder(value: Any, folder: Path) -> str:
    return storage_address.address_of(_path(value, folder))


def _path(value: Any, folder: Path) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError
    return folder / _expanded(value)


def _expanded(value: str | Path) -> Path:
    """A path with the home folder that a ~ at its start stands for."""
    if "\0" in str(value):
        raise _Mistake("expected a path, found one with a zero byte")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        home = Path(value).parts[0]
        raise _Mistake(f"it begins with {home}, and no such home folder is known here: write the whole path") from None


def _wallet(value: Any, folder: Path) -> Path:
    """A wallet's file; of a folder, the one wallet in it."""
    try:
        return wallet_at(_path(value, folder))
    except KeystoreError as error:
        raise _Mistake(str(error)) from None


def _address(value: Any, _: Path) -> Address:
    if not isinstance(value, str) or not is_hex_address(value):
        raise ValueError
    address = to_checksum_address(value)
    if value.removeprefix("0x") not in (address[2:], address[2:].lower(), address[2:].upper()):
        raise ValueError
    return address


def _flag(value: Any, _: Path) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]


def _seconds(value: Any, _: Path) -> float:
    seconds = float(value)
    if isinstance(value, bool) or not 0 < seconds < math.inf:
        raise ValueError
    return seconds


def _split(value: Any) -> list[Any]:
    """A list in a file, a text with commas or spaces anywhere."""
    values = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(values, list | tuple):
        raise ValueError
    return list(values)


def _several(kind: _Kind) -> _Kind:
    """One or more of a kind."""

    def read(value: Any, folder: Path) -> tuple[Any, ...]:
        values = tuple(kind.read(each, folder) for each in _split(value))
        if not values or len(set(values)) != len(values):
            raise ValueError
        return values

    return _Kind(f"{kind.expected}, or a list of several different ones", read, kind.shown)


def _one_of(*names: str) -> _Kind:
    def read(value: Any, _: Path) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return _Kind(f"one of {', '.join(names)}", read)


def _whole(low: int, high: int | None = None, what: str = "a whole number") -> _Kind:
    def read(value: Any, _: Path) -> int:
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value)
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError
        return value

    return _Kind(f"{what} of at least {low}" if high is None else f"{what} from {low} to {high}", read)


def _rate(value: Any, _: Path) -> int:
    """A decimal number of smallest units, read exactly: in TOML a text, since its numbers are not."""
    text = str(value) if type(value) is int else value
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError
    rate = int(match[1]) * 10**RATE_DECIMALS + int((match[2] or "").ljust(RATE_DECIMALS, "0"))
    if rate > HIGHEST_RATE:
        raise ValueError
    return rate


def _above_nothing(kind: _Kind) -> _Kind:
    def read(value: Any, folder: Path) -> int:
        found: int = kind.read(value, folder)
        if found == 0:
            raise ValueError
        return found

    return _Kind(f"{kind.expected} above 0", read)


RATE_DECIMALS = 9
"""Rates are kept, as on chain, in 10 to the power of -9 of the asset's smallest unit for a second."""
HIGHEST_RATE = 2**112 - 1
"""The highest rate that the chain keeps."""
_RATE = re.compile(rf"([0-9]{{1,33}})(?:\.([0-9]{{1,{RATE_DECIMALS}}}))?", re.ASCII)

NODES = _several(_Kind("an address like http://127.0.0.1:8545", _node, shown=False))
GATEWAYS = _several(_Kind("an address like https://ipfs.example", _url, shown=False))
RELAYS = _several(
    _Kind("an address like https://relay.example, perhaps with # and its wallet's address behind", _relay, shown=False)
)
ENDPOINT = _Kind("HOST:PORT, like 127.0.0.1:9464", _endpoint)
MULTIADDR = _Kind("an IPFS node's address like /ip4/127.0.0.1/tcp/5001", _multiaddr)
STORAGES = _Kind(f"{storage_address.EXPECTED}, or a list of several different ones", _storages)
FOLDER = _Kind("a path", _folder, path=True)
PATH = _Kind("a path", _path, path=True)
WALLET = _Kind("a wallet's file, or a folder with one wallet", _wallet, path=True)
ADDRESS = _Kind("an address of 0x and 40 hexadecimal digits, with its checksum right where it has one", _address)
FLAG = _Kind("true or false", _flag)
SECONDS = _Kind("a number of seconds above 0", _seconds)
DEVICE = _one_of("auto", "cpu", "cuda")
LONGEST_PERIOD = 30 * 24 * 3600
PERIOD = _whole(30, LONGEST_PERIOD, what="a number of seconds")
IN_UNITS = "an amount in the asset's smallest unit (wei of the native coin), a whole number"
AMOUNT = _whole(0, what=IN_UNITS)
ESCROW = _whole(0, 2**112 - 1, what=IN_UNITS)
RATE = _Kind(
    "an amount for a second in the asset's smallest unit (wei of the native coin), a whole number or a text such as "
    f'"0.25" with at most {RATE_DECIMALS} digits after the point',
    _rate,
)


def _setting(kind: _Kind, default: Any = MISSING, **options: Any) -> Any:
    return field(default=default, metadata={"kind": kind}, **options)


# --------------------------------------------------------------------------------------------------------- settings


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The Ethereum nodes, whose addresses may hold secrets, and where artifacts are: IPFS nodes and local folders.

    `storage` has their addresses (see `processor.storage_address`), the preferred first. Of several, `quorum` must hold
    what is published, more than half of them where it is None; `gateways` are read from where none has an artifact. A
    transaction is final `confirmations` blocks deep, None for what suits the chain; it pays `max_fee_per_gas` wei for a
    unit of gas at most, and is sent again with higher fees where it is in no block `stuck_after` seconds later.
    """

    rpc: tuple[str, ...] = _setting(NODES, repr=False)
    storage: tuple[str, ...] = _setting(STORAGES, ())
    gateways: tuple[str, ...] = _setting(GATEWAYS, ())
    quorum: int | None = _setting(_whole(1), None)
    chain_id: int | None = _setting(_whole(1), None)
    timeout: float = _setting(SECONDS, 30.0)
    confirmations: int | None = _setting(_whole(0, 10_000), None)
    max_fee_per_gas: int = _setting(_whole(1), 10**12)
    stuck_after: float = _setting(SECONDS, 90.0)


@dataclass(frozen=True, kw_only=True)
class NetworkTable(NetworkSettings):
    """What the table [network] may hold: `ipfs` and `store` are short for a `storage` of nodes alone, or of one folder,
    whose path may be relative."""

    ipfs: tuple[str, ...] = _setting(_several(MULTIADDR), ())
    store: str | None = _setting(FOLDER, None)


@dataclass(frozen=True, kw_only=True)
class WalletSettings:
    """Who acts, and on which chain."""

    network: NetworkSettings
    wallet: Path = _setting(WALLET)
    passphrase_file: Path | None = _setting(PATH, None)


@dataclass(frozen=True, kw_only=True)
class PartySettings(WalletSettings):
    """Who acts in which federation; `factory`, where it is named, must have made that."""

    federation: Address = _setting(ADDRESS)
    factory: Address | None = _setting(ADDRESS, None)
    state: Path = _setting(PATH)


@dataclass(frozen=True, kw_only=True)
class DaemonSettings(PartySettings):
    """What every daemon needs: seconds between two looks at the chain, where metrics and health are served (host and
    port, None for nowhere), and for how many days after its end the artifacts of a round stay pinned."""

    poll_interval: float = _setting(SECONDS, 2.0)
    metrics: tuple[str, int] | None = _setting(ENDPOINT, None)
    keep_days: int = _setting(_whole(1), 90)


@dataclass(frozen=True, kw_only=True)
class WorkingSettings(DaemonSettings):
    """What a daemon needs that has a worker process: for how many seconds after its last job that stays."""

    worker_keep: float = _setting(SECONDS, 60.0)


@dataclass(frozen=True, kw_only=True)
class MemberSettings(PartySettings):
    """Who a client is and where: enough to register, to look at its membership, to claim and to leave.

    `voucher` is the file that admits it where the federation asks for one; `relays` send what it signs, so that its
    wallet needs no coins.
    """

    voucher: Path | None = _setting(PATH, None)
    relays: tuple[str, ...] = _setting(RELAYS, ())


@dataclass(frozen=True, kw_only=True)
class ClientSettings(WorkingSettings, MemberSettings):
    """What a client's daemon needs. Amounts are in the smallest unit of the asset, `minimum_rate` is in 10⁻⁹ of it for
    a second of compute, as rates are on chain.

    `asset` is the token that the client takes part for, `ZERO_ADDRESS` for the native coin; `max_stake` the most that
    the daemon stakes when it registers.
    `accept_public_updates` is the client's word that its updates may be published without noise. The limits refuse a
    round, None for no limit: `max_bytes` of its artifacts, `max_seconds` of training, `max_memory` in bytes,
    `max_epsilon` of privacy spent, and a guaranteed reward below `minimum_reward` after gas; unless
    `accept_unpaid_rounds`, one that guarantees nothing, or less than its gas. `max_gas_per_day` is the gas that the
    daemon's transactions may use in a day. Training is saved every `checkpoint_interval` seconds; `threads` of 0 leaves
    their number to torch, a `device` of auto takes a GPU where there is one. With `post_agreement` the daemon says on
    the chain, once, that it agreed to a plan that is announced.
    """

    data: Path = _setting(PATH)
    asset: Address = _setting(ADDRESS, ZERO_ADDRESS)
    max_stake: int = _setting(AMOUNT, 0)
    accept_public_updates: bool = _setting(FLAG, False)
    minimum_rate: int = _setting(RATE, 0)
    minimum_reward: int = _setting(AMOUNT, 0)
    accept_unpaid_rounds: bool = _setting(FLAG, False)
    claim_threshold: int = _setting(AMOUNT, 0)
    max_gas_per_day: int = _setting(_whole(1), 20_000_000)
    max_parameters: int | None = _setting(_whole(1), None)
    max_bytes: int | None = _setting(_whole(1), None)
    max_steps: int | None = _setting(_whole(1), None)
    max_seconds: float | None = _setting(SECONDS, None)
    max_memory: int | None = _setting(_whole(1), None)
    max_epsilon: float | None = _setting(_Kind("a number above 0", _seconds), None)
    checkpoint_interval: float = _setting(SECONDS, 30.0)
    threads: int = _setting(_whole(0), 0)
    device: str = _setting(DEVICE, "auto")
    post_agreement: bool = _setting(FLAG, True)


@dataclass(frozen=True, kw_only=True)
class RoundSettings:
    """The terms of every round: periods in seconds, `selection_rate` in basis points, amounts in the smallest unit of
    the asset.

    `reward_rate_cap` is for a second of compute, in 10⁻⁹ of that unit, as rates are on chain. The bounds are the
    contract's. With `shortest_training_period`, training is cut down to that where it was waited for members who sit
    still.
    """

    training_period: int = _setting(PERIOD)
    shortest_training_period: int | None = _setting(PERIOD, None)
    aggregation_period: int = _setting(PERIOD)
    max_updates: int = _setting(_whole(1, 1_000))
    max_compute_ms: int = _setting(_whole(1, LONGEST_PERIOD * 1000))
    selection_rate: int = _setting(_whole(1, 10_000), 10_000)
    reward_rate_cap: int = _setting(_above_nothing(RATE))
    reward: int = _setting(ESCROW)


@dataclass(frozen=True, kw_only=True)
class OrganizationSettings(WorkingSettings):
    """What an organization's daemon needs; `plan` is as the file has it, for the plan's own rules to judge.

    `validation` is a data file, which `publish_validation` makes public; no round opens before `min_members` clients
    are registered. A round under another plan than the one before opens once all have agreed to it, or
    `plan_notice` seconds after it was announced. After rounds that ended without an update there is a pause, longer
    each time, of `longest_pause` seconds at most. With `retire_idle` memberships end that the terms let end.
    """

    round: RoundSettings
    plan: Mapping[str, Any]
    validation: Path = _setting(PATH)
    publish_validation: bool = _setting(FLAG, False)
    min_members: int = _setting(_whole(1), 1)
    plan_notice: int = _setting(_whole(0, LONGEST_PERIOD, "a number of seconds"), 3600)
    longest_pause: int = _setting(_whole(0, LONGEST_PERIOD, "a number of seconds"), 24 * 3600)
    retire_idle: bool = _setting(FLAG, True)


def load_network(
    options: Mapping[str, Any],
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    storage: bool = True,
) -> NetworkSettings:
    """What a command needs that only reads; without `storage`, it needs the chain alone.

    `options` are the values that the command line gave, None where it gave none; `file` of None is the one that
    KOINON_CONFIG names, if any. Raises ConfigurationError for all mistakes together, as the other loaders do.
    """
    reader = _Reader(options, file, environment)
    network = reader.network(storage)
    reader.finish()
    return NetworkSettings(**network)


def load_creator(
    options: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> WalletSettings:
    """An organization's settings before it has a federation."""
    reader = _Reader(options, file, environment)
    network = reader.network(storage=False)
    values = reader.values(WalletSettings, "organization", part_of=OrganizationSettings)
    reader.finish()
    return WalletSettings(network=NetworkSettings(**network), **values)


def load_owner(
    options: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> PartySettings:
    """An organization's settings without those of its daemon: neither storage nor plan need to be there."""
    reader = _Reader(options, file, environment)
    network = reader.network(storage=False)
    values = reader.values(PartySettings, "organization", part_of=OrganizationSettings)
    reader.finish()
    return PartySettings(network=NetworkSettings(**network), **_with_state("organization", values))


def load_member(
    options: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> MemberSettings:
    """A client's settings without those of its daemon: neither storage nor data need to be named."""
    reader = _Reader(options, file, environment)
    network = reader.network(storage=False)
    values = reader.values(MemberSettings, "client", part_of=ClientSettings)
    reader.finish()
    return MemberSettings(network=NetworkSettings(**network), **_with_state("client", values))


def load_client(
    options: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> ClientSettings:
    """A client's settings, from [network] and [client]."""
    reader = _Reader(options, file, environment)
    network = reader.network()
    values = reader.values(ClientSettings, "client")
    reader.finish()
    return ClientSettings(network=NetworkSettings(**network), **_with_state("client", values))


def load_organization(
    options: Mapping[str, Any], file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> OrganizationSettings:
    """An organization's settings, from [network], [organization], [round] and [plan]."""
    reader = _Reader(options, file, environment)
    network = reader.network()
    values = reader.values(OrganizationSettings, "organization")
    terms = reader.values(RoundSettings, "round", file_only=True)
    if (shortest := terms.get("shortest_training_period")) and shortest > terms.get("training_period", shortest):
        reader.mistakes.append("round.shortest_training_period: expected no more than round.training_period")
    plan = reader.table("plan")
    if not plan:
        reader.mistakes.append("plan is missing: expected a [plan] table, as `koinon organization init` writes it")
    reader.finish()
    return OrganizationSettings(
        network=NetworkSettings(**network),
        round=RoundSettings(**terms),
        plan=plan,
        **_with_state("organization", values),
    )


def organization_template() -> str:
    """A commented configuration of an organization to start from, with a plan that suits the digits task."""
    return files("processor").joinpath("templates/organization.toml").read_text("utf-8")


def client_template() -> str:
    """A commented configuration of a client to start from."""
    return files("processor").joinpath("templates/client.toml").read_text("utf-8")


# ---------------------------------------------------------------------------------------------------------- reading


_IN_FILE = 2


class _Found(NamedTuple):
    """A value, how far its source is from the strongest, and how a person names its place."""

    key: str
    rank: int
    place: str
    value: Any
    folder: Path


class _Reader:
    """Reads settings from their sources and collects what is wrong with them."""

    def __init__(self, options: Mapping[str, Any], file: Path | None, environment: Mapping[str, str]) -> None:
        self.mistakes: list[str] = []
        self._options = options
        self._environment = environment
        self._file = config_file(file, environment)
        self._content = read_toml(self._file) if self._file is not None else {}
        self._refuse_unknown("", self._content, TABLES)

    def network(self, storage: bool = True) -> dict[str, Any]:
        """Of `storage` and its short forms, what a stronger source names takes the place of the others."""
        named = [each for key in ("storage", "ipfs", "store") if (each := self._find("network", key)) is not None]
        strongest = [each for each in named if each.rank == min(each.rank for each in named)]
        values = self.values(NetworkTable, "network")
        ipfs, store = values.pop("ipfs", ()), values.pop("store", None)
        if len(strongest) > 1:
            places = " and ".join(each.place for each in strongest)
            self.mistakes.append(f"{places} are given: expected one of them; `storage` is a list for nodes and folders")
        elif strongest:
            short = {"ipfs": ipfs, "store": () if store is None else (store,)}
            values["storage"] = short.get(strongest[0].key, values.get("storage", ()))
        elif storage and not values.get("gateways"):
            self.mistakes.append(
                "no storage is named: expected an IPFS node (--ipfs, KOINON_IPFS or network.ipfs), a local directory "
                "(--store, KOINON_STORE or network.store), or a list of both (KOINON_STORAGE or network.storage)"
            )
        return values

    def values(
        self, settings: type, table: str, file_only: bool = False, part_of: type | None = None
    ) -> dict[str, Any]:
        """The settings that are given and right, by key; the table may have all that `part_of` knows."""
        self._refuse_another_role(table)
        known = [each.name for each in fields(part_of or settings) if "kind" in each.metadata]
        self._refuse_unknown(f"{table}.", self.table(table), known)
        values = {}
        for each in fields(settings):
            if "kind" not in each.metadata:
                continue
            kind: _Kind = each.metadata["kind"]
            found = self._find(table, each.name, file_only)
            if found is None:
                if each.default is MISSING and each.name != "state":
                    self._miss(table, each, file_only)
                continue
            try:
                value = _on_disk(found.value) if kind.path and found.rank == _IN_FILE else found.value
                values[each.name] = kind.read(value, found.folder)
            except _Mistake as mistake:
                self.mistakes.append(f"{found.place}: {mistake}")
            except (ValueError, TypeError, KeyError, OverflowError):
                shown = f", found {found.value!r:.80}" if kind.shown else ""
                self.mistakes.append(f"{found.place}: expected {kind.expected}{shown}")
        return values

    def table(self, name: str) -> dict[str, Any]:
        content = self._content.get(name, {})
        if isinstance(content, dict):
            return content
        self.mistakes.append(f"{self._file}:{name}: expected a table, written [{name}]")
        self._content[name] = {}
        return {}

    def finish(self) -> None:
        if self.mistakes:
            raise ConfigurationError("\n".join(["the configuration cannot be used:", *self.mistakes]))

    def _find(self, table: str, key: str, file_only: bool = False) -> _Found | None:
        variable = PREFIX + key.upper()
        option = f"--{key.replace('_', '-')}"
        found = []
        if not file_only:
            found = [
                _Found(key, 0, option, self._options.get(key), Path()),
                _Found(key, 1, variable, self._environment.get(variable), Path()),
            ]
        if self._file is not None:
            place = f"{self._file}:{table}.{key}"
            found.append(_Found(key, _IN_FILE, place, self.table(table).get(key), self._file.parent))
        first = next((each for each in found if each.value is not None and each.value != ""), None)
        if first is None or first.folder.is_absolute():
            return first
        return first._replace(folder=_working_folder() / first.folder)

    def _miss(self, table: str, setting: Field[Any], file_only: bool) -> None:
        ways = []
        if not file_only:
            ways += [f"give --{setting.name.replace('_', '-')}"] if setting.name in self._options else []
            ways += [f"set {PREFIX}{setting.name.upper()}"]
        ways += [f"write it in {self._file or 'a file and name that with --config'}"]
        expected = setting.metadata["kind"].expected
        self.mistakes.append(f"{table}.{setting.name} is missing: expected {expected}; {' or '.join(ways)}")

    def _refuse_another_role(self, table: str) -> None:
        """Raises ConfigurationError for the file of another role, instead of saying all that it lacks for this one."""
        others = [role for role in ROLES if role in self._content]
        if table in ROLES and others and table not in others:
            raise ConfigurationError(
                f"{self._file} is the configuration of {ROLES[others[0]]}, with a table [{others[0]}]: expected that "
                f"of {ROLES[table]}, as `koinon {table} init` writes it"
            )

    def _refuse_unknown(self, prefix: str, content: Mapping[str, Any], known: list[str] | tuple[str, ...]) -> None:
        for key in content:
            if key not in known:
                close = get_close_matches(key, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
                self.mistakes.append(f"{self._file}:{prefix}{key} is unknown: {hint}")


def config_file(file: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file that was named, or else the one that KOINON_CONFIG names, if any."""
    if file is not None or not environment.get(CONFIG_VARIABLE):
        return file
    try:
        return _expanded(environment[CONFIG_VARIABLE])
    except _Mistake as mistake:
        raise ConfigurationError(f"{CONFIG_VARIABLE}: {mistake}") from None


def _on_disk(value: Any) -> Any:
    """A path in a file names what has its bytes, UTF-8, on the disk, whatever the locale makes of them."""
    return os.fsdecode(value.encode()) if isinstance(value, str) else value


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise ConfigurationError("the working folder is not there any more: change to one that is") from None


def _with_state(role: str, values: dict[str, Any]) -> dict[str, Any]:
    """Adds the default state directory: each wallet has its own in each federation.

    Raises ConfigurationError where there is no home for it.
    """
    if "state" in values:
        return values
    try:
        home = platformdirs.user_data_path("koinon")
    except RuntimeError:
        home = Path("~")
    if home.parts[:1] == ("~",):
        raise ConfigurationError(
            f"{role}.state is missing, and this user has no home folder to keep it in: expected a path; set "
            f"{PREFIX}STATE or write it in the configuration"
        )
    return {**values, "state": home / role / values["federation"] / values["wallet"].name}
