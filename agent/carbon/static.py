"""What a kWh emitted by yearly figures: without a key, without a network. Pure but for the table.

Which row stands for a zone: the zone itself; a province of China whose year is not published: its
regional grid, then the nation; any other subdivision ("US-CAL-CISO"): its country; no zone, or a
country without a row: the world. Whatever stands in for another is named in `source`. Never a
neighbour's number.

China's official factors have no province Tibet: the national average stands in, and says so. They
do not cover Hong Kong, Macao and Taiwan at all: there the direct factor is refused; Ember's
life-cycle averages for them are there.

Direct and life-cycle factors are two families. A function that is asked for one never returns
the other; `either_static_intensity` does, and its result says which it is.
"""

from calendar import timegm
from datetime import UTC, datetime
from typing import Final, NamedTuple

from agent.carbon.intensity import Intensity
from agent.carbon.settings import StaticSettings
from agent.carbon.static_table import GRID_OF_PROVINCE, WORLD, Kind, Row, rows_of
from agent.carbon.words import Basis, Factor, Origin

PROVIDER: Final = "static"
OUTSIDE_CHINAS_FACTORS: Final = {
    "HK": "Hong Kong", "MO": "Macao", "TW": "Taiwan"
}  # fmt: skip
TIBET: Final = "CN-XZ"
_OTHER: Final = {Factor.DIRECT: Factor.LIFECYCLE, Factor.LIFECYCLE: Factor.DIRECT}


class Refusal(NamedTuple):
    """There is no such figure."""

    why: str
    """One sentence: what is not known, and what to do."""


def static_intensity(
    zone: str, when: float, factor: Factor, settings: StaticSettings | None = None
) -> Intensity | Refusal:
    """Return the location-based yearly figure of one family, for the UTC year that `when` is in.

    `zone` as in host.grid_zone, "" where none is set; `when` in Unix seconds. The operator's own
    factor (carbon.static.grams_per_kwh) goes before the tables, and counts as of that family.
    """
    settings = settings or StaticSettings()
    if settings.grams_per_kwh is not None:
        source = settings.source or "carbon.static.grams_per_kwh"
        return _intensity(zone, when, settings.grams_per_kwh, Basis.LOCATION, factor, source)
    return _from_table(zone, when, factor, settings.year, "average", Basis.LOCATION)


def either_static_intensity(
    zone: str, when: float, preferred: Factor, settings: StaticSettings | None = None
) -> Intensity | Refusal:
    """Return the figure of the preferred family, else of the other: its `factor` says which.

    For whoever must show a figure in every country. Sums must not mix the two.
    """
    found = static_intensity(zone, when, preferred, settings)
    if isinstance(found, Refusal):
        other = static_intensity(zone, when, _OTHER[preferred], settings)
        return found if isinstance(other, Refusal) else other
    return found


def static_market_intensity(
    zone: str, when: float, factor: Factor, settings: StaticSettings | None = None
) -> Intensity | Refusal:
    """Return what energy without a contract counts in market-based accounting.

    The supplier's factor or residual mix from the settings; in China the national average without
    the non-fossil energy that was traded, which the same notices publish (the provinces have
    none). Elsewhere there is none here: the GHG Protocol (Scope 2 Guidance, 2015, table 6.3) then
    uses the location-based factor.
    """
    settings = settings or StaticSettings()
    if settings.market_grams_per_kwh is not None:
        source = settings.market_source or "carbon.static.market_grams_per_kwh"
        return _intensity(zone, when, settings.market_grams_per_kwh, Basis.MARKET, factor, source)
    country = _canonical(zone).partition("-")[0]
    if not rows_of(country, factor, "residual"):
        return Refusal(
            f"no residual mix is known for {_named(zone)}; set carbon.static.market_grams_per_kwh "
            "to your supplier's factor, or the location-based one is used"
        )
    return _from_table("CN", when, factor, settings.year, "residual", Basis.MARKET, zone)


def _from_table(
    zone: str,
    when: float,
    factor: Factor,
    year: int | None,
    kind: Kind,
    basis: Basis,
    asked_for: str | None = None,
) -> Intensity | Refusal:
    """Return the first stand-in's figure; `asked_for` is the zone to show, if not `zone`."""
    shown = zone if asked_for is None else asked_for
    canonical = _canonical(zone)
    if canonical in OUTSIDE_CHINAS_FACTORS and factor is Factor.DIRECT:
        return Refusal(
            f"China's official factors do not cover {OUTSIDE_CHINAS_FACTORS[canonical]}, and no "
            "other place's factor stands in; set carbon.static.grams_per_kwh (your supplier "
            'publishes one), or carbon.factor = "lifecycle" for Ember\'s average'
        )
    for candidate in _candidates(canonical):
        rows = rows_of(candidate, factor, kind)
        if year is not None:
            rows = tuple(row for row in rows if row.year == year)
        if not rows:
            continue
        row = _newest(rows, _year(when))
        told = _told(row, canonical, candidate, when, year, kind)
        return _intensity(shown, when, row.grams_per_kwh, basis, factor, told)
    of = f" of {year}" if year is not None else ""
    family = "life-cycle" if factor is Factor.LIFECYCLE else "direct"
    other = _OTHER[factor].value
    return Refusal(
        f"no {family} factor{of} is known for {_named(zone)}; set carbon.static.grams_per_kwh, or "
        f'carbon.factor = "{other}"'
    )


def _candidates(zone: str) -> list[str]:
    """Return the zones whose factor may stand for this one, best first."""
    candidates = [zone] if zone else []
    if zone in GRID_OF_PROVINCE:
        candidates.append(GRID_OF_PROVINCE[zone])
    if "-" in zone:
        candidates.append(zone.partition("-")[0])
    if WORLD not in candidates:
        candidates.append(WORLD)
    return candidates


def _newest(rows: tuple[Row, ...], year: int) -> Row:
    """Return the newest row that is not after the energy's year, else the oldest there is."""
    before = [row for row in rows if row.year <= year]
    return before[-1] if before else rows[0]


def _told(row: Row, zone: str, candidate: str, when: float, year: int | None, kind: Kind) -> str:
    """Return where the figure is from, and what it stands in for."""
    what = f"{row.source}: {row.name}, {row.year}"
    if kind == "residual":
        what += ", without the non-fossil energy that was traded"
    what += f" ({row.licence})"
    if zone == TIBET:
        what += "; there is no official factor for Tibet: the national average stands in"
    elif candidate != zone and kind != "residual":
        name = "the world" if candidate == WORLD else row.name
        gap = f"no factor for {zone}" if zone else "host.grid_zone is not set"
        what += f"; {gap}: the average of {name} stands in"
    if year is None and row.year > _year(when):
        what += f"; none is published for {_year(when)} or earlier"
    return what


def _canonical(zone: str) -> str:
    """Return a zone as the table writes it; the three outside China's factors by their own code."""
    canonical = zone.strip().upper()
    country, _, part = canonical.partition("-")
    if country == "UK":
        return "GB" + (f"-{part}" if part else "")
    if country == "CN" and part in OUTSIDE_CHINAS_FACTORS:
        return part
    return canonical


def _named(zone: str) -> str:
    return zone.strip() or "the world (host.grid_zone is not set)"


def _year(when: float) -> int:
    return datetime.fromtimestamp(when, UTC).year


def _intensity(
    zone: str, when: float, grams_per_kwh: float, basis: Basis, factor: Factor, source: str
) -> Intensity:
    year = _year(when)
    return Intensity(
        zone=zone,
        provider=PROVIDER,
        start=float(timegm((year, 1, 1, 0, 0, 0))),
        end=float(timegm((year + 1, 1, 1, 0, 0, 0))),
        grams_per_kwh=grams_per_kwh,
        basis=basis,
        factor=factor,
        origin=Origin.AVERAGE,
        source=source,
    )
