"""What an organization knows of the round that it would open next: whether anybody can be expected to take part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from processor.artifacts.plan import PLAN, Plan
from processor.chain.snapshot import Snapshot
from processor.cid import cid_of
from processor.config import OrganizationSettings
from processor.daemons.announcements import Announcements
from processor.daemons.kept import KeptRounds
from processor.protocol.current_plan import plan_of_model
from processor.protocol.idle import next_training_period, silent_count, silent_in, to_retire
from processor.protocol.opening import Fruitless, NewPlan, notice_left, pause_left
from processor.storage.library import Library
from processor.types import Address, Block, Cid, ClientView, Phase, RoundView

REMEMBERED = 10
"""Rounds whose slowest updates count for how long the next may train."""
MOST_COUNTED = 32
"""Rounds without an update that are counted at most: the pause has long been as long as it gets."""


@dataclass
class Prospects:
    """Looks at one block at a time. `plan` of a call is the one that is configured now, as `settings_now` gives the
    settings."""

    settings_now: Callable[[], OrganizationSettings]
    announcements: Announcements
    library: Library
    kept: KeptRounds
    _cid: tuple[Plan, Cid] | None = field(default=None, init=False)
    _of_model: tuple[Cid, Cid] | None = field(default=None, init=False)
    _silent: tuple[object, tuple[ClientView, ...]] | None = field(default=None, init=False)
    _paces: dict[bytes, tuple[int, int]] = field(default_factory=dict, init=False)

    @property
    def settings(self) -> OrganizationSettings:
        return self.settings_now()

    def forget(self) -> None:
        """After a reorganization."""
        self.announcements.forget()
        self._silent = None

    # ---------------------------------------------------------------------------------------------------------- plans

    def new_plan(self, snapshot: Snapshot, plan: Plan) -> NewPlan | None:
        """The plan that is configured, where the round before had another; before the first round, where the initial
        model names another. Raises StorageError where that cannot be fetched."""
        cid, before = self._cid_of(plan), self._plan_before(snapshot)
        if before is None or before == cid:
            return None
        announced_at = self.announcements.announced_at(cid, snapshot.view.round, snapshot.block)
        new = NewPlan(cid, announced_at, 0, self.settings.min_members, self.settings.plan_notice)
        if announced_at is None or snapshot.view.phase.live:
            return new
        new = replace(new, needed=max(new.needed, snapshot.member_count))
        if notice_left(new, snapshot.block.timestamp) is None:
            return new
        return replace(new, agreed=len(self.announcements.agreed(cid, snapshot, announced_at)))

    def other_plan(self, plan: Plan, of_round: Cid) -> Cid | None:
        """The plan that is configured, where a round has another."""
        cid = self._cid_of(plan)
        return None if cid == of_round else cid

    def fruitless(self, snapshot: Snapshot, plan: Plan) -> Fruitless | None:
        """The rounds in a row, the latest among them, that ended without an update; None where the latest has some."""
        view = snapshot.view
        if view.phase is not Phase.ABANDONED or view.update_count:
            return None
        rounds, began = 1, view.opened_at
        for number in range(view.round - 1, max(view.round - MOST_COUNTED, 0), -1):
            file = self.kept.read(number)
            if file is None or file.outcome is not None or file.submitted:
                break
            rounds, began = rounds + 1, file.opening.value().opened_at
        period, longest = view.training_deadline - view.opened_at, self.settings.longest_pause
        half = (snapshot.member_count + 1) // 2
        needed = max(self.settings.min_members, half)
        last = Fruitless(rounds, view.training_deadline, period, longest, 0, needed)
        if pause_left(last, snapshot.block.timestamp) is None:
            return last
        cid = self._cid_of(plan)
        first = self.announcements.first_announced(cid, snapshot.block)
        agreed = self.announcements.agreed(cid, snapshot, began if first is None else first)
        lately = any(post.round == view.round for post in agreed)
        return replace(last, agreed=len(agreed) if lately else 0)

    def _cid_of(self, plan: Plan) -> Cid:
        if self._cid is None or self._cid[0] is not plan:
            self._cid = plan, cid_of(PLAN.encode(plan))
        return self._cid[1]

    def _plan_before(self, snapshot: Snapshot) -> Cid | None:
        view = snapshot.view
        if view.phase is not Phase.NONE:
            return view.plan
        model = snapshot.release.model
        if model is None:
            return None
        if self._of_model is None or self._of_model[0] != model:
            self._of_model = model, plan_of_model(self.library, model)
        return self._of_model[1]

    # -------------------------------------------------------------------------------------------------------- members

    def note_pace(self, view: RoundView, block: Block) -> None:
        """Remembers when the last update of a round was seen, in seconds after its opening."""
        count, _ = self._paces.get(view.sealing_key, (0, 0))
        if view.update_count > count:
            took = min(block.timestamp, view.training_deadline) - view.opened_at
            self._paces[view.sealing_key] = view.update_count, took
            for key in list(self._paces)[:-REMEMBERED]:
                del self._paces[key]

    def idle(self, snapshot: Snapshot) -> Address | None:
        """A member whose membership is to end now; None where there is none."""
        idle_rounds, view = snapshot.terms.idle_rounds, snapshot.view
        if not self.settings.retire_idle or not idle_rounds or not view.update_count or not silent_count(view):
            return None
        silent = self._silent_in(snapshot)
        return to_retire(view, silent, idle_rounds, snapshot.member_count, self.settings.min_members)

    def training_period(self, snapshot: Snapshot) -> int:
        """Seconds of training of the next round."""
        rounds, view = self.settings.round, snapshot.view
        silent: tuple[ClientView, ...] = ()
        if rounds.shortest_training_period is not None and silent_count(view):
            silent = self._silent_in(snapshot)
        slowest = max((took for _, took in self._paces.values()), default=None)
        return next_training_period(rounds.training_period, rounds.shortest_training_period, view, silent, slowest)

    def _silent_in(self, snapshot: Snapshot) -> tuple[ClientView, ...]:
        """Whom the latest round selected and heard nothing of: read once, and again when a membership has ended."""
        view = snapshot.view
        key = view.digest, view.phase, snapshot.member_count
        if self._silent is None or self._silent[0] != key:
            views = snapshot.federation.client_views(snapshot.members, at=snapshot.block)
            self._silent = key, silent_in(view, views)
        return self._silent[1]
