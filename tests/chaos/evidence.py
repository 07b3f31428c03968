"""What is known at the end of a run, read from the chain, the journals, the proxies and the logs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.types import TxData

from processor.artifacts.report import REPORT_LIMIT, Report
from processor.chain import contracts
from processor.cid import cid_from_digest
from processor.errors import KoinonError
from processor.keystore import decrypt, first_line, state_key
from processor.storage import get_bytes
from processor.types import Address, Cid, ClientView, Phase, RoundView
from tests.chaos.hostile import Submission
from tests.chaos.record import Disturbance
from tests.chaos.stage import BALANCE, REWARD, STAKE, Stage

LARGEST_TEXT = 64 << 20


@dataclass(frozen=True)
class Round:
    """A round as the chain has it, everybody's part in it, and the reasons that its report gives."""

    view: RoundView
    clients: tuple[ClientView, ...]
    reasons: dict[Address, str | None] | None


@dataclass(frozen=True)
class Sent:
    """An update that somebody tried to submit, whether or not it was ever mined."""

    sender: Address
    round: int
    sealing_key: bytes
    cid: Cid


@dataclass(frozen=True)
class Saved:
    """An update that a client's journal keeps, and the model that it grew out of."""

    client: Address
    round: int
    sealing_key: bytes
    base: Cid
    cid: Cid


@dataclass(frozen=True)
class Trained:
    """An update that a client says it made."""

    client: Address
    round: int
    cid: Cid


@dataclass(frozen=True)
class Wallet:
    """An account over the run: what its transactions paid in and cost, what it was paid. In wei."""

    name: str
    address: Address
    began: int
    ended: int
    paid_in: int
    fees: int
    received: int
    latest_nonce: int
    pending_nonce: int
    open_intents: int
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Vault:
    """What the contract holds, and what it owes to whom. In wei."""

    holdings: int
    carried: int
    stakes: int
    slashed: int


@dataclass(frozen=True)
class Audited:
    """What `koinon audit` said."""

    status: int
    violations: tuple[str, ...]
    checks: int = 0


@dataclass(frozen=True)
class Evidence:
    """Everything that the invariants look at. `names` are the daemons' addresses; `secrets` what must be nowhere in
    `texts`, by what each is."""

    reward: int
    stake: int
    rounds: tuple[Round, ...]
    sent: tuple[Sent, ...]
    saved: tuple[Saved, ...]
    trained: tuple[Trained, ...]
    wallets: tuple[Wallet, ...]
    vault: Vault
    audited: Audited
    texts: dict[str, str]
    secrets: dict[str, tuple[str, ...]]
    names: dict[Address, str]
    hostile: Address
    hostile_done: tuple[Submission, ...]
    disturbances: tuple[Disturbance, ...]
    failures: tuple[str, ...] = ()

    def summary(self) -> str:
        """How much there was to look at."""
        finalized = sum(each.view.phase is Phase.FINALIZED for each in self.rounds)
        updates = sum(client.update is not None for each in self.rounds for client in each.clients)
        mined = sum(wallet.latest_nonce for wallet in self.wallets)
        return (
            f"{finalized} of {len(self.rounds)} rounds finalized, {updates} updates, broadcast {len(self.sent)} times, "
            f"{mined} transactions mined, {self.audited.checks} checks of the audit, {len(self.texts)} logs and files"
        )


def gather(stage: Stage, disturbances: list[Disturbance]) -> Evidence:
    """Reads everything at one block, once the daemons have ended. Raises KoinonError where a node does not answer."""
    federation = stage.federation
    block = federation.block()
    addresses: dict[Address, str] = {account.address: name for name, account in stage.accounts.items()}
    members = [address for address in addresses if addresses[address] != "organization"]
    rounds = tuple(_round(stage, number, members) for number in range(1, federation.round_count(block) + 1))
    views = [federation.round_view(max(1, len(rounds)), member, at=block).client for member in members]
    stakes = sum(view.stake for view in views)
    return Evidence(
        reward=REWARD,
        stake=STAKE,
        rounds=rounds,
        sent=tuple(_sent(stage)),
        saved=tuple(_saved(stage)),
        trained=tuple(_trained(stage)),
        wallets=tuple(_wallets(stage, rounds)),
        vault=Vault(
            holdings=federation.holdings(block),
            carried=federation.carried(block),
            stakes=stakes,
            slashed=STAKE * sum(view.member for view in views) - stakes,
        ),
        audited=_audited(stage),
        texts=_texts(stage),
        secrets=_secrets(stage),
        names={daemon.party.address: daemon.name for daemon in stage.clients},
        hostile=stage.hostile.account.address,
        hostile_done=tuple(stage.hostile.done),
        disturbances=tuple(disturbances),
        failures=tuple(stage.hostile.failures),
    )


def _round(stage: Stage, number: int, members: list[Address]) -> Round:
    views = [stage.federation.round_view(number, member) for member in members]
    reasons = None
    if report := views[0].released.report:
        try:
            read = Report.decode(get_bytes(stage.storage, report, REPORT_LIMIT))
            reasons = {update.client: update.reason for update in read.updates}
        except KoinonError:
            reasons = None  # the audit says so
    return Round(views[0], tuple(view.client for view in views), reasons)


def _sent(stage: Stage) -> Iterator[Sent]:
    """Every submission that went through a proxy."""
    contract = stage.chain.web3.eth.contract(abi=contracts.load("Federation").abi)
    for raw in dict.fromkeys(stage.broadcasts):
        data = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()["data"]
        try:
            function, values = contract.decode_function_input(HexBytes(data))
        except ValueError:
            continue
        if function.fn_name == "submitUpdate":
            sender = Account.recover_transaction(raw)
            yield Sent(sender, values["round"], values["sealingKey"], str(cid_from_digest(values["updateCid"])))


def _saved(stage: Stage) -> Iterator[Saved]:
    for client in stage.clients:
        with stage.journal(client) as journal, contextlib.closing(sqlite3.connect(journal.path)) as database:
            for row in database.execute("SELECT round, sealing_key, base, cid FROM updates"):
                yield Saved(client.party.address, *row)


def _trained(stage: Stage) -> Iterator[Trained]:
    """What the clients' logs say, of which a kill may have cut a line."""
    for client in stage.clients:
        for line in client.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError, KeyError):
                event = json.loads(line)
                if event["event"] == "trained":
                    yield Trained(client.party.address, event["round"], event["update"])


def _wallets(stage: Stage, rounds: tuple[Round, ...]) -> Iterator[Wallet]:
    """Everybody's account, from the transactions in the blocks of the chain as it is now."""
    eth = stage.chain.web3.eth
    sent: dict[str, list[tuple[str, int, int]]] = {account.address: [] for account in stage.accounts.values()}
    for number in range(1, eth.block_number + 1):
        for transaction in eth.get_block(number, full_transactions=True)["transactions"]:
            found = cast(TxData, transaction)
            if found["from"] in sent:
                receipt = eth.get_transaction_receipt(found["hash"])
                fee = receipt["gasUsed"] * receipt["effectiveGasPrice"]
                value = found["value"] if receipt["status"] == 1 else 0
                sent[found["from"]].append(("0x" + found["hash"].hex(), value, fee))
    daemons = {daemon.name: daemon for daemon in stage.daemons}
    for name, account in stage.accounts.items():
        known: set[str] | None = None
        open_intents = 0
        if name in daemons:
            with stage.journal(daemons[name]) as journal:
                known = {sent.tx_hash for intent in journal.intents() for sent in journal.broadcasts(intent)}
                open_intents = len(journal.open_intents())
        own = [client for each in rounds for client in each.clients if client.client == account.address]
        address = Web3.to_checksum_address(account.address)
        yield Wallet(
            name=name,
            address=account.address,
            began=BALANCE,
            ended=eth.get_balance(address),
            paid_in=sum(value for _, value, _ in sent[account.address]),
            fees=sum(fee for _, _, fee in sent[account.address]),
            received=sum(client.reward for client in own if client.claimed),
            latest_nonce=eth.get_transaction_count(address, "latest"),
            pending_nonce=eth.get_transaction_count(address, "pending"),
            open_intents=open_intents,
            unknown=tuple(tx for tx, _, _ in sent[account.address] if known is not None and tx not in known),
        )


def _audited(stage: Stage) -> Audited:
    done = stage.audit()
    try:
        said = json.loads(done.stdout)
    except json.JSONDecodeError:
        return Audited(done.returncode, (f"it said {done.stderr.strip()[-500:]}",))
    return Audited(
        done.returncode,
        tuple(
            f"round {row['round']}: {row['subject']}: expected {row['expected']}, found {row['found']}"
            for row in said["violations"]
        ),
        said["checks"],
    )


def _texts(stage: Stage) -> dict[str, str]:
    """Every log, and every file of a state folder but the journal, which keeps secrets encrypted."""
    texts = {}
    for daemon in stage.daemons:
        for path in [daemon.log, *sorted(daemon.state.rglob("*"))]:
            if path.is_file() and not path.name.startswith("journal") and path.stat().st_size < LARGEST_TEXT:
                texts[f"{daemon.name}/{path.name}"] = path.read_bytes().decode("latin-1")
    return texts


def _secrets(stage: Stage) -> dict[str, tuple[str, ...]]:
    organization = stage.accounts["organization"]
    with stage.journal(stage.organization) as journal:
        sealed = [journal.secret_for(view.sealing_key) for view in _views(stage)]
    secrets = [decrypt(state_key(organization), each).hex() for each in sealed if each is not None]
    return {
        "private key": tuple(bytes(account.key).hex() for account in stage.accounts.values()),
        "passphrase": tuple(first_line(daemon.party.passphrase_file) for daemon in stage.daemons),
        "key in a node's address": tuple(stage.keys),
        "sealing secret": tuple(secrets),
    }


def _views(stage: Stage) -> list[RoundView]:
    federation = stage.federation
    return [federation.round_view(number) for number in range(1, federation.round_count() + 1)]


def write(evidence: Evidence, path: Path) -> None:
    """Keeps what can be read by a person who looks into a broken promise."""
    path.write_text(
        "\n".join(str(item) for item in (*evidence.rounds, *evidence.wallets, evidence.vault, evidence.audited))
    )
