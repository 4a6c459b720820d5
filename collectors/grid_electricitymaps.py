"""Electricity Maps v3: hourly intensity of a zone, average over the mix, gCO2e/kWh.

Header `auth-token`; `/v3/carbon-intensity/history` (24 h), `/latest`, `/past-range` (at most ten
days at once) and `/forecast`, as asked by jpbede/aioelectricitymaps and the project's own
documentation. Life-cycle unless `emissionFactorType=direct`; forecasts are life-cycle alone, so
they are not asked where direct ones are wanted. `isEstimated` values are asked for again until
they are measured. What a plan does not include is refused: the rest is still used.
"""

from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings
from agent.carbon.words import Basis, Factor, Origin
from agent.clock import Clock
from agent.collector import Problem, Transient
from agent.http_access import Access
from collectors.grid_http import NOTHING, Web
from collectors.grid_provider import (
    DAY,
    DENIED_SECONDS,
    HOUR,
    Trouble,
    as_problem,
    chunks,
    decode,
    fingerprint,
    garbage,
    not_set,
    parse_time,
    plausible,
    utc,
)

_MOST_AT_ONCE: Final = 9 * DAY
_FORECAST_SECONDS: Final = HOUR
_KEY: Final = "put the right key into the file that carbon.electricitymaps.token_file names"


class _Hour(msgspec.Struct, rename="camel"):
    carbon_intensity: float | None = None
    datetime: str = ""
    emission_factor_type: str = ""
    is_estimated: bool = False
    estimation_method: str | None = None


class _Latest(_Hour):
    status: str = ""


class _Hours(msgspec.Struct):
    history: list[_Hour] = []
    data: list[_Hour] = []
    forecast: list[_Hour] = []


class ElectricityMaps:
    """Hours of one zone."""

    name = "electricitymaps"
    basis = Basis.LOCATION
    settles = frozenset({Origin.MEASURED})

    def __init__(self, settings: CarbonSettings, grid_zone: str, web: Web, clock: Clock) -> None:
        own = settings.electricitymaps
        self._grid_zone = grid_zone or own.zone
        self._zone = own.zone or grid_zone
        self._token_file = own.token_file
        self._factor = settings.factor
        self._url = f"{own.url.rstrip('/')}/v3/carbon-intensity"
        self._web = web
        self._clock = clock
        self.reach_seconds = 30 * DAY
        self.asks_for = asks_for(settings, grid_zone)
        self._denied: dict[str, float] = {}
        """Part of the API to the monotonic time before which it is not asked again."""
        self._forecast_at = float("-inf")
        self._problems: list[Problem] = []

    async def fetch(self, start: float, end: float) -> list[Intensity]:
        """Return the last hours, those before them back to `start`, and forecasts."""
        if not self._zone:
            raise not_set("host.grid_zone or carbon.electricitymaps.zone", "the grid's zone")
        if not self._token_file:
            raise not_set("carbon.electricitymaps.token_file", "Electricity Maps' key")
        self._problems = []
        values = await self._recent()
        if start < end - DAY - HOUR:
            values = await self._attempt("past-range", self._earlier(start, end - DAY)) + values
        if self._factor is Factor.LIFECYCLE and self._clock.monotonic() >= self._forecast_at:
            self._forecast_at = self._clock.monotonic() + _FORECAST_SECONDS
            values += await self._attempt("forecast", self._forecast())
        return values

    def problems(self) -> list[Problem]:
        """Return the parts of the API that gave nothing the last time."""
        return self._problems

    async def _recent(self) -> list[Intensity]:
        """Return the last 24 hours or, where the plan has no history, the latest."""
        if not self._is_denied("history"):
            try:
                body = await self._get("history")
            except Trouble as error:
                if error.reason != "permission":
                    raise
                self._deny("history")
            else:
                if body == NOTHING:
                    return []
                return self._values(decode(body, _Hours, self._where("history")).history, "history")
        body = await self._get("latest")
        if body == NOTHING:
            return []
        latest = decode(body, _Latest, self._where("latest"))
        self.reach_seconds = HOUR
        return self._values([latest], "latest")

    async def _earlier(self, start: float, end: float) -> list[Intensity]:
        values: list[Intensity] = []
        begin = start // HOUR * HOUR
        for piece in chunks(begin, end // HOUR * HOUR + HOUR, _MOST_AT_ONCE):
            body = await self._get("past-range", start=utc(piece[0]), end=utc(piece[1]))
            if body != NOTHING:
                where = self._where("past-range")
                values += self._values(decode(body, _Hours, where).data, "past-range")
        return values

    async def _forecast(self) -> list[Intensity]:
        body = await self._get("forecast")
        if body == NOTHING:
            return []
        hours = decode(body, _Hours, self._where("forecast")).forecast
        return self._values(hours, "forecast")

    async def _attempt(
        self, part: str, asking: Coroutine[Any, Any, list[Intensity]]
    ) -> list[Intensity]:
        """Return what a part gives that a plan may lack; its failure does not cost the rest."""
        if self._is_denied(part):
            asking.close()
            return []
        try:
            return await asking
        except Transient as error:
            self._problems.append(as_problem(f"{self.name} {part}", error))
            if error.reason == "permission":
                self._deny(part)
            return []

    def _is_denied(self, part: str) -> bool:
        return self._clock.monotonic() < self._denied.get(part, float("-inf"))

    def _deny(self, part: str) -> None:
        self._denied[part] = self._clock.monotonic() + DENIED_SECONDS

    def _where(self, part: str) -> str:
        return f"{self._url}/{part}"

    async def _get(self, part: str, **query: str) -> bytes:
        asked = {"zone": self._zone} | query
        if self._factor is Factor.DIRECT:
            asked["emissionFactorType"] = "direct"
        token = Access(token_file=self._token_file).authorization()["Authorization"]
        return await self._web.get(
            self._where(part),
            asked,
            headers={"auth-token": token.removeprefix("Bearer ")},
            nothing_at={404},
            key_remedy=_KEY,
        )

    def _values(self, hours: list[_Hour], part: str) -> list[Intensity]:
        where = self._where(part)
        values: list[Intensity] = []
        for hour in hours:
            if hour.carbon_intensity is None:
                continue
            family = hour.emission_factor_type or ("lifecycle" if part == "forecast" else "")
            if not family and self._factor is Factor.LIFECYCLE:
                family = "lifecycle"  # the documented default, from before the field was there
            if family != self._factor:
                raise garbage(where, f"gives {family or 'unmarked'} factors, not {self._factor}")
            if part == "forecast":
                origin, how = Origin.FORECAST, "forecast"
            elif hour.is_estimated:
                origin, how = Origin.ESTIMATED, hour.estimation_method or "estimated"
            else:
                origin, how = Origin.MEASURED, ""
            start = parse_time(hour.datetime, where)
            values.append(
                Intensity(
                    zone=self._grid_zone,
                    provider=self.name,
                    start=start,
                    end=start + HOUR,
                    grams_per_kwh=plausible(hour.carbon_intensity, where),
                    basis=self.basis,
                    factor=self._factor,
                    origin=origin,
                    source=f"Electricity Maps v3, zone {self._zone}{', ' if how else ''}{how}",
                )
            )
        return values


def asks_for(settings: CarbonSettings, grid_zone: str) -> str:
    """Return what makes kept values valid."""
    own = settings.electricitymaps
    return fingerprint("electricitymaps", own.zone or grid_zone, settings.factor, own.url)
