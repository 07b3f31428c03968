"""What the daemons know at one block, each part looked into when the decision asks for it: an idle cycle reads no more
than what rules everything else out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from processor.artifacts.plan import Plan
from processor.chain.asset import Asset, allowance, balance_of
from processor.chain.federation import Federation, VoucherStanding
from processor.chain.snapshot import Snapshot
from processor.chain.vouchers import Voucher, load_voucher
from processor.config import ClientSettings, OrganizationSettings
from processor.daemons.outbox import Outbox
from processor.daemons.prospects import Prospects
from processor.errors import ChainError
from processor.journal import SavedUpdate
from processor.protocol.decide import voucher_refusal
from processor.protocol.opening import Fruitless, NewPlan
from processor.protocol.rewards import least_pool_under, selected_under
from processor.protocol.situations import Pending
from processor.types import Address, Admission, Block, Cid, FederationTerms, Phase, RoundView


@dataclass
class WalletPurse:
    """What an account can pay the federation with, at a block."""

    federation: Federation
    account: Address
    block: Block

    @property
    def asset(self) -> Asset:
        return self.federation.asset()

    @cached_property
    def balance(self) -> int:
        return balance_of(self.federation.web3, self.asset, self.account, self.block)

    @cached_property
    def allowance(self) -> int:
        if self.asset.native:
            return 0
        return allowance(self.federation.web3, self.asset, self.account, self.federation.address, self.block)


def voucher_in(path: Path | None) -> Voucher | None:
    """The voucher that is configured. Raises ChainError where its file holds none."""
    return None if path is None else load_voucher(path)


@dataclass
class Seen:
    """What an account knows of a federation, and of its own wallet, at one block."""

    snapshot: Snapshot
    address: Address

    @property
    def closed(self) -> bool:
        return self.snapshot.closed

    @cached_property
    def purse(self) -> WalletPurse:
        return WalletPurse(self.snapshot.federation, self.address, self.snapshot.block)


@dataclass
class SeenByDaemon(Seen):
    """What a daemon that sends transactions knows as well: of the latest round, and of what it sent."""

    transactions: Outbox

    @property
    def round(self) -> RoundView | None:
        view = self.snapshot.view
        return None if view.phase is Phase.NONE else view

    @cached_property
    def transaction_pending(self) -> bool:
        return self.transactions.pending()

    @cached_property
    def unconfirmed(self) -> bool:
        return self.transactions.unconfirmed()


@dataclass
class SeenByStranger(Seen):
    """What a client that is no member knows about becoming one; `unfit_for` says why it could take part in no round."""

    settings: ClientSettings
    unfit_for: Callable[[Snapshot], str | Pending | None]

    @property
    def closed(self) -> bool:
        """Whether nobody can become a member any more; asked for together with what becomes of the voucher."""
        voucher, _ = self._voucher
        if voucher is None:
            return self.snapshot.closed
        standing, _ = self.snapshot.standing_with_voucher(voucher.id)
        return standing.closed

    @property
    def terms(self) -> FederationTerms:
        return self.snapshot.terms

    @property
    def accepted_asset(self) -> Address:
        return self.settings.asset

    @property
    def max_stake(self) -> int:
        return self.settings.max_stake

    @property
    def stake_held(self) -> int:
        return self.snapshot.view.client.stake

    @property
    def update_live(self) -> bool:
        view = self.snapshot.view
        return view.phase.live and view.client.update is not None

    @cached_property
    def voucher_refusal(self) -> str | None:
        """Why the voucher that is configured does not admit us; None where it does, or where none is asked for."""
        voucher, trouble = self._voucher
        if trouble is not None or self.terms.admission is Admission.OPEN:
            return trouble
        federation, now = self.snapshot.federation, self.snapshot.block.timestamp
        found = VoucherStanding(spent=False, owner_nonce=0)
        if voucher is not None:
            _, found = self.snapshot.standing_with_voucher(voucher.id)
        whose = (federation.chain_id, federation.address, self.address)
        return voucher_refusal(voucher, found.spent, *whose, now, found.owner_nonce)

    @cached_property
    def unfit(self) -> str | Pending | None:
        return self.unfit_for(self.snapshot)

    @cached_property
    def _voucher(self) -> tuple[Voucher | None, str | None]:
        """The voucher that is configured, where one is asked for, and why its file holds none."""
        if self.terms.admission is Admission.OPEN:
            return None, None
        try:
            return voucher_in(self.settings.voucher), None
        except ChainError as error:
            return None, str(error)


@dataclass
class SeenByClient(SeenByDaemon):
    """What a client knows. `saved` is its own update of the latest round, `trained` and `underway` what its worker has
    done and does for it, `refuse` says why it takes no part in it, which may take long to find out, `passing`
    whether what keeps it from the round of a sealing key will pass, `cost_of_claim` what a claim costs at a block, in
    wei, `unfit_for` why it could take part in no round, and `agreement` what it agreed to and has not said."""

    settings: ClientSettings
    saved: SavedUpdate | None
    trained: bool
    underway: str | None
    refuse: Callable[[Snapshot], str | Pending | None]
    passing: Callable[[bytes], bool]
    cost_of_claim: Callable[[Block], int]
    unfit_for: Callable[[Snapshot], str | Pending | None]
    agreement: Callable[[Snapshot], Cid | None]

    @property
    def closed(self) -> bool:
        return self.snapshot.closed if self._stranger is None else self._stranger.closed

    @property
    def asset(self) -> Asset:
        return self.snapshot.federation.asset()

    @property
    def stake(self) -> int:
        return self.snapshot.view.client.stake

    @cached_property
    def entry(self) -> SeenByStranger | None:
        stranger = self._stranger
        return None if stranger is None or stranger.closed else stranger

    @cached_property
    def _stranger(self) -> SeenByStranger | None:
        if self.snapshot.view.client.member:
            return None
        return SeenByStranger(self.snapshot, self.address, self.settings, self.unfit_for)

    @cached_property
    def has_update(self) -> bool:
        return self.saved is not None and (self.saved.published or self.saved.path.exists())

    @property
    def unpublished(self) -> bool:
        saved = self.saved
        return saved is not None and self.snapshot.view.client.update == saved.cid and not saved.published

    @cached_property
    def refusal(self) -> str | Pending | None:
        return None if self.has_update else self.refuse(self.snapshot)

    @property
    def set_back(self) -> bool:
        return self.passing(self.snapshot.view.sealing_key)

    @cached_property
    def to_post(self) -> Cid | None:
        return self.agreement(self.snapshot)

    @property
    def owed(self) -> int:
        return self.snapshot.view.client.owed

    @cached_property
    def claim_cost(self) -> int:
        return self.cost_of_claim(self.snapshot.block)

    @property
    def claim_threshold(self) -> int:
        return self.settings.claim_threshold


@dataclass
class SeenByOrganization(SeenByDaemon):
    """What an organization knows. `stop_after` says why no round follows the latest, if none does; `plan` is the one
    that is configured now."""

    settings: OrganizationSettings
    stop_after: Callable[[Snapshot], str | None]
    prospects: Prospects
    plan: Plan

    @property
    def has_initial_model(self) -> bool:
        return self.snapshot.release.model is not None

    @property
    def members(self) -> int:
        return self.snapshot.member_count

    @property
    def min_members(self) -> int:
        return self.settings.min_members

    @property
    def paused(self) -> bool:
        return self.snapshot.paused

    @property
    def reward(self) -> int:
        return self.settings.round.reward

    @property
    def carried(self) -> int:
        return self.snapshot.carried

    @property
    def selected(self) -> int:
        """How many the next round would select of the fewest members that it opens with."""
        return selected_under(self.settings.round, self.settings.min_members)

    @property
    def least_pool(self) -> int:
        return least_pool_under(self.settings.round, self.settings.min_members, self.snapshot.terms.max_spread)

    @cached_property
    def stop(self) -> str | None:
        return self.stop_after(self.snapshot)

    @cached_property
    def new_plan(self) -> NewPlan | None:
        return self.prospects.new_plan(self.snapshot, self.plan)

    @cached_property
    def fruitless(self) -> Fruitless | None:
        return self.prospects.fruitless(self.snapshot, self.plan)

    @property
    def idle(self) -> Address | None:
        return self.prospects.idle(self.snapshot)

    @property
    def now(self) -> int:
        return self.snapshot.block.timestamp
