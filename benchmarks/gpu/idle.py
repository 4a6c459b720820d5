"""What the collector costs, and whether it raises the power of an idle card.

Phases of equal length alternate: the collector reads at 1 Hz (on), nobody has NVML open (off), in
the order off on on off, so that a drift cancels out. Before and after each phase the energy
counter is read with NVML open for a moment only; after each, the driver's own buffer of power
samples (`nvmlDeviceGetSamples`) is asked for what it saw meanwhile.
"""

import resource
import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any, Self

from agent.clock import SystemClock
from agent.collector import Collector, Context, Paths, Transient
from agent.samples import Sample

ORDER = ("off", "on", "on", "off")
TOTAL_POWER_SAMPLES = 0
"""NVML_TOTAL_POWER_SAMPLES, nvml.h."""


class Timed:
    """Counts the time inside NVML: every function that pynvml calls goes through here."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._get = api._nvmlGetFunctionPointer  # noqa: SLF001 - the one place all calls pass
        self._wrapped: dict[str, Callable[..., Any]] = {}
        self.wall_seconds = self.cpu_seconds = 0.0
        self.calls = 0

    def __enter__(self) -> Self:
        self._api._nvmlGetFunctionPointer = self._pointer  # noqa: SLF001
        return self

    def __exit__(self, *_: object) -> None:
        self._api._nvmlGetFunctionPointer = self._get  # noqa: SLF001

    def clear(self) -> None:
        """Begin at 0."""
        self.wall_seconds = self.cpu_seconds = 0.0
        self.calls = 0

    def _pointer(self, name: str) -> Callable[..., Any]:
        if name not in self._wrapped:
            self._wrapped[name] = self._timed(self._get(name))
        return self._wrapped[name]

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.cpu_seconds += time.thread_time() - cpu
                self.wall_seconds += time.perf_counter() - wall
                self.calls += 1

        return call


class Ticks:
    """One collector, read by itself on a grid of seconds, and what each reading took."""

    def __init__(
        self, cls: type[Collector], settings: Any, hear: Callable[[Sample], None], timed: Timed
    ) -> None:
        context = Context(Paths(), SystemClock(), lambda *_: None)
        self._collector: Any = cls(settings, context)
        self._hear = hear
        self._timed = timed
        self.ticks: list[dict[str, float]] = []

    def run(self, seconds: float) -> None:
        """Read once a second for so long."""
        start = time.monotonic()
        for number in range(int(seconds)):
            time.sleep(max(start + number - time.monotonic(), 0.0))
            self._timed.clear()
            before = resource.getrusage(resource.RUSAGE_THREAD)
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                samples = self._collector.read()
            except Transient:
                samples = []
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            after = resource.getrusage(resource.RUSAGE_THREAD)
            self.ticks.append(
                {
                    "cpu_seconds": cpu,
                    "wall_seconds": wall,
                    "in_nvml_cpu_seconds": self._timed.cpu_seconds,
                    "in_nvml_wall_seconds": self._timed.wall_seconds,
                    "system_cpu_seconds": after.ru_stime - before.ru_stime,
                    "nvml_calls": float(self._timed.calls),
                    "samples": float(len(samples)),
                }
            )
            for sample in samples:
                self._hear(sample)
        time.sleep(max(start + seconds - time.monotonic(), 0.0))

    def close(self) -> None:
        """Let go of NVML."""
        self._collector.close()


def cost(ticks: list[dict[str, float]]) -> dict[str, Any]:
    """Return what a tick costs; the first one of each opening is kept apart."""
    if len(ticks) < 2:
        return {}
    later = ticks[1:]
    own = [t["cpu_seconds"] - t["in_nvml_cpu_seconds"] for t in later]
    return {
        "ticks": len(later),
        "first_tick_wall_seconds": ticks[0]["wall_seconds"],
        "own_python_cpu_seconds": {"mean": mean(own), "median": median(own), "max": max(own)},
        **{
            name: {
                "mean": mean(t[name] for t in later),
                "median": median(t[name] for t in later),
                "max": max(t[name] for t in later),
            }
            for name in ticks[0]
        },
        "note": "timing each call adds about 1 us of CPU per call to our own Python",
    }


def alternate(
    api: Any,
    index: int,
    make: Callable[[], Ticks],
    phases: int,
    seconds: float,
    tell: Callable[[str], None],
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Return the phases with their power, and the ticks of those that were on.

    Nobody may have NVML open in this process when it begins.
    """
    rows: list[dict[str, Any]] = []
    ticks: list[dict[str, float]] = []
    for number in range(phases):
        which = ORDER[number % len(ORDER)]
        tell(f"idle card, collector {which}: {number + 1} of {phases}, {seconds:.0f} s")
        start, before = _counter(api, index)
        if which == "on":
            running = make()
            running.run(seconds)
            running.close()
            ticks += running.ticks if not ticks else running.ticks[1:]
        else:
            time.sleep(seconds)
        end, after = _counter(api, index)
        row: dict[str, Any] = {"collector": which, "seconds": end - start}
        if before is not None and after is not None and after > before:
            row["counter_watts"] = (after - before) / (end - start)
        row |= _buffer(api, index, time.time() - (end - start) + 1.0)
        rows.append(row)
    return {"phases": rows, **_difference(rows)}, ticks


def _difference(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("counter_watts", "buffer_watts"):
        on = [row[name] for row in rows if row["collector"] == "on" and name in row]
        off = [row[name] for row in rows if row["collector"] == "off" and name in row]
        if on and off:
            found[name] = {
                "on": mean(on),
                "off": mean(off),
                "difference": mean(on) - mean(off),
                "spread_of_off": max(off) - min(off),
            }
    return {"by": found}


def _counter(api: Any, index: int) -> tuple[float, float | None]:
    """Return when the energy counter was read, s of CLOCK_BOOTTIME, and what it said, J."""
    api.nvmlInit()
    try:
        handle = api.nvmlDeviceGetHandleByIndex(index)
        joules = api.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    except api.NVMLError:
        joules = None
    finally:
        at = time.clock_gettime(time.CLOCK_BOOTTIME)
        api.nvmlShutdown()
    return at, joules


def _buffer(api: Any, index: int, since: float) -> dict[str, Any]:
    """Return the mean of the driver's own power samples since a moment of Unix time."""
    api.nvmlInit()
    try:
        handle = api.nvmlDeviceGetHandleByIndex(index)
        _, samples = api.nvmlDeviceGetSamples(handle, TOTAL_POWER_SAMPLES, int(since * 1e6))
    except api.NVMLError as error:
        return {"buffer": str(error)}
    finally:
        api.nvmlShutdown()
    inside = [s for s in samples if s.timeStamp >= since * 1e6]
    if len(inside) < 2:
        return {"buffer": "no samples of this phase"}
    return {
        "buffer_watts": mean(s.sampleValue.uiVal for s in inside) / 1000,
        "buffer_samples": len(inside),
        "buffer_seconds": (inside[-1].timeStamp - inside[0].timeStamp) / 1e6,
    }
