"""The one stage between what a client has learned and the file that it seals.

Whatever makes an update safer or smaller to give away has its place here.
"""

from __future__ import annotations

from processor.artifacts.plan import Plan
from processor.artifacts.private_state import PrivateState
from processor.artifacts.update import Learned


def release(learned: Learned, state: PrivateState, plan: Plan) -> tuple[Learned, PrivateState, float | None]:
    """What leaves the client of what it `learned`, its private state after that, and what it spends of its privacy.

    Pure: the same values give the same. A plan adds no noise anywhere (see `plan.Privacy`): everything leaves as it was
    learned, and nothing bounds what that spends, so epsilon is None.
    """
    return learned, state.after(), None
