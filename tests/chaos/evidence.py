"""What is known at the end of a run, read from the chain, the journals, the proxies and the logs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.types import TxData

from processor.artifacts.report import REPORT
from processor.chain import contracts
from processor.chain.logs import Event, LoggedRound, events, rounds_in
from processor.cid import cid_from_digest
from processor.errors import KoinonError
from processor.keystore import decrypt, first_line, state_key
from processor.protocol.rewards import Money, money_of
from processor.storage.library import Library
from processor.types import Address, Block, Cid, Opening, Phase
from tests.chaos.hostile import Submission
from tests.chaos.record import Disturbance
from tests.chaos.stage import BALANCE, REWARD, STAKE, Stage

LARGEST_TEXT = 64 << 20


@dataclass(frozen=True)
class Part:
    """A member's part in a round; no update where it has none."""

    client: Address
    selected: bool
    update: Cid | None
    compute_ms: int
    credited_ms: int


@dataclass(frozen=True)
class Round:
    """A round as the chain has it, every member's part in it, and the reasons that its report gives."""

    opening: Opening
    phase: Phase
    clients: tuple[Part, ...]
    reasons: dict[Address, str | None] | None

    @property
    def number(self) -> int:
        return self.opening.round

    @property
    def update_count(self) -> int:
        return sum(client.update is not None for client in self.clients)

    def money(self) -> Money:
        """What its clients earned, and what became of the rest."""
        claimed = sum(client.compute_ms for client in self.clients)
        credited = {client.client: client.credited_ms for client in self.clients if client.update is not None}
        return money_of(self.opening.pool, self.opening.reward_rate_cap, claimed, credited)


@dataclass(frozen=True)
class Sent:
    """An update that somebody tried to submit, whether or not it was ever mined."""

    sender: Address
    round: int
    sealing_key: bytes
    cid: Cid


@dataclass(frozen=True)
class Saved:
    """An update that a client's journal keeps, the model that it grew out of, and the compute time that it took."""

    client: Address
    round: int
    sealing_key: bytes
    base: Cid
    cid: Cid
    compute_ms: int


@dataclass(frozen=True)
class Trained:
    """An update that a client says it made."""

    client: Address
    round: int
    cid: Cid


@dataclass(frozen=True)
class Wallet:
    """An account over the run: what its transactions paid in and cost, what it was paid, and what it is owed still. In
    wei."""

    name: str
    address: Address
    began: int
    ended: int
    paid_in: int
    fees: int
    received: int
    owed: int
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
    `texts`, by what each is; `at_work` for how many seconds at most the worker of each had a job."""

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
    at_work: dict[Address, float]
    failures: tuple[str, ...] = ()

    def summary(self) -> str:
        """How much there was to look at."""
        finalized = sum(each.phase is Phase.FINALIZED for each in self.rounds)
        updates = sum(each.update_count for each in self.rounds)
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
    happened = list(events(federation.web3, federation.address, 0, block.number))
    rounds = tuple(_rounds(stage, happened, block))
    views = [federation.round_view(member, at=block).client for member in members]
    stakes = sum(view.stake for view in views)
    return Evidence(
        reward=REWARD,
        stake=STAKE,
        rounds=rounds,
        sent=tuple(_sent(stage)),
        saved=tuple(_saved(stage)),
        trained=tuple(_trained(stage)),
        wallets=tuple(_wallets(stage, happened, block)),
        vault=Vault(
            holdings=federation.holdings(block),
            carried=federation.carried(block),
            stakes=stakes,
            slashed=STAKE * sum(view.member for view in views) - stakes,
        ),
        audited=_audited(stage),
        texts=_texts(stage, happened),
        secrets=_secrets(stage, rounds),
        names={daemon.party.address: daemon.name for daemon in stage.clients},
        hostile=stage.hostile.account.address,
        hostile_done=tuple(stage.hostile.done),
        disturbances=tuple(disturbances),
        at_work={daemon.party.address: stage.workers.at_work[daemon.name] for daemon in stage.clients},
        failures=(*stage.hostile.failures, *stage.workers.violations),
    )


def _rounds(stage: Stage, happened: list[Event], block: Block) -> Iterator[Round]:
    """The rounds of the contract's events, which its record and digest vouch for: the audit compares them."""
    latest = stage.federation.round_view(at=block)
    selected = _selected(happened)
    for logged in rounds_in(happened):
        number = logged.opening.round
        abandoned = Phase.ABANDONED if logged.outcome is None else Phase.FINALIZED
        phase = latest.phase if number == latest.round else abandoned
        yield Round(logged.opening, phase, tuple(_parts(logged, selected[number])), _reasons(stage, logged))


def _selected(happened: Iterable[Event]) -> dict[int, list[Address]]:
    """Whom each round selects: everybody who was a member when it opened."""
    members: list[Address] = []
    selected = {}
    for event in happened:
        match event.name:
            case "Registered":
                members.append(event.arguments["client"])
            case "Left":
                members.remove(event.arguments["client"])
            case "RoundOpened":
                selected[event.arguments["round"]] = list(members)
    return selected


def _parts(logged: LoggedRound, selected: list[Address]) -> Iterator[Part]:
    lowered = {adjustment.client: adjustment.credited_ms for adjustment in logged.adjustments}
    submitted = {update.client: update for update in logged.updates}
    for client in selected:
        update = submitted.get(client)
        if update is None:
            yield Part(client, True, None, 0, 0)
        else:
            credited = lowered.get(client, update.compute_ms)
            yield Part(client, True, update.update, update.compute_ms, credited)


def _reasons(stage: Stage, logged: LoggedRound) -> dict[Address, str | None] | None:
    if logged.outcome is None:
        return None
    try:
        report = Library(stage.storage).read(REPORT, logged.outcome.report)
    except KoinonError:
        return None  # the audit says so
    return {update.client: update.reason for update in report.updates}


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
        with stage.journal(client) as journal:
            for update in journal.updates():
                named = (update.round, update.sealing_key, update.base, update.cid)
                yield Saved(client.party.address, *named, update.compute_ms)


def _trained(stage: Stage) -> Iterator[Trained]:
    """What the clients' logs say, of which a kill may have cut a line."""
    for client in stage.clients:
        for line in client.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError, KeyError):
                event = json.loads(line)
                if event["event"] == "trained":
                    yield Trained(client.party.address, event["round"], event["update"])


def _wallets(stage: Stage, happened: list[Event], block: Block) -> Iterator[Wallet]:
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
        paid = [event for event in happened if event.name == "Paid" and event.arguments["client"] == account.address]
        address = Web3.to_checksum_address(account.address)
        yield Wallet(
            name=name,
            address=account.address,
            began=BALANCE,
            ended=eth.get_balance(address),
            paid_in=sum(value for _, value, _ in sent[account.address]),
            fees=sum(fee for _, _, fee in sent[account.address]),
            received=sum(event.arguments["reward"] + event.arguments["stake"] for event in paid),
            owed=stage.federation.balance_of(account.address, at=block)[0],
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


def _texts(stage: Stage, happened: Iterable[Event]) -> dict[str, str]:
    """Every log, and every file of a state folder but the journal, which keeps secrets encrypted. What is kept of a
    finalized round may hold the secret that its finalization published."""
    published = {event.arguments["round"]: event.arguments["secret"].hex() for event in happened if _finalizes(event)}
    texts = {}
    for daemon in stage.daemons:
        for path in [daemon.log, *sorted(daemon.state.rglob("*"))]:
            if path.is_file() and not path.name.startswith("journal") and path.stat().st_size < LARGEST_TEXT:
                text = path.read_bytes().decode("latin-1")
                if path.parent.name == "rounds" and path.stem.isdigit():
                    text = text.replace(published.get(int(path.stem), "none"), "published")
                texts[f"{daemon.name}/{path.name}"] = text
    return texts


def _finalizes(event: Event) -> bool:
    return event.name == "RoundFinalized"


def _secrets(stage: Stage, rounds: Iterable[Round]) -> dict[str, tuple[str, ...]]:
    organization = stage.accounts["organization"]
    with stage.journal(stage.organization) as journal:
        sealed = [journal.secret_for(each.opening.sealing_key) for each in rounds]
    secrets = [decrypt(state_key(organization), each.encrypted).hex() for each in sealed if each is not None]
    return {
        "private key": tuple(bytes(account.key).hex() for account in stage.accounts.values()),
        "passphrase": tuple(first_line(daemon.party.passphrase_file) for daemon in stage.daemons),
        "key in a node's address": tuple(stage.keys),
        "sealing secret": tuple(secrets),
    }


def write(evidence: Evidence, path: Path) -> None:
    """Keeps what can be read by a person who looks into a broken promise."""
    path.write_text(
        "\n".join(str(item) for item in (*evidence.rounds, *evidence.wallets, evidence.vault, evidence.audited))
    )
