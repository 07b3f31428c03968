"""How deep is final."""

from __future__ import annotations

import pytest

from processor.chain.finality import confirmation_depth


@pytest.mark.parametrize(("chain", "depth"), [(1, 64), (137, 128), (31337, 0), (1337, 0), (987654321, 64)])
def test_the_default_suits_the_chain(chain: int, depth: int) -> None:
    assert confirmation_depth(chain) == depth


def test_a_setting_comes_first() -> None:
    assert confirmation_depth(1, 3) == 3
    assert confirmation_depth(1, 0) == 0
