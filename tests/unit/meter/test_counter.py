"""Wrap, reset, jump, silence: what two readings of a counter may and may not mean."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.meter.counter import (
    DEFAULT_MAX_WATTS,
    LONGEST_HORIZON_SECONDS,
    REFRESH_SECONDS,
    NoEnergy,
    energy_between,
    horizon,
)
from agent.quantities import Component

INTEL = 262143.328850 + 1e-6
EPYC = 65532.610987 + 1e-6
DRAM = 65712.999613 + 1e-6
BITS64 = 2**64 * 1e-6


def between(
    before, now, seconds, wraps_at=INTEL, max_watts=None, component=Component.CPU
):  # the call under test, with the usual device
    return energy_between(
        before, now, seconds, component=component, wraps_at=wraps_at, max_watts=max_watts
    )


@pytest.mark.parametrize("wraps_at", [INTEL, EPYC, DRAM, BITS64, None])
def test_a_rise_is_the_energy(wraps_at):
    assert between(1000.0, 1100.0, 1.0, wraps_at) == pytest.approx(100.0)


@pytest.mark.parametrize("wraps_at", [INTEL, EPYC, DRAM, None])
def test_no_rise_is_zero_joules_not_unknown(wraps_at):
    assert between(1000.0, 1000.0, 1.0, wraps_at) == 0.0


@pytest.mark.parametrize("wraps_at", [INTEL, EPYC, DRAM])
def test_a_wrap_adds_one_turn(wraps_at):
    assert between(wraps_at - 40.0, 60.0, 1.0, wraps_at) == pytest.approx(100.0)


def test_a_wrap_exactly_onto_zero():
    assert between(EPYC - 100.0, 0.0, 1.0, EPYC) == pytest.approx(100.0)


def test_one_unit_before_the_modulus_to_zero_is_one_unit():
    assert between(EPYC - 1e-6, 0.0, 1.0, EPYC) == pytest.approx(1e-6, abs=1e-10)


def test_a_fall_that_no_power_explains_is_a_reset():
    assert between(200_000.0, 5.0, 1.0) is NoEnergy.RESET


def test_without_a_range_every_fall_is_a_reset():
    assert between(10.0, 9.999, 1.0, None) is NoEnergy.RESET
    assert between(10.0, 9.999, 1e6, None) is NoEnergy.RESET


@pytest.mark.parametrize("wraps_at", [INTEL, BITS64, None])
def test_more_than_the_device_can_draw_is_a_jump(wraps_at):
    ceiling = DEFAULT_MAX_WATTS[Component.CPU] * (1.0 + REFRESH_SECONDS)
    assert between(0.0, ceiling - 1e-6, 1.0, wraps_at) == pytest.approx(ceiling)
    assert between(0.0, ceiling + 1e-3, 1.0, wraps_at) is NoEnergy.JUMP


def test_a_declared_maximum_above_the_default_raises_the_ceiling():
    assert between(0.0, 1400.0, 1.0) is NoEnergy.JUMP
    assert between(0.0, 1400.0, 1.0, max_watts=1000.0) == 1400.0


def test_a_maximum_of_zero_is_no_maximum():
    # powercap's constraint_0_max_power_uw is 0 on many machines
    assert horizon(Component.CPU, EPYC, 0.0) == horizon(Component.CPU, EPYC, None)
    assert between(0.0, 300.0, 1.0, max_watts=0.0) == 300.0


class TestShortRange:
    """EPYC at 400 W turns in 164 s: a minute's silence holds, three do not."""

    def test_horizon(self):
        assert horizon(Component.CPU, EPYC, 400.0) == pytest.approx(EPYC / 480)
        assert horizon(Component.CPU, EPYC, None) == pytest.approx(EPYC / 600)

    def test_silence_shorter_than_a_turn(self):
        assert between(60_000.0, (60_000.0 + 400 * 100) % EPYC, 100.0, EPYC, 400.0) == (
            pytest.approx(40_000.0)
        )

    def test_exactly_one_turn_at_the_maximum_is_the_last_that_holds(self):
        turn = EPYC / 480
        assert between(0.0, 100.0, turn * (1 - 1e-12), EPYC, 400.0) == 100.0
        assert between(0.0, 100.0, turn * 1.01, EPYC, 400.0) is NoEnergy.AMBIGUOUS

    def test_longer_silence_holds_if_one_more_turn_is_impossible(self):
        # 200 s at most 480 W: 96 kJ. 40 kJ more than one turn would be 105 kJ.
        assert between(0.0, 40_000.0, 200.0, EPYC, 400.0) == 40_000.0
        assert between(0.0, 30_000.0, 200.0, EPYC, 400.0) is NoEnergy.AMBIGUOUS

    def test_an_hour_never_holds(self):
        for now in (0.0, 1.0, 30_000.0, EPYC - 1.0):
            assert between(0.0, now, 3600.0, EPYC, 400.0) is NoEnergy.AMBIGUOUS


class TestNoShortRange:
    """64-bit counters and counters that never wrap."""

    @pytest.mark.parametrize("wraps_at", [BITS64, None])
    def test_a_week_holds(self, wraps_at):
        week = 7 * 86400.0
        assert between(1e12, 1e12 + 200 * week, week, wraps_at) == pytest.approx(200 * week)

    @pytest.mark.parametrize("wraps_at", [BITS64, None])
    def test_a_live_agent_waits_an_hour_not_a_century(self, wraps_at):
        assert horizon(Component.CPU, wraps_at, None) == LONGEST_HORIZON_SECONDS

    def test_a_64_bit_counter_wraps_too(self):
        assert between(BITS64 - 50.0, 50.0, 1.0, BITS64) == pytest.approx(100.0, abs=0.01)

    def test_its_reset_is_no_wrap(self):
        assert between(1e9, 0.0, 3600.0, BITS64) is NoEnergy.RESET


@given(
    wraps_at=st.sampled_from([INTEL, EPYC, DRAM]),
    before=st.floats(0, 1),
    watts=st.floats(0, 599),
    seconds=st.floats(0.01, 5000),
)
def test_an_answer_is_the_truth_or_none(wraps_at, before, watts, seconds):
    """Whatever the device really drew below its maximum: exactly that, or no answer."""
    start = before * wraps_at * (1 - 1e-9)
    truth = watts * seconds
    got = between(start, math.fmod(start + truth, wraps_at), seconds, wraps_at)
    if not isinstance(got, NoEnergy):
        assert got == pytest.approx(truth, rel=1e-9, abs=1e-4)
    if seconds < horizon(Component.CPU, wraps_at, None):
        assert not isinstance(got, NoEnergy)


@given(
    before=st.floats(0, 2e19),
    now=st.floats(0, 2e19),
    seconds=st.floats(1e-6, 1e7),
    wraps_at=st.sampled_from([INTEL, EPYC, BITS64, None, 0.0]),
    max_watts=st.sampled_from([None, 0.0, 15.0, 400.0, 2000.0]),
    component=st.sampled_from(list(Component)),
)
def test_never_negative_never_more_than_possible(
    before, now, seconds, wraps_at, max_watts, component
):
    got = between(before, now, seconds, wraps_at, max_watts, component)
    if not isinstance(got, NoEnergy):
        ceiling = max(DEFAULT_MAX_WATTS[component], 1.5 * (max_watts or 0.0))
        assert 0.0 <= got <= ceiling * (seconds + REFRESH_SECONDS)
