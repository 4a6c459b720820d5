"""What the driver itself says of one board's power, read twenty times a second."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

INTERVAL_SECONDS = 0.05
POWER_AVERAGE, POWER_INSTANT = 185, 186
"""NVML_FI_DEV_POWER_AVERAGE and _INSTANT, mW, nvml.h."""

Point = tuple[float, float]
"""Moment, s of CLOCK_BOOTTIME; value."""


class Poll:
    """Reads energy and power of one board until it is ended. Use as a context manager."""

    def __init__(self, api: Any, handle: Any) -> None:
        self._api = api
        self._handle = handle
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poll")
        self.joules: list[Point] = []
        self.instant: list[Point] = []
        self.average: list[Point] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        api, handle = self._api, self._handle
        while not self._end.wait(INTERVAL_SECONDS):
            try:
                at = now()
                counter = api.nvmlDeviceGetTotalEnergyConsumption(handle)
                self.joules.append(((at + now()) / 2, counter / 1000))
            except api.NVMLError:
                pass
            try:
                at = now()
                fields = api.nvmlDeviceGetFieldValues(
                    handle, [(POWER_AVERAGE, 0), (POWER_INSTANT, 0)]
                )
                at = (at + now()) / 2
            except api.NVMLError:
                continue
            for points, field in zip((self.average, self.instant), fields, strict=True):
                if field.nvmlReturn == 0:
                    points.append((at, field.value.uiVal / 1000))


def now() -> float:
    """Return CLOCK_BOOTTIME, s."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def between(points: Sequence[Point], since: float, until: float) -> list[Point]:
    """Return the points of a window."""
    return [point for point in points if since <= point[0] <= until]


def counter_watts(points: Sequence[Point], since: float, until: float) -> float | None:
    """Return the mean power by a counter, between its first and last steps inside the window.

    The counter changes about every 100 ms: taking it where it has just changed does away with the
    unknown time since then.
    """
    inside = between(points, since, until)
    steps = [after for before, after in pairwise(inside) if after[1] != before[1]]
    if len(steps) < 2:
        return None
    (t0, j0), (t1, j1) = steps[0], steps[-1]
    return (j1 - j0) / (t1 - t0) if j1 > j0 else None


def mean_watts(points: Sequence[Point], since: float, until: float) -> float | None:
    """Return the mean of power readings, by trapezoids."""
    inside = between(points, since, until)
    if len(inside) < 2:
        return None
    joules = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(inside))
    return joules / (inside[-1][0] - inside[0][0])
