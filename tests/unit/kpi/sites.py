"""Sites for tests: meters by role, and cells of a steady flow with holes."""

from datetime import datetime
from zoneinfo import ZoneInfo

from agent.kpi.period import Period
from agent.site.cells import Cell
from agent.site.settings import CsvMeter, SiteSettings, VirtualMeter
from agent.site.words import Role

KWH = 3.6e6
HOUR = 3600.0
DAY = 86400.0


def moment(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def period(start, end, zone="UTC"):
    return Period(moment(start, zone), moment(end, zone), zone)


YEAR = period("2025-01-01", "2026-01-01")
WEEK = period("2025-03-03", "2025-03-10")


def meter(name, role, **keys):
    return CsvMeter(name=name, role=Role(role), file=f"{name}.csv", **keys)


def virtual(name, role, add, subtract=(), **keys):
    return VirtualMeter(
        name=name, role=Role(role), add=tuple(add), subtract=tuple(subtract), **keys
    )


def site(*meters, **keys):
    return SiteSettings(meter=tuple(meters), **keys)


def one(amount, when=YEAR):
    """One cell for the whole period, as an invoice gives it."""
    return [Cell(when.start, when.end, amount, when.seconds)]


def kwh(amount, when=YEAR):
    return one(amount * KWH, when)


def steady(per_hour, when=WEEK, *, step=HOUR, holes=()):
    """Cells of a constant flow; within a hole (start, end) nothing is known."""
    cells = []
    at = when.start
    while at < when.end:
        end = min(at + step, when.end)
        if not any(start < end and at < until for start, until in holes):
            cells.append(Cell(at, end, per_hour * (end - at) / HOUR, end - at))
        at = end
    return cells


def by_category(kpis, name):
    return {kpi.category: kpi for kpi in kpis if kpi.name == name}


def only(kpis, name):
    (found,) = [kpi for kpi in kpis if kpi.name == name]
    return found
