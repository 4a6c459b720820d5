"""Intensities, cells and moments for tests."""

from datetime import datetime
from zoneinfo import ZoneInfo

from agent.carbon.intensity import Intensity
from agent.carbon.timeline import Rule
from agent.carbon.words import Basis, Factor, Origin
from agent.site.cells import Cell

KWH = 3.6e6
QUARTER = 900.0
HOUR = 3600.0
DAY = 86400.0


def moment(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


T0 = moment("2025-03-03")


def value(start_hour, grams, *, hours=1.0, fetched=0.0, **keys):
    """`start_hour` and `fetched` in hours since T0."""
    start = T0 + start_hour * HOUR
    known = {
        "zone": "DE",
        "provider": "neso",
        "basis": Basis.LOCATION,
        "factor": Factor.DIRECT,
        "origin": Origin.MEASURED,
        "fetched_at": T0 + fetched * HOUR,
    }
    return Intensity(start=start, end=start + hours * HOUR, grams_per_kwh=grams, **(known | keys))


def rule(**keys):
    known = {
        "basis": Basis.LOCATION,
        "factor": Factor.DIRECT,
        "providers": ("electricitymaps", "neso", "static"),
    }
    return Rule(**(known | keys))


def yearly(grams=400.0, basis=Basis.LOCATION, factor=Factor.DIRECT, source="table"):
    def of(year):
        return Intensity(
            zone="DE",
            provider="static",
            start=0.0,
            end=0.0,
            grams_per_kwh=grams,
            basis=basis,
            factor=factor,
            origin=Origin.AVERAGE,
            source=f"{source} {year}",
        )

    return of


def flow(start, end, kwh_of, step=QUARTER):
    """Cells of `step` seconds; `kwh_of`: kWh of the cell that begins at a moment."""
    count = round((end - start) / step)
    return [
        Cell(start + i * step, start + (i + 1) * step, kwh_of(start + i * step) * KWH, step)
        for i in range(count)
    ]


def hours_of(line):
    """A timeline as (start hour, end hour, g/kWh, standing)."""
    return [
        (
            round((piece.start - T0) / HOUR, 6),
            round((piece.end - T0) / HOUR, 6),
            piece.grams_per_kwh,
            piece.standing.value,
        )
        for piece in line.pieces
    ]
