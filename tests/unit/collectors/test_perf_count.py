"""Counts to operations: weights, and counters that were shared in turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.perf_count import MOST_FLOP_PER_SECOND, flop_between, was_on
from collectors.perf_events import CpuId, Event, plan_for
from collectors.perf_syscall import Reading

SECOND = 10**9
FP64, FP32 = plan_for(CpuId("GenuineIntel", 6, 0x8F)).pmus["cpu"]


def test_weights_by_hand():
    before = Reading(5 * SECOND, 5 * SECOND, (100, 200, 300, 400))
    after = Reading(10 * SECOND, 10 * SECOND, (1100, 2200, 3300, 4400))
    # 1000 x 1 + 2000 x 2 + 3000 x 4 + 4000 x 8
    assert flop_between(before, after, FP64.events, 5.0) == 49_000
    # 1000 x 1 + 2000 x 4 + 3000 x 8 + 4000 x 16
    assert flop_between(before, after, FP32.events, 5.0) == 97_000


def test_a_known_kernel_by_hand():
    """1e6 AVX-512 FMA in FP64: 8 lanes x 2 operations each; the hardware counts each twice."""
    before = Reading(0, 0, (0, 0, 0, 0))
    after = Reading(SECOND, SECOND, (0, 0, 0, 2_000_000))
    assert flop_between(before, after, FP64.events, 1.0) == 16e6


def test_shared_counters_are_scaled_up_on_the_differences():
    events = (Event(1, 2),)
    # before: shared half of the time; in these 4 s: a quarter
    before = Reading(10 * SECOND, 5 * SECOND, (1_000,))
    after = Reading(14 * SECOND, 6 * SECOND, (1_500,))
    assert flop_between(before, after, events, 4.0) == 500 * 2 * 4
    # not 1500 x 14/6 - 1000 x 10/5 = 1500, which mixes the two shares


def test_nothing_counted_while_running_is_a_known_zero():
    before, after = Reading(SECOND, SECOND, (7,)), Reading(2 * SECOND, 2 * SECOND, (7,))
    assert flop_between(before, after, (Event(1, 1),), 1.0) == 0.0


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (Reading(2 * SECOND, 1 * SECOND, (7,)), 1.0),  # enabled, never ran: another has them
        (Reading(2 * SECOND, 1 * SECOND + SECOND // 200, (7,)), 1.0),  # ran 0.5 % of the time
        (Reading(1 * SECOND, 1 * SECOND, (7,)), 1.0),  # switched off with its CPU
        (Reading(SECOND + SECOND // 2, SECOND + SECOND // 2, (9,)), 1.0),  # away half the time
        (Reading(2 * SECOND, 2 * SECOND, (6,)), 1.0),  # fell
        (Reading(2 * SECOND, 2 * SECOND, (10**13,)), 1.0),  # more than a CPU can do
        (Reading(0, 0, (0,)), 1.0),  # made anew
    ],
)
def test_unknown_is_not_zero(after, seconds):
    assert flop_between(Reading(SECOND, SECOND, (7,)), after, (Event(1, 1),), seconds) is None


def test_was_on():
    before = Reading(SECOND, SECOND, (7,))
    assert was_on(before, Reading(2 * SECOND, SECOND, (7,)), 1.0)
    assert not was_on(before, Reading(SECOND, SECOND, (7,)), 0.0)
    assert not was_on(before, Reading(SECOND, SECOND, (7,)), 1.0)
    assert not was_on(before, Reading(2 * SECOND, 2 * SECOND, (7,)), 2.0)


@given(
    rate=st.integers(0, 10**9),
    past=st.tuples(st.integers(0, 10**6), st.floats(0.01, 1)),
    seconds=st.floats(0.1, 100),
    share=st.floats(0.02, 1),
    flop=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_steady_work_is_found_whatever_share_of_the_time_was_counted(
    rate, past, seconds, share, flop
):
    earlier, earlier_share = past
    before = Reading(earlier * 1000, int(earlier * 1000 * earlier_share), (earlier,))
    running = int(seconds * share * SECOND)
    counted = rate * running // SECOND
    after = Reading(
        before.enabled_ns + int(seconds * SECOND), before.running_ns + running, (earlier + counted,)
    )
    found = flop_between(before, after, (Event(1, flop),), seconds)
    # one count more or less, scaled up
    assert found == pytest.approx(rate * seconds * flop, rel=1e-6, abs=2 * flop / share)


@given(
    before=st.tuples(*[st.integers(0, 2**64 - 1)] * 4),
    after=st.tuples(*[st.integers(0, 2**64 - 1)] * 4),
    seconds=st.floats(allow_nan=False),
)
def test_any_numbers_give_a_sane_answer_or_none(before, after, seconds):
    events = (Event(1, 1), Event(2, 16))
    was, now = (Reading(r[0], r[1], r[2:]) for r in (before, after))
    flop = flop_between(was, now, events, seconds)
    assert flop is None or 0 <= flop <= MOST_FLOP_PER_SECOND * seconds
