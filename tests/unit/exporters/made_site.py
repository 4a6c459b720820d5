"""A snapshot of an agent that reads a site's meters."""

import msgspec
from unit.exporters.made import bare

from agent.kpi.result import Kpi
from agent.site.book import MeterView
from agent.site.words import Quantity
from agent.snapshot import SiteView, Snapshot

METERS = (
    MeterView("utility-a", "total", Quantity.ENERGY, 3.6e9, 0.0, 0, 41_000.5, 1.5),
    MeterView("ups-1", "ups", Quantity.ENERGY, 2.4e9, 900.0, 1, None, 420.0),
    MeterView("mains", "water_in", Quantity.WATER, 125_000.0, 0.0, 0, 0.25, 3.0),
    MeterView("roof", "outside_temperature", Quantity.TEMPERATURE, 0.0, 0.0, 0, None, 2.0, -7.25),
    MeterView("wall", "outside_temperature", Quantity.TEMPERATURE, 0.0, 0.0, 0, None, 600.0),
)


def kpi(name: str, value: float | None, category: str, coverage: float = 1.0) -> Kpi:
    return Kpi(name, value, "1", category, coverage)


KPIS = {
    "24h": [
        kpi("PUE", 1.25, "iPUE1"),
        kpi("DCiE", 0.8, "iPUE1"),
        kpi("WUE", 1.5, "WUE EU-2024 IT1"),
        kpi("CUE", None, "IT1", 0.0),
        kpi("REF", 0.5, "", 0.94),
        kpi("ERF", 0.125, "", 0.96),
        kpi("CER", 4.5, ""),
    ],
    "365d": [kpi("PUE", 1.3, "PUE1", 0.97)],
}


def at_site() -> Snapshot:
    """Return it; a KPI below 95 % and one without a value are not shown."""
    return msgspec.structs.replace(bare(), site=SiteView("gz-1", METERS, KPIS))
