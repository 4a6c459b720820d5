"""Meter, work and devices fed together."""

import pytest

from agent.accounts import Accounts
from agent.quantities import Component, Joules, Seconds, Watts
from agent.samples import (
    Accelerator,
    EnergyCounter,
    FlopCount,
    Inventory,
    Method,
    PowerReading,
    WorkDone,
)
from agent.work import Scope

GPU = Component.GPU
PEAKS = {"H100": {"fp16_tensor": 989.4e12, "fp64": 33.5e12}, "A100": {"fp16_tensor": 312e12}}


def made():
    accounts = Accounts({}, peaks_of=lambda name: PEAKS.get(name, {}))
    accounts.meter.begin("boot", Seconds(0.0), Seconds(1e9))
    return accounts


def about(device, name, index="0"):
    return Accelerator("nvml", GPU, device, Seconds(0.0), index, name)


def counter(at, joules, device="GPU-0", **more):
    return EnergyCounter("nvml", GPU, device, Seconds(at), Joules(joules), **more)


def tick(accounts, at, *samples):
    accounts.take(samples, Seconds(at), Seconds(1e9 + at))
    accounts.settle(Seconds(at), Seconds(1e9 + at))


def flop(at, amount):
    return FlopCount(
        "nvml",
        GPU,
        "GPU-0",
        Seconds(at - 1.0),
        Seconds(at),
        amount,
        "fp16_tensor",
        Method.PIPE_ACTIVITY,
    )


def test_operations_and_joules_of_the_same_minute():
    accounts = made()
    tick(accounts, 0.0, about("GPU-0", "H100"), counter(0.0, 0.0))
    for second in range(1, 121):
        # idle for a minute, then at work: the first minute must not be in the ratio
        watts, done = (100.0, 0.0) if second <= 60 else (700.0, 4.2e14)
        joules = 100.0 * min(second, 60) + 700.0 * max(0, second - 60)
        assert watts > 0
        tick(accounts, second, counter(second, joules), flop(second, done))
    peaks = accounts.peaks(accounts.accelerators(120.0))
    (view,) = accounts.flops(120.0, peaks)
    assert view.flop == pytest.approx(60 * 4.2e14)
    assert view.flop_per_joule == pytest.approx(4.2e14 / 700.0)
    assert view.peak_ratio == pytest.approx(4.2e14 / 989.4e12)


def test_energy_that_the_counter_gave_late_is_matched_all_the_same():
    accounts = made()
    tick(accounts, 0.0, counter(0.0, 0.0))
    for second in range(1, 61):
        energy = [counter(second, 500.0 * second)] if second % 5 == 0 else []
        tick(accounts, second, flop(second, 1e12), *energy)
    tick(accounts, 61.0, counter(61.0, 500.0 * 61))
    (view,) = accounts.flops(61.0, {})
    assert view.flop_per_joule == pytest.approx(2e9)


def test_the_host_is_all_its_parts():
    accounts = made()
    for second in range(20):
        samples = [
            counter(second, 300.0 * second),
            PowerReading("hwmon", Component.STORAGE, "nvme0", Seconds(second), Watts(10.0)),
        ]
        if second in {5, 15}:
            samples.append(WorkDone("work", "train", "steps", Seconds(second), 31.0))
        tick(accounts, second, *samples)
    (view,) = accounts.work(20.0)
    assert view.amount == 62.0
    assert view.joules_per_unit == pytest.approx(100.0)


def test_peaks_of_all_devices_only_where_each_has_one():
    accounts = made()
    accounts.take([about("GPU-0", "H100"), about("GPU-1", "H100", "1")], Seconds(0.0), Seconds(1e9))
    peaks = accounts.peaks(accounts.accelerators(0.0))
    assert peaks[Scope(GPU, "all"), "fp16_tensor"] == 2 * 989.4e12
    accounts.take([about("GPU-2", "Unheard of", "2")], Seconds(0.0), Seconds(1e9))
    peaks = accounts.peaks(accounts.accelerators(0.0))
    assert (Scope(GPU, "all"), "fp16_tensor") not in peaks
    assert (Scope(GPU, "GPU-2"), "fp16_tensor") not in peaks
    assert peaks[Scope(GPU, "GPU-1"), "fp64"] == 33.5e12


def test_peaks_that_the_operator_corrects_are_used_at_once():
    accounts = made()
    accounts.take([about("GPU-0", "H100")], Seconds(0.0), Seconds(1e9))
    assert accounts.peaks(accounts.accelerators(0.0))[Scope(GPU, "GPU-0"), "fp64"] == 33.5e12
    accounts.use_peaks(lambda _name: {"fp64": 1e12})
    assert accounts.peaks(accounts.accelerators(0.0))[Scope(GPU, "GPU-0"), "fp64"] == 1e12


def test_a_board_that_was_taken_out_is_no_gap_and_the_host_stays_known():
    accounts = made()
    both = [counter(0.0, 0.0), counter(0.0, 0.0, "GPU-1")]
    tick(accounts, 0.0, Inventory("nvml", GPU, ("GPU-0", "GPU-1"), Seconds(0.0)), *both)
    for second in range(1, 100):
        samples = [counter(second, 100.0 * second)]
        if second < 50:
            samples.append(counter(second, 100.0 * second, "GPU-1"))
        if second == 50:
            samples.append(Inventory("nvml", GPU, ("GPU-0",), Seconds(50.0)))
        tick(accounts, second, *samples)
    views = {view.identity.device: view for view in accounts.meter.views()}
    assert views["GPU-1"].retired
    assert views["GPU-1"].joules == pytest.approx(4900.0)
    assert views["GPU-1"].gap_seconds <= 1.0
    assert accounts.meter.missing_now() == []


def test_a_board_that_fell_off_the_bus_is_a_gap_and_the_host_unknown():
    accounts = made()
    both = [counter(0.0, 0.0, max_watts=700.0), counter(0.0, 0.0, "GPU-1")]
    tick(accounts, 0.0, Inventory("nvml", GPU, ("GPU-0", "GPU-1"), Seconds(0.0)), *both)
    for second in range(1, 100):
        tick(accounts, second, counter(second, 100.0 * second))
    assert [stream.device for stream in accounts.meter.missing_now()] == ["GPU-1"]


def test_calibration_scales_energy_and_not_the_counter():
    accounts = made()
    for second in range(11):
        tick(accounts, second, counter(second, 200.0 * second, calibration=1.05))
    # the operator corrects the factor: what was counted stays
    for second in range(11, 21):
        tick(accounts, second, counter(second, 200.0 * second, calibration=1.10))
    (view,) = accounts.meter.views()
    assert view.joules == pytest.approx(10 * 210.0 + 10 * 220.0)
    assert view.resets == 0


def test_counter_against_integral_every_minute():
    accounts = made()
    for second in range(200):
        watts = PowerReading("nvml", GPU, "GPU-0", Seconds(second), Watts(300.0))
        tick(accounts, second, counter(second, 285.0 * second), watts)
        checks = accounts.meter.cross_checks()
        assert bool(checks) == (second >= 60)
    assert checks == {("nvml", "gpu", "GPU-0"): pytest.approx(0.95)}
    (one, other) = accounts.meter.views()
    assert [one.joules, other.joules] == [pytest.approx(285.0 * 199), 0.0]


def test_a_minute_with_a_hole_in_one_of_them_gives_no_ratio():
    accounts = made()
    for second in range(119):
        samples = [counter(second, 285.0 * second)]
        if not 20 <= second < 40:
            samples.append(PowerReading("nvml", GPU, "GPU-0", Seconds(second), Watts(300.0)))
        tick(accounts, second, *samples)
    assert accounts.meter.cross_checks() == {}
