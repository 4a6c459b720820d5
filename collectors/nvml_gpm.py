"""NVML's GPU performance monitoring (GPM): how busy each arithmetic unit was. Hopper and later.

Two samples of the board's counters are taken, a tick apart, and NVML works out the share of cycles
in between (nvml.h: 0 to 100 %). The two buffers are kept and swapped. Traps, with sources:

- "the interval between these two nvmlGpmSampleGet() must be greater than 100 ms" (NVML API
  reference, nvmlGpmMetricsGet);
- every metric has its own return code, and a value can be NaN with a good one: both are checked;
- a board that nvmlGpmQueryDeviceSupport approves of may refuse the sample all the same (vGPU,
  MIG), so support is what the sample says;
- metric 8 (DMMA) is in nvidia-ml-py 13.595, not in 13.580, and is unknown to older drivers; what it
  measures was metric 6 (DFMA) before. The FP64 tensor pipe is the greater of both;
- unlike DCGM's profiling fields it needs no exclusive hold on the counters: it does not get into
  the way of a profiler.
"""

import contextlib
import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final, NamedTuple

from agent.quantities import Seconds
from collectors.nvml_library import INVALID_ARGUMENT, UNSUPPORTED, Library

SM: Final = 2
DMMA: Final = 8
PIPES: Final[Mapping[int, str]] = {
    SM: "sm",
    3: "occupancy",
    5: "tensor",
    6: "tensor_fp64",
    7: "tensor_fp16",
    DMMA: "tensor_fp64",
    9: "tensor_int8",
    10: "dram",
    11: "fp64",
    12: "fp32",
    13: "fp16",
}
"""NVML_GPM_METRIC_<…>_UTIL to the pipe's name."""
TRAFFIC: Final[Mapping[int, str]] = {
    20: "pcie_sent",
    21: "pcie_received",
    60: "nvlink_received",
    61: "nvlink_sent",
}
"""NVML_GPM_METRIC_<…>_PER_SEC, MiB/s, mean over the interval, to the name of a link."""
MEBI: Final = 1024.0 * 1024.0
SHORTEST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 30.0
"""After a longer pause the clock in between is not known: begin anew."""
_SLACK_PERCENT: Final = 0.5
"""What rounding may add to 100 %."""
_HEADER_BYTES: Final = 24
_METRIC: Final = "IId24x"
_NOT_WRITTEN: Final = 999


class Activity(NamedTuple):
    """What came of two samples."""

    since: Seconds
    at: Seconds
    pipes: dict[str, float]
    """Share of cycles, 0 to 1, by pipe; those that were not read are left out."""
    traffic: dict[str, float]
    """Bytes between the samples, by link."""


class Metrics:
    """The request to `nvmlGpmMetricsGet` for some metrics: 19 KiB, so all boards share it."""

    def __init__(self, api: Any, ids: Sequence[int]) -> None:
        self._api = api
        self.ids = tuple(ids)
        self._request = api.c_nvmlGpmMetricsGet_t()
        self._request.version = api.NVML_GPM_METRICS_GET_VERSION
        self._request.numMetrics = len(ids)
        for place, metric in enumerate(ids):
            self._request.metrics[place].metricId = metric
            # So that what the library did not write never passes for a value.
            self._request.metrics[place].nvmlReturn = _NOT_WRITTEN
        self._layout = struct.Struct("@" + _METRIC * len(ids))
        self._blank = bytes(self._request)[: _HEADER_BYTES + self._layout.size]
        self._address = ctypes.addressof(self._request)

    def read(self, before: Any, after: Any) -> dict[int, float]:
        """Return the metrics that have a number, by id. Raises `NVMLError`."""
        request = self._request
        ctypes.memmove(self._address, self._blank, len(self._blank))
        request.sample1, request.sample2 = before, after
        self._api.nvmlGpmMetricsGet(request)
        flat = self._layout.unpack_from(request, _HEADER_BYTES)
        return {
            metric: value
            for metric, code, value in zip(flat[0::3], flat[1::3], flat[2::3], strict=True)
            if code == 0 and isfinite(value)
        }


class Gpm:
    """The activity of one board, or of one GPU instance of it."""

    def __init__(
        self,
        library: Library,
        clock: Callable[[], Seconds],
        ids: Sequence[int],
        instance: int | None = None,
    ) -> None:
        self._library = library
        self._clock = clock
        self._instance = instance
        self._metrics = _shared(library, ids)
        self._buffers: list[Any] = []
        self._at: Seconds | None = None
        self.supported = True
        """Until a sample is refused."""
        self.has_worked = False

    def read(self, handle: Any) -> Activity | None:
        """Take a sample; return what happened since the one before, None at first.

        Raises `NVMLError` if this time there is none; `supported` tells whether to ask again.
        """
        before = self._clock()
        if self._at is not None and before - self._at <= SHORTEST_SECONDS:
            return None
        try:
            at = self._sample(handle, before)
        except self._library.errors as error:
            self._at = None
            self.supported = self._library.code(error) not in UNSUPPORTED
            raise
        since, self._at, self.has_worked = self._at, at, True
        old, new = self._buffers
        self._buffers = [new, old]
        if since is None or at - since > LONGEST_SECONDS:
            return None
        return self._activity(since, at, old, new)

    def free(self) -> None:
        """Give the buffers back, before NVML is closed."""
        buffers, self._buffers = self._buffers, []
        self._at = None
        for buffer in buffers:
            with contextlib.suppress(*self._library.errors):
                self._library.api.nvmlGpmSampleFree(buffer)

    def _sample(self, handle: Any, before: Seconds) -> Seconds:
        """Fill the second buffer; return when."""
        api = self._library.api
        while len(self._buffers) < 2:
            self._buffers.append(api.nvmlGpmSampleAlloc())
        if self._instance is None:
            api.nvmlGpmSampleGet(handle, self._buffers[1])
        else:
            api.nvmlGpmMigSampleGet(handle, self._instance, self._buffers[1])
        return Seconds((before + self._clock()) / 2)

    def _activity(self, since: Seconds, at: Seconds, old: Any, new: Any) -> Activity:
        try:
            values = self._metrics.read(old, new)
        except self._library.errors as error:
            if self._library.code(error) != INVALID_ARGUMENT or DMMA not in self._metrics.ids:
                raise
            ids = [metric for metric in self._metrics.ids if metric != DMMA]
            self._metrics = _shared(self._library, ids)
            values = self._metrics.read(old, new)
        pipes: dict[str, float] = {}
        traffic: dict[str, float] = {}
        for metric, value in values.items():
            if metric in TRAFFIC:
                if value >= 0.0:
                    traffic[TRAFFIC[metric]] = value * MEBI * (at - since)
            elif 0.0 <= value <= 100.0 + _SLACK_PERCENT:
                pipe = PIPES[metric]
                pipes[pipe] = max(pipes.get(pipe, 0.0), min(1.0, value / 100.0))
        return Activity(since, at, pipes, traffic)


def _shared(library: Library, ids: Sequence[int]) -> Metrics:
    key = tuple(ids)
    if key not in library.kept:
        library.kept[key] = Metrics(library.api, key)
    metrics: Metrics = library.kept[key]
    return metrics
