"""Views as the chain gives them, for tests of decisions."""

from typing import Any

from processor.protocol.rewards import guaranteed_rate
from processor.types import ClientView, Phase, Release, RoundView

CID = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
ADDRESS = "0x" + "11" * 20


def client_view(**changes: Any) -> ClientView:
    fields: dict[str, Any] = {
        "client": ADDRESS,
        "member": True,
        "stake": 0,
        "index": 0,
        "selected": True,
        "update": None,
        "samples": 0,
        "compute_ms": 0,
        "credited_ms": 0,
        "slash_rate": 0,
        "reward": 0,
        "claimed": False,
    }
    return ClientView(**{**fields, **changes})


def round_view(**changes: Any) -> RoundView:
    fields: dict[str, Any] = {
        "round": 1,
        "phase": Phase.TRAINING,
        "opened_at": 1_000,
        "training_deadline": 1_060,
        "aggregation_deadline": 1_120,
        "plan": CID,
        "sealing_key": bytes(range(32)),
        "base": Release(CID, None),
        "released": Release(None, None),
        "secret": bytes(32),
        "member_count": 1,
        "selection_offset": 0,
        "selected_count": 1,
        "max_updates": 1,
        "max_compute_ms": 10_000,
        "update_count": 0,
        "claimed_ms": 0,
        "credited_ms": 0,
        "reward_rate_cap": 1_000,
        "pool": 1_000_000,
        "guaranteed_rate": guaranteed_rate(1_000_000, 1_000, 1, 10_000),
        "payable": 0,
        "surplus": 0,
        "forfeited": 0,
        "client": client_view(),
    }
    return RoundView(**{**fields, **changes})
