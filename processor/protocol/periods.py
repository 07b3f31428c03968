"""How a training period is divided."""

from __future__ import annotations

from processor.types import Opening

LEAST_TO_SUBMIT, MOST_TO_SUBMIT = 3.0, 600.0
"""Seconds at the end of a training period in which nobody trains."""


def seconds_to_submit(opening: Opening) -> float:
    """How much of the end of a training period is kept for publishing an update and getting it into a block: a tenth,
    but not less than `LEAST_TO_SUBMIT` nor more than `MOST_TO_SUBMIT`. What comes after the deadline earns nothing."""
    period = opening.training_deadline - opening.opened_at
    return min(max(period / 10, LEAST_TO_SUBMIT), MOST_TO_SUBMIT)
