"""The one clock of a simulated site: real time, from the moment at which it was switched on."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SiteClock:
    """Scenario time runs as CLOCK_BOOTTIME does; `epoch` is Unix time at 0."""

    epoch: float = field(default_factory=time.time)
    boottime: float = field(default_factory=lambda: time.clock_gettime(time.CLOCK_BOOTTIME))

    def now(self) -> float:
        """Return scenario time, s."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.boottime

    def wall(self, t: float) -> float:
        """Return the Unix time of a scenario time."""
        return self.epoch + t

    def since(self, wall: float) -> float:
        """Return the scenario time of a Unix time; below 0 in the past."""
        return wall - self.epoch
