"""Boards of several generations in the stand-in for libnvidia-ml.so.1: what each can and lacks."""

import pynvml
import pytest
from hardware.nvml import Slice, gh200, h100, p40, rtx4090, v100
from hardware.nvml.fixtures import Make, fields, make
from hardware.power import Constant, Linear

__all__ = ["make"]


def test_the_drivers_buffer(make: Make) -> None:
    standin = make(h100(0, power=Linear(0.0, 1.0)), v100(1, sample_count=0), epoch=1_800_000_000.0)
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    standin.write(60.05)
    kind, samples = pynvml.nvmlDeviceGetSamples(handle, pynvml.NVML_TOTAL_POWER_SAMPLES, 0)
    assert kind == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    assert len(samples) == 120
    assert samples[-1].timeStamp == 1_800_000_060_000_000
    assert samples[0].timeStamp == 1_800_000_048_100_000
    # a ramp of 1 W/s as seen over 25 ms: the middle of the window
    assert samples[-1].sampleValue.uiVal == pytest.approx(60_000 - 12.5, abs=1)
    standin.write(60.45)
    _, newer = pynvml.nvmlDeviceGetSamples(handle, 0, samples[-1].timeStamp)
    assert [s.timeStamp - samples[-1].timeStamp for s in newer] == [100000, 200000, 300000, 400000]
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetSamples(handle, 0, newer[-1].timeStamp)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetSamples(handle, pynvml.NVML_MODULE_POWER_SAMPLES, 0)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetSamples(pynvml.nvmlDeviceGetHandleByIndex(1), 0, 0)


def test_older_and_smaller_cards_lack_things(make: Make) -> None:
    make(p40(0), v100(0), rtx4090(0))
    pascal, volta, consumer = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(3))
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTotalEnergyConsumption(pascal)
    assert fields(pascal, 83, 82, 185) == [("error", 3)] * 3
    assert pynvml.nvmlDeviceGetPowerUsage(pascal) > 40_000
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(volta) == 0
    for handle in (pascal, volta, consumer):
        assert pynvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice == 0
        with pytest.raises(pynvml.NVMLError_NotSupported):
            pynvml.nvmlGpmSampleGet(handle, pynvml.nvmlGpmSampleAlloc())
        with pytest.raises(pynvml.NVMLError_NotSupported):
            pynvml.nvmlDeviceGetMigMode(handle)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTotalEccErrors(consumer, 0, 0)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetNvLinkState(consumer, 0)


def test_a_grace_module_has_a_scope_of_its_own(make: Make) -> None:
    board = gh200(0, power=Constant(400.0), module_power=Constant(560.0))
    make(board, gh200(1, has_module_energy=True, module_power=Constant(600.0))).write(50.0)
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    assert fields(first, (185, 0), (185, 1), (186, 1), (191, 0), (191, 1)) == [
        400_000,
        560_000,
        560_000,
        20_000_000,
        ("error", 3),
    ]
    (energy,) = fields(second, (191, 1))
    assert energy == pytest.approx(600 * 50_000, rel=2e-3)
    _, samples = pynvml.nvmlDeviceGetSamples(first, pynvml.NVML_MODULE_POWER_SAMPLES, 0)
    assert samples[-1].sampleValue.uiVal == 560_000


def test_mig_slices(make: Make) -> None:
    slices = (
        Slice("3g.40gb", 1, 3, 60, 40448, memory_used=5e9),
        Slice("1g.10gb", 7, 1, 16, 9984),
    )
    standin = make(h100(0, slices=slices), h100(1))
    cut, whole = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    assert pynvml.nvmlDeviceGetMigMode(cut) == [1, 1]
    assert pynvml.nvmlDeviceGetMigMode(whole) == [0, 0]
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(cut) == 7
    found = [pynvml.nvmlDeviceGetMigDeviceHandleByIndex(cut, i) for i in range(2)]
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetMigDeviceHandleByIndex(cut, 2)
    assert [pynvml.nvmlDeviceGetGpuInstanceId(each) for each in found] == [1, 7]
    assert [pynvml.nvmlDeviceGetIndex(each) for each in found] == [0, 1]
    uuids = [pynvml.nvmlDeviceGetUUID(each) for each in found]
    assert uuids == standin.slice_uuids(standin.boards[0].uuid)
    assert uuids[0].startswith("MIG-")
    assert pynvml.nvmlDeviceGetName(found[1]) == "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    attributes = pynvml.nvmlDeviceGetAttributes(found[0])
    assert (attributes.multiprocessorCount, attributes.gpuInstanceSliceCount) == (60, 3)
    assert attributes.memorySizeMB == 40448
    assert pynvml.nvmlDeviceGetMemoryInfo(found[0]).used == 5_000_000_000
    parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(found[1])
    assert pynvml.nvmlDeviceGetUUID(parent) == standin.boards[0].uuid
    for handle in (cut, found[0]):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            pynvml.nvmlDeviceGetUtilizationRates(handle)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetPowerUsage(found[0])
    assert pynvml.nvmlDeviceGetPowerUsage(cut) > 0
