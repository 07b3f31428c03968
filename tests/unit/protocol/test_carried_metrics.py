"""A model keeps the metric that a report gave it, whoever measures it next, as far as machines may differ."""

from __future__ import annotations

import pytest

from processor.artifacts.metrics import ACCURACY
from processor.protocol.measuring import carried_on
from tests.unit.artifacts.examples import PLAN


@pytest.mark.parametrize("difference", [0.0, 1e-9, -0.009])
def test_what_another_machine_measures_within_the_tolerance_is_reported_as_before(difference: float) -> None:
    assert abs(difference) < ACCURACY.tolerance
    assert carried_on(0.5 + difference, 0.6, PLAN, unchanged=False, reported=0.5) == (0.5, 0.6)


def test_what_is_further_off_stands_as_it_was_measured() -> None:
    """The validation data is another, and the audit may say so."""
    assert carried_on(0.55, 0.6, PLAN, unchanged=False, reported=0.5) == (0.55, 0.6)


def test_before_the_first_report_both_stand_as_they_were_measured() -> None:
    assert carried_on(0.55, 0.6, PLAN, unchanged=False, reported=None) == (0.55, 0.6)


def test_a_model_that_no_update_changed_has_one_metric() -> None:
    assert carried_on(0.501, 0.501, PLAN, unchanged=True, reported=0.5) == (0.5, 0.5)
