"""What to do next, as a pure function of what one block says and what the journal remembers.

The daemons read, ask here, act once, and read again: a missed event, a restart or a repeated cycle changes nothing.
What is known is asked for in order and only as far as the decision needs it, so that a daemon may read it then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from processor.chain.asset import Asset, approval_needed
from processor.chain.vouchers import Voucher
from processor.errors import ChainError
from processor.protocol.opening import notice_left, pause_left
from processor.protocol.situations import ClientSituation, Entry, OrganizationSituation, Pending, Purse
from processor.types import Address, Admission, Cid, FederationTerms, Phase, RoundView
from processor.words import counted

# ------------------------------------------------------------------------------------------------------- actions


@dataclass(frozen=True)
class Wait:
    """Nothing to do now; `reason` is for the log."""

    reason: str


@dataclass(frozen=True)
class Working(Wait):
    """Nothing to do but what goes on already: something of the round is at work."""


@dataclass(frozen=True)
class Stop:
    """Nothing to do any more."""

    reason: str


@dataclass(frozen=True)
class Approve:
    """Let the federation take `amount` of its token from us: exactly what the next step costs. 0 takes back a smaller
    approval of before, which some tokens ask for."""

    amount: int


@dataclass(frozen=True)
class Register:
    """Become a member of the federation."""


@dataclass(frozen=True)
class Train:
    """Have the round's base model trained on and the update sealed, or keep it once it is; nobody sees it yet."""

    round: int


@dataclass(frozen=True)
class Submit:
    """Name the sealed update on the chain."""

    round: int


@dataclass(frozen=True)
class Publish:
    """Put the sealed bytes where everybody finds them, now that the chain shows our update: whoever hands it over for
    us could read it before, and say nothing of it."""

    round: int


@dataclass(frozen=True)
class Claim:
    """Claim everything that is owed, of whatever rounds."""

    amount: int


@dataclass(frozen=True)
class PostAgreement:
    """Say on the chain that we agreed to a plan: whoever announced it waits for that."""

    plan: Cid


@dataclass(frozen=True)
class SetInitialModel:
    """Publish a fresh model and make it what the first round starts from."""


@dataclass(frozen=True)
class Announce:
    """Tell everybody the plan of the next round, which the one before did not have."""

    plan: Cid


@dataclass(frozen=True)
class Retire:
    """End the membership of a client that has been silent for as long as the terms ask."""

    client: Address


@dataclass(frozen=True)
class OpenRound:
    """Open the next round."""


@dataclass(frozen=True)
class Finalize:
    """Aggregate the round's updates and release the next model."""

    round: int


_NOT_FINAL = "everything is done, but a reorganization may still undo our last transaction: waiting until it is final"

ClientAction = Wait | Stop | Approve | Register | Train | Submit | Publish | Claim | PostAgreement
OrganizationAction = Wait | Stop | SetInitialModel | Approve | Announce | Retire | OpenRound | Finalize

# --------------------------------------------------------------------------------------------------------- payments


def payment_step(purse: Purse, amount: int, purpose: str) -> Wait | Approve | None:
    """What comes before the federation can take `amount` for `purpose` ("the stake"); None where nothing does."""
    if amount == 0:
        return None
    if purse.balance < amount:
        return Wait(
            f"{purpose} is {purse.asset.format(amount)} and the wallet holds {purse.asset.format(purse.balance)}: "
            "send it some"
        )
    if purse.asset.native:
        return None
    approval = approval_needed(purse.allowance, amount)
    return None if approval is None else Approve(approval)


# -------------------------------------------------------------------------------------------------------- client


def decide_client(situation: ClientSituation) -> ClientAction:
    """The client's next step. A round comes before a claim, since a round has a deadline; and what takes no transaction
    before what takes one."""
    if (published := _publish_step(situation)) is not None:
        return published
    if situation.transaction_pending:
        at_work = situation.trained or situation.underway is not None
        return (Working if at_work else Wait)("an earlier transaction is not mined yet")
    step = _round_step(situation) if situation.entry is None else _entry_step(situation.entry)
    if not isinstance(step, Wait):
        return step
    claim = _claim_step(situation)
    if isinstance(claim, Claim):
        return claim
    if claim is not None:
        step = replace(step, reason=f"{step.reason}; {claim}")
    if not situation.closed and (plan := situation.to_post) is not None:
        return PostAgreement(plan)
    if not situation.closed or isinstance(step, Working) or situation.set_back:
        return step
    return Wait(_NOT_FINAL) if situation.unconfirmed else Stop(_farewell(situation))


def asset_refusal(terms: FederationTerms, accepted: Address) -> str | None:
    """Why a client takes no part for what the federation pays in; None where it does."""
    if terms.asset == accepted:
        return None
    return (
        f"the federation pays and stakes in {terms.asset}, and client.asset is {accepted} (zeros stand for the native "
        "coin): set it to the federation's asset if that is what you want"
    )


def voucher_refusal(
    voucher: Voucher | None,
    spent: bool,
    chain_id: int,
    federation: Address,
    client: Address,
    now: int,
    owner_nonce: int,
) -> str | None:
    """Why a voucher does not admit the client at the block time `now`; None where it does, if the owner signed it."""
    if voucher is None:
        return (
            "the federation admits clients by voucher: ask its organization for one and name its file as client.voucher"
        )
    if now >= voucher.expiry:  # without the time of now: the log repeats only what has changed
        return "the voucher has expired: ask the organization for another one"
    try:
        voucher.check(chain_id, federation, client, now, owner_nonce)
    except ChainError as error:
        return str(error)
    if spent:
        return (
            "the voucher was used or revoked, and admits nobody again: ask the organization for another one, or stop "
            "this daemon if you are done; what is owed to you is claimed all the same"
        )
    return None


def entry_refusal(entry: Entry) -> str | None:
    """Why a client does not register, and what to do about it; None where it may."""
    asset, stake = entry.purse.asset, entry.terms.stake
    if entry.stake_held:
        return (
            f"the contract still holds {asset.format(entry.stake_held)}, the stake of our earlier membership: "
            f"`koinon client leave` returns it once the round with our update is over, then {_once_more(entry)}"
        )
    if entry.update_live:
        return f"our update of an earlier membership is in the round that goes on: {_once_more(entry)} after that"
    if refusal := asset_refusal(entry.terms, entry.accepted_asset):
        return refusal
    if entry.terms.admission is Admission.VOUCHER and (refusal := entry.voucher_refusal):
        return refusal
    if stake > entry.max_stake:
        return (
            f"the federation asks for a stake of {asset.format(stake)}, and client.max_stake allows "
            f"{asset.format(entry.max_stake)}: set it to {stake} to stake that much"
        )
    return None


def _once_more(entry: Entry) -> str:
    if entry.terms.admission is Admission.VOUCHER and entry.voucher_refusal:
        return "another voucher of the organization admits us again"
    return "we can register again"


def _entry_step(entry: Entry) -> Wait | Approve | Register:
    refusal = entry_refusal(entry)
    if refusal is not None:
        return Wait(f"not registered: {refusal}")
    payment = payment_step(entry.purse, entry.terms.stake, "the stake")
    if isinstance(payment, Wait):
        return payment
    match entry.unfit:
        case None:
            return payment or Register()
        case Pending(what):
            return Working(f"not registered yet: {what}")
        case reason:
            return Wait(f"not registered: {reason}")


def _farewell(situation: ClientSituation) -> str:
    asset, owed = situation.asset, situation.owed
    said = "the federation is closed and nothing is owed"
    if owed:
        said = (
            f"the federation is closed; {asset.format(owed)} is owed and stays yours, but the gas of a claim costs "
            "more than that now: `koinon client claim` claims it whenever you like"
        )
    if situation.stake:
        said += f"; `koinon client leave` returns the stake of {asset.format(situation.stake)}"
    return said


def remains(view: RoundView, asset: Asset) -> str:
    """What is left to do for a client whose federation has finished: it may be closed, or go on with another plan."""
    client, parts = view.client, []
    if client.owed:
        owed = asset.format(client.owed)
        parts.append(f"{owed} is owed to you: `koinon client claim` pays it, whatever the threshold")
    if client.member:
        stake = f" and returns the stake of {asset.format(client.stake)}" if client.stake else ""
        parts.append(f"`koinon client leave` ends your membership{stake}")
    else:
        parts.append("you are no member")
    parts.append("this daemon waits in case the organization goes on with another plan: stop it if you are done")
    return "; ".join(parts)


def _publish_step(situation: ClientSituation) -> Publish | None:
    """Once the round is over nobody reads the update any more, and of an abandoned round nobody ever may."""
    view = situation.round
    if view is None or not view.phase.live or view.client.update is None or not situation.unpublished:
        return None
    return Publish(view.round)


def _round_step(situation: ClientSituation) -> Wait | Train | Submit:
    view = situation.round
    if view is None:
        return Wait("no round has been opened yet")
    if view.phase is not Phase.TRAINING:
        return Wait(f"round {view.round} is {view.phase.name.lower()}")
    if view.client.update is not None:
        return Wait(f"round {view.round}: our update is in")
    if not view.client.selected:
        return Wait(f"round {view.round} did not select us")
    if view.client.declined:
        return Wait(f"round {view.round}: we declined to take part")
    if situation.has_update:
        return Submit(view.round)
    if situation.trained:
        return Train(view.round)
    if situation.underway is not None:
        return Working(f"round {view.round}: {situation.underway}")
    match situation.refusal:
        case None:
            return Train(view.round)
        case Pending(what):
            return Working(f"round {view.round}: {what}")
        case reason:
            return Wait(f"round {view.round} refused: {reason}")


def _claim_step(situation: ClientSituation) -> Claim | str | None:
    """A claim, or why none is made of what has grown enough to be claimed."""
    owed = situation.owed
    if owed == 0 or (owed < situation.claim_threshold and not situation.closed):
        return None
    asset = situation.asset
    if asset.native and situation.claim_cost > owed:
        return f"to claim the {asset.format(owed)} that is owed would cost more gas now than it brings"
    return Claim(owed)


# -------------------------------------------------------------------------------------------------- organization


def decide_organization(situation: OrganizationSituation) -> OrganizationAction:
    """The organization's next step."""
    if situation.transaction_pending:
        return Wait("an earlier transaction is not mined yet")
    view = situation.round
    if view is not None and view.phase is Phase.TRAINING:
        return _unannounced(situation) or Wait(_awaited(view))
    if view is not None and view.phase is Phase.AGGREGATING:
        return Finalize(view.round)
    done = "the federation is closed" if situation.closed else situation.stop
    if done is not None:
        return Wait(_NOT_FINAL) if situation.unconfirmed else Stop(done)
    if not situation.has_initial_model:
        return SetInitialModel()
    if situation.paused:
        return Wait("the federation is paused: no round opens before its owner's `koinon organization resume`")
    if (idle := situation.idle) is not None:
        return Retire(idle)
    if (announcement := _unannounced(situation)) is not None:  # whoever is to become a member wants to know the plan
        return announcement
    if situation.members < situation.min_members:
        needed = counted(situation.min_members, "member")
        return Wait(f"{situation.members} of the {needed} needed to open a round are registered")
    if (step := _not_yet(situation)) is not None:
        return step
    missing = pool_refusal(situation)
    if missing is not None:
        return Wait(missing)
    return payment_step(situation.purse, situation.reward, "the reward of the next round") or OpenRound()


def _awaited(view: RoundView) -> str:
    said = f"round {view.round}: {view.update_count} of {view.selected_count} updates are in"
    return said + (f", and {view.absent_count} will not come" if view.absent_count else "")


def _unannounced(situation: OrganizationSituation) -> Announce | None:
    new = situation.new_plan
    return Announce(new.plan) if new is not None and new.announced_at is None else None


def _not_yet(situation: OrganizationSituation) -> Wait | None:
    """Why the next round had better not open yet: clients are asked to agree to its plan, or none came last time."""
    if (new := situation.new_plan) is not None:
        reason = notice_left(new, situation.now)
    elif (last := situation.fruitless) is not None:
        reason = pause_left(last, situation.now)
    else:
        reason = None
    return None if reason is None else Wait(reason)


def pool_refusal(situation: OrganizationSituation) -> str | None:
    """Why the contract would not open the next round for the size of its pool; None where it would."""
    asset, pool = situation.purse.asset, situation.carried + situation.reward
    if pool == 0 or pool >= situation.least_pool:
        return None
    return (
        f"the pool of the next round would be {asset.format(pool)} ({asset.format(situation.carried)} carried and a "
        f"reward of {asset.format(situation.reward)}), and for "
        f"{counted(situation.selected, 'selected client')} the federation's "
        f"max_spread asks for {asset.format(situation.least_pool)}: {asset.format(situation.least_pool - pool)} is "
        "missing. Raise round.reward, fund the federation, or lower round.reward_rate_cap, round.max_compute_ms or "
        "round.max_updates"
    )
