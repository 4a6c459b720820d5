"""What the nvml collector says of boards that are well."""

from itertools import pairwise

import msgspec
import pytest
from hardware.nvml import Quantity, a100, h100, rtx4090, v100
from hardware.power import Constant, Linear
from unit.collectors.nvml_rig import (
    UPTIME,
    about,
    energy,
    figures,
    inventory,
    only,
    power,
    rigs,
)

from agent.quantities import Quality
from agent.samples import Figure, Figures, Utilization
from collectors.nvml_settings import NvmlSettings


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


def test_what_a_board_is(make):
    rig = make(h100(0), h100(1, bus=0xC1, domain=1))
    first, second = about(rig.read()).values()
    assert first.device == rig.standin.boards[0].uuid
    assert first.name == "NVIDIA H100 80GB HBM3"
    assert (first.index, first.bus, first.vendor) == ("0", "0000:1b:00.0", "nvidia")
    assert first.driver == "580.95.05"
    assert second.bus == "0001:c1:00.0"
    assert not about(rig.read()), "told once"


def test_base_units(make):
    board = h100(
        0,
        power=Constant(400.0),
        quantities={
            Quantity.UTILIZATION: 37,
            Quantity.TEMPERATURE: 61,
            Quantity.MEMORY_TEMPERATURE: 72,
            Quantity.SM_CLOCK: 1755,
            Quantity.MEMORY_CLOCK: 2619,
            Quantity.POWER_LIMIT: 650,
            Quantity.MEMORY_USED: 12e9,
            Quantity.ECC_CORRECTED: 3,
            Quantity.ECC_UNCORRECTED: 1,
            Quantity.THROTTLED_POWER: 0.5,
            Quantity.THROTTLED_SYNC_BOOST: 0.25,
            Quantity.THROTTLED_SW_THERMAL: 0.125,
            Quantity.THROTTLED_HW_THERMAL: 0.1,
            Quantity.THROTTLED_HW_POWER_BRAKE: 0.0625,
        },
    )
    rig = make(board)
    samples = rig.read(after=99.0)  # at 100 s
    (counter,) = energy(samples)
    assert counter.joules == pytest.approx(40_000.0, abs=40.0)  # one refresh late at most
    assert counter.at == UPTIME + 100.0
    assert counter.wraps_at is None
    assert counter.max_watts == pytest.approx(700.0)
    assert counter.quality is Quality.MEASURED
    (reading,) = power(samples)
    assert reading.watts == pytest.approx(400.0, abs=0.001)
    assert reading.quality is Quality.INTEGRATED
    assert reading.counted
    assert only(samples, Utilization)[0].ratio == pytest.approx(0.37)
    found = figures(samples)
    assert found[Figure.TEMPERATURE, "core"] == 61.0
    assert found[Figure.TEMPERATURE, "memory"] == 72.0
    assert found[Figure.CLOCK, "sm"] == 1.755e9
    assert found[Figure.CLOCK, "memory"] == 2.619e9
    assert found[Figure.POWER_LIMIT, ""] == pytest.approx(650.0)
    assert found[Figure.MEMORY_USED, ""] == pytest.approx(12e9)
    assert found[Figure.MEMORY_TOTAL, ""] == 81559 * 2**20
    assert found[Figure.ECC_ERRORS, "corrected"] == 3.0
    assert found[Figure.ECC_ERRORS, "uncorrected"] == 1.0
    throttled = {w: v for (f, w), v in found.items() if f is Figure.THROTTLED}
    assert throttled == pytest.approx(
        {
            "sw_power_cap": 50.0,
            "sync_boost": 25.0,
            "sw_thermal_slowdown": 12.5,
            "hw_thermal_slowdown": 10.0,
            "hw_power_brake_slowdown": 6.25,
        },
        rel=0.01,
    )


def test_eight_boards_and_nvml_opened_once(make):
    rig = make(*(h100(i) for i in range(8)))
    samples = rig.reads(20)
    uuids = tuple(board.uuid for board in rig.standin.boards)
    assert inventory(samples) == uuids
    assert len(energy(samples)) == len(power(samples)) == 8 * 20
    assert rig.standin.calls("nvmlInitWithFlags") == 1
    assert rig.standin.calls("nvmlDeviceGetHandleByIndex_v2") == 8, "handles are kept"
    assert rig.standin.calls("nvmlShutdown") == 0
    rig.collector.close()
    assert rig.standin.calls("nvmlShutdown") == 1


def test_energy_is_what_was_drawn(make):
    rig = make(h100(0), v100(1), rtx4090(2))
    before = {s.device: s for s in energy(rig.read())}
    last = {s.device: s for s in energy(rig.reads(300))}
    for uuid, counter in last.items():
        first = before[uuid]
        truth = rig.standin.joules(uuid, first.at - UPTIME, counter.at - UPTIME)
        assert counter.joules - first.joules == pytest.approx(truth, rel=0.001)


def test_power_is_the_mean_of_a_second_where_there_is_one(make):
    rising = Linear(100.0, 50.0)
    rig = make(h100(0, power=rising), a100(1, power=rising))
    samples = rig.read(after=3.0)  # 4 s: 300 W now, 275 W over the last second
    hopper, ampere = (board.uuid for board in rig.standin.boards)
    assert power(samples, hopper)[0].watts == pytest.approx(275.0, abs=5.0)
    assert power(samples, ampere)[0].watts == pytest.approx(299.0, abs=5.0)
    assert power(samples, hopper)[0].accuracy < power(samples, ampere)[0].accuracy


def test_slow_figures_come_every_15_seconds(make):
    rig = make(a100(0), a100(1))
    first = [s.device for s in only(rig.read(), Figures)]
    uuids = [board.uuid for board in rig.standin.boards]
    assert first == uuids, "all at the first reading"
    when = {uuid: [] for uuid in uuids}
    for second in range(1, 61):
        for sample in only(rig.read(), Figures):
            when[sample.device].append(second)
    for seconds in when.values():
        assert [b - a for a, b in pairwise(seconds)] == [15] * 3
    assert when[uuids[0]][0] != when[uuids[1]][0], "boards take turns"
    assert rig.standin.calls("nvmlDeviceGetEnforcedPowerLimit") == sum(map(len, when.values())) + 2


def test_slow_seconds_is_a_setting(make):
    rig = make(a100(0), slow_seconds=3.0)
    samples = rig.reads(13)
    assert len(only(samples, Figures)) == 5


def test_calibration(make):
    one, other = a100(0, power=Constant(200.0)), a100(1, power=Constant(200.0))
    rig = make(one, other, calibration={one.uuid: 1.055})
    samples = rig.read(after=99.0)
    assert energy(samples, one.uuid)[0].calibration == 1.055
    assert energy(samples, other.uuid)[0].calibration == 1.0
    assert energy(samples, one.uuid)[0].joules == pytest.approx(20_000.0, abs=30.0), "as read"
    assert power(samples, one.uuid)[0].watts == pytest.approx(211.0)
    assert power(samples, other.uuid)[0].watts == pytest.approx(200.0)
    assert not rig.collector.problems()


def test_a_calibration_for_no_board_is_said(make):
    rig = make(a100(0), calibration={"GPU-typo": 1.02})
    rig.read()
    assert rig.reasons == {"calibration of GPU-typo": "settings"}


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.3, 2.5])
def test_a_calibration_that_cannot_be_is_refused(factor):
    with pytest.raises(msgspec.ValidationError, match="calibration"):
        msgspec.convert({"calibration": {"GPU-1": factor}}, NvmlSettings)
