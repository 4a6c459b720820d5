"""A call fails, hangs, or is not there."""

import threading

import pytest
from hardware.nvml import (
    Standin,
    a100,
    h100,
    p40,
)
from hardware.power import Constant
from unit.collectors.nvml_rig import (
    child,
    energy,
    only,
    pipes,
    power,
    rigs,
)

from agent.samples import Utilization


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


def test_one_field_that_fails(make):
    rig = make(h100(0, power=Constant(300.0)))
    rig.reads(2)
    rig.standin.fail("nvmlDeviceGetFieldValues", 999, field=83, times=1)
    samples = rig.read()
    assert not energy(samples), "unknown is not 0"
    assert power(samples)[0].watts == pytest.approx(300.0), "the meter falls back on this"
    assert set(rig.reasons.values()) == {"io"}
    assert energy(rig.read())
    assert not rig.collector.problems()


def test_the_average_fails_and_the_instant_value_stands_in(make):
    rig = make(h100(0, power=Constant(300.0)))
    rig.reads(2)
    rig.standin.fail("nvmlDeviceGetFieldValues", 999, field=185, times=1)
    assert power(rig.read())[0].watts == pytest.approx(300.0)


def test_power_of_zero_is_no_power(make):
    rig = make(h100(0, power=Constant(0.0)))
    assert not power(rig.read())


def test_a_gpu_that_tells_no_power(make):
    """A virtual GPU."""
    board = p40(0, has_energy=False, sample_count=0)
    rig = make(board)
    rig.standin.fail("nvmlDeviceGetPowerUsage", 3)
    rig.standin.fail("nvmlDeviceGetFieldValues", 3, field=186)
    samples = rig.read()
    assert not power(samples)
    assert only(samples, Utilization)
    assert rig.reasons == {board.uuid: "unsupported"}


def test_a_hang_ends_and_all_is_well(make):
    rig = make(h100(0), h100(1))
    rig.reads(2)
    rule = rig.standin.fail("nvmlDeviceGetUtilizationRates", hang_seconds=60, times=1)
    rig.standin.write(rig.standin.now + 1.0)
    came = []
    thread = threading.Thread(target=lambda: came.append(rig.collector.read()))
    thread.start()
    rule.wait_until_hanging()
    assert thread.is_alive()
    rig.standin.write(rig.standin.now + 40.0)
    rule.clear()
    thread.join(30)
    assert len(energy(came[0])) == 2
    assert energy(came[0])[0].at < energy(came[0])[1].at, "each says when it was read"
    samples = rig.reads(2)
    assert len(energy(samples)) == 4
    assert pipes(samples)
    assert not rig.collector.problems()


READ = """
    collector = make()
    kinds = {}
    for _ in range(2):
        time.sleep(0.15)
        for sample in collector.read():
            kinds[type(sample).__name__] = kinds.get(type(sample).__name__, 0) + 1
    print(sorted(kinds))
    print([p.what for p in collector.problems()])
    collector.close()
"""


@pytest.mark.parametrize(
    ("without", "lost", "missing"),
    [
        (("nvmlGpm*",), "FlopCount", ["NVML nvmlGpmSampleGet"]),
        (
            ("nvmlDeviceGetUtilizationRates",),
            "Utilization",
            ["NVML nvmlDeviceGetUtilizationRates"],
        ),
        (
            ("nvmlDeviceGetFieldValues", "nvmlDeviceGetTotalEnergyConsumption"),
            "EnergyCounter",
            ["NVML nvmlDeviceGetFieldValues", "NVML nvmlDeviceGetTotalEnergyConsumption"],
        ),
    ],
)
def test_a_library_without_some_calls(tmp_path, without, lost, missing):
    standin = Standin(tmp_path / "state", [h100(0), h100(1)], is_real=True, without=without)
    out = child(tmp_path, standin.environment(), READ)
    kinds, problems = (eval(line) for line in out.splitlines())  # our own child's lists
    whole = {"Accelerator", "EnergyCounter", "Figures", "FlopCount", "Inventory"}
    whole |= {"PowerReading", "Utilization"}
    assert set(kinds) == whole - {lost}
    assert problems == missing, "each once, for all boards"
    standin.close()


def test_energy_by_the_older_call(tmp_path):
    without = ("nvmlDeviceGetFieldValues", "nvmlDeviceGetMemoryInfo_v2", "*TemperatureV")
    standin = Standin(tmp_path / "state", [a100(0)], is_real=True, without=without)
    out = child(
        tmp_path,
        standin.environment(),
        """
        samples = make().read()
        figures = [f for s in samples if isinstance(s, Figures) for f, _, _ in s.values]
        print(sum(isinstance(s, EnergyCounter) for s in samples))
        print(sum(isinstance(s, PowerReading) for s in samples))
        print("memory_used_bytes" in figures, "temperature_celsius" in figures)
        """,
    )
    assert out.split() == ["1", "1", "True", "True"]
    standin.close()
