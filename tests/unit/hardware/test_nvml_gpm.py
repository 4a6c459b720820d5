"""GPM in the stand-in for libnvidia-ml.so.1."""

from math import isnan
from typing import Any

import pynvml
import pytest
from hardware.nvml import UNKNOWN, Slice, Standin, h100
from hardware.nvml.fixtures import Make, make
from hardware.power import Constant, Pieces

__all__ = ["make"]


def metrics(first: Any, second: Any, *ids: int) -> list[float | tuple[str, int]]:
    get = pynvml.c_nvmlGpmMetricsGet_t()
    get.version, get.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, len(ids)
    get.sample1, get.sample2 = first, second
    for place, metric in enumerate(ids):
        get.metrics[place].metricId = metric
    get.metrics[len(ids)].value = -7.0
    pynvml.nvmlGpmMetricsGet(get)
    assert get.metrics[len(ids)].value == -7.0, "wrote more than numMetrics"
    every = (get.metrics[place] for place in range(len(ids)))
    return [("error", m.nvmlReturn) if m.nvmlReturn else m.value for m in every]


def sampled(standin: Standin, handle: Any, at: float, instance: int | None = None) -> Any:
    standin.write(at)
    sample = pynvml.nvmlGpmSampleAlloc()
    if instance is None:
        return pynvml.nvmlGpmSampleGet(handle, sample)
    return pynvml.nvmlGpmMigSampleGet(handle, instance, sample)


def test_gpm_gives_the_mean_between_two_samples(make: Make) -> None:
    hmma = Pieces([(0.0, Constant(40.0)), (10.0, Constant(80.0))])
    standin = make(h100(0, gpm={2: 90.0, 7: hmma}), h100(1))
    uuid = standin.boards[0].uuid
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    first, second = sampled(standin, handle, 5.0), sampled(standin, handle, 15.0)
    # 5 s of 40 % and 5 s of 80 %; 1 GB/s sent and 2 GB/s received, in MiB/s
    assert metrics(first, second, 2, 7, 20, 21, 11, 500) == [
        pytest.approx(90.0),
        pytest.approx(60.0),
        pytest.approx(953.674316),
        pytest.approx(1907.348633),
        ("error", 3),
        ("error", 3),
    ]
    standin.gpm_nan(uuid, (7,))
    values = metrics(first, second, 2, 7)
    assert values[0] == pytest.approx(90.0)
    assert isnan(values[1])
    standin.gpm_nan(uuid, ())
    standin.gpm_error(uuid, UNKNOWN, (2,))
    assert metrics(first, second, 2, 7) == [("error", UNKNOWN), pytest.approx(60.0)]
    close = sampled(standin, handle, 15.05)
    assert isnan(metrics(second, close, 7)[0])
    other = sampled(standin, pynvml.nvmlDeviceGetHandleByIndex(1), 15.05)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        metrics(second, other, 7)
    for sample in (first, second, close, other):
        pynvml.nvmlGpmSampleFree(sample)


def test_gpm_of_a_slice_and_of_an_older_driver(make: Make) -> None:
    slices = (Slice(gpu_instance=7, gpm={2: 30.0}), Slice(gpu_instance=8, gpm={2: 70.0}))
    standin = make(h100(0, slices=slices), unknown_metrics=(8,))
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    for instance, percent in ((7, 30.0), (8, 70.0)):
        pair = [sampled(standin, handle, t, instance) for t in (1.0, 2.0)]
        assert metrics(*pair, 2) == [pytest.approx(percent)]
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        metrics(*pair, 2, 8)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        sampled(standin, handle, 3.0, 9)
