"""What to do next, as a pure function of what one block says and what the journal remembers.

The daemons read, ask here, act once, and read again: a missed event, a restart or a repeated cycle changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from processor.types import Phase, RoundView

# ------------------------------------------------------------------------------------------------------- actions


@dataclass(frozen=True)
class Wait:
    """Nothing to do now; `reason` is for the log."""

    reason: str


@dataclass(frozen=True)
class Stop:
    """Nothing to do any more."""

    reason: str


@dataclass(frozen=True)
class Register:
    """Become a member of the federation."""


@dataclass(frozen=True)
class Train:
    """Train on the round's base model and publish the sealed update."""

    round: int


@dataclass(frozen=True)
class Submit:
    """Hand the published update to the chain."""

    round: int


@dataclass(frozen=True)
class Claim:
    """Claim the rewards of these rounds in one transaction."""

    rounds: tuple[int, ...]
    amount: int


@dataclass(frozen=True)
class SetInitialModel:
    """Publish a fresh model and make it what the first round starts from."""


@dataclass(frozen=True)
class OpenRound:
    """Open the next round."""


@dataclass(frozen=True)
class Finalize:
    """Aggregate the round's updates and release the next model."""

    round: int


ClientAction = Wait | Stop | Register | Train | Submit | Claim
OrganizationAction = Wait | Stop | SetInitialModel | OpenRound | Finalize

# -------------------------------------------------------------------------------------------------------- client


@dataclass(frozen=True)
class Owed:
    """A reward that can be claimed, in wei."""

    round: int
    amount: int


@dataclass(frozen=True)
class ClientSituation:
    """What a client knows at one block.

    `refusal` says why the client's own limits rule the round out; `transaction_pending` that an earlier transaction is
    neither mined nor dropped.
    """

    closed: bool
    registered: bool
    round: RoundView | None
    has_update: bool
    refusal: str | None
    owed: tuple[Owed, ...]
    claim_threshold: int
    transaction_pending: bool


# One transaction must fit in a block: 14k gas a round leaves room on every chain.
MOST_ROUNDS_PER_CLAIM = 200


def decide_client(situation: ClientSituation) -> ClientAction:
    """The client's next step. A round comes before a claim, since a round has a deadline."""
    if situation.transaction_pending:
        return Wait("an earlier transaction is not mined yet")
    if not situation.closed and not situation.registered:
        return Register()
    step = _round_step(situation)
    if not isinstance(step, Wait):
        return step
    claim = _claim_step(situation)
    if claim is not None:
        return claim
    if situation.closed:
        return Stop("the federation is closed and nothing is owed")
    return step


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
    if situation.has_update:
        return Submit(view.round)
    if situation.refusal is not None:
        return Wait(f"round {view.round} refused: {situation.refusal}")
    return Train(view.round)


def _claim_step(situation: ClientSituation) -> Claim | None:
    owed = situation.owed[:MOST_ROUNDS_PER_CLAIM]
    amount = sum(reward.amount for reward in owed)
    if amount == 0 or (amount < situation.claim_threshold and not situation.closed):
        return None
    return Claim(tuple(reward.round for reward in owed), amount)


# -------------------------------------------------------------------------------------------------- organization


@dataclass(frozen=True)
class OrganizationSituation:
    """What an organization knows at one block.

    `members` counts only where no round is live. `stop` is the reason that the last report gives, if the rule holds.
    """

    closed: bool
    has_initial_model: bool
    round: RoundView | None
    members: int
    min_members: int
    stop: str | None
    transaction_pending: bool


def decide_organization(situation: OrganizationSituation) -> OrganizationAction:
    """The organization's next step."""
    if situation.transaction_pending:
        return Wait("an earlier transaction is not mined yet")
    view = situation.round
    if view is not None and view.phase is Phase.TRAINING:
        return Wait(f"round {view.round}: {view.update_count} of {view.selected_count} updates are in")
    if view is not None and view.phase is Phase.AGGREGATING:
        return Finalize(view.round)
    if situation.closed:
        return Stop("the federation is closed")
    if situation.stop is not None:
        return Stop(situation.stop)
    if not situation.has_initial_model:
        return SetInitialModel()
    if situation.members < situation.min_members:
        return Wait(f"{situation.members} of the {situation.min_members} members needed to open a round are registered")
    return OpenRound()
