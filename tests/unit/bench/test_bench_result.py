"""Figures of the bench against figures worked out by hand."""

from itertools import pairwise

import pytest

from agent.bench.plan import (
    PRECISIONS,
    Pace,
    core_groups,
    precisions,
    product_flop,
    size_for,
    times,
)
from agent.bench.result import (
    Power,
    Reading,
    Slice,
    add,
    flop_between,
    mean_power,
    per_watt,
    summarise,
)
from agent.quantities import Quality


def power(watts, quality=Quality.MEASURED, half_width=0.0):
    return Power(watts, {quality: watts}, 0.0, 1.0, half_width, 0.0)


# -- work ------------------------------------------------------------------------------------------


def test_a_slice_across_an_edge_counts_in_part():
    # 100 in 1 s before, 60 in 3 s across the edge, 50 inside, 80 in 4 s across the end
    slices = [Slice(0, 1, 100), Slice(8, 11, 60), Slice(12, 13, 50), Slice(18, 22, 80)]
    assert flop_between(slices, 10, 20) == pytest.approx(60 / 3 + 50 + 80 / 2)


def test_parts_of_the_work_sum_to_the_whole():
    slices = [Slice(0.0, 0.3, 7e9), Slice(0.31, 0.5, 5e9), Slice(0.77, 1.9, 11e9)]
    edges = [0.0, 0.1, 0.305, 0.4, 0.6, 1.0, 2.0]
    parts = [flop_between(slices, a, b) for a, b in pairwise(edges)]
    assert sum(parts) == pytest.approx(23e9)


def test_a_product_of_n_is_two_n_cubed():
    assert product_flop(512) == 268_435_456


# -- energy ----------------------------------------------------------------------------------------


def test_power_is_between_the_first_and_last_reading_inside():
    readings = [
        Reading(at, joules, 0.0, 5.0, True)
        for at, joules in ((9.9, 0.0), (10.1, 30.0), (11.1, 130.0), (12.1, 240.0), (12.6, 999.0))
    ]
    found = mean_power(readings, 10.0, 12.5)
    assert found is not None
    assert found.watts == pytest.approx(105.0)  # 210 J in 2 s
    assert (found.since, found.until) == (10.1, 12.1)
    assert found.half_width_watts == 5.0


def test_power_is_unknown_with_less_than_two_readings_inside():
    slow = [Reading(5.0, 0.0, 0.0, 1.0, True), Reading(11.0, 600.0, 0.0, 1.0, True)]
    assert mean_power(slow, 10.0, 12.5) is None
    assert mean_power([], 10.0, 12.5) is None


def test_gaps_inside_the_window_are_told():
    readings = [Reading(1.0, 0.0, 3.0, 1.0, True), Reading(4.0, 100.0, 4.5, 1.0, True)]
    found = mean_power(readings, 0.0, 5.0)
    assert found is not None
    assert found.gap_seconds == 1.5


def test_a_sum_keeps_its_qualities_apart_and_is_as_good_as_the_worst():
    total = add(
        [
            (Quality.MEASURED, power(100.0, half_width=5.0)),
            (Quality.MEASURED, power(50.0, half_width=2.5)),
            (Quality.ESTIMATED, power(50.0, half_width=25.0)),
        ]
    )
    assert total is not None
    assert total.watts == 200.0
    assert total.by_quality == {Quality.MEASURED: 150.0, Quality.ESTIMATED: 50.0}
    assert total.quality is Quality.ESTIMATED
    assert total.uncertainty_ratio == pytest.approx(32.5 / 200)
    assert add([]) is None


def test_no_work_or_no_power_has_no_flops_per_watt():
    assert per_watt(4e12, power(200.0)) == 2e10
    assert per_watt(0.0, power(200.0)) is None
    assert per_watt(4e12, None) is None


# -- summary ---------------------------------------------------------------------------------------


def series(watts, flops=(400.0, 300.0, 200.0, 100.0, 0.0)):
    targets = (1.0, 0.75, 0.5, 0.25, 0.0)
    return [
        (target, rate, None if w is None else power(w))
        for target, rate, w in zip(targets, flops, watts, strict=True)
    ]


def test_a_proportional_host():
    found = summarise(series((200.0, 150.0, 100.0, 50.0, 0.0)))
    assert found.proportionality == pytest.approx(1.0)
    assert found.idle_ratio == 0.0
    assert found.peak_flops_per_watt == pytest.approx(2.0)
    assert found.overall_flops_per_watt == pytest.approx(1000 / 500)


def test_a_host_whose_power_does_not_follow_its_load():
    found = summarise(series((200.0, 200.0, 200.0, 200.0, 200.0)))
    assert found.proportionality == pytest.approx(0.0)
    assert found.idle_ratio == 1.0
    assert found.overall_flops_per_watt == pytest.approx(1.0)


def test_a_straight_line_from_half():
    # 100 W idle, 200 W full: A = 0.75, EP = 2 - 1.5 = 0.5, which is 1 - idle share
    found = summarise(series((200.0, 175.0, 150.0, 125.0, 100.0)))
    assert found.proportionality == pytest.approx(0.5)
    assert found.idle_ratio == 0.5


def test_a_curve_by_hand():
    # shares 1, 0.9, 0.8, 0.6, 0.2: A = 0.25 (0.2/2 + 0.6 + 0.8 + 0.9 + 1/2) = 0.725, EP = 0.55
    found = summarise(series((100.0, 90.0, 80.0, 60.0, 20.0)))
    assert found.proportionality == pytest.approx(0.55)
    assert found.peak_flops_per_watt == pytest.approx(4.0)
    assert found.overall_flops_per_watt == pytest.approx(1000 / 350)


def test_the_area_is_over_achieved_loads():
    # half load reached 60 %: A = 0.25(0.2+0.6)/2 + 0.35(0.6+0.8)/2 + 0.15(0.8+0.9)/2 + 0.25 1.9/2
    found = summarise(series((100.0, 90.0, 80.0, 60.0, 20.0), (400.0, 300.0, 240.0, 100.0, 0.0)))
    assert found.proportionality == pytest.approx(2 - 2 * (0.1 + 0.245 + 0.1275 + 0.2375))


def test_what_was_not_measured_is_unknown():
    no_idle = summarise(series((100.0, 90.0, 80.0, 60.0, 20.0))[:4])
    assert (no_idle.proportionality, no_idle.idle_ratio) == (None, None)
    assert no_idle.overall_flops_per_watt is None
    assert no_idle.peak_flops_per_watt == pytest.approx(4.0)
    hole = summarise(series((100.0, None, 80.0, 60.0, 20.0)))
    assert (hole.proportionality, hole.overall_flops_per_watt) == (None, None)
    assert hole.idle_ratio == pytest.approx(0.2)
    nothing = summarise(series((None,) * 5))
    found = {nothing.peak_flops_per_watt, nothing.overall_flops_per_watt, nothing.idle_ratio}
    assert found == {None}


# -- plan ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("size", [512, 1024])
def test_the_pace_keeps_the_share_of_what_the_machine_can_do(share, size):
    """A machine in virtual time that follows the pace as the child does."""
    rate, start = 86e9, 100.0
    pace, flop = Pace(share * rate, start), product_flop(size)
    now, done = start, 0.0
    while now < start + 20.0:
        due, ends = pace.due(now), pace.ends(now)
        assert pace.forgiven(done, now, flop) == done
        while done + flop / 2 <= due and now < ends:
            now += flop / rate
            done += flop
        now = max(now, ends)
    assert done / (now - start) / rate == pytest.approx(share, rel=0.01)


def test_a_load_that_was_held_up_makes_up_for_one_period():
    pace = Pace(1e9, 0.0, 0.1)  # 1e8 in each period
    assert pace.forgiven(0.0, 5.05, 1e6) == pytest.approx(51e8 - 2e8)
    assert pace.forgiven(50e8, 5.05, 1e6) == 50e8
    assert pace.forgiven(0.0, 0.35, 1e9) == 0.0  # one product takes ten periods: wait for its turn


def test_a_wait_that_ends_early_does_not_repeat_a_period():
    pace = Pace(1e9, 0.0, 0.1)
    assert pace.due(0.0) == pytest.approx(1e8)
    assert pace.due(0.3 - 1e-9) == pytest.approx(4e8)
    assert pace.ends(0.3 - 1e-9) == pytest.approx(0.4)


def test_the_rhythm_visits_all_phases_of_a_sensor_that_looks_every_tenth_of_a_second():
    phases = {round(n * 100 % 110) for n in range(1000)}
    assert len(phases) == 11


def test_the_matrix_is_as_large_as_the_product_may_take():
    assert size_for(86e9) == 1024  # 25.0 ms; 1536 would take 84 ms
    assert size_for(1.0) == 512
    assert size_for(7e14) == 16384  # 12.6 ms
    assert size_for(7e14, largest=8192) == 8192


def test_one_process_per_socket_and_one_thread_per_core():
    # two sockets of two cores of two threads: CPUs 4 to 7 are the second threads
    cores = {cpu: (cpu % 4 // 2, cpu % 4) for cpu in range(8)}
    assert core_groups(cores) == [(0, 1), (2, 3)]


def test_large_sockets_are_split_evenly():
    cores = {cpu: (0, cpu) for cpu in range(96)}
    groups = core_groups(cores)
    assert [len(group) for group in groups] == [48, 48]
    assert sorted(cpu for group in groups for cpu in group) == list(range(96))
    assert [len(g) for g in core_groups({cpu: (0, cpu) for cpu in range(64)})] == [64]


def test_what_a_device_does_not_know_is_not_run_there():
    assert precisions("cpu", ("fp16", "fp32", "fp32")) == ("fp32",)
    assert precisions("gpu", ()) == ("fp64", "fp32", "fp16")
    assert precisions("cpu", ("bf16",)) == ()
    assert set(PRECISIONS["cpu"]) < set(PRECISIONS["gpu"])


def test_short_levels_settle_for_half_a_second_at_least():
    assert (times(1.0).settle, times(10.0).settle, times(60.0).settle) == (0.5, 3.0, 3.0)
