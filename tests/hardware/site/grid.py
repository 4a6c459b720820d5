"""The grid's simulated carbon intensity, and the provider that the agents really ask for it.

The API is Electricity Maps v3 as `tests/fixtures/grid/electricitymaps` has it recorded: history of
24 hours, latest, past-range and forecast, behind a key in the header `auth-token`. The last two
hours are estimated, as there.
"""

import json
import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from hardware.grid.api import Asked, GridApi, Reply
from hardware.site.rhythm import DAY, HOUR, UTC_OFFSET_HOURS

KEY = "a-key-for-the-simulated-site"
ZONE = "CN-GD"
LOWEST, HIGHEST = 150.0, 900.0


def intensity(wall: float) -> float:
    """Return gCO2e/kWh of the hour of a moment, Unix time: sun at noon, coal in the evening."""
    return _of_hour(int(wall // HOUR))


@lru_cache(1 << 14)
def _of_hour(hour: int) -> float:
    local = datetime.fromtimestamp(hour * HOUR + UTC_OFFSET_HOURS * HOUR, UTC)
    value = 545.0
    value -= 150.0 * math.exp(-(((local.hour - 12.5) / 3.0) ** 2))
    value += 70.0 * math.exp(-(((local.hour - 20.0) / 2.5) ** 2))
    value -= 25.0 * (local.weekday() >= 5)
    value += random.Random(hour).uniform(-18.0, 18.0)
    return min(max(value, LOWEST), HIGHEST)


def _row(start: float, now: float) -> dict[str, object]:
    return {
        "zone": ZONE,
        "carbonIntensity": round(intensity(start)),
        "datetime": datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "updatedAt": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "emissionFactorType": "direct",
        "isEstimated": start > now - 2 * HOUR,
        "estimationMethod": "TIME_SLICER_AVERAGE" if start > now - 2 * HOUR else None,
    }


def _hours(begin: float, end: float, now: float) -> list[dict[str, object]]:
    first, last = int(begin // HOUR), int(end // HOUR)
    return [_row(hour * HOUR, now) for hour in range(first, last)]


class CarbonProvider(GridApi):
    """The service. Use as `with CarbonProvider() as provider:`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._now = now
        self.handler = self._reply

    def _reply(self, asked: Asked) -> Reply:
        if asked.headers.get("auth-token") != KEY:
            return Reply('{"error": "Invalid auth-token"}', 401)
        zone, now = asked.query.get("zone"), self._now()
        if zone != ZONE:
            return Reply(json.dumps({"error": f"No data for zone {zone}"}), 404)
        this_hour = now // HOUR * HOUR
        match asked.path.rpartition("/")[2]:
            case "history":
                rows = _hours(this_hour - DAY + HOUR, this_hour + HOUR, now)
                return Reply(json.dumps({"zone": zone, "history": rows}))
            case "latest":
                return Reply(json.dumps(_row(this_hour, now)))
            case "past-range":
                begin, end = (
                    datetime.fromisoformat(asked.query[key]).timestamp() for key in ("start", "end")
                )
                return Reply(json.dumps({"zone": zone, "data": _hours(begin, end, now)}))
            case _:
                return Reply('{"error": "Not found"}', 404)
