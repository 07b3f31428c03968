"""The closing page of the demo: what happened, as data, as text, and whether everything holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from processor.chain.amounts import format_ether
from processor.demo.settings import ACCURACY_TARGET, CLIENTS_FOR_TARGET, ROUNDS_FOR_TARGET
from processor.types import Address, Cid


@dataclass(frozen=True)
class RoundLine:
    """A finalized round; `seconds` from its opening to its finalization, by block time."""

    round: int
    base_model: Cid
    model: Cid
    updates: int
    accuracy: float
    seconds: int


@dataclass(frozen=True)
class ClientLine:
    """A client over all rounds. `balance_change_wei` is what its account really gained, after `fees_wei` of gas."""

    address: Address
    compute_ms: int
    credited_ms: int
    reward_wei: int
    balance_change_wei: int
    fees_wei: int


@dataclass(frozen=True)
class Verdict:
    """What `koinon audit` said."""

    ok: bool
    checks: int
    violations: Sequence[str]


@dataclass(frozen=True)
class ClosingPage:
    """Everything that the demo shows at its end."""

    federation: Address
    chain_id: int
    rounds_wanted: int
    rounds: Sequence[RoundLine]
    local_only_accuracy: float
    clients: Sequence[ClientLine]
    pool_wei: int
    paid_wei: int
    carried_wei: int
    forfeited_wei: int
    contract_balance_wei: int
    audit: Verdict

    @property
    def federated_accuracy(self) -> float:
        """That of the last finalized model."""
        return self.rounds[-1].accuracy if self.rounds else 0.0

    def failures(self) -> list[str]:
        """What does not hold, in words; nothing when the demo succeeded."""
        failed = []
        if len(self.rounds) != self.rounds_wanted:
            failed.append(f"{len(self.rounds)} rounds were finalized, expected {self.rounds_wanted}")
        for row in self.rounds:
            if row.updates != len(self.clients):
                failed.append(f"round {row.round} has {row.updates} updates, expected {len(self.clients)}")
        if self._has_target and self.federated_accuracy < ACCURACY_TARGET:
            failed.append(f"the accuracy is {self.federated_accuracy:.3f}, expected at least {ACCURACY_TARGET}")
        if self._has_target and self.federated_accuracy <= self.local_only_accuracy:
            failed.append(f"training together ({self.federated_accuracy:.3f}) is no better than training alone")
        for client in self.clients:
            if client.balance_change_wei != client.reward_wei - client.fees_wei:
                failed.append(
                    f"the balance of {client.address} changed by {client.balance_change_wei} wei, expected the reward "
                    f"of {client.reward_wei} wei less {client.fees_wei} wei of gas"
                )
        if self.paid_wei != sum(client.reward_wei for client in self.clients):
            failed.append("what was paid is not the sum of the rewards")
        if self.pool_wei != self.paid_wei + self.carried_wei + self.forfeited_wei:
            failed.append(
                f"the pool of {self.pool_wei} wei is not paid {self.paid_wei} + carried {self.carried_wei} + "
                f"forfeited {self.forfeited_wei}"
            )
        if self.contract_balance_wei != self.carried_wei + self.forfeited_wei:
            failed.append(
                f"the contract holds {self.contract_balance_wei} wei, expected carried {self.carried_wei} + forfeited "
                f"{self.forfeited_wei}"
            )
        if not self.audit.ok:
            failed.append(f"the audit found {len(self.audit.violations)} violations")
        return failed

    @property
    def _has_target(self) -> bool:
        return len(self.clients) >= CLIENTS_FOR_TARGET and self.rounds_wanted >= ROUNDS_FOR_TARGET

    def as_json(self) -> dict[str, Any]:
        """The same for programs, amounts as decimal strings."""
        return {
            "federation": self.federation,
            "chain_id": self.chain_id,
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
                    "reward_wei": str(client.reward_wei),
                    "balance_change_wei": str(client.balance_change_wei),
                }
                for client in self.clients
            ],
            "pool_wei": str(self.pool_wei),
            "paid_wei": str(self.paid_wei),
            "carried_wei": str(self.carried_wei),
            "forfeited_wei": str(self.forfeited_wei),
            "audit": {"ok": self.audit.ok, "checks": self.audit.checks, "violations": list(self.audit.violations)},
        }

    def as_text(self) -> str:
        """The page as a person reads it."""
        credited = sum(client.credited_ms for client in self.clients)
        lines = ["", "Accuracy on the organization's validation data"]
        lines += [
            f"  round {row.round:>2}   {row.accuracy:.3f} {'█' * round(row.accuracy * 40):<40} "
            f"{row.updates} updates, {row.seconds:>2} s"
            for row in self.rounds
        ]
        lines += [
            f"  the same clients, each training alone for as many steps: {self.local_only_accuracy:.3f} on average",
            "",
            "Clients                                        compute   share   reward (ETH)            balance (ETH)",
        ]
        lines += [
            f"  {client.address}  {client.compute_ms:>6} ms  {_percent(client.credited_ms, credited)}  "
            f"{format_ether(client.reward_wei):<22}  {format_ether(client.balance_change_wei)}"
            for client in self.clients
        ]
        lines += [
            "  (the balance is the reward less the gas that the client paid)",
            "",
            "Money, to the wei",
            f"  pool       {self.pool_wei:>24}",
            f"  paid       {self.paid_wei:>24}",
            f"  carried    {self.carried_wei:>24}",
            f"  forfeited  {self.forfeited_wei:>24}",
            f"  the contract still holds {self.contract_balance_wei}",
            "",
            f"Audit: {self.audit.checks} checks, {len(self.audit.violations)} violations",
            *(f"  {violation}" for violation in self.audit.violations),
        ]
        failures = self.failures()
        lines += ["", "Everything holds." if not failures else "NOT everything holds:"]
        lines += [f"  {failure}" for failure in failures]
        return "\n".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:5.1f}%" if whole else "    -"
