"""What a record says of an hour or a day: everything that an auditor counts. Pure.

`energy`, `quarters`, `invoices`, `intensities` hold the rows themselves, `minutes` the digest of
theirs. `streams` and `series` name what the rows' numbers stand for. These sections must at any
later time be what the tables say; `documents` says what was there when the record was made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, NamedTuple

from agent.audit.canonical import encode

Cell = int | float | str | bytes | None
Row = tuple[Cell, ...]
HOUR_SECONDS: Final = 3600
HOUR_MINUTES: Final = 60
HOUR_QUARTERS: Final = 4
DAY_HOURS: Final = 24


class Section(NamedTuple):
    """One table's share of a body."""

    name: str
    key: tuple[str, ...]
    """Columns that name a row; they come first."""
    values: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order of a row's cells."""
        return self.key + self.values


AMOUNTS: Final = ("joules", "seconds", "gap_seconds")
ENERGY: Final = Section("energy", ("stream",), AMOUNTS)
QUARTERS: Final = Section("quarters", ("series", "quarter"), ("amount", "seconds", "gap_seconds"))
INVOICES: Final = Section(
    "invoices", ("id",), ("meter", "start", "end", "amount", "row", "seen_at", "replaced_at")
)
INTENSITIES: Final = Section(
    "intensities",
    ("start", "end", "provider", "zone", "basis", "factor", "origin", "fetched_at"),
    ("grams_per_kwh", "source"),
)
SECTIONS: Final = {s.name: s for s in (ENERGY, QUARTERS, INVOICES, INTENSITIES)}
STREAM_FIELDS: Final = ("source", "component", "device", "quality", "counted")
SERIES_FIELDS: Final = ("kind", "name", "unit")


@dataclass
class Rows:
    """What the tables hold of one hour, or of one day (energy only)."""

    energy: list[Row] = field(default_factory=list)
    minutes: list[Row] = field(default_factory=list)
    """Minute, stream, joules, seconds, gap seconds."""
    quarters: list[Row] = field(default_factory=list)
    invoices: list[Row] = field(default_factory=list)
    intensities: list[Row] = field(default_factory=list)
    documents: dict[str, list[Any]] = field(default_factory=dict)
    """Name to when it was written, Unix time, and its SHA-256 in hexadecimal."""

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return self.counted or bool(self.documents)

    @property
    def counted(self) -> bool:
        """Whether there is anything that an auditor counts."""
        kinds = (self.energy, self.minutes, self.quarters, self.invoices, self.intensities)
        return any(kinds)


@dataclass(frozen=True)
class Names:
    """What numbers stand for, by number."""

    streams: Mapping[Cell, Row]
    series: Mapping[Cell, Row]


def hour_of(moment: object) -> int | None:
    """Return the hour since 1970 UTC of a Unix time; None: it is no time."""
    if isinstance(moment, int | float) and isfinite(moment):
        return int(moment // HOUR_SECONDS)
    return None


def sections(rows: Rows, names: Names) -> dict[str, Any]:
    """Return the sections that the tables must go on to bear out."""
    streams = {row[0] for row in rows.energy} | {row[1] for row in rows.minutes}
    series = {row[0] for row in rows.quarters}
    return {
        "energy": rows.energy,
        "minutes": minutes_digest(rows.minutes),
        "quarters": rows.quarters,
        "invoices": rows.invoices,
        "intensities": rows.intensities,
        "streams": {str(n): names.streams.get(n) for n in streams},
        "series": {str(n): names.series.get(n) for n in series},
    }


def minutes_digest(minutes: Sequence[Row]) -> dict[str, Any] | None:
    """Return how many rows there are and the SHA-256 of their text; None: there is none."""
    if not minutes:
        return None
    return {"rows": len(minutes), "sha256": hashlib.sha256(encode(minutes)).hexdigest()}


def same(sealed: Any, found: Any) -> bool:
    """Tell whether two sections are the same to the last bit."""
    return encode(sealed) == encode(found)


def changed_sections(sealed: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the names of the sections that differ."""
    return [name for name in found if not same(sealed.get(name), found[name])]
