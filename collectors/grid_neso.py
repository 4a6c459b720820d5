"""The British grid's intensity: NESO's Carbon Intensity API. No key is needed.

https://carbon-intensity.github.io/api-definitions (CC BY 4.0): half hours of Great Britain, a
forecast and, once it is known, an actual value, in gCO2/kWh. They are of generation alone, with
imports, and with the losses of the grid in them: do not set carbon.losses_percent beside it.
Northern Ireland is on the Irish grid. At most 14 days are given at once.
"""

from math import ceil
from typing import Final

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings
from agent.carbon.words import Basis, Factor, Origin
from agent.collector import Problem
from agent.http_access import without_secrets
from collectors.grid_http import Web
from collectors.grid_provider import (
    DAY,
    DENIED_SECONDS,
    Trouble,
    chunks,
    decode,
    fingerprint,
    parse_time,
    plausible,
    utc,
)

_HALF_HOUR: Final = 1800.0
_MOST_AT_ONCE: Final = 13 * DAY
_SOURCE: Final = "NESO Carbon Intensity API, CC BY 4.0"


class _Value(msgspec.Struct):
    forecast: float | None = None
    actual: float | None = None


class _Slot(msgspec.Struct):
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    intensity: _Value


class _Answer(msgspec.Struct):
    data: list[_Slot]


class Neso:
    """Half hours of Great Britain."""

    name = "neso"
    basis = Basis.LOCATION
    settles = frozenset({Origin.MEASURED})

    def __init__(self, settings: CarbonSettings, grid_zone: str, web: Web) -> None:
        self._zone = grid_zone
        self._factor = settings.factor
        self._url = settings.neso.url.rstrip("/")
        self._web = web
        self.reach_seconds = 30 * DAY
        self.asks_for = asks_for(settings, grid_zone)

    async def fetch(self, start: float, end: float) -> list[Intensity]:
        """Return actual values, and forecasts for a day more. Raises as `Provider.fetch`."""
        self._check()
        values: list[Intensity] = []
        begin = start // _HALF_HOUR * _HALF_HOUR
        for piece in chunks(begin, ceil(end / _HALF_HOUR) * _HALF_HOUR + DAY, _MOST_AT_ONCE):
            url = f"{self._url}/intensity/{utc(piece[0])}/{utc(piece[1])}"
            where = without_secrets(url)
            body = await self._web.get(url)
            values += [
                value
                for slot in decode(body, _Answer, where).data
                if (value := self._value(slot, where)) is not None
            ]
        return values

    def problems(self) -> list[Problem]:
        """Nothing beside what `fetch` raises."""
        return []

    def _check(self) -> None:
        country, _, part = self._zone.strip().upper().partition("-")
        if country not in {"GB", "UK"} or part == "NIR":
            raise Trouble(
                f"NESO knows Great Britain alone, not {self._zone or 'a host without a zone'}",
                "settings",
                'set host.grid_zone = "GB", or take neso out of carbon.providers',
                wait_seconds=DENIED_SECONDS,
            )
        if self._factor is not Factor.DIRECT:
            raise Trouble(
                "NESO gives direct intensities alone, and the settings ask for life-cycle ones",
                "settings",
                'set carbon.factor = "direct", or take neso out of carbon.providers',
                wait_seconds=DENIED_SECONDS,
            )

    def _value(self, slot: _Slot, where: str) -> Intensity | None:
        actual, forecast = slot.intensity.actual, slot.intensity.forecast
        grams = forecast if actual is None else actual
        if grams is None:
            return None
        return Intensity(
            zone=self._zone,
            provider=self.name,
            start=parse_time(slot.start, where),
            end=parse_time(slot.end, where),
            grams_per_kwh=plausible(grams, where),
            basis=self.basis,
            factor=Factor.DIRECT,
            origin=Origin.FORECAST if actual is None else Origin.MEASURED,
            source=_SOURCE,
        )


def asks_for(settings: CarbonSettings, grid_zone: str) -> str:
    """Return what makes kept values valid."""
    return fingerprint("neso", grid_zone, settings.factor, settings.neso.url)
