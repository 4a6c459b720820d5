"""A virtual clock in a shared file: it survives `kill -9` of a process that uses it.

Several processes may open the same file; any of them may advance it or add an event.
"""

import mmap
import os
import struct
from pathlib import Path

from agent.quantities import Seconds
from hardware.timeline import Event, Kind, Timeline

_MAGIC = 0x57544C4B
_SIZE = 64 * 1024
_FIRST_EVENT = 64
_EVENT = struct.Struct("<ddq40s")
_MOST_EVENTS = (_SIZE - _FIRST_EVENT) // _EVENT.size
# Places in the array of 8-byte words: one machine word each, so no reader sees half of one.
_WORD_MAGIC, _WORD_NOW, _WORD_COUNT, _WORD_EPOCH, _WORD_UPTIME, _WORD_WRITER = range(6)


class VirtualClock:
    """The three clocks of a simulated machine (an `agent.clock.Clock`), and its history."""

    def __init__(self, path: Path, timeline: Timeline | None = None) -> None:
        """Open `path`, or make it; `timeline` is what a new one starts with."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_new = os.fstat(descriptor).st_size == 0
            if is_new:
                os.ftruncate(descriptor, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        with memoryview(self._map) as whole, whole[:_FIRST_EVENT] as view:
            self._numbers = view.cast("d")
            self._counts = view.cast("q")
        self._cached: tuple[int, Timeline] = (-1, Timeline())
        self._times_of: tuple[float, int] = (-1.0, -1)
        self._times = (Seconds(0.0), Seconds(0.0), Seconds(0.0))
        if is_new:
            start = timeline or Timeline()
            self._numbers[_WORD_EPOCH] = start.epoch
            self._numbers[_WORD_UPTIME] = start.uptime
            self._counts[_WORD_MAGIC] = _MAGIC
            for event in start.events:
                self.add(event)
        elif self._counts[_WORD_MAGIC] != _MAGIC:
            raise ValueError(f"{path} is not a virtual clock")

    @property
    def now(self) -> float:
        """The scenario's true time."""
        return self._numbers[_WORD_NOW]

    @now.setter
    def now(self, t: float) -> None:
        self._numbers[_WORD_NOW] = t

    def advance(self, seconds: float) -> float:
        """Let time pass; return the new true time."""
        self.now += seconds
        return self.now

    def claim(self) -> bool:
        """Become the process that writes the machine's files; True: another one was it before."""
        pid = os.getpid()
        changed = self._counts[_WORD_WRITER] != pid
        self._counts[_WORD_WRITER] = pid
        return changed

    @property
    def timeline(self) -> Timeline:
        """The machine's history as every process sees it."""
        count = self._counts[_WORD_COUNT]
        if self._cached[0] != count:
            events = (self._event(index) for index in range(count))
            timeline = Timeline(
                self._numbers[_WORD_EPOCH], self._numbers[_WORD_UPTIME], tuple(sorted(events))
            )
            self._cached = (count, timeline)
        return self._cached[1]

    def add(self, event: Event) -> None:
        """Add an event for everybody. Only one process at a time may do so."""
        count = self._counts[_WORD_COUNT]
        if count >= _MOST_EVENTS:
            raise ValueError("a virtual clock holds no more events")
        device = event.device.encode()
        _EVENT.pack_into(
            self._map,
            _FIRST_EVENT + count * _EVENT.size,
            event.start,
            event.end,
            event.kind,
            device,
        )
        self._counts[_WORD_COUNT] = count + 1

    def boottime(self) -> Seconds:
        """Return CLOCK_BOOTTIME."""
        return self._all()[0]

    def monotonic(self) -> Seconds:
        """Return CLOCK_MONOTONIC."""
        return self._all()[1]

    def wall(self) -> Seconds:
        """Return the wall clock."""
        return self._all()[2]

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._numbers.release()
        self._counts.release()
        self._map.close()

    def _all(self) -> tuple[Seconds, Seconds, Seconds]:
        """Return the three, worked out once for each moment: agents ask often."""
        now, count = self._numbers[_WORD_NOW], self._counts[_WORD_COUNT]
        if self._times_of != (now, count):
            timeline = self.timeline
            self._times = (
                Seconds(timeline.boottime(now)),
                Seconds(timeline.monotonic(now)),
                Seconds(timeline.wall(now)),
            )
            self._times_of = (now, count)
        return self._times

    def _event(self, index: int) -> Event:
        start, end, kind, device = _EVENT.unpack_from(self._map, _FIRST_EVENT + index * _EVENT.size)
        return Event(start, end, Kind(kind), device.rstrip(b"\0").decode())
