from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.periods import LEAST_TO_SUBMIT, MOST_TO_SUBMIT, seconds_to_submit
from tests.unit.protocol.views import round_view


@given(st.integers(30, 30 * 24 * 3600))
def test_a_tenth_of_the_training_period_is_kept_for_the_submission_within_bounds(period: int) -> None:
    kept = seconds_to_submit(round_view(opened_at=1_000, training_deadline=1_000 + period).opening)
    assert LEAST_TO_SUBMIT <= kept <= min(period / 10, MOST_TO_SUBMIT)
