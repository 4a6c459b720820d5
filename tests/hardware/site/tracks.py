"""The truth of a simulated site on a grid of moments in the past: values, and their integrals."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from hardware.power import Power
from hardware.site.clock import SiteClock
from hardware.site.facility import JOULES_PER_KWH, flows, weather
from hardware.site.grid import intensity
from hardware.site.host import SimulatedHost
from hardware.site.meters import OUTSIDE

ZONE = ZoneInfo("Asia/Shanghai")


class Track:
    """One quantity on the grid; the last moment is the grid's end, the nearest to now."""

    def __init__(self, values: Sequence[float], sums: Sequence[float] | None = None) -> None:
        """`sums`: its integral from the grid's begin; unset: by the trapezoid rule, times 1 s."""
        self.values = values
        self._given = sums
        self.step_seconds = 1.0

    @property
    def now(self) -> float:
        """Its newest value."""
        return self.values[-1]

    @cached_property
    def sums(self) -> Sequence[float]:
        """Its integral up to each moment."""
        if self._given is not None:
            return self._given
        total, sums = 0.0, [0.0]
        for before, after in zip(self.values, self.values[1:], strict=False):
            total += (before + after) / 2 * self.step_seconds
            sums.append(total)
        return sums


class Tracks:
    """All of a site's quantities on one grid of Unix times."""

    def __init__(
        self, hosts: Sequence[SimulatedHost], clock: SiteClock, walls: list[float]
    ) -> None:
        self.walls = walls
        self._times = [clock.since(wall) for wall in walls]
        self._step = walls[1] - walls[0]
        self._hosts = hosts
        self._known: dict[int, tuple[Power, Track]] = {}

    def of(self, power: Power) -> Track:
        """Return a script's track; each script is evaluated once."""
        known = self._known.get(id(power))
        if known is None:
            begin = power.joules(self._times[0])
            track = Track(
                [power.watts(t) for t in self._times],
                [power.joules(t) - begin for t in self._times],
            )
            known = self._known[id(power)] = (power, track)  # the script is kept: ids are reused
        return known[1]

    def made(self, function: Callable[..., float], *parts: Track) -> Track:
        """Return a track that is a function of others, moment by moment."""
        values = [function(*each) for each in zip(*(p.values for p in parts), strict=True)]
        return self._plain(values)

    def constant(self, value: float) -> Track:
        """Return what stays as it is."""
        return self._plain([value] * len(self.walls))

    @cached_property
    def intensity(self) -> Track:
        """The grid's gCO2e/kWh."""
        return self._plain([intensity(wall) for wall in self.walls])

    @cached_property
    def month(self) -> Track:
        """Share of today's calendar month's days so far that were over: 1 at the grid's end."""

        def since(wall: float) -> float:
            local = datetime.fromtimestamp(wall, UTC).astimezone(ZONE)
            return (local - local.replace(day=1, hour=0, minute=0, second=0)).total_seconds()

        end = max(since(self.walls[-1]), 1.0)
        return self._plain([since(wall) / end for wall in self.walls])

    @cached_property
    def meters(self) -> dict[str, Track]:
        """By meter of the site what flows, W or l/s; and the temperature outside."""
        racks: dict[str, list[Track]] = {}
        for host in self._hosts:
            racks.setdefault(host.plan.rack, []).append(self.of(host.wall))
        found: dict[str, list[float]] = {}
        for index, wall in enumerate(self.walls):
            air = weather(wall)
            watts = {rack: sum(t.values[index] for t in several) for rack, several in racks.items()}
            for meter, rate in flows(watts, air).items():
                found.setdefault(meter, []).append(rate)
            found.setdefault(OUTSIDE, []).append(air.celsius)
        return {meter: self._plain(values) for meter, values in found.items()}

    def emitted(self, wall: Track, grams_per_kwh: Track) -> Track:
        """Return g/s."""
        return self.made(lambda watts, grams: watts * grams / JOULES_PER_KWH, wall, grams_per_kwh)

    def _plain(self, values: list[float]) -> Track:
        assert all(map(math.isfinite, values[:1]))
        track = Track(values)
        track.step_seconds = self._step
        return track
