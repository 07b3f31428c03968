"""Nobody's money is missing: what the contract holds against all that it owes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processor.protocol.audit.chain import Credits, money_of_round
from processor.protocol.audit.on_chain import ChainState
from processor.protocol.audit.verdict import Checks
from processor.protocol.stakes import stakes_of
from processor.protocol.walk.claims import RoundList
from processor.types import Address


@dataclass(frozen=True)
class Settled:
    """A round that is over, and what its clients claimed and are credited."""

    known: RoundList
    credits: Credits


@dataclass(frozen=True)
class Balance:
    """What a client could claim, and what is left of its stake."""

    owed: int
    stake: int


def clients_of(state: ChainState, lists: Iterable[RoundList]) -> list[Address]:
    """Everybody of whom the audit knows: the members, and who has an update in any list."""
    known = dict.fromkeys(state.members)
    known.update(dict.fromkeys(line.client for one in lists for line in one.updates))
    return list(known)


def check_money(
    checks: Checks, state: ChainState, balances: Mapping[Address, Balance], over: Iterable[Settled], whole: bool
) -> None:
    """`over` are the rounds that are over, in order; `whole` says that none is missing among them."""
    say = checks.asset.format
    rounds = list(over)
    owed = sum(balance.owed for balance in balances.values())
    staked = sum(balance.stake for balance in balances.values())
    live = state.view.pool if state.view.phase.live else 0
    needed = owed + staked + live + state.carried
    checks.holds(
        0,
        "balance of the contract",
        state.holdings >= needed,
        f"at least {say(needed)} (owed {say(owed)}, live {say(live)}, carried {say(state.carried)}, "
        f"staked {say(staked)})",
        say(state.holdings),
    )
    _check_stakes(checks, state, balances, rounds, whole)
    if whole:
        _check_owed(checks, balances, rounds)


def _check_owed(checks: Checks, balances: Mapping[Address, Balance], rounds: list[Settled]) -> None:
    """Nobody is owed more than all rounds brought it: what was claimed is paid, the rest is owed."""
    earned: dict[Address, int] = defaultdict(int)
    for settled in rounds:
        for client, reward in money_of_round(settled.known.opening, settled.credits).rewards.items():
            earned[client] += reward
    for client, balance in balances.items():
        most = earned[client]
        checks.holds(
            0,
            f"owed to {client}",
            balance.owed <= most,
            f"at most {checks.asset.format(most)}, what its rounds brought it",
            checks.asset.format(balance.owed),
        )


def _check_stakes(
    checks: Checks, state: ChainState, balances: Mapping[Address, Balance], rounds: list[Settled], whole: bool
) -> None:
    """Every stake is what its slashes leave of it."""
    rates: dict[Address, list[int]] = defaultdict(list)
    for settled in rounds:
        for client, rate in settled.credits.slash_rates.items():
            rates[client].append(rate)
    held = {client: balance.stake for client, balance in balances.items()}
    say = checks.asset.format
    for stake in stakes_of(state.terms.stake, state.members, held, rates):
        possible = " or ".join(say(amount) for amount in stake.possible)
        fitting = stake.as_it_should_be if whole else stake.held <= state.terms.stake
        expected = possible if whole else f"at most {say(state.terms.stake)}"
        checks.holds(0, f"stake of {stake.client}", fitting, expected, say(stake.held))
