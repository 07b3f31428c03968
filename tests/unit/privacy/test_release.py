"""What leaves a client: today what it learned, to the bit, with a state that counts how often something left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processor.artifacts.private_state import FIRST_PRIVATE_STATE, PrivateState
from processor.artifacts.update import Learned
from processor.cid import cid_of
from processor.privacy.release import release
from tests.unit.artifacts.examples import PLAN

CID = cid_of(b"state")


def learned() -> Learned:
    return Learned(
        delta={"weight": np.array([1.5, -0.0, 1e-40], np.float32)},
        buffers={"count": np.array(7)},
        fisher={"weight": np.array([0.0, 1.0, 2.0], np.float32)},
    )


def bits(learned: Learned) -> list[bytes]:
    return [array.tobytes() for group in (learned.delta, learned.buffers, learned.fisher) for array in group.values()]


def test_what_was_learned_leaves_as_it_is_and_nothing_bounds_what_that_spends() -> None:
    released, _, epsilon = release(learned(), FIRST_PRIVATE_STATE, PLAN)
    assert bits(released) == bits(learned()) and epsilon is None


def test_the_state_counts_the_releases_and_names_the_one_before() -> None:
    _, first, _ = release(learned(), FIRST_PRIVATE_STATE, PLAN)
    assert (first.release, first.before) == (1, None)
    _, second, _ = release(learned(), replace(first, cid=CID), PLAN)
    assert (second.release, second.before, second.cid) == (2, CID, None)


def test_a_release_is_pure() -> None:
    values, state = learned(), PrivateState(3, CID, {"sum": np.ones(2, np.float32)}, cid_of(b"file"))
    before = bits(values)
    one, other = (release(values, state, PLAN) for _ in range(2))
    assert bits(one[0]) == bits(other[0]) and one[1:] == other[1:]
    assert bits(values) == before and (state.release, state.before) == (3, CID)


def test_a_state_that_was_not_written_is_not_gone_on_from() -> None:
    with pytest.raises(ValueError, match="the private state after release 1 has no CID"):
        release(learned(), PrivateState(1, None), PLAN)
