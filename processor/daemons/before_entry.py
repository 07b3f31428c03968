"""What a client looks into before it becomes a member: whoever could take part in no round would keep the others
waiting, for a whole training period each time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from processor.artifacts.plan import PLAN
from processor.chain.federation import Federation
from processor.chain.snapshot import Snapshot
from processor.config import ClientSettings
from processor.daemons.consents import agreed
from processor.daemons.inspection import Inspection
from processor.daemons.past_rounds import PastRounds
from processor.daemons.setbacks import Setbacks
from processor.errors import (
    ArtifactError,
    ConfigurationError,
    DatasetError,
    IntegrityError,
    Interrupted,
    KoinonError,
    MachineError,
    OutOfMemory,
    StorageError,
    Unreadable,
    WorkerDied,
)
from processor.protocol.consent import Agreement, agreement_digest, consent_refusal, number_refusal
from processor.protocol.current_plan import UNKNOWN, plan_of_model
from processor.protocol.jobs.worker import TICK
from processor.protocol.situations import Pending
from processor.storage.library import Library
from processor.types import Cid


@dataclass
class BeforeEntry:
    """One client's look at a federation of which it is no member. A federation that has no plan yet is one to wait in:
    then there is nothing to look into but the file of the data. `coming` is the plan that is announced, if any."""

    federation: Federation
    settings: ClientSettings
    library: Library
    inspection: Inspection
    past: PastRounds
    coming: Callable[[Snapshot], Cid | None]
    log: FilteringBoundLogger
    _setbacks: Setbacks = field(init=False)
    _of_model: tuple[Cid, Cid] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._setbacks = Setbacks(self.settings.poll_interval)

    def refusal(self, snapshot: Snapshot) -> str | Pending | None:
        """Why nobody should register now; None where it makes sense."""
        if (missing := self.inspection.missing()) is not None:
            return missing
        key = b"the plan"
        if (setback := self._setbacks.refusal(key)) is not None:
            return setback
        try:
            cid = self._plan(snapshot)
            if cid is None:
                return None
            ended, coming = self._ended(snapshot, cid), self.coming(snapshot)
            announced = coming is not None and (ended is not None or self._agreed_to(coming))
            if coming is not None and announced:
                cid = coming
            elif ended is not None:
                return ended
            plan, federation = self.library.read(PLAN, cid), self.federation
            if not self._agreed_to(cid):
                agreement = Agreement(federation.chain_id, federation.address, cid, plan, federation.terms())
                return consent_refusal(agreement, announced)
            view = snapshot.view
            if cid == view.plan and not view.phase.live and (last := number_refusal(plan, view.round + 1)) is not None:
                return f"the federation has finished: {last}"
            found = self.inspection.of(cid, plan)
        except (StorageError, IntegrityError, OutOfMemory, Unreadable, MachineError) as error:
            return self._setbacks.for_now(key, error, told=False)
        except WorkerDied as error:
            return self._setbacks.died(key, error)
        except ArtifactError as error:
            return f"the federation's plan cannot be used: {error}"
        except (ConfigurationError, DatasetError) as error:
            return str(error)
        return Pending("looking at the federation's plan and at our data") if found is None else None

    def require_fitting_data(self, snapshot: Snapshot, stopping: threading.Event) -> None:
        """Waits until it is known whether our data is of the task of the plan, where that is one that we agreed to:
        others are refused, and keep nobody from claiming. Raises DatasetError where it is not; Interrupted once
        `stopping` is set. What cannot be found out now is left to the rounds."""
        try:
            cid = None if snapshot.closed else self._plan(snapshot)
            if cid is None or not self._agreed_to(cid):
                return
            plan = self.library.read(PLAN, cid)
            while self.inspection.of(cid, plan) is None:
                if stopping.is_set():
                    raise Interrupted("stopped while the data was looked at")
                time.sleep(TICK)
        except (DatasetError, Interrupted):
            raise
        except KoinonError as error:
            self.log.info("whether our data fits is not known yet", error=str(error))

    def _plan(self, snapshot: Snapshot) -> Cid | None:
        """The plan of the latest round, else of the initial model; None before there is one."""
        if snapshot.view.plan is not None:
            return snapshot.view.plan
        model = snapshot.release.model
        if model is None:
            return None
        if self._of_model is None or self._of_model[0] != model:
            self._of_model = model, plan_of_model(self.library, model, self.settings.max_bytes or UNKNOWN)
        return self._of_model[1]

    def _agreed_to(self, plan: Cid) -> bool:
        federation = self.federation
        digest = agreement_digest(federation.chain_id, federation.address, plan, federation.terms())
        return digest in agreed(self.settings.state, self.log)

    def _ended(self, snapshot: Snapshot, plan: Cid) -> str | None:
        """Nobody needs a member of a federation that is finished."""
        if snapshot.view.phase.live:
            return None
        self.past.look(snapshot.view)
        ended = self.past.ended(plan)
        return None if ended is None else f"the federation has finished: {ended}"
