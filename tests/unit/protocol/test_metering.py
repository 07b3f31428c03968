import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.protocol.metering import claimable_ms, credited_ms, median

CLAIMS = st.dictionaries(st.integers(0, 50).map(lambda n: f"0x{n:040x}"), st.integers(1, 10**9), max_size=20)


def test_median_of_an_even_number_is_the_mean_of_the_middle_two_rounded_down() -> None:
    assert median([1, 4, 100, 2]) == 3
    assert median([1, 2]) == 1


def test_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_claim_above_the_tolerance_is_lowered_to_it() -> None:
    assert credited_ms({"a": 100, "b": 110, "c": 1000}, tolerance_percent=300, floor_ms=1) == {
        "a": 100,
        "b": 110,
        "c": 330,
    }


def test_ceiling_is_rounded_down_to_whole_milliseconds() -> None:
    assert credited_ms({"a": 1, "b": 3, "c": 99}, tolerance_percent=150, floor_ms=1) == {"a": 1, "b": 3, "c": 4}


def test_many_tiny_claims_cannot_lower_the_others_below_the_floor() -> None:
    claims = {"honest": 10_000, "a": 1, "b": 1, "c": 1}
    assert credited_ms(claims, tolerance_percent=300, floor_ms=8_000)["honest"] == 8_000


@given(CLAIMS, st.integers(100, 10_000))
def test_nobody_is_credited_more_than_claimed_nor_rejected_by_metering(claims: dict[str, int], tolerance: int) -> None:
    credited = credited_ms(claims, tolerance, floor_ms=1)
    assert credited.keys() == claims.keys()
    assert all(1 <= credited[client] <= claim for client, claim in claims.items())


@given(CLAIMS, st.integers(100, 10_000))
def test_at_least_half_of_the_claims_are_credited_in_full(claims: dict[str, int], tolerance: int) -> None:
    credited = credited_ms(claims, tolerance, floor_ms=1)
    assert 2 * sum(credited[client] == claim for client, claim in claims.items()) >= len(claims)


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_claim_is_what_was_measured_within_what_the_contract_takes(
    metered: int, most: int, opened_at: int, later: int
) -> None:
    claimed = claimable_ms(metered, most, opened_at, opened_at + later)
    assert 1 <= claimed <= min(most, (later + 1) * 1000)
    assert claimed in (max(1, metered), most, (later + 1) * 1000)
