"""The closing page of the demo: what happened, as data, as text, and whether everything holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from processor.chain.amounts import format_ether, format_units
from processor.chain.asset import Asset
from processor.demo.settings import ACCURACY_TARGET, CLIENTS_FOR_TARGET, ROUNDS_FOR_TARGET
from processor.types import Address, Cid
from processor.words import counted


@dataclass(frozen=True)
class RoundLine:
    """A finalized round; `seconds` from its opening to its finalization, by block time."""

    round: int
    base_model: Cid
    model: Cid
    report: Cid
    updates: int
    accuracy: float
    seconds: int


@dataclass(frozen=True)
class ClientLine:
    """A client over all rounds.

    `stake` is what the contract holds of its stake; `balance_change` what its account gained or lost of the asset,
    `coin_change_wei` and `fees_wei` what it did of the chain's coin, and what of that was gas.
    """

    address: Address
    compute_ms: int
    credited_ms: int
    reward: int
    stake: int
    balance_change: int
    coin_change_wei: int
    fees_wei: int


@dataclass(frozen=True)
class Verdict:
    """What `koinon audit` said."""

    ok: bool
    checks: int
    violations: Sequence[str]


@dataclass(frozen=True)
class ClosingPage:
    """Everything that the demo shows at its end.

    Amounts are in the smallest unit of `asset`. `pool` is what was escrowed for rewards, `staked_in` for stakes, of
    which `slashed` is gone; `holdings` is what the contract has.
    """

    federation: Address
    chain_id: int
    asset: Asset
    rounds_wanted: int
    rounds: Sequence[RoundLine]
    local_only_accuracy: float
    clients: Sequence[ClientLine]
    pool: int
    paid: int
    carried: int
    forfeited: int
    staked_in: int
    slashed: int
    holdings: int
    audit: Verdict

    @property
    def federated_accuracy(self) -> float:
        """That of the last finalized model."""
        return self.rounds[-1].accuracy if self.rounds else 0.0

    @property
    def staked(self) -> int:
        """What the contract holds of the clients' stakes."""
        return sum(client.stake for client in self.clients)

    def failures(self) -> list[str]:
        """What does not hold, in words; nothing when the demo succeeded."""
        failed = []
        if len(self.rounds) != self.rounds_wanted:
            failed.append(f"{len(self.rounds)} rounds were finalized, expected {self.rounds_wanted}")
        for row in self.rounds:
            if row.updates != len(self.clients):
                failed.append(f"round {row.round} has {counted(row.updates, 'update')}, expected {len(self.clients)}")
        if self._has_target and self.federated_accuracy < ACCURACY_TARGET:
            failed.append(f"the accuracy is {self.federated_accuracy:.3f}, expected at least {ACCURACY_TARGET}")
        if self._has_target and self.federated_accuracy <= self.local_only_accuracy:
            failed.append(f"training together ({self.federated_accuracy:.3f}) is no better than training alone")
        failed += self._money_failures()
        if not self.audit.ok:
            failed.append(f"the audit found {len(self.audit.violations)} violations")
        return failed

    def _money_failures(self) -> list[str]:
        """What does not add up, to the unit."""
        say, failed = self.asset.format, []
        for client in self.clients:
            gas = client.fees_wei if self.asset.native else 0
            if client.balance_change != client.reward - client.stake - gas:
                failed.append(
                    f"the balance of {client.address} changed by {say(client.balance_change)}, expected its reward of "
                    f"{say(client.reward)} less its stake of {say(client.stake)} and {say(gas)} of gas"
                )
            if not self.asset.native and client.coin_change_wei != -client.fees_wei:
                failed.append(
                    f"{client.address} has {format_ether(client.coin_change_wei)} ETH more, expected it to have paid "
                    f"{format_ether(client.fees_wei)} ETH of gas"
                )
        if self.paid != sum(client.reward for client in self.clients):
            failed.append("what was paid is not the sum of the rewards")
        if self.pool != self.paid + self.carried + self.forfeited:
            failed.append(
                f"the pool of {say(self.pool)} is not paid {say(self.paid)} + carried {say(self.carried)} + forfeited "
                f"{say(self.forfeited)}"
            )
        if self.staked_in != self.staked + self.slashed:
            failed.append(
                f"{say(self.staked_in)} were staked, {say(self.staked)} are left and {say(self.slashed)} slashed"
            )
        if self.holdings != self.carried + self.forfeited + self.staked_in:
            failed.append(
                f"the contract holds {say(self.holdings)}, expected carried {say(self.carried)} + forfeited "
                f"{say(self.forfeited)} + stakes {say(self.staked_in)}"
            )
        return failed

    @property
    def _has_target(self) -> bool:
        return len(self.clients) >= CLIENTS_FOR_TARGET and self.rounds_wanted >= ROUNDS_FOR_TARGET

    def as_json(self) -> dict[str, Any]:
        """The same for programs, amounts as decimal strings of smallest units."""
        return {
            "federation": self.federation,
            "chain_id": self.chain_id,
            "asset": asdict(self.asset),
            "rounds": [
                {
                    "round": row.round,
                    "base_model": row.base_model,
                    "model": row.model,
                    "updates": row.updates,
                    "accuracy": row.accuracy,
                    "seconds": row.seconds,
                }
                for row in self.rounds
            ],
            "local_only_accuracy": self.local_only_accuracy,
            "federated_accuracy": self.federated_accuracy,
            "clients": [
                {
                    "address": client.address,
                    "compute_ms": client.compute_ms,
                    "credited_ms": client.credited_ms,
                    "reward": str(client.reward),
                    "stake": str(client.stake),
                    "balance_change": str(client.balance_change),
                    "fees_wei": str(client.fees_wei),
                }
                for client in self.clients
            ],
            "pool": str(self.pool),
            "paid": str(self.paid),
            "carried": str(self.carried),
            "forfeited": str(self.forfeited),
            "staked": str(self.staked),
            "slashed": str(self.slashed),
            "holdings": str(self.holdings),
            "audit": {"ok": self.audit.ok, "checks": self.audit.checks, "violations": list(self.audit.violations)},
        }

    def as_text(self) -> str:
        """The page as a person reads it."""
        lines = ["", "Accuracy on the organization's validation data"]
        lines += [
            f"  round {row.round:>2}   {row.accuracy:.3f} {'█' * round(row.accuracy * 40):<40} "
            f"{row.updates} updates, {row.seconds:>2} s"
            for row in self.rounds
        ]
        lines += [
            f"  the same clients, each training alone for as many steps: {self.local_only_accuracy:.3f} on average",
            "",
            *self._client_lines(),
            "",
            *self._money_lines(),
            "",
            f"Audit: {self.audit.checks} checks, {len(self.audit.violations)} violations",
            *(f"  {violation}" for violation in self.audit.violations),
        ]
        failures = self.failures()
        lines += ["", "Everything holds." if not failures else "NOT everything holds:"]
        lines += [f"  {failure}" for failure in failures]
        return "\n".join(lines)

    def _client_lines(self) -> list[str]:
        credited = sum(client.credited_ms for client in self.clients)
        symbol = self.asset.symbol
        head = ("Clients", "compute", "share", f"reward ({symbol})", f"staked ({symbol})", f"balance ({symbol})")
        rows = [
            (
                f"  {client.address}",
                f"{client.compute_ms} ms",
                _percent(client.credited_ms, credited),
                *(format_units(n, self.asset.decimals) for n in (client.reward, client.stake, client.balance_change)),
            )
            for client in self.clients
        ]
        if self.asset.native:
            note = "  (the balance is the reward less the stake and the gas that the client paid)"
        else:
            gas = sum(client.fees_wei for client in self.clients)
            note = (
                f"  (the balance is the reward less the stake; for gas the clients paid {format_ether(gas)} ETH in all)"
            )
        return [*_columns([head, *rows]), note]

    def _money_lines(self) -> list[str]:
        rows = [
            ("pool", self.pool),
            ("paid", self.paid),
            ("carried", self.carried),
            ("forfeited", self.forfeited),
        ]
        if self.staked_in:
            rows += [("staked", self.staked), ("slashed", self.slashed)]
        unit = "wei" if self.asset.native else f"smallest unit ({self.asset.decimals} decimals)"
        return [
            f"Money, to the {unit}",
            *(f"  {name:<9}  {amount:>24}" for name, amount in rows),
            f"  the contract still holds {self.holdings}",
        ]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text with columns as wide as what is in them."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"
