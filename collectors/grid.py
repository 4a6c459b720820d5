"""How much CO2 a kWh of the grid emits, as it changes: the providers of `[carbon]`, in their order.

Every value keeps its provider, zone, time, basis, direct or life-cycle, and how it was obtained.
What is given out is what is new: the first time also what was kept of an earlier run, and the
yearly figures; later values that came, changed, or filled a hole. `fetched_at` says which of two
values of the same time is the later.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from agent.carbon.intensity import Intensity
from agent.carbon.settings import ProviderName
from agent.carbon.static import (
    Refusal,
    either_static_intensity,
    static_intensity,
    static_market_intensity,
)
from agent.collector import Absent, CollectorSettings, Context, Problem, Transient
from agent.samples import GridValues, Sample
from collectors import grid_electricitymaps, grid_entsoe, grid_neso, grid_watttime
from collectors.grid_cache import load
from collectors.grid_chain import Chain, Seat
from collectors.grid_http import Web
from collectors.grid_provider import Provider

STATIC: Final = "static"


class GridSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.grid]`; providers, keys and the interval of questions are in `[carbon]`."""

    interval_seconds: float | None = 30.0
    """Seconds between looks whether a question is due; carbon.interval_seconds says when one is."""
    timeout_seconds: float = 60.0
    """For one round through the providers."""
    request_seconds: float = 15.0
    """For one answer of one provider."""


class Grid:
    """The grid's carbon intensity."""

    Settings: ClassVar[type[CollectorSettings]] = GridSettings

    def __init__(self, settings: GridSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._clock = context.clock
        self._carbon = context.carbon
        self._names = tuple(dict.fromkeys(name for name in self._carbon.providers))
        self._due = float("-inf")
        self._chain: Chain | None = None
        self._static_year: int | None = None
        self._pending: list[Intensity] = []
        """Not given out yet: a deadline may end a round before its end."""
        self._problems: list[Problem] = []
        self._damaged: list[Problem] = []

    async def collect(self) -> Sequence[Sample]:
        """Return the intensities that are new. Raises as `Collector.collect` does."""
        if not self._names:
            raise Absent("carbon.providers names nobody", 'set carbon.providers = ["static"]')
        fixed, refused = self._static()
        self._pending += fixed
        if self._chain is None:
            self._chain = await asyncio.to_thread(self._open)
            self._pending += self._chain.remembered()
        if self._clock.monotonic() >= self._due:
            self._due = self._clock.monotonic() + self._carbon.interval_seconds
            await self._chain.ask(self._pending)
            self._problems = [*self._damaged, *self._chain.problems(), *refused]
        troubles = [seat.trouble for seat in self._chain.seats]
        first = troubles[0] if troubles else None
        if first and all(troubles) and not self._pending and STATIC not in self._names:
            # Also between two questions: it does not work until one is answered.
            raise Transient(first.why, first.reason, first.remedy)
        given, self._pending = self._pending, []
        return [GridValues("grid", self._clock.boottime(), tuple(given))] if given else []

    def problems(self) -> Sequence[Problem]:
        """Return the providers that gave nothing, or less than they should, the last time."""
        return self._problems

    def close(self) -> None:
        """Nothing is kept open."""

    def _static(self) -> tuple[list[Intensity], list[Problem]]:
        """Return the yearly figures when they are new, and why there is none."""
        if STATIC not in self._names:
            return [], []
        now = self._clock.wall()
        settings, zone = self._carbon.static, self._context.grid_zone
        year = datetime.fromtimestamp(now, UTC).year
        refused: list[Problem] = []
        wanted = static_intensity(zone, now, self._carbon.factor, settings)
        either = either_static_intensity(zone, now, self._carbon.factor, settings)
        if isinstance(wanted, Refusal):
            refused.append(Problem(STATIC, wanted.why, reason="unsupported"))
        market = static_market_intensity(zone, now, self._carbon.factor, settings)
        if self._static_year == year:
            return [], refused
        self._static_year = year
        figures = [f for f in (either, market) if not isinstance(f, Refusal)]
        return figures, refused

    def _open(self) -> Chain:
        """Read what was kept, and make the providers."""
        return Chain(self._seat(name) for name in self._names if name != STATIC)

    def _seat(self, name: ProviderName) -> Seat:
        carbon, zone, clock = self._carbon, self._context.grid_zone, self._clock
        module: Any = {
            "electricitymaps": grid_electricitymaps,
            "watttime": grid_watttime,
            "neso": grid_neso,
            "entsoe": grid_entsoe,
        }[name]
        folder = self._context.state_dir
        path = folder / "carbon" / f"{name}.json" if folder is not None else None
        asks_for = module.asks_for(carbon, zone)
        memory, wrong = load(path, asks_for)
        if wrong:
            self._damaged.append(Problem(name, wrong, "nothing: it is replaced", "garbage"))
        web = Web(memory, clock, self._settings.request_seconds)
        provider: Provider
        match name:
            case "electricitymaps":
                provider = grid_electricitymaps.ElectricityMaps(carbon, zone, web, clock)
            case "watttime":
                provider = grid_watttime.WattTime(carbon, zone, web, clock)
            case "neso":
                provider = grid_neso.Neso(carbon, zone, web)
            case _:
                provider = grid_entsoe.Entsoe(carbon, zone, web)
        return Seat(provider, memory, path, clock, carbon.interval_seconds)
