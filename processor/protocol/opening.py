"""When the next round opens: not under a plan that nobody heard of, nor again and again for nobody. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from processor.types import Cid
from processor.words import counted


@dataclass(frozen=True)
class NewPlan:
    """The plan of the next round, where the one before had another.

    It is known to everybody since the block time `announced_at`, None where it is not; `agreed` of the members have
    said that they agreed to it, and `needed` end the `notice`, which is in seconds: all of them, since whoever is
    selected and has not agreed has everybody wait.
    """

    plan: Cid
    announced_at: int | None
    agreed: int
    needed: int
    notice: int


@dataclass(frozen=True)
class Fruitless:
    """So many `rounds` in a row, up to the latest, that ended without an update, the last of them at the block time
    `over_at` after a training of `period` seconds. Since then `agreed` members agreed to its plan, where `needed` end
    the pause; it is `longest_pause` seconds at most."""

    rounds: int
    over_at: int
    period: int
    longest_pause: int
    agreed: int
    needed: int


def notice_left(new: NewPlan, now: int) -> str | None:
    """Why no round opens under a plan that was announced; None where one may."""
    if new.announced_at is None:
        return f"the plan {new.plan} is not announced yet"
    until = new.announced_at + new.notice
    if new.agreed >= new.needed or now >= until:
        return None
    everybody = "the one member has" if new.needed == 1 else f"all {new.needed} have"
    return (
        f"clients were told of the new plan {new.plan}: a round opens under it once {everybody} agreed, "
        f"{new.agreed} so far, or at {in_utc(until)} (organization.plan_notice)"
    )


def pause_left(last: Fruitless, now: int) -> str | None:
    """Why no round opens after rounds that ended without an update; None where one may.

    It would cost gas and a period for nothing: so there is a pause as long as the training was, twice as long after the
    second of them, and so on.
    """
    until = last.over_at + pause_after(last.rounds, last.period, last.longest_pause)
    if last.rounds == 0 or now >= until or 0 < last.needed <= last.agreed:
        return None
    rounds = "the round before ended" if last.rounds == 1 else f"the {last.rounds} rounds before ended"
    return (
        f"{rounds} without an update, for reasons that the clients' logs give, and `koinon check` where they run it: "
        f"the next opens at {in_utc(until)} (organization.longest_pause bounds the pause), or sooner, once another "
        f"member agrees to its plan with `koinon client join`, {counted(last.needed, 'member')} in all"
    )


def pause_after(rounds: int, period: int, longest: int) -> int:
    """Seconds of pause after so many rounds in a row that ended without an update."""
    if rounds == 0:
        return 0
    return min(longest, period * 2 ** min(rounds - 1, 32))


def in_utc(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
