"""How much energy a scope took between two moments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.quantities import Component
from agent.work.energy import ALL, HOST, WAIT_SECONDS, EnergyBook, NotKnown, Scope

GPU0 = Scope(Component.GPU, "GPU-0")
GPU1 = Scope(Component.GPU, "GPU-1")
GPUS = Scope(Component.GPU, ALL)


def book(*posts):
    made = EnergyBook()
    for scope, start, until, joules in posts:
        made.post(*scope, start, until, joules)
    return made


def test_an_interval_is_cut_out_of_what_was_posted():
    kept = book((GPU0, 0.0, 10.0, 1000.0), (GPU0, 10.0, 20.0, 3000.0))
    assert kept.between(GPU0, 5.0, 15.0, 20.0) == pytest.approx(500.0 + 1500.0)


def test_it_waits_for_energy_that_may_still_come_and_no_longer():
    kept = book((GPU0, 0.0, 10.0, 1000.0))
    assert kept.between(GPU0, 5.0, 12.0, 12.0) is NotKnown.YET
    assert kept.between(GPU0, 5.0, 12.0, 12.0 + WAIT_SECONDS) is NotKnown.EVER
    kept.post(*GPU0, 10.0, 12.0, 400.0)
    assert kept.between(GPU0, 5.0, 12.0, 13.0) == pytest.approx(900.0)


def test_a_gap_of_one_device_makes_its_interval_unknown():
    kept = book((GPU0, 0.0, 10.0, 1000.0), (GPU0, 12.0, 20.0, 800.0))
    assert kept.between(GPU0, 5.0, 15.0, 20.0) is NotKnown.EVER
    assert kept.between(GPU0, 12.0, 20.0, 20.0) == pytest.approx(800.0)


def test_a_device_that_nobody_sees_is_unknown():
    kept = book((GPU0, 0.0, 10.0, 1000.0))
    assert kept.between(GPU1, 0.0, 5.0, 100.0) is NotKnown.EVER


def test_all_devices_add_up_and_all_must_have_said():
    kept = book((GPU0, 0.0, 10.0, 1000.0), (GPU1, 0.0, 9.0, 900.0))
    assert kept.between(GPUS, 0.0, 10.0, 10.0) is NotKnown.YET
    kept.post(*GPU1, 9.0, 10.0, 100.0)
    kept.post(Component.CPU, "package-0", 0.0, 10.0, 7.0)
    assert kept.between(GPUS, 0.0, 10.0, 10.0) == pytest.approx(2000.0)
    assert kept.between(HOST, 0.0, 10.0, 10.0) == pytest.approx(2007.0)


def test_a_dark_device_makes_the_whole_unknown_and_others_not():
    kept = book((GPU0, 0.0, 20.0, 1000.0), (Scope(Component.CPU, "package-0"), 0.0, 20.0, 5.0))
    kept.tell(15.0, {Component.CPU})
    assert kept.between(HOST, 10.0, 20.0, 20.0) is NotKnown.EVER
    assert kept.between(GPUS, 10.0, 20.0, 20.0) == pytest.approx(500.0)
    assert kept.between(Scope(Component.CPU, ALL), 16.0, 20.0, 20.0) == pytest.approx(1.0)


def test_a_source_that_posts_late_and_out_of_order_is_counted_where_it_belongs():
    kept = book((GPU0, 0.0, 4.0, 4.0), (GPU0, 6.0, 10.0, 40.0), (GPU0, 4.0, 6.0, 200.0))
    assert kept.between(GPU0, 4.0, 6.0, 10.0) == pytest.approx(200.0)
    assert kept.between(GPU0, 0.0, 10.0, 10.0) == pytest.approx(244.0)


@given(st.integers(0, 3500), st.integers(1, 3500), st.lists(st.integers(1, 900), min_size=5))
def test_an_hour_back_the_sums_are_those_of_what_was_posted(start, length, watts):
    """Coarse memory is exact where power is even, and never off by more than its own steps."""
    kept = EnergyBook()
    power = [watts[second // 10 % len(watts)] for second in range(3600)]  # even for each 10 s
    for second in range(0, 3600, 5):
        kept.post(*GPU0, float(second), second + 5.0, 5.0 * power[second])
        kept.tell(second + 5.0, ())
    until = min(3600, start + length)
    got = kept.between(GPU0, float(start), float(until), 3600.0)
    assert got == pytest.approx(sum(power[start:until]), rel=1e-9)


def test_memory_is_bounded_over_days():
    kept = EnergyBook()
    for second in range(0, 2 * 86400, 10):
        kept.post(*GPU0, float(second), second + 10.0, 1000.0)
        kept.tell(second + 10.0, ())
    track = kept._tracks[GPU0]
    assert len(track.posts) < 20
    assert len(track._times) <= 400
    end = 2 * 86400.0
    assert kept.between(GPU0, end - 3600.0, end, end) == pytest.approx(360_000.0)
