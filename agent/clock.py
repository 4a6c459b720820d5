"""Time, passed in wherever it is needed, so that tests can run a year in seconds."""

import time
from typing import Protocol

from agent.quantities import Seconds


class Clock(Protocol):
    """Three clocks of one machine, in seconds."""

    def boottime(self) -> Seconds:
        """CLOCK_BOOTTIME: since boot, never steps, runs on through suspend. Energy uses this."""
        ...

    def monotonic(self) -> Seconds:
        """CLOCK_MONOTONIC: as boottime, but stands still in suspend. Schedules use this."""
        ...

    def wall(self) -> Seconds:
        """Unix time, UTC. May step. Only names minutes in the ledger."""
        ...


class SystemClock:
    """This machine's clocks."""

    def boottime(self) -> Seconds:
        """Return CLOCK_BOOTTIME."""
        return Seconds(time.clock_gettime(time.CLOCK_BOOTTIME))

    def monotonic(self) -> Seconds:
        """Return CLOCK_MONOTONIC."""
        return Seconds(time.clock_gettime(time.CLOCK_MONOTONIC))

    def wall(self) -> Seconds:
        """Return CLOCK_REALTIME."""
        return Seconds(time.time())
