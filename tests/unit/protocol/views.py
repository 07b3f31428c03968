"""Views as the chain gives them, for tests of decisions: what belongs to a round differs from round to round."""

import hashlib
from typing import Any

from processor.cid import cid_from_digest
from processor.protocol.rewards import guaranteed_rate
from processor.types import ClientView, Phase, Release, RoundView

CID = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
ADDRESS = "0x" + "11" * 20


def digest_for(what: str, round: int) -> bytes:
    """32 bytes that nothing else and no other round has."""
    return hashlib.sha256(f"{what} of round {round}".encode()).digest()


def cid_for(what: str, round: int) -> str:
    """The CID of something of a round: its plan, its model, its report, somebody's update."""
    return cid_from_digest(digest_for(what, round)) or ""


def client_view(**changes: Any) -> ClientView:
    fields: dict[str, Any] = {
        "client": ADDRESS,
        "member": True,
        "index": 0,
        "selected": True,
        "last": 0,
        "declined": False,
        "update": None,
        "compute_ms": 0,
        "adjusted": False,
        "slash_rate": 0,
        "owed": 0,
        "stake": 0,
    }
    return ClientView(**{**fields, **changes})


def round_view(round: int = 1, **changes: Any) -> RoundView:
    """A round in training, unless `changes` say otherwise: live, it shows its base, finalized, what it released."""
    phase = changes.get("phase", Phase.TRAINING)
    finalized = phase is Phase.FINALIZED
    base = Release(cid_for("model", round - 1), cid_for("report", round - 1) if round > 1 else None)
    released = Release(cid_for("model", round), cid_for("report", round))
    opened_at = 1_000 * round
    fields: dict[str, Any] = {
        "round": round,
        "phase": phase,
        "opened_at": opened_at,
        "training_deadline": opened_at + 60,
        "aggregation_deadline": opened_at + 120,
        "plan": cid_for("plan", round),
        "sealing_key": digest_for("sealing key", round),
        "base": Release(None, None) if finalized else base,
        "released": released if finalized else Release(None, None),
        "secret": digest_for("secret", round) if finalized else bytes(32),
        "member_count": 1,
        "selection_offset": 0,
        "selected_count": 1,
        "max_updates": 1,
        "max_compute_ms": 10_000,
        "digest": digest_for("digest", round)[:20],
        "update_count": 0,
        "absent_count": 0,
        "claimed_ms": 0,
        "credited_ms": 0,
        "reward_rate_cap": 1_000 * 10**9,
        "pool": 1_000_000,
        "guaranteed_rate": guaranteed_rate(1_000_000, 1_000 * 10**9, 1, 10_000),
        "payable": 0,
        "surplus": 0,
        "forfeited": 0,
        "client": client_view(),
    }
    return RoundView(**{**fields, **changes})
