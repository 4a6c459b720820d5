"""The stand-in for libnvidia-ml.so.1, asked through the real pynvml."""

import ctypes
import random
import re
from pathlib import Path
from typing import Any

import pynvml
import pytest
from hardware.nvml import (
    FUNCTIONS,
    Quantity,
    a100,
    h100,
)
from hardware.nvml.fixtures import Make, fields, make
from hardware.nvml.layout import (
    HERE,
    QUANTITIES,
    BoardState,
    RuleState,
    SliceState,
    State,
    _Part,
    _Piece,
)
from hardware.power import Constant, Linear, Pieces, Scaled, Sine, Steps, Sum, busy, noise

__all__ = ["make"]


def test_both_sides_have_the_same_layout(make: Make) -> None:
    library = make(h100()).preload()
    sizes = (ctypes.c_uint64 * 10)()
    library.standin_layout(sizes)
    assert list(sizes) == [
        *(ctypes.sizeof(each) for each in (State, BoardState, SliceState, RuleState)),
        *(ctypes.sizeof(each) for each in (_Part, _Piece)),
        State.levels.offset,
        BoardState.curves.offset,
        len(FUNCTIONS),
        QUANTITIES,
    ]


def test_it_has_the_structures_that_pynvml_has() -> None:
    sizes = {
        "c_nvmlFieldValue_t": 40,
        "c_nvmlSample_t": 16,
        "c_nvmlProcessUtilizationSample_t": 32,
        "c_nvmlMemory_t": 24,
        "c_nvmlMemory_v2_t": 40,
        "c_nvmlUtilization_t": 8,
        "c_nvmlGpmMetric_t": 40,
        "c_nvmlGpmSupport_t": 8,
        "c_nvmlTemperature_v1_t": 12,
        "c_nvmlDeviceAttributes": 40,
        "nvmlPciInfo_t": 68,
    }
    assert {name: ctypes.sizeof(getattr(pynvml, name)) for name in sizes} == sizes
    assert pynvml.c_nvmlGpmMetricsGet_t.metrics.offset == 24
    assert pynvml.nvmlMemory_v2 == 0x02000028
    assert pynvml.nvmlTemperature_v1 == 0x0100000C


def test_it_has_the_numbers_and_names_that_pynvml_has(make: Make) -> None:
    enum = re.search(r"enum \{\n    SUCCESS.*?\}", (HERE / "standin.h").read_text(), re.DOTALL)
    assert enum is not None
    for name, number in re.findall(r"(\w+) = (\d+)", enum[0]):
        theirs = {"SUCCESS": "NVML_SUCCESS", "VERSION_MISMATCH": "NVML_ERROR_ARGUMENT_"} | {}
        constant = theirs.get(name, f"NVML_ERROR_{name}")
        constant += name if constant.endswith("_") else ""
        assert getattr(pynvml, constant) == int(number), name
    source = Path(pynvml.__file__).read_text()
    library = make(h100()).preload()
    for name in FUNCTIONS:
        assert getattr(library, name)
        assert f'"{name}"' in source or name == "nvmlInit_v2"


def test_boards_say_who_they_are(make: Make) -> None:
    standin = make(*(h100(i) for i in range(8)), driver="580.95.05")
    assert pynvml.nvmlSystemGetDriverVersion() == "580.95.05"
    assert pynvml.nvmlDeviceGetCount() == 8
    seen = []
    for index in range(8):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = pynvml.nvmlDeviceGetUUID(handle)
        assert re.fullmatch(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid)
        assert pynvml.nvmlDeviceGetIndex(pynvml.nvmlDeviceGetHandleByUUID(uuid.encode())) == index
        assert pynvml.nvmlDeviceGetName(handle) == "NVIDIA H100 80GB HBM3"
        assert pynvml.nvmlDeviceGetMinorNumber(handle) == index
        seen.append((uuid, pynvml.nvmlDeviceGetPciInfo(handle).busId))
    assert [uuid for uuid, _ in seen] == [board.uuid for board in standin.boards]
    assert seen[0][1] == "00000000:1B:00.0"
    assert len(set(seen)) == 8
    pci = pynvml.nvmlDeviceGetPciInfo(pynvml.nvmlDeviceGetHandleByIndex(1))
    assert (pci.busIdLegacy, pci.domain, pci.bus, pci.device) == ("0000:43:00.0", 0, 0x43, 0)
    assert pci.pciDeviceId == 0x233010DE
    by_bus = pynvml.nvmlDeviceGetHandleByPciBusId(b"00000000:43:00.0")
    assert pynvml.nvmlDeviceGetIndex(by_bus) == 1
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetHandleByIndex(8)
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetHandleByUUID(b"GPU-none")


def test_the_energy_counter_is_true_power_over_time_in_whole_millijoules(make: Make) -> None:
    standin = make(h100(0, power=Constant(300.0)), h100(1, power=Constant(0.0005)))
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    standin.write(100.0)
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(first) == 30_000_000
    standin.write(100.0999)  # the same refresh
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(first) == 30_000_000
    standin.write(100.1001)
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(first) == pytest.approx(30_030_000, abs=1)
    assert fields(first, 83, 191, (191, 1)) == [pytest.approx(30_030_000, abs=1)] * 2 + [
        ("error", 3)
    ]
    # 0.5 mW up to 3.9137 s, the second board's own refresh, are 1.95 mJ
    standin.write(4.0)
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(second) == 1
    assert standin.joules(standin.boards[0].uuid, 10.0, 20.0) == 3000.0


@pytest.mark.parametrize(
    "power",
    [
        Linear(100.0, 0.5),
        Sine(400.0, 200.0, 37.0, 1.0),
        Sum((Constant(60.0), noise(7, 50.0))),
        busy(70.0, 700.0, 3),
        Scaled(Sum((busy(70.0, 700.0, 3), Pieces([(0.0, Constant(5)), (60.0, noise(2, 1.0))]))), 2),
        Pieces([(0.0, Constant(90)), (50.0, Pieces([(0.0, Sine(9, 3, 7)), (70.0, Linear(1, 2))]))]),
    ],
    ids=lambda power: type(power).__name__,
)
def test_the_library_integrates_as_the_truth_does(make: Make, power: Any) -> None:
    standin = make(h100(0, power=power))
    board = standin.board(standin.boards[0].uuid)
    board.refresh_seconds = board.instant_seconds = 1e-6
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    dice = random.Random(1)
    for t in [dice.uniform(0.0, 200.0) for _ in range(50)] + [86_400.25]:
        standin.write(t)
        energy = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
        assert energy == pytest.approx(power.joules(t), rel=1e-9, abs=0.002)
    standin.write(123.4)
    assert fields(handle, 186) == [pytest.approx(power.watts(123.4) * 1000, rel=1e-4)]


def test_average_and_instantaneous_power_are_two_things(make: Make) -> None:
    power = Pieces([(0.0, Constant(100.0)), (10.0, Constant(300.0))])
    make(h100(0, power=power), a100(0, power=power)).write(10.551)
    hopper, ampere = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    # refreshed at 10.5: half of the second was at 100 W
    assert fields(hopper, 185, 186, (185, 1), (186, 2)) == [
        pytest.approx(200_000, abs=1),
        300_000,
        ("error", 3),
        ("error", 3),
    ]
    assert pynvml.nvmlDeviceGetPowerUsage(hopper) == pytest.approx(200_000, abs=1)
    assert fields(ampere, 185, 186) == [("error", 3), 300_000]
    assert pynvml.nvmlDeviceGetPowerUsage(ampere) == 300_000


def test_the_sensor_sees_a_quarter_of_the_time(make: Make) -> None:
    """A load in step with the sensor: 25 ms of 500 W in each 100 ms are 500 W for field 186."""
    make(h100(0, power=Steps((100.0, 100.0, 100.0, 500.0), 0.025))).write(20.0 + 1e-9)
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert fields(handle, 185, 186) == [
        pytest.approx(200_000, rel=1e-5),
        pytest.approx(500_000, rel=1e-5),
    ]


def test_other_readings(make: Make) -> None:
    standin = make(h100(0))
    standin.write(5.0)
    uuid = standin.boards[0].uuid
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    for quantity, value in {
        Quantity.TEMPERATURE: 61.9,
        Quantity.MEMORY_TEMPERATURE: 72.0,
        Quantity.UTILIZATION: 93.0,
        Quantity.MEMORY_UTILIZATION: 41.0,
        Quantity.SM_CLOCK: 1755.0,
        Quantity.MEMORY_USED: 10 * 2.0**30,
        Quantity.POWER_LIMIT: 550.0,
        Quantity.EVENT_REASONS: 4.0,
        Quantity.PCIE_RECEIVED: 3e9,
        Quantity.ECC_CORRECTED: 7.0,
    }.items():
        standin.set(uuid, quantity, value)
    assert pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU) == 61
    assert pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU) == 61
    rates = pynvml.nvmlDeviceGetUtilizationRates(handle)
    assert (rates.gpu, rates.memory) == (93, 41)
    assert pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) == 1755
    assert pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM) == 2619
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 550_000
    assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) == 700_000
    assert pynvml.nvmlDeviceGetPowerManagementLimitConstraints(handle) == [210_000, 700_000]
    assert fields(handle, 82, 187, 188, 189, 190, 192) == [
        72,
        210_000,
        700_000,
        700_000,
        550_000,
        550_000,
    ]
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle) == 4
    assert pynvml.nvmlDeviceGetPcieThroughput(handle, pynvml.NVML_PCIE_UTIL_RX_BYTES) == 3_000_000
    assert pynvml.nvmlDeviceGetTotalEccErrors(handle, 0, pynvml.NVML_VOLATILE_ECC) == 7
    assert fields(handle, 3, 4, 5, 6) == [7, 0, 7, 0]
    assert pynvml.nvmlDeviceGetNumGpuCores(handle) == 16896
    assert pynvml.nvmlDeviceGetArchitecture(handle) == pynvml.NVML_DEVICE_ARCH_HOPPER
    assert pynvml.nvmlDeviceGetCudaComputeCapability(handle) == (9, 0)
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(handle) == []
    assert [pynvml.nvmlDeviceGetNvLinkState(handle, link) for link in (0, 17)] == [1, 1]


def test_memory_in_both_versions(make: Make) -> None:
    mib = 1 << 20
    make(h100(0, quantities={Quantity.MEMORY_USED: 1000.0 * mib}))
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    second = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    assert (second.total // mib, second.reserved // mib, second.used // mib) == (81559, 551, 1000)
    assert second.free + second.reserved + second.used == second.total
    first = pynvml.nvmlDeviceGetMemoryInfo(handle)
    assert (first.total, first.used // mib, first.free) == (second.total, 1551, second.free)
    with pytest.raises(pynvml.NVMLError_ArgumentVersionMismatch):
        pynvml.nvmlDeviceGetMemoryInfo(handle, version=0x03000028)


def test_counters_of_rates(make: Make) -> None:
    standin = make(h100(0), throttle_field=251)
    uuid = standin.boards[0].uuid
    standin.write(10.0)
    standin.set(uuid, Quantity.THROTTLED_POWER, 0.25)
    standin.set(uuid, Quantity.THROTTLED_HW_THERMAL, 0.5)
    standin.write(110.0)
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    # 100 s of a quarter and of a half, in ns; the newer fields were elsewhere in older drivers
    assert fields(handle, 74, 252, 270) == [25_000_000_000, 50_000_000_000, ("error", 3)]
    assert fields(handle, 197, 198) == [110_000_000_000, 220_000_000_000]
    # 20 GB/s over 18 links, in KiB
    every_link = pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, 0xFFFFFFFF
    one_link = pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, 3
    assert fields(handle, every_link, one_link) == [2_148_437_500, 119_357_638]
    assert fields(handle, 91, 0, 308, 200) == [18, ("error", 2), ("error", 2), ("error", 3)]
