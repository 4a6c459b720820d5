"""An event loop whose time is virtual: who sleeps is woken at once, and an hour takes no time.

For code that sleeps, times out and looks at clocks. With `patience_seconds` of real time it waits
for sockets and threads before time passes: what answers at once takes no time.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.quantities import Seconds

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Lets time pass where a real one waits."""

    now = 0.0
    patience_seconds = 0.0

    def select(self, timeout=None):
        if timeout is None and not self.patience_seconds:
            raise RuntimeError("everybody waits for ever")
        wait = self.patience_seconds if timeout is None else min(timeout, self.patience_seconds)
        ready = super().select(wait if timeout is None or timeout > 0 else 0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop and a clock (`agent.clock.Clock`)."""

    def __init__(self, patience_seconds: float = 0.0) -> None:
        self._virtual = _Selector()
        self._virtual.patience_seconds = patience_seconds
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def monotonic(self) -> Seconds:
        return Seconds(self._virtual.now)

    def boottime(self) -> Seconds:
        return Seconds(1000.0 + self._virtual.now)

    def wall(self) -> Seconds:
        return Seconds(1_767_225_600.0 + self._virtual.now)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to its end, and cancel what is left."""
        try:
            return self.run_until_complete(work)
        finally:
            for _ in range(3):  # transports that are closed say so one round later
                for task in asyncio.all_tasks(self):
                    task.cancel()
                self.run_until_complete(asyncio.sleep(0))
            self.close()
