"""Rates from pipe activity, against figures worked by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.flops.catalog import entries, pipes_of
from agent.flops.pipes import PRECISIONS, Pipes, flop_rates

HAND_WORKED = [
    # 132 SMs x 4096 x 1.755 GHz = 948.879360 TFLOP/s; x 0.62
    ("NVIDIA H100 80GB HBM3", {"tensor_fp16": 0.62}, 1755e6, {"fp16_tensor": 588.3052032e12}),
    # 132 x 256 x 1.98 GHz = 66.908160 T; x 0.25. 132 x 128 x 1.98 = 33.454080 T; x 0.5
    (
        "NVIDIA H100 80GB HBM3",
        {"fp32": 0.25, "fp64": 0.5},
        1980e6,
        {"fp32": 16.72704e12, "fp64": 16.72704e12},
    ),
    # 132 x 4096 x 1.83 GHz = 989.429760 T; x 0.905. 132 x 512 x 1.83 = 123.678720 T; x 0.01
    (
        "NVIDIA H200",
        {"tensor_fp16": 0.905, "fp16": 0.01},
        1830e6,
        {"fp16_tensor": 895.4339328e12, "fp16": 1.2367872e12},
    ),
    # 132 x 256 x 1.5 GHz = 50.688 T; x 0.8
    ("NVIDIA H200", {"tensor_fp64": 0.8}, 1500e6, {"fp64_tensor": 40.5504e12}),
    # 108 x 2048 x 1.275 GHz = 282.0096 T; x 0.4
    ("NVIDIA A100-SXM4-80GB", {"tensor": 0.4}, 1275e6, {"fp16_tensor": 112.80384e12}),
    # 108 x 128 x 1.41 GHz = 19.491840 T; x 0.9. 108 x 64 x 1.41 = 9.74592 T; x 0.1
    (
        "NVIDIA A100 80GB PCIe",
        {"fp32": 0.9, "fp64": 0.1},
        1410e6,
        {"fp32": 17.542656e12, "fp64": 0.974592e12},
    ),
]


@pytest.mark.parametrize(("name", "active", "clock", "expected"), HAND_WORKED)
def test_rates_equal_the_figures_worked_by_hand(name, active, clock, expected):
    pipes = pipes_of(name)
    assert pipes is not None
    assert flop_rates(pipes, active, clock) == pytest.approx(expected, rel=1e-9)


PIPES = Pipes(10, {"fp32": 100.0, "tensor_fp64": 50.0, "tensor_fp16": 1000.0})


@pytest.mark.parametrize("ratio", [math.nan, -0.01, 1.01, math.inf])
def test_a_ratio_that_cannot_be_is_unknown_and_not_zero(ratio):
    assert flop_rates(PIPES, {"fp32": ratio, "tensor_fp64": 0.5}, 1e9) == {"fp64_tensor": 250e9}


@pytest.mark.parametrize("clock", [0.0, -1.0, math.nan, math.inf])
def test_no_clock_no_rates(clock):
    assert flop_rates(PIPES, {"fp32": 0.5}, clock) == {}


def test_an_idle_pipe_is_a_known_zero():
    assert flop_rates(PIPES, {"fp32": 0.0}, 1e9) == {"fp32": 0.0}


def test_what_the_device_has_no_rate_for_is_left_out():
    assert flop_rates(PIPES, {"fp64": 0.5, "dram": 0.9, "sm": 1.0, "occupancy": 0.3}, 1e9) == {}


def test_any_tensor_stands_in_for_fp16_without_what_is_known_to_be_something_else():
    assert flop_rates(PIPES, {"tensor": 0.5}, 1e9) == {"fp16_tensor": 5e12}
    both = {"tensor": 0.5, "tensor_fp64": 0.2, "tensor_int8": 0.1}
    assert flop_rates(PIPES, both, 1e9) == pytest.approx(
        {"fp64_tensor": 0.1e12, "fp16_tensor": 2e12}
    )
    # rounding of the ratios must not make it negative
    assert flop_rates(PIPES, {"tensor": 0.1, "tensor_fp64": 0.11}, 1e9)["fp16_tensor"] == 0.0
    known = {"tensor": 0.5, "tensor_fp16": 0.3}
    assert flop_rates(PIPES, known, 1e9) == pytest.approx({"fp16_tensor": 3e12})


@given(
    st.sampled_from(sorted(entries())),
    st.dictionaries(st.sampled_from(sorted(PRECISIONS)), st.floats(0, 1)),
    st.floats(1e8, 3e9),
)
def test_rates_never_exceed_all_units_busy_at_that_clock(name, active, clock):
    pipes = pipes_of(name)
    if pipes is None:
        return
    for precision, rate in flop_rates(pipes, active, clock).items():
        pipe = next(pipe for pipe, label in PRECISIONS.items() if label == precision)
        assert 0 <= rate <= pipes.sms * pipes.flop_per_clock[pipe] * clock * (1 + 1e-12)
