"""What the chain says of a round, recomputed from what each client claimed and was credited. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from processor.chain.snapshot import KEY_PREFIX
from processor.errors import SealError
from processor.privacy.sealing import check_public_key
from processor.protocol.audit.on_chain import ChainState
from processor.protocol.audit.verdict import Checks
from processor.protocol.rewards import Money, guaranteed_rate, least_pool, money_of, payable, rate_in_words
from processor.protocol.walk.claims import RoundList, Step
from processor.protocol.walk.start import NO_SECRET
from processor.types import Address, Adjustment, FederationTerms, Opening, Phase, Result

NO_KEY = bytes(KEY_PREFIX)
MIN_PERIOD, MAX_PERIOD = 30, 30 * 24 * 3600


@dataclass(frozen=True)
class Credits:
    """What a round's clients claimed and are credited: as claimed, unless the round was finalized with adjustments."""

    claimed: Mapping[Address, int]
    credited: Mapping[Address, int]
    slash_rates: Mapping[Address, int]

    @property
    def claimed_ms(self) -> int:
        return sum(self.claimed.values())

    @property
    def credited_ms(self) -> int:
        return sum(self.credited.values())


def phase_of(state: ChainState, step: Step) -> Phase | None:
    """The phase of a round; None where nothing tells a finalized one from an abandoned one."""
    if step.round == state.head:
        return state.view.phase
    if step.link is None:
        return None
    return Phase.ABANDONED if step.link.outcome is None else Phase.FINALIZED


def credits_of(known: RoundList, adjustments: tuple[Adjustment, ...]) -> Credits:
    claimed = {line.client: line.compute_ms for line in known.updates}
    lowered = {item.client: item for item in adjustments}
    return Credits(
        claimed=claimed,
        credited={client: lowered[client].credited_ms if client in lowered else ms for client, ms in claimed.items()},
        slash_rates={client: lowered[client].slash_rate if client in lowered else 0 for client in claimed},
    )


def check_terms(checks: Checks, terms: FederationTerms, opening: Opening) -> None:
    """An opening keeps to what the contract allows."""
    number = opening.round
    trained = opening.training_deadline - opening.opened_at
    aggregated = opening.aggregation_deadline - opening.training_deadline
    for subject, seconds in (("training", trained), ("aggregation", aggregated)):
        allowed = f"{MIN_PERIOD} to {MAX_PERIOD} s"
        checks.holds(number, f"{subject} period", MIN_PERIOD <= seconds <= MAX_PERIOD, allowed, f"{seconds} s")
    most = min(opening.member_count, opening.max_updates)
    found = str(opening.selected_count)
    checks.holds(number, "number of selected members", 1 <= opening.selected_count <= most, f"1 to {most}", found)
    least = least_pool(opening.reward_rate_cap, opening.selected_count, opening.max_compute_ms, terms.max_spread)
    checks.holds(
        number,
        f"pool under a spread of {terms.max_spread}",
        opening.pool == 0 or opening.pool >= least,
        f"none, or at least {checks.asset.format(least)}",
        checks.asset.format(opening.pool),
    )


def check_credits(checks: Checks, terms: FederationTerms, known: RoundList, credits: Credits) -> None:
    opening, number = known.opening, known.opening.round
    most = opening.selected_count
    checks.holds(number, "number of updates", len(known.updates) <= most, f"at most {most}", str(len(known.updates)))
    for client, ms in credits.claimed.items():
        allowed = f"1 to {opening.max_compute_ms} ms"
        checks.holds(
            number, f"claimed compute time of {client}", 1 <= ms <= opening.max_compute_ms, allowed, f"{ms} ms"
        )
        credited, rate = credits.credited[client], credits.slash_rates[client]
        checks.holds(
            number,
            f"credited compute time of {client}",
            credited <= ms,
            f"at most the {ms} ms claimed",
            f"{credited} ms",
        )
        allowed = f"at most {terms.max_slash_rate} basis points"
        checks.holds(number, f"slash rate of {client}", rate <= terms.max_slash_rate, allowed, str(rate))


def money_of_round(opening: Opening, credits: Credits) -> Money:
    return money_of(opening.pool, opening.reward_rate_cap, credits.claimed_ms, credits.credited)


def check_result(checks: Checks, state: ChainState, step: Step, opening: Opening, credits: Credits) -> None:
    """What the round left for ever, in state: what its clients share, in proportion to what, and the used key."""
    phase = phase_of(state, step)
    if phase is None:
        return
    due = payable(opening.pool, opening.reward_rate_cap, credits.credited_ms)
    expected = Result(0, 0, NO_KEY)
    if phase is Phase.FINALIZED:
        expected = Result(due, credits.credited_ms, opening.sealing_key[:KEY_PREFIX])
    elif phase is Phase.ABANDONED and step.round <= state.view.chained:
        expected = Result(due, credits.credited_ms, NO_KEY)
    found = state.result(step.round)
    checks.amount(step.round, "amount payable in results", expected.payable, found.payable)
    checks.equal(step.round, "credited compute time in results", expected.credited_ms, found.credited_ms)
    checks.equal(step.round, "sealing key in results", expected.sealing_key, found.sealing_key)


def check_view(checks: Checks, state: ChainState, known: RoundList, credits: Credits) -> None:
    """The latest round, as its view shows it."""
    view, opening, number = state.view, known.opening, state.head
    checks.equal(number, "number of updates", len(known.updates), view.update_count)
    checks.equal(number, "claimed compute time in total", credits.claimed_ms, view.claimed_ms)
    checks.equal(number, "credited compute time in total", credits.credited_ms, view.credited_ms)
    for name in ("plan", "sealing_key", "opened_at", "training_deadline", "aggregation_deadline", "member_count"):
        checks.equal(number, f"{name} in the view", getattr(opening, name), getattr(view, name))
    for name in ("selection_offset", "selected_count", "max_updates", "max_compute_ms", "reward_rate_cap", "pool"):
        checks.equal(number, f"{name} in the view", getattr(opening, name), getattr(view, name))
    rate = guaranteed_rate(opening.pool, opening.reward_rate_cap, opening.selected_count, opening.max_compute_ms)
    say = partial(rate_in_words, checks.asset)
    checks.equal(number, "guaranteed rate for a second", say(rate), say(view.guaranteed_rate))
    if view.phase is not Phase.FINALIZED:
        checks.equal(number, "published secret", NO_SECRET, view.secret)
    if view.phase.over:
        money = money_of_round(opening, credits)
        due = payable(opening.pool, opening.reward_rate_cap, credits.credited_ms)
        checks.amount(number, "amount payable", due, view.payable)
        checks.amount(number, "amount carried", money.carried, view.surplus)
        checks.amount(number, "amount forfeited", money.forfeited, view.forfeited)


def check_keys(checks: Checks, state: ChainState, steps: Mapping[int, Step]) -> None:
    """No sealing key serves two rounds: who knows the secret of the first opens the updates of the second. And each is
    one that an honest pair has, so that comparing bytes is comparing keys."""
    used: dict[bytes, int] = {}
    for round in sorted(steps):
        whole = _whole_key(state, steps[round])
        key = state.view.sealing_key[:KEY_PREFIX] if round == state.head else state.result(round).sealing_key
        if key == NO_KEY and whole is not None:
            key = whole[:KEY_PREFIX]
        if key != NO_KEY:
            first = used.setdefault(key, round)
            checks.holds(round, "sealing key", first == round, "one of its own", f"the key of round {first}")
        if whole is not None:
            problem = _problem_of(whole)
            checks.holds(round, "form of the sealing key", problem is None, "that of a fresh key pair", f"{problem}")


def _whole_key(state: ChainState, step: Step) -> bytes | None:
    """A round's key by state or its list; None where state has the first bytes of it at most."""
    if step.round == state.head:
        return state.view.sealing_key
    return None if step.list is None else step.list.opening.sealing_key


def _problem_of(key: bytes) -> str | None:
    try:
        check_public_key(key)
    except SealError as error:
        return str(error)
    return None
