"""The facility's meters: a Modbus gateway, and a building management system with JSON over HTTP.

The site's agent reads them over these protocols. `settings` is the `[site]` that says so.
"""

import json
from types import TracebackType
from typing import Final, Self

from hardware.grid.api import Asked, GridApi, Reply
from hardware.modbus.server import Gateway
from hardware.modbus.unit import Unit
from hardware.site.clock import SiteClock
from hardware.site.facility import JOULES_PER_KWH, KILOGRAMS_PER_KWH, Facility, weather
from hardware.site.plans import SITE
from hardware.site.rhythm import Integrated

START_KWH: Final = 184_000.0
"""Where every register stood when the site was switched on; no meter begins at 0."""
CARBON: Final = f"carbon_kilograms_per_kwh = {KILOGRAMS_PER_KWH}"
FEEDS: Final = {
    "utility-a": ("total", CARBON),
    "utility-b": ("total", CARBON),
    "ups-1": ("ups", ""),
    "ups-2": ("ups", ""),
    "pv": ("generation", "renewable = true\ncarbon_kilograms_per_kwh = 0.0"),
}
"""Power meters by Modbus (Schneider PM5000's map): role and further keys."""
HEAT: Final = {"heat-removed": "removed_heat", "heat-export": "reused_heat"}
"""Heat meters by Modbus: a total in kWh and a rate in W, at addresses of their own."""
BUILDING: Final = {
    "chiller-1": "cooling",
    "crah": "cooling",
    "lighting": "lighting",
    "wind-ppa": "renewable",
}
"""Power meters of the building's management system; the rack PDUs are there, too."""
WATER: Final = {"mains-water": "water_in", "blow-down": "water_out"}
OUTSIDE, SUPPLY_AIR = "outside-air", "cold-aisle"
SUPPLY_AIR_CELSIUS: Final = 22.5
HEAT_ADDRESS, HEAT_RATE_ADDRESS = 4000, 4010


class Meters:
    """Everything that the site's agent reads. Use as `with Meters(…) as meters:`."""

    def __init__(self, facility: Facility, racks: list[str], clock: SiteClock) -> None:
        self._clock = clock
        self.racks = racks
        names = [*FEEDS, *HEAT, *BUILDING, *WATER, *(f"pdu-{rack}" for rack in racks)]
        self.flows = {name: Integrated(facility.rate(name)) for name in names}
        """By meter what truly flows: W, J; of water l/s, l."""
        self.units = {name: n for n, name in enumerate([*FEEDS, *HEAT], start=1)}
        self._gateway = Gateway(*(self._unit(name, n) for name, n in self.units.items()))
        self._building = GridApi()
        self._building.handler = self._answer

    def __enter__(self) -> Self:
        self._gateway.__enter__()
        self._building.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._building.__exit__(kind, error, trace)
        self._gateway.__exit__(kind, error, trace)

    def _unit(self, name: str, number: int) -> Unit:
        unit, flow, now = Unit(number), self.flows[name], self._clock.now
        if name in HEAT:
            unit.live(
                HEAT_ADDRESS,
                "uint32",
                lambda: 10 * (START_KWH + flow.joules(now()) / JOULES_PER_KWH),
            )
            unit.live(HEAT_RATE_ADDRESS, "int32", lambda: flow.watts(now()))
            return unit
        unit.live(3203, "int64", lambda: (START_KWH * JOULES_PER_KWH + flow.joules(now())) // 3600)
        unit.live(3059, "float32", lambda: flow.watts(now()) / 1000)
        return unit

    def _answer(self, asked: Asked) -> Reply | None:
        """Answer as the building's management system: one document of all its meters."""
        if asked.path != "/points":
            return None
        t = self._clock.now()
        document: dict[str, object] = {
            name: {
                "kwh": START_KWH + self.flows[name].joules(t) / JOULES_PER_KWH,
                "kw": self.flows[name].watts(t) / 1000,
            }
            for name in (*BUILDING, *(f"pdu-{rack}" for rack in self.racks))
        }
        for name in WATER:
            liters = START_KWH * 1000 + self.flows[name].joules(t)
            document[name] = {"m3": liters / 1000, "m3h": self.flows[name].watts(t) * 3.6}
        document[OUTSIDE] = {"celsius": weather(self._clock.wall(t)).celsius}
        document[SUPPLY_AIR] = {"celsius": SUPPLY_AIR_CELSIUS}
        return Reply(json.dumps(document))

    def settings(self, interval_seconds: float) -> str:
        """Return `[site]` of the agent that reads them."""
        head = f'[site]\nname = "{SITE}"\ninterval_seconds = {interval_seconds}'
        parts = [f'{head}\ntime_zone = "Asia/Shanghai"']
        for name, (role, more) in FEEDS.items():
            source = f'map = "schneider-pm5000"\n{more}'
            parts.append(self._modbus(name, role, source))
        for name, role in HEAT.items():
            total = f'{{ address = {HEAT_ADDRESS}, type = "uint32", scale = 0.1, unit = "kWh" }}'
            rate = f'{{ address = {HEAT_RATE_ADDRESS}, type = "int32", unit = "W" }}'
            parts.append(self._modbus(name, role, f"energy = {total}\npower = {rate}"))
        for name, role in (BUILDING | {f"pdu-{rack}": "it" for rack in self.racks}).items():
            keys = 'energy = "/{0}/kwh"\nenergy_unit = "kWh"\npower = "/{0}/kw"\npower_unit = "kW"'
            parts.append(self._http(name, role, keys.format(name)))
        for name, role in WATER.items():
            keys = 'energy = "/{0}/m3"\nenergy_unit = "m3"\npower = "/{0}/m3h"\npower_unit = "m3/h"'
            parts.append(self._http(name, role, keys.format(name)))
        for name, role in (
            (OUTSIDE, "outside_temperature"),
            (SUPPLY_AIR, "supply_air_temperature"),
        ):
            parts.append(self._http(name, role, f'temperature = "/{name}/celsius"'))
        return "\n".join(parts)

    def _modbus(self, name: str, role: str, keys: str) -> str:
        return (
            f'[[site.meter]]\nname = "{name}"\nrole = "{role}"\nsource = "modbus"\n'
            f'host = "{self._gateway.host}"\nunit_id = {self.units[name]}\n{keys}\n'
        )

    def _http(self, name: str, role: str, keys: str) -> str:
        return (
            f'[[site.meter]]\nname = "{name}"\nrole = "{role}"\nsource = "http"\n'
            f'url = "{self._building.url("/points")}"\n{keys}\n'
        )
