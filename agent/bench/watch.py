"""Wattlas' own meter, read while the load runs."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

from agent.app import App
from agent.bench.plan import TICK_SECONDS
from agent.bench.result import Power, Reading, add, mean_power
from agent.clock import SystemClock
from agent.collector import Found
from agent.meter.state import StreamIdentity
from agent.quantities import Component, Quality
from agent.samples import Accelerator, EnergyCounter, PowerReading, Sample
from agent.settings import Settings
from agent.snapshot import Snapshot

Key = tuple[str, Component, str, Quality]


class Drawn(msgspec.Struct, frozen=True):
    """Mean power of every stream that counts, over one window."""

    streams: dict[StreamIdentity, Power]
    missing: tuple[StreamIdentity, ...]
    """Those that count but were not read twice in the window."""

    def of(self, components: Sequence[Component], devices: Sequence[str] = ()) -> Power | None:
        """Return the power of some components (of all, if none is named); None: not known.

        `devices`: only these, of those that have several.
        """

        def wanted(who: StreamIdentity) -> bool:
            return (not components or who.component in components) and (
                not devices or who.device in devices
            )

        if any(wanted(who) for who in self.missing):
            return None
        return add([(who.quality, p) for who, p in self.streams.items() if wanted(who)])


class Watch:
    """An agent without ledger that notes what it counted, reading by reading.

    Use as an async context manager.
    """

    def __init__(
        self, settings: Settings, found: Found, hear: Callable[[Sample], None] | None = None
    ) -> None:
        """`hear` is told of every sample."""
        self._hear = hear
        self.clock = SystemClock()
        self.accelerators: dict[str, Accelerator] = {}
        """By device."""
        self._app = App(
            settings, found, self.clock, ledger=None, record=self._note, grace_seconds=None
        )
        self._read_at: dict[Key, float] = {}
        self._readings: dict[StreamIdentity, list[Reading]] = {}

    async def __aenter__(self) -> Self:
        self._app.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._app.stop()

    def snapshot(self) -> Snapshot:
        """Return the agent's picture after the last tick."""
        return self._app.snapshot()

    def now(self) -> float:
        """Return CLOCK_BOOTTIME, s."""
        return self.clock.boottime()

    async def until(self, moment: float) -> None:
        """Read every tick from now on, the last time at `moment`."""
        while True:
            left = moment - self.now()
            ticks = max(1, round(left / TICK_SECONDS))
            await asyncio.sleep(max(left, 0.0) / ticks)
            await self.read()
            if ticks == 1:
                return

    async def read(self) -> None:
        """Read every source once."""
        await self._app.tick()
        for view in self._app.snapshot().streams:
            who = view.identity
            at = self._read_at.get((who.source, who.component, who.device, who.quality))
            history = self._readings.setdefault(who, [])
            if at is None or (history and at <= history[-1].at):
                continue
            leads = not view.cross_check and not view.retired
            history.append(Reading(at, view.joules, view.gap_seconds, view.half_width_watts, leads))

    def forget(self) -> None:
        """Let go of the readings so far."""
        self._readings.clear()

    def drawn(self, since: float, until: float) -> Drawn:
        """Return what was drawn between two moments, by what was read between them."""
        streams: dict[StreamIdentity, Power] = {}
        missing: list[StreamIdentity] = []
        for who, readings in self._readings.items():
            power = mean_power(readings, since, until)
            if power is not None and (power.watts > 0 or readings[-1].leads):
                streams[who] = power
            elif power is None and readings and readings[-1].leads:
                missing.append(who)
        return Drawn(streams, tuple(missing))

    def _note(self, sample: Sample) -> None:
        if self._hear is not None:
            self._hear(sample)
        if isinstance(sample, EnergyCounter | PowerReading):
            key = (sample.collector, sample.component, sample.device, sample.quality)
            self._read_at[key] = sample.at
        elif isinstance(sample, Accelerator):
            self.accelerators[sample.device] = sample
