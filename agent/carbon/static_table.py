"""The yearly factors that come with Wattlas.

They are in static.csv, and who published what in static_sources.csv; both are read once, when
first asked.

The last figures of small grids are coarse: Ember gives emissions to 0.01 Mt. One row of Ember is
left out: the Central African Republic's 0 means that its emissions are below that, not none.
"""

import csv
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from agent.carbon.words import Factor

WORLD: Final = "WORLD"
Kind = Literal["average", "residual"]
"""residual: what is left for those without contracts (GHG Protocol Scope 2 Guidance, 6.5)."""

NORTH, NORTHEAST, EAST, CENTRAL, NORTHWEST, SOUTH, SOUTHWEST = (
    f"CN-{name}"
    for name in ("NORTH", "NORTHEAST", "EAST", "CENTRAL", "NORTHWEST", "SOUTH", "SOUTHWEST")
)
GRID_OF_PROVINCE: Final = {
    **dict.fromkeys(("CN-BJ", "CN-TJ", "CN-HE", "CN-SX", "CN-SD"), NORTH),
    **dict.fromkeys(("CN-LN", "CN-JL", "CN-HL"), NORTHEAST),
    **dict.fromkeys(("CN-SH", "CN-JS", "CN-ZJ", "CN-AH", "CN-FJ"), EAST),
    **dict.fromkeys(("CN-HB", "CN-HN", "CN-HA", "CN-JX"), CENTRAL),
    **dict.fromkeys(("CN-SN", "CN-GS", "CN-QH", "CN-NX", "CN-XJ"), NORTHWEST),
    **dict.fromkeys(("CN-GD", "CN-GX", "CN-YN", "CN-GZ", "CN-HI"), SOUTH),
    **dict.fromkeys(("CN-SC", "CN-CQ"), SOUTHWEST),
}
"""Inner Mongolia is in none: its west belongs to the North China grid, its east to Northeast."""


class Row(NamedTuple):
    """One published factor."""

    zone: str
    """ISO 3166-1 alpha-2, ISO 3166-2:CN, a regional grid of China, or WORLD."""
    name: str
    year: int
    grams_per_kwh: float
    """gCO2 (China's direct factors) or gCO2e (all others) per kWh."""
    factor: Factor
    kind: str
    source: str
    """Who published it, and where."""
    licence: str


def rows_of(zone: str, factor: Factor, kind: Kind = "average") -> tuple[Row, ...]:
    """Return what was published for exactly this zone, oldest first."""
    return _table().get((zone, factor, kind), ())


def all_rows() -> Iterator[Row]:
    """Return the whole table."""
    for rows in _table().values():
        yield from rows


@lru_cache(maxsize=1)
def _table() -> dict[tuple[str, Factor, str], tuple[Row, ...]]:
    sources = {row["source"]: row for row in _read("static_sources.csv")}
    found: dict[tuple[str, Factor, str], list[Row]] = {}
    for row in _read("static.csv"):
        source = sources[row["source"]]
        entry = Row(
            row["zone"],
            row["name"],
            int(row["year"]),
            float(row["grams_per_kwh"]),
            Factor(row["factor"]),
            row["kind"],
            source["text"],
            source["licence"],
        )
        found.setdefault((entry.zone, entry.factor, entry.kind), []).append(entry)
    return {key: tuple(sorted(rows, key=lambda r: r.year)) for key, rows in found.items()}


def _read(name: str) -> Iterator[dict[str, str]]:
    with (files("agent.carbon") / name).open(encoding="utf-8") as stream:
        yield from csv.DictReader(stream)
