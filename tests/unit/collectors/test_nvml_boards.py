"""Boards and drivers that are not like the newest ones."""

import pytest
from hardware.nvml import Quantity, a100, gh200, h100, p40, rtx4090
from hardware.power import Constant, Linear
from unit.collectors.nvml_rig import (
    UPTIME,
    energy,
    figures,
    inventory,
    only,
    power,
    rigs,
)

from agent.quantities import Component
from agent.samples import Figure, PowerReading


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


def test_a_board_without_counter_is_integrated(make):
    rig = make(p40(0, power=Constant(120.0), sample_count=0))
    samples = rig.reads(3)
    assert not energy(samples)
    assert [p.watts for p in power(samples)] == pytest.approx([120.0] * 3, abs=0.002)
    assert rig.standin.calls("nvmlDeviceGetTotalEnergyConsumption") == 1


def test_the_drivers_buffer_is_drained_where_there_is_no_counter(make):
    rising = Linear(50.0, 20.0)
    rig = make(p40(0, power=rising, sample_count=120))
    rig.read()
    samples = power(rig.reads(3))
    assert len(samples) > 3 * 5
    times = [s.at for s in samples]
    assert times == sorted(set(times))
    assert times[-1] <= UPTIME + rig.standin.now
    for sample in samples:
        assert sample.watts == pytest.approx(50.0 + 20.0 * (sample.at - UPTIME), abs=3.0)


def test_a_step_of_the_wall_clock_moves_no_sample(make):
    rig = make(p40(0, power=Linear(50.0, 20.0), sample_count=120))
    rig.reads(3)
    rig.clock.wall_ahead = 3600.0
    (sample,) = power(rig.read())
    assert sample.at == UPTIME + rig.standin.now, "only what is read now"
    rig.clock.wall_ahead = 0.0
    rig.read()
    samples = power(rig.read())
    assert len(samples) > 1
    for sample in samples:
        assert sample.watts == pytest.approx(50.0 + 20.0 * (sample.at - UPTIME), abs=3.0)


def test_no_memory_temperature_is_no_figure(make):
    rig = make(rtx4090(0), rtx4090(1, quantities={Quantity.MEMORY_TEMPERATURE: 0.0}))
    found = figures(rig.read())
    assert (Figure.TEMPERATURE, "core") in found
    assert (Figure.TEMPERATURE, "memory") not in found
    assert not any(figure is Figure.ECC_ERRORS for figure, _ in found)


def test_a_grace_module_is_never_counted(make):
    rig = make(gh200(0, power=Constant(300.0), module_power=Constant(520.0)), h100(1))
    samples = rig.reads(3)
    uuid = rig.standin.boards[0].uuid
    modules = only(samples, PowerReading, component=Component.PLATFORM)
    assert {m.device for m in modules} == {f"module-{uuid}"}
    assert [m.watts for m in modules] == pytest.approx([520.0] * 3)
    assert not any(m.counted for m in modules)
    assert inventory(samples, Component.PLATFORM) == (f"module-{uuid}",)
    assert power(samples, uuid)[0].watts == pytest.approx(300.0)


def traffic(samples):
    return {w: v for (f, w), v in figures(samples).items() if f is Figure.LINK_BYTES}


RATES = {
    Quantity.PCIE_SENT: 1e9,
    Quantity.PCIE_RECEIVED: 2e9,
    Quantity.NVLINK_SENT: 20e9,
    Quantity.NVLINK_RECEIVED: 30e9,
}


def test_traffic_is_read_only_when_asked_for(make):
    rig = make(a100(0), h100(1))
    assert not traffic(rig.reads(20))


@pytest.mark.parametrize("board", [a100, h100])
def test_traffic_by_counters(make, board):
    rig = make(board(0, quantities=RATES), links=True)
    assert traffic(rig.read(after=9.0)) == pytest.approx(
        {
            "pcie_sent": 10e9,
            "pcie_received": 20e9,
            "nvlink_sent": 200e9,
            "nvlink_received": 300e9,
        },
        rel=0.02,
    )


def test_traffic_by_gpm_where_there_is_no_counter(make):
    rig = make(h100(0, quantities=RATES), links=True, slow_seconds=5.0)
    for field in (138, 139, 197, 198):
        rig.standin.fail("nvmlDeviceGetFieldValues", 3, field=field)
    assert not traffic(rig.read())
    assert traffic(rig.reads(5)) == pytest.approx(
        {
            "pcie_sent": 5e9,
            "pcie_received": 10e9,
            "nvlink_sent": 100e9,
            "nvlink_received": 150e9,
        }
    )
    later = traffic(rig.reads(5))
    assert later["pcie_sent"] == pytest.approx(10e9)


@pytest.mark.parametrize(
    ("driver", "first"), [("580.95.05", 269), ("580.65.06", 251), ("575.57.08", 251)]
)
def test_throttle_fields_have_moved(make, driver, first):
    board = h100(0, quantities={Quantity.THROTTLED_HW_THERMAL: 0.5})
    rig = make(board, driver=driver, standin={"throttle_field": first})
    found = figures(rig.read(after=9.0))
    assert found[Figure.THROTTLED, "hw_thermal_slowdown"] == pytest.approx(5.0, rel=0.03)


@pytest.mark.parametrize("driver", ["570.172.08", "580.76.05", "535.247.01", ""])
def test_throttle_fields_of_another_driver_are_not_asked(make, driver):
    board = h100(0, quantities={Quantity.THROTTLED_THERMAL: 0.5})
    rig = make(board, driver=driver)
    throttled = {w: v for (f, w), v in figures(rig.read(9.0)).items() if f is Figure.THROTTLED}
    assert set(throttled) == {"sw_power_cap", "sync_boost", "thermal"}
    assert throttled["thermal"] == pytest.approx(5.0, rel=0.03)


def test_an_old_driver_without_the_fields(make):
    """R450 knows field 83, not 185 and 186."""
    rig = make(a100(0, power=Constant(250.0)), standin={"max_field": 160})
    samples = rig.read(after=99.0)
    assert energy(samples)[0].joules == pytest.approx(25_000.0, abs=30.0)
    assert power(samples)[0].watts == pytest.approx(250.0)
    assert not rig.collector.problems()
