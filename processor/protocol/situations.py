"""What a decision asks for: a party's situation at one block, each part of it read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from processor.chain.asset import Asset
from processor.protocol.opening import Fruitless, NewPlan
from processor.types import Address, Cid, FederationTerms, RoundView


@dataclass(frozen=True)
class Pending:
    """Something has to be found out first, and is looked into: `what` is done, for the log."""

    what: str


class Purse(Protocol):
    """What an account can pay with: its balance in the federation's asset, and what the federation may take of it.

    The native coin needs no allowance.
    """

    @property
    def asset(self) -> Asset: ...
    @property
    def balance(self) -> int: ...
    @property
    def allowance(self) -> int: ...


class Entry(Protocol):
    """What a client that is no member knows about becoming one.

    `accepted_asset` and `max_stake` are its own limits, `stake_held` what an earlier membership left with the contract,
    `update_live` whether its update is in a round that goes on; `voucher_refusal` says why it is not admitted, where
    admission is by voucher, and `unfit` why it could take part in no round.
    """

    @property
    def terms(self) -> FederationTerms: ...
    @property
    def purse(self) -> Purse: ...
    @property
    def accepted_asset(self) -> Address: ...
    @property
    def max_stake(self) -> int: ...
    @property
    def stake_held(self) -> int: ...
    @property
    def update_live(self) -> bool: ...
    @property
    def voucher_refusal(self) -> str | None: ...
    @property
    def unfit(self) -> str | Pending | None: ...


class ClientSituation(Protocol):
    """What a client knows at one block.

    `entry` is there where the client is no member and could become one. `stake` is what the contract holds of its
    stake, `owed` what it could claim, `claim_cost` the wei that a claim costs at the price that gas has now: asked for
    only where `owed` is in wei, too. `has_update` says that the round's update is kept, `unpublished` that nobody has
    its bytes; `trained` that the round's training is over and has led to an update, which is still to be kept;
    `underway` what goes on in the round, if it was begun; `refusal` why the client's own limits rule the round out;
    `set_back` that something which passes keeps it from the round; `to_post` is a plan that it agreed to, and has not
    said so;
    `transaction_pending` that an earlier transaction is neither mined nor dropped; `unconfirmed` that a reorganization
    may still undo the last one.
    """

    @property
    def closed(self) -> bool: ...
    @property
    def asset(self) -> Asset: ...
    @property
    def stake(self) -> int: ...
    @property
    def entry(self) -> Entry | None: ...
    @property
    def round(self) -> RoundView | None: ...
    @property
    def has_update(self) -> bool: ...
    @property
    def unpublished(self) -> bool: ...
    @property
    def trained(self) -> bool: ...
    @property
    def underway(self) -> str | None: ...
    @property
    def refusal(self) -> str | Pending | None: ...
    @property
    def set_back(self) -> bool: ...
    @property
    def to_post(self) -> Cid | None: ...
    @property
    def owed(self) -> int: ...
    @property
    def claim_cost(self) -> int: ...
    @property
    def claim_threshold(self) -> int: ...
    @property
    def transaction_pending(self) -> bool: ...
    @property
    def unconfirmed(self) -> bool: ...


class OrganizationSituation(Protocol):
    """What an organization knows at one block.

    `members` counts only where no round is live. `stop` is the reason that the last report gives, if the rule holds.
    `purse` pays the `reward` of the next round, which makes its pool with what is `carried`; `selected` would take part
    in it, and no pool below `least_pool` may pay them. `new_plan` is there where the round would have another plan than
    the one before, `fruitless` counts what ended without an update, `idle` is a member to be retired, and `now` is the
    block's time. The last two as in `ClientSituation`.
    """

    @property
    def closed(self) -> bool: ...
    @property
    def has_initial_model(self) -> bool: ...
    @property
    def round(self) -> RoundView | None: ...
    @property
    def members(self) -> int: ...
    @property
    def min_members(self) -> int: ...
    @property
    def paused(self) -> bool: ...
    @property
    def purse(self) -> Purse: ...
    @property
    def reward(self) -> int: ...
    @property
    def carried(self) -> int: ...
    @property
    def selected(self) -> int: ...
    @property
    def least_pool(self) -> int: ...
    @property
    def stop(self) -> str | None: ...
    @property
    def new_plan(self) -> NewPlan | None: ...
    @property
    def fruitless(self) -> Fruitless | None: ...
    @property
    def idle(self) -> Address | None: ...
    @property
    def now(self) -> int: ...
    @property
    def transaction_pending(self) -> bool: ...
    @property
    def unconfirmed(self) -> bool: ...
