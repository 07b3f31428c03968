"""What a client hears of plans that are announced, and what it says of those that it agreed to.

Whoever announces a plan waits for a while for its clients to agree. Where a node gives no logs, nothing is heard, and
the first round under the plan says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from processor.chain.federation import Federation
from processor.chain.posts import PLAN, Post, Posts
from processor.chain.snapshot import Snapshot
from processor.config import ClientSettings
from processor.daemons.consents import agreed
from processor.errors import ChainError
from processor.journal import CANCELLED, DROPPED, FAILED, Journal
from processor.protocol.consent import agreement_digest
from processor.types import Cid, Phase

EVERY = 30
"""Seconds of the chain's time between two looks into its logs."""
LOOK_BACK = 7 * 24 * 3600
"""Seconds before the first look that it goes back to at most."""

_UNDONE = (CANCELLED, DROPPED, FAILED)


def announced_by_organization(posts: Sequence[Post], snapshot: Snapshot) -> Cid | None:
    """The last plan that the organization announced, whose word alone counts; None where it announced none."""
    if not posts:
        return None
    organization = (snapshot.owner, snapshot.operator)
    own = [post for post in posts if post.sender in organization]
    return max(own, key=lambda post: post.block).cid if own else None


def agreeing(plan: Cid) -> str:
    """How the journal names the transaction that says that we agreed to a plan."""
    return f"agreed to plan {plan}"


@dataclass
class PlanNews:
    """One client's ear and word. `settings.post_agreement` of False has it say nothing."""

    federation: Federation
    settings: ClientSettings
    journal: Journal
    log: FilteringBoundLogger
    _posts: Posts = field(init=False)
    _since: tuple[bytes, int] | None = field(default=None, init=False)
    _next_look: int = field(default=0, init=False)
    _announced: Cid | None = field(default=None, init=False)
    _told: set[Cid] = field(default_factory=set, init=False)
    _refused: set[Cid] = field(default_factory=set, init=False)
    _kept_silent: set[Cid] = field(default_factory=set, init=False)
    _without_logs: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._posts = Posts(self.federation, PLAN)

    def forget(self) -> None:
        """After a reorganization."""
        self._posts.forget()
        self._next_look = 0
        self._announced = None

    def look(self, snapshot: Snapshot, reported: Cid | None = None) -> None:
        """Hears, now and then, which plan is announced, and says once what there is to agree to. `reported` is the plan
        that the latest report names as the next one."""
        now, view = snapshot.block.timestamp, snapshot.view
        if view.plan is not None and not self._agreed_to(view.plan):
            self._refused.add(view.plan)
        if self._since is None or self._since[0] != view.sealing_key:
            self._since = view.sealing_key, max(view.opened_at, now - LOOK_BACK)
            self._announced, self._next_look = None, 0
        if now >= self._next_look:
            self._next_look = now + EVERY
            self._announced = self._heard(snapshot, self._since[1])
        announced = self.coming(snapshot, reported)
        if announced is None or announced in self._told:
            return
        self._told.add(announced)
        if not self._agreed_to(announced):
            self.log.warning(
                "another plan is announced",
                plan=announced,
                advice="rounds under it are refused until you agree: read it with `koinon client join --plan "
                f"{announced}`, which takes the configuration of this daemon",
            )

    def to_post(self, snapshot: Snapshot, reported: Cid | None = None) -> Cid | None:
        """A plan that we agreed to and that the organization would like to know that of: one that is announced, or the
        one under which nobody took part in the latest round, where we were asked to agree since this daemon started.
        Each is said once, ever."""
        view = snapshot.view
        if not self.settings.post_agreement or not view.client.member:
            return None
        nobody_came = view.phase is Phase.ABANDONED and not view.update_count and view.plan in self._refused
        for plan in (self.coming(snapshot, reported), view.plan if nobody_came else None):
            if plan is None or plan in self._kept_silent or not self._agreed_to(plan):
                continue
            if not any(one.kind == agreeing(plan) and one.status not in _UNDONE for one in self.journal.intents()):
                return plan
            self._kept_silent.add(plan)
        return None

    def keep_silent(self, plan: Cid, why: str) -> None:
        """Notes that the plan is not spoken of before the next start."""
        self._kept_silent.add(plan)
        self.log.info("our agreement is not posted", plan=plan, reason=why)

    def coming(self, snapshot: Snapshot, reported: Cid | None) -> Cid | None:
        """The plan of rounds to come, where the latest has another."""
        coming = self._announced or reported
        return None if coming == snapshot.view.plan else coming

    def _heard(self, snapshot: Snapshot, since: int) -> Cid | None:
        """The last plan that the organization announced; None where the node gives no logs."""
        try:
            posts = self._posts.read(since, snapshot.block)
        except ChainError as error:
            if not self._without_logs:
                self.log.info("announced plans cannot be heard", error=str(error))
            self._without_logs = True
            return None
        self._without_logs = False
        return announced_by_organization(posts, snapshot)

    def _agreed_to(self, plan: Cid) -> bool:
        federation = self.federation
        digest = agreement_digest(federation.chain_id, federation.address, plan, federation.terms())
        return digest in agreed(self.settings.state, self.log)
