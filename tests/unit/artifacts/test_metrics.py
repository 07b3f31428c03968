import pytest

from processor.artifacts.metrics import ACCURACY, Metric, metric_of
from processor.errors import ConfigurationError


def test_better_is_what_the_metric_calls_better() -> None:
    error = Metric("error", higher_is_better=False, tolerance=0.1)
    assert ACCURACY.improvement(before=0.5, after=0.75) == 0.25
    assert error.improvement(before=0.5, after=0.75) == -0.25


def test_a_metric_is_found_by_its_task() -> None:
    assert metric_of("digits") is metric_of("classification") is ACCURACY


def test_an_unknown_task_has_no_metric() -> None:
    with pytest.raises(ConfigurationError, match="no metric for a task called 'letters'; known: classification"):
        metric_of("letters")
