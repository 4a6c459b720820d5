"""Pipe activity and the operations it stands for."""

import pytest
from hardware.nvml import Quantity, a100, h100, h200
from unit.collectors.nvml_rig import (
    UPTIME,
    energy,
    flop_rates,
    only,
    pipes,
    rigs,
)

from agent.samples import FlopCount, Method


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


def test_pipe_activity(make):
    gpm = {2: 71.0, 3: 40.0, 5: 50.0, 6: 5.0, 7: 45.0, 9: 1.0, 10: 33.0, 11: 2.0, 12: 20.0, 13: 8.0}
    rig = make(h100(0, gpm=gpm))
    assert not pipes(rig.read()), "one sample says nothing"
    assert pipes(rig.read()) == pytest.approx(
        {
            "sm": 0.71,
            "occupancy": 0.40,
            "tensor": 0.50,
            "tensor_fp64": 0.05,
            "tensor_fp16": 0.45,
            "tensor_int8": 0.01,
            "dram": 0.33,
            "fp64": 0.02,
            "fp32": 0.20,
            "fp16": 0.08,
        }
    )
    assert rig.standin.calls("nvmlGpmSampleAlloc") == 2, "two buffers, kept"


@pytest.mark.parametrize("board", [h100, h200])
def test_flop_by_hand(make, board):
    """GH100: an SM does 4096 FP16 tensor, 128 FP64, 256 FP32, 256 FP64 tensor FLOP a clock.

    132 SMs at 1.755 GHz are 231.66e9 SM clocks a second (H100 white paper, table 1 and 2).
    """
    gpm = {5: 50.0, 6: 10.0, 7: 40.0, 11: 5.0, 12: 25.0}
    rig = make(board(0, gpm=gpm, quantities={Quantity.SM_CLOCK: 1755}))
    samples = rig.reads(3)
    rates = flop_rates(samples)
    assert rates["fp16_tensor"] == pytest.approx(0.40 * 231.66e9 * 4096, rel=0.001)
    assert rates["fp64_tensor"] == pytest.approx(0.10 * 231.66e9 * 256, rel=0.001)
    assert rates["fp64"] == pytest.approx(0.05 * 231.66e9 * 128, rel=0.001)
    assert rates["fp32"] == pytest.approx(0.25 * 231.66e9 * 256, rel=0.001)
    assert "fp16" not in rates, "a pipe that does not answer is not at 0"
    counts = only(samples, FlopCount)
    assert {c.method for c in counts} == {Method.PIPE_ACTIVITY}
    assert {(c.since - UPTIME, c.at - UPTIME) for c in counts} == {(2.0, 3.0), (3.0, 4.0)}


def test_flop_goes_by_the_clock_in_between(make):
    rig = make(h100(0, gpm={7: 50.0}, quantities={Quantity.SM_CLOCK: 1000}))
    rig.reads(3)
    rig.standin.set(rig.standin.boards[0].uuid, Quantity.SM_CLOCK, 2000)
    rates = flop_rates(rig.read())
    assert rates == pytest.approx({"fp16_tensor": 0.5 * 132 * 1.5e9 * 4096}, rel=0.001)


def test_an_unknown_sku_has_activity_and_no_flop(make):
    rig = make(h100(0, name="NVIDIA H100 80GB HBM3 MIG 1g.10gb"))
    samples = rig.reads(3)
    assert pipes(samples)
    assert not only(samples, FlopCount)


def test_another_number_of_cores_is_another_variant(make):
    rig = make(h100(0, cores=14592))
    samples = rig.reads(3)
    assert pipes(samples)
    assert not only(samples, FlopCount)


def test_gpm_nan_is_left_out(make):
    rig = make(h100(0, gpm={2: 71.0, 7: 40.0, 12: 20.0}))
    uuid = rig.standin.boards[0].uuid
    rig.reads(2)
    rig.standin.gpm_nan(uuid, [7])
    samples = rig.read()
    assert pipes(samples) == pytest.approx({"sm": 0.71, "fp32": 0.20})
    assert set(flop_rates(samples)) == {"fp32"}
    rig.standin.gpm_nan(uuid)
    samples = rig.read()
    assert not pipes(samples)
    assert not only(samples, FlopCount)
    rig.standin.gpm_nan(uuid, ())
    assert pipes(rig.read()) == pytest.approx({"sm": 0.71, "tensor_fp16": 0.40, "fp32": 0.20})


def test_every_gpm_return_code_is_checked(make):
    rig = make(h100(0, gpm={2: 71.0, 7: 40.0}))
    uuid = rig.standin.boards[0].uuid
    rig.reads(2)
    rig.standin.gpm_error(uuid, 999, [2])
    assert pipes(rig.read()) == pytest.approx({"tensor_fp16": 0.40})


def test_a_driver_that_does_not_know_the_newest_metric(make):
    """Metric 8 came late: an older driver may refuse the whole request for it."""
    rig = make(h100(0, gpm={2: 71.0, 6: 12.0}), standin={"unknown_metrics": (8,)})
    rig.read()
    for _ in range(3):
        assert pipes(rig.read()) == pytest.approx({"sm": 0.71, "tensor_fp64": 0.12})
    assert rig.standin.calls("nvmlGpmMetricsGet") == 4, "refused once"
    assert not rig.collector.problems()


def test_gpm_is_not_asked_more_often_than_it_may(make):
    rig = make(h100(0))
    rig.reads(2)
    asked = rig.standin.calls("nvmlGpmSampleGet")
    samples = rig.read(after=0.05)
    assert not pipes(samples)
    assert rig.standin.calls("nvmlGpmSampleGet") == asked
    assert len(energy(samples)) == 1
    assert pipes(rig.read(after=0.1)), "measured from the last sample, 150 ms ago"


def test_gpm_failing_once_is_said_and_goes_on(make):
    rig = make(h100(0))
    rig.reads(2)
    rig.standin.fail("nvmlGpmSampleGet", 999, times=1)
    assert not pipes(rig.read())
    assert set(rig.reasons.values()) == {"io"}
    assert not pipes(rig.read()), "begins anew"
    assert pipes(rig.read())
    assert not rig.reasons


def test_a100_has_no_gpm(make):
    rig = make(a100(0))
    samples = rig.reads(5)
    assert not pipes(samples)
    assert not only(samples, FlopCount)
    assert rig.standin.calls("nvmlGpmSampleGet") == 1, "not asked again"
    assert not rig.collector.problems()
    assert len(energy(samples)) == 5


def test_gpm_can_be_switched_off(make):
    rig = make(h100(0), gpm=False)
    rig.reads(3)
    assert rig.standin.calls("nvmlGpmSampleAlloc") == 0
