"""The driver's own buffer of power samples, for boards without an energy counter.

`nvmlDeviceGetSamples` hands out what the driver measured since it was last asked, some 10 to 60
samples a second: power between the agent's ticks, at no further cost to the card. Traps:

- the time stamps are "CPU timestamps in microseconds" (NVML API reference), which is the wall
  clock: they are moved to the boot clock by the distance of the two now, and dropped when that
  distance has changed, because then it is not known which of them were taken before the step;
- NOT_FOUND means that there is none newer;
- the driver keeps minutes of them: what is older than the agent's first reading is not taken.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from agent.clock import Clock
from agent.quantities import Seconds
from collectors.nvml_call import Calls
from collectors.nvml_library import NOT_FOUND

TOTAL_POWER: Final = 0
"""NVML_TOTAL_POWER_SAMPLES, mW."""
MOST_READINGS: Final = 10
"""What a tick hands on: finer samples are averaged, which keeps their energy."""
STEP_SECONDS: Final = 0.05
"""More than this is a step of the wall clock; slewing changes it by 0.5 ms in a second."""
STALE_SECONDS: Final = 5.0
MICRO: Final = 1e-6
MILLI: Final = 1e-3
_UNSIGNED_INT: Final = 1


class Buffer:
    """One board's buffer, drained."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._offset: float | None = None
        """Wall clock minus boot clock, s."""
        self._last_microseconds = 0
        self._last_at = float("-inf")

    def read(self, now: Seconds, watts: float | None) -> list[tuple[Seconds, float]]:
        """Return times and watts since the last call; `watts` now where the buffer says nothing.

        Raises `BoardLost` and `DriverGone`.
        """
        wall = self._clock.wall()
        offset = wall - self._clock.boottime()
        before, self._offset = self._offset, offset
        if before is None or abs(offset - before) > STEP_SECONDS:
            self._last_microseconds = int(wall / MICRO)
            return self._now(now, watts)
        readings = self._drain(offset, now)
        if not readings or now - readings[-1][0] > STALE_SECONDS:
            return self._now(now, watts)
        self._last_at = readings[-1][0]
        return list(_thinned(readings))

    def _now(self, now: Seconds, watts: float | None) -> list[tuple[Seconds, float]]:
        if watts is None:
            return []
        self._last_at = now
        return [(now, watts)]

    def _drain(self, offset: float, now: Seconds) -> list[tuple[Seconds, float]]:
        calls = self._calls
        name = "nvmlDeviceGetSamples"
        if name in calls.unsupported:
            return []
        library = calls.library
        try:
            kind, samples = library.api.nvmlDeviceGetSamples(
                calls.handle, TOTAL_POWER, self._last_microseconds
            )
        except library.errors as error:
            code = library.code(error)
            if code != NOT_FOUND:
                calls.failed(name, code, function=name)
            return []
        if kind != _UNSIGNED_INT:
            return []
        readings = []
        for sample in samples:
            self._last_microseconds = max(self._last_microseconds, sample.timeStamp)
            at = Seconds(sample.timeStamp * MICRO - offset)
            watts = sample.sampleValue.uiVal * MILLI
            if self._last_at < at <= now and watts > 0.0:
                readings.append((at, watts))
        readings.sort()
        return readings


def _thinned(readings: Sequence[tuple[Seconds, float]]) -> Iterator[tuple[Seconds, float]]:
    """Yield means of neighbours, `MOST_READINGS` at most."""
    size = -(-len(readings) // MOST_READINGS)
    for first in range(0, len(readings), size):
        group = readings[first : first + size]
        count = len(group)
        yield Seconds(sum(at for at, _ in group) / count), sum(w for _, w in group) / count
