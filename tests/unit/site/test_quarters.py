"""Quarters of an hour: what is spread over them adds up, and each is given out once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.quarters import QUARTER_SECONDS, Quarters, QuartersState, Series

FEED = Series("meter", "feed", "J")
PIECES = st.lists(
    st.tuples(st.floats(1e9, 1e9 + 1e5), st.floats(0.1, 20_000.0), st.none() | st.floats(0, 1e12)),
    max_size=20,
)


def test_an_hour_that_begins_within_a_quarter():
    quarters = Quarters()
    begin = 1000 * QUARTER_SECONDS + 300.0
    quarters.add(FEED, begin, begin + 3600.0, 3600.0)
    found = quarters.close(begin + 3600.0)
    assert [(p.quarter, p.amount, p.seconds) for p in found] == [
        (1000, 600.0, 600.0),
        (1001, 900.0, 900.0),
        (1002, 900.0, 900.0),
        (1003, 900.0, 900.0),
    ]
    assert [(p.quarter, p.amount) for p in quarters.peek()] == [(1004, 300.0)]


def test_a_gap_is_time_without_amount():
    quarters = Quarters()
    quarters.add(FEED, 900.0, 1200.0, None)
    (posting,) = quarters.close(1800.0)
    assert (posting.amount, posting.seconds, posting.gap_seconds) == (0.0, 0.0, 300.0)


def test_an_amount_of_a_moment_is_not_lost():
    quarters = Quarters()
    quarters.add(FEED, 1000.0, 1000.0, 7.0)
    (posting,) = quarters.close(1800.0)
    assert (posting.quarter, posting.amount, posting.seconds) == (1, 7.0, 0.0)


def test_time_can_be_said_by_somebody_else():
    quarters = Quarters()
    quarters.add(FEED, 900.0, 1800.0, 5.0, counts_time=False)
    (posting,) = quarters.close(1800.0)
    assert (posting.amount, posting.seconds, posting.gap_seconds) == (5.0, 0.0, 0.0)


@given(PIECES, st.lists(st.floats(1e9, 1e9 + 2e5), max_size=5))
def test_nothing_is_lost_or_doubled(pieces, looks):
    quarters = Quarters()
    given_out = []
    for begin, seconds, amount in pieces:
        quarters.add(FEED, begin, begin + seconds, amount)
        for wall in looks:
            given_out += quarters.close(wall)
        quarters = Quarters(QuartersState(quarters.state.open))  # a restart
    given_out += quarters.peek()
    amounts = sum(a for _, _, a in pieces if a is not None)
    known = sum((b + s) - b for b, s, a in pieces if a is not None)
    dark = sum((b + s) - b for b, s, a in pieces if a is None)
    assert sum(p.amount for p in given_out) == pytest.approx(amounts, rel=1e-9)
    assert sum(p.seconds for p in given_out) == pytest.approx(known, rel=1e-9, abs=1e-6)
    assert sum(p.gap_seconds for p in given_out) == pytest.approx(dark, rel=1e-9, abs=1e-6)
