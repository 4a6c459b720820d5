"""Site meters that answer with JSON over HTTP: gateways, building management, plug-in meters.

    [[site.meter]]
    name = "chiller-1"
    role = "cooling"
    source = "http"
    url = "http://10.0.0.5/status"
    energy = "/emeters/0/total"     # JSON Pointer (RFC 6901)
    energy_unit = "Wh"
    power = "/emeters/0/power"
    time = "/unixtime"

Several meters of one document cost one request. A value that is missing, null or no number is no
reading: unknown, not zero. Task page: docs/meters.md.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from agent.collector import Context, Transient
from agent.http_access import Access
from agent.site.settings import HttpMeter
from collectors.fetching import Fetcher
from collectors.fetching_shared import Shared
from collectors.meter_json import (
    MOST_BYTES,
    Liveness,
    NotThere,
    document_of,
    look_up,
    moment_of,
    number_of,
)
from collectors.metering import Metering, MeteringSettings, Part, Value

LOG_IN: Final = "user and password_file, or token_file"
_POINT: Final = "look at the document with curl, and at the pointer in the settings"


class MeterHttp(Metering[HttpMeter]):
    """All meters with `source = "http"`."""

    Settings: ClassVar[type[MeteringSettings]] = MeteringSettings
    name: ClassVar[str] = "meter_http"
    source: ClassVar[str] = "http"
    kind = HttpMeter

    def __init__(self, settings: MeteringSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._shared = Shared()
        self._liveness = {meter.name: Liveness() for meter in self.meters}

    async def poll(self, meter: HttpMeter) -> Sequence[Part]:
        """Ask for the document and look up the meter's values in it. Raises `Transient`."""
        if not meter.energy and not meter.power and not meter.temperature:
            raise Transient(
                "neither energy nor power nor temperature says where its value is",
                "settings",
                "set one of them",
            )
        access = Access(meter.token_file, meter.user, meter.password_file, meter.ca_file)
        timeout = self.timeout_seconds(meter)
        fetcher = Fetcher(
            meter.url,
            what="a JSON document",
            accept="application/json, */*;q=0.5",
            most_bytes=MOST_BYTES,
            timeout_seconds=timeout,
            access=access,
        )

        async def ask() -> Any:
            return document_of(await fetcher.fetch(), fetcher, LOG_IN)

        document = await self._shared.get((meter.url, access, timeout), ask)
        where = fetcher.where
        if meter.time:
            self._check_time(meter, document, where)
        parts: list[Part] = []
        if meter.energy:
            energy = (meter.energy_unit, meter.energy_wraps_at)
            parts.append(_part(document, meter.energy, where, *energy))
        if meter.power:
            parts.append(_part(document, meter.power, where, meter.power_unit))
        if meter.temperature:
            parts.append(_part(document, meter.temperature, where, meter.temperature_unit))
        return parts

    def release(self) -> None:
        """End requests that are under way."""
        self._shared.close()

    def _check_time(self, meter: HttpMeter, document: Any, where: str) -> None:
        """Raise `Transient` where the document's own time stands still, or is none."""
        try:
            moment = moment_of(look_up(document, meter.time))
        except (NotThere, ValueError) as error:
            raise _unusable(where, meter.time, error) from None
        interval = meter.interval_seconds or self.context.site.interval_seconds
        self._liveness[meter.name].look(moment, self.context.clock.monotonic(), interval, where)


def _part(
    document: Any, pointer: str, where: str, unit: str, wraps_at: float | None = None
) -> Part:
    """Return the number that a pointer names, or why there is none."""
    try:
        return Value(number_of(look_up(document, pointer)), unit, wraps_at)
    except (NotThere, ValueError) as error:
        return _unusable(where, pointer, error)


def _unusable(where: str, pointer: str, error: Exception) -> Transient:
    return Transient(f"{where}: {pointer}: {error}", "garbage", _POINT)
