"""A short run of the agent without ledger or network: for `read`, `check` and `measure`."""

import asyncio
from types import TracebackType
from typing import Self

from agent.app import App
from agent.clock import Clock, SystemClock
from agent.collector import Found
from agent.settings import Settings


class Session:
    """An App that ticks when told to. Use as an async context manager."""

    def __init__(self, settings: Settings, found: Found, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.app = App(settings, found, self.clock, ledger=None, grace_seconds=None)

    async def __aenter__(self) -> Self:
        self.app.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.app.stop()

    async def sample(self, seconds: float, times: int) -> None:
        """Tick `times` times, evenly over `seconds`, the first at once and the last at the end."""
        start = self.clock.monotonic()
        for n in range(times):
            delay = start + seconds * n / (times - 1) - self.clock.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            await self.app.tick()
