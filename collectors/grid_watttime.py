"""WattTime v3: what one kWh more emits (co2_moer). For choosing when to run, never for Scope 2.

`GET /login` with a user and password gives a token for 30 minutes, which is kept in memory alone;
`/v3/historical` and `/v3/forecast` give points in lbs_co2_per_mwh, each for
`data_point_period_seconds` (docs.watttime.org). `/v3/signal-index` is not asked: it gives a
percentile, not an intensity. 1 lb is 0.45359237 kg exactly (NIST SP 811, B.8).
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings
from agent.carbon.words import Basis, Factor, Origin
from agent.clock import Clock
from agent.collector import Problem, Transient
from agent.http_access import Access
from collectors.grid_http import Web
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
)

GRAMS_PER_KWH_OF_POUND_PER_MWH: Final = 0.45359237
_TOKEN_SECONDS: Final = 29 * 60.0
"""It is good for 30 minutes."""
_MOST_AT_ONCE: Final = 30 * DAY
_FORECAST_SECONDS: Final = HOUR
_UNITS: Final = "lbs_co2_per_mwh"
_SIGNAL: Final = "co2_moer"
_KEY: Final = "look at carbon.watttime.user, password_file and region, and at the account's plan"


class _Login(msgspec.Struct):
    token: str


class _Point(msgspec.Struct):
    point_time: str
    value: float | None = None


class _Model(msgspec.Struct):
    date: str = ""


class _Meta(msgspec.Struct):
    units: str
    data_point_period_seconds: float
    model: _Model | None = None


class _Points(msgspec.Struct):
    data: list[_Point]
    meta: _Meta


class WattTime:
    """Five-minute points of one region."""

    name = "watttime"
    basis = Basis.MARGINAL
    settles = frozenset({Origin.ESTIMATED})

    def __init__(self, settings: CarbonSettings, grid_zone: str, web: Web, clock: Clock) -> None:
        own = settings.watttime
        self._zone = grid_zone or own.region
        self._region = own.region
        self._access = Access(user=own.user, password_file=own.password_file)
        self._url = own.url.rstrip("/")
        self._web = web
        self._clock = clock
        self.reach_seconds = 30 * DAY
        self.asks_for = asks_for(settings, grid_zone)
        self._token = ""
        self._token_until = float("-inf")
        self._forecast_at = float("-inf")
        self._problems: list[Problem] = []

    async def fetch(self, start: float, end: float) -> list[Intensity]:
        """Return the past's points, and once in an hour the forecast for a day."""
        if not (self._region and self._access.user and self._access.password_file):
            raise not_set(
                "carbon.watttime.region, user and password_file", "WattTime's region or account"
            )
        self._problems = []
        values: list[Intensity] = []
        for piece in chunks(start, end, _MOST_AT_ONCE):
            body = await self._get("historical", start=_iso(piece[0]), end=_iso(piece[1]))
            values += self._values(body, "historical", Origin.ESTIMATED)
        if self._clock.monotonic() >= self._forecast_at:
            self._forecast_at = self._clock.monotonic() + _FORECAST_SECONDS
            try:
                body = await self._get("forecast", horizon_hours="24")
                values += self._values(body, "forecast", Origin.FORECAST)
            except Transient as error:
                self._problems.append(as_problem(f"{self.name} forecast", error))
        return values

    def problems(self) -> list[Problem]:
        """Return why there is no forecast."""
        return self._problems

    async def _log_in(self) -> None:
        where = f"{self._url}/login"
        body = await self._web.get(
            where, headers=self._access.authorization(), key_remedy=_KEY, secret=True
        )
        token = decode(body, _Login, where).token
        if not token or not token.isascii() or not token.isprintable():
            raise garbage(where, "gives no token")
        self._token = token
        self._token_until = self._clock.monotonic() + _TOKEN_SECONDS

    async def _get(self, part: str, **query: str) -> bytes:
        """Ask with the token; one that was withdrawn early is asked for anew, once."""
        fresh = self._clock.monotonic() >= self._token_until
        if fresh:
            await self._log_in()
        try:
            return await self._ask(part, query)
        except Trouble as error:
            if fresh or "(HTTP 401)" not in error.why:
                raise
        await self._log_in()
        return await self._ask(part, query)

    async def _ask(self, part: str, query: dict[str, str]) -> bytes:
        return await self._web.get(
            f"{self._url}/v3/{part}",
            {"region": self._region, "signal_type": _SIGNAL} | query,
            headers={"Authorization": f"Bearer {self._token}"},
            key_remedy=_KEY,
        )

    def _values(self, body: bytes, part: str, origin: Origin) -> list[Intensity]:
        where = f"{self._url}/v3/{part}"
        points = decode(body, _Points, where)
        if points.meta.units != _UNITS:
            raise Trouble(
                f"{where} gives {points.meta.units[:40]}, which is no intensity",
                "garbage",
                "look at the account's plan: historical data in lbs_co2_per_mwh is needed",
                wait_seconds=DENIED_SECONDS,
            )
        period = points.meta.data_point_period_seconds
        if not 0 < period <= DAY:
            raise garbage(where, f"gives points of {period} s")
        model = points.meta.model.date if points.meta.model else ""
        source = f"WattTime v3 {_SIGNAL}, region {self._region}"
        values = []
        for point in points.data:
            if point.value is None:
                continue
            start = parse_time(point.point_time, where)
            grams = point.value * GRAMS_PER_KWH_OF_POUND_PER_MWH
            values.append(
                Intensity(
                    zone=self._zone,
                    provider=self.name,
                    start=start,
                    end=start + period,
                    grams_per_kwh=plausible(grams, where),
                    basis=self.basis,
                    factor=Factor.DIRECT,
                    origin=origin,
                    source=f"{source}, model of {model}" if model else source,
                )
            )
        return values


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def asks_for(settings: CarbonSettings, grid_zone: str) -> str:
    """Return what makes kept values valid."""
    return fingerprint("watttime", grid_zone, settings.watttime.region, settings.watttime.url)
