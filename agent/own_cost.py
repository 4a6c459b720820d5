"""What the agent itself costs: CPU time, memory, and its share of the CPU's energy."""

import contextlib
import os
import resource
import time
from collections.abc import Callable
from typing import Final

from agent.snapshot import AgentCost

EVERY_SECONDS: Final = 5.0
"""Accounting more often would itself cost more than it could tell."""
CPU_SECONDS: Final = "agent_cpu_seconds"
JOULES: Final = "agent_joules"


class OwnCost:
    """Adds up into `totals`, which the ledger keeps, so that it goes on after a restart."""

    def __init__(self, totals: dict[str, float]) -> None:
        self._totals = totals
        self._cpu_seconds = 0.0
        self._resident_bytes = _resident_bytes()
        self._at: float | None = None
        self._cores = os.cpu_count() or 1
        self._started = time.time()

    def account(self, busy_ratio: float | None, cpu_watts: Callable[[], float]) -> None:
        """Add what was spent since the last time, if that is some seconds ago.

        Share = our CPU time over all busy CPU time, of all the CPU's power in W: the idle part is
        shared by what is busy, so this is an upper bound. `busy_ratio` None: not known.
        """
        now = time.monotonic()
        if self._at is not None and now - self._at < EVERY_SECONDS:
            return
        self._resident_bytes = _resident_bytes()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = usage.ru_utime + usage.ru_stime
        spent, self._cpu_seconds = cpu - self._cpu_seconds, cpu
        self._totals[CPU_SECONDS] = self._totals.get(CPU_SECONDS, 0.0) + spent
        before, self._at = self._at, now
        if before is None or busy_ratio is None:
            return
        elapsed = now - before
        busy = max(spent, busy_ratio * elapsed * self._cores)
        joules = cpu_watts() * elapsed * spent / busy if busy > 0 else 0.0
        if joules:
            self._totals[JOULES] = self._totals.get(JOULES, 0.0) + joules

    def view(self) -> AgentCost:
        """Return the sums so far; the energy is None until CPU power has been known."""
        return AgentCost(
            cpu_seconds=self._totals.get(CPU_SECONDS, 0.0),
            resident_bytes=self._resident_bytes,
            joules=self._totals.get(JOULES),
            started=self._started,
        )


def _resident_bytes() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.read(statm, 128).split()[1]) * resource.getpagesize()
        finally:
            os.close(statm)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
