"""What happened to the machine, and when: boots, suspends, steps of the wall clock, lost counters.

Time is the scenario's true time in seconds; it runs on whatever happens to the machine.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from hardware.power import Power


class Kind(IntEnum):
    """What an event is."""

    REBOOT = 1
    """Off from `start` to `end`; counters and clocks start anew."""
    SUSPEND = 2
    """Asleep from `start` to `end`: no power, counters and CLOCK_MONOTONIC stand still."""
    WALL_STEP = 3
    """At `start` the wall clock jumps by `end` seconds."""
    RESET = 4
    """At `start` the counters of `device` ("" is all) start anew, without a reboot."""
    THROTTLE = 5
    """From `start` to `end` the socket `device` is too hot and held down."""


@dataclass(frozen=True, order=True)
class Event:
    """One thing that happened."""

    start: float
    end: float
    kind: Kind
    device: str = ""


@dataclass(frozen=True)
class Timeline:
    """A machine's history; pure functions of true time."""

    epoch: float = 1_767_225_600.0
    """Unix time at 0: the first second of 2026."""
    uptime: float = 3600.0
    """Seconds since boot at 0."""
    events: tuple[Event, ...] = ()

    def adding(self, event: Event) -> "Timeline":
        """Return this history with one more event; events may lie in the future."""
        return Timeline(self.epoch, self.uptime, tuple(sorted((*self.events, event))))

    def booted_at(self, t: float) -> float:
        """Return when the boot that is current at `t` began."""
        return max((e.end for e in self._reboots if e.end <= t), default=-self.uptime)

    def boots(self, t: float) -> int:
        """Return how often the machine has rebooted."""
        return sum(e.end <= t for e in self._reboots)

    def boottime(self, t: float) -> float:
        """Return CLOCK_BOOTTIME."""
        return t - self.booted_at(t)

    def monotonic(self, t: float) -> float:
        """Return CLOCK_MONOTONIC: without the suspends of this boot."""
        boot = self.booted_at(t)
        asleep = (min(e.end, t) - e.start for e in self._suspends if boot <= e.start <= t)
        return t - boot - sum(asleep)

    def wall(self, t: float) -> float:
        """Return Unix time as this machine shows it."""
        return self.epoch + t + sum(e.end for e in self._wall_steps if e.start <= t)

    def is_on(self, t: float) -> bool:
        """Tell whether the machine runs at `t`."""
        return not any(start <= t < end for start, end in self._off)

    def joules(self, power: Power, t: float) -> float:
        """Return what `power` took from 0 to `t` while the machine was on."""
        total = power.joules(t)
        for start, end in self._off:
            if start < t:
                total -= power.joules(min(end, t)) - power.joules(start)
        return total

    def is_throttled(self, device: str, t: float) -> bool:
        """Tell whether a socket is held down at `t`."""
        return any(e.device == device and e.start <= t < e.end for e in self._throttles)

    def throttled_seconds(self, device: str, t: float) -> float:
        """Return for how long a socket has been held down since boot, as Linux counts it.

        What is under way is not in it (drivers/thermal/intel/therm_throt.c).
        """
        boot = self.booted_at(t)
        mine = (e for e in self._throttles if e.device == device)
        return sum(e.end - e.start for e in mine if boot <= e.start and e.end <= t)

    def counting_since(self, device: str, t: float) -> float | None:
        """Return when this device's counter last began at zero, None: before 0."""
        if not self._reboots and not self._resets:
            return None
        starts = [e.end for e in self._reboots if e.end <= t]
        starts += [e.start for e in self._resets if e.start <= t and e.device in {"", device}]
        return max(starts, default=None)

    @cached_property
    def _off(self) -> list[tuple[float, float]]:
        return [(e.start, e.end) for e in (*self._reboots, *self._suspends)]

    @cached_property
    def _reboots(self) -> list[Event]:
        return self._of(Kind.REBOOT)

    @cached_property
    def _suspends(self) -> list[Event]:
        return self._of(Kind.SUSPEND)

    @cached_property
    def _wall_steps(self) -> list[Event]:
        return self._of(Kind.WALL_STEP)

    @cached_property
    def _resets(self) -> list[Event]:
        return self._of(Kind.RESET)

    @cached_property
    def _throttles(self) -> list[Event]:
        return self._of(Kind.THROTTLE)

    def _of(self, kind: Kind) -> list[Event]:
        return [e for e in self.events if e.kind is kind]
