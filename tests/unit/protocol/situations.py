"""Situations of which everything is given."""

from __future__ import annotations

from dataclasses import dataclass

from processor.chain.asset import Asset
from processor.protocol.opening import Fruitless, NewPlan
from processor.protocol.situations import Pending
from processor.types import Address, Cid, FederationTerms, RoundView


@dataclass(frozen=True)
class Purse:
    asset: Asset
    balance: int
    allowance: int


@dataclass(frozen=True)
class Entry:
    terms: FederationTerms
    purse: Purse
    accepted_asset: Address
    max_stake: int
    stake_held: int
    update_live: bool
    voucher_refusal: str | None
    unfit: str | Pending | None = None


@dataclass(frozen=True)
class ClientSituation:
    closed: bool
    asset: Asset
    stake: int
    entry: Entry | None
    round: RoundView | None
    has_update: bool
    unpublished: bool
    trained: bool
    underway: str | None
    refusal: str | Pending | None
    set_back: bool
    owed: int
    claim_cost: int
    claim_threshold: int
    transaction_pending: bool
    unconfirmed: bool
    to_post: Cid | None = None


@dataclass(frozen=True)
class OrganizationSituation:
    closed: bool
    has_initial_model: bool
    round: RoundView | None
    members: int
    min_members: int
    paused: bool
    purse: Purse
    reward: int
    carried: int
    selected: int
    least_pool: int
    stop: str | None
    transaction_pending: bool
    unconfirmed: bool
    new_plan: NewPlan | None = None
    fruitless: Fruitless | None = None
    idle: Address | None = None
    now: int = 0
