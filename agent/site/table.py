"""The text of a CSV file of invoices or certificates, as rows in base units.

    start,end,value,unit,note
    2026-01-01,2026-02-01,184320,kWh,invoice 4711
    2026-02-01,2026-03-01,171904,kWh,
    2026-01-01,2026-02-01,184112,kWh,corrected in March

`end` is not included. Columns stand in any order and others are passed over; commas, semicolons or
tabs separate them; blank lines and those that begin with # do not count. A row that cannot be
used is left out and said; which of the others count says `agent.site.records`. Dates:
`agent/site/moments.py`; numbers: `agent/site/amounts.py`.
"""

import csv
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from agent.samples import MeterRecord
from agent.site.amounts import Unreadable, number_of
from agent.site.moments import Moment, moment_of
from agent.site.units import Unit, unit_of
from agent.site.words import Quantity

JOULES_PER_KWH: Final = 3.6e6
COLUMNS: Final = ("start", "end", "value", "unit")
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_DATE_REMEDY: Final = "write 2026-01-31, or 2026-01-31T13:00+01:00"
_FUEL: Final = ("l", "m3", "kg", "t", "gal", "m³", "L")


class RowError(NamedTuple):
    """What is wrong, or doubtful, with a line of the file."""

    row: int
    """Its number, from 1."""
    why: str
    """One clause."""
    remedy: str


class Table(NamedTuple):
    """What a file says."""

    records: tuple[MeterRecord, ...]
    """Usable rows in the order of the file, in J or litres."""
    errors: tuple[RowError, ...]
    """Rows that were left out, and what is wrong with the file as a whole."""
    remarks: tuple[RowError, ...] = ()
    """Rows that count, but may not mean what they say."""


class _Row(NamedTuple):
    """A usable row with what was said of its dates."""

    record: MeterRecord
    start: Moment
    end: Moment


def parse_table(text: str, zone: ZoneInfo, quantity: Quantity, kwh_per_unit: float | None) -> Table:
    """Return what a file says.

    `zone`: that of dates without an offset. `quantity`: what the meter measures. `kwh_per_unit`:
    kWh of one unit of fuel, of whatever unit the file has; rows in units of energy need none.
    """
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    counting = ((n, s) for n, s in enumerate(lines, 1) if s.strip() and not _is_comment(s))
    separator = ""
    number, header = next(counting, (1, ""))
    if told := re.fullmatch(r"sep=([,;\t])", header.strip(" \r")):  # spreadsheets write this
        separator = told[1]
        number, header = next(counting, (number, ""))
    if not header:
        return _nothing(1, "the file is empty", f"its first line is {','.join(COLUMNS)}")
    separator = separator or next((s for s in "\t;" if s in header), ",")
    try:
        names = _cells(header, separator)
        reader = _Reader(zone, quantity, kwh_per_unit, separator, names)
    except Unreadable as error:
        return _nothing(number, error.why, error.remedy)
    rows: list[_Row] = []
    errors: list[RowError] = []
    for row, line in counting:
        try:
            cells = _cells(line, separator)
            if any(cell.strip() for cell in cells):
                rows.append(reader.read(row, cells))
        except Unreadable as error:
            errors.append(RowError(row, error.why, error.remedy))
    remarks = [*_twice(rows), *_last_days_missing(rows)]
    return Table(tuple(row.record for row in rows), tuple(errors), tuple(remarks))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _nothing(row: int, why: str, remedy: str) -> Table:
    return Table((), (RowError(row, why, remedy),))


def _cells(line: str, separator: str) -> list[str]:
    """Return the cells of one line. Raises `Unreadable`."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error as error:
        why = "it has a quotation mark without its partner" if '"' in line else str(error)
        raise Unreadable(why, "mend it; a text in quotation marks ends on its own line") from None


def _places(header: list[str]) -> dict[str, int]:
    """Return in which place each of our columns stands. Raises `Unreadable`."""
    names = [name.strip().lower() for name in header]
    places: dict[str, int] = {}
    for name in COLUMNS:
        if names.count(name) != 1:
            several = "has several columns" if name in names else "has no column"
            raise Unreadable(
                f"the file {several} called {name}", f"let its first line be {','.join(COLUMNS)}"
            )
        places[name] = names.index(name)
    return places


class _Reader:
    """Reads the rows of one file."""

    def __init__(
        self,
        zone: ZoneInfo,
        quantity: Quantity,
        kwh_per_unit: float | None,
        separator: str,
        header: list[str],
    ) -> None:
        self._zone = zone
        self._quantity = quantity
        self._kwh_per_unit = kwh_per_unit
        self._separator = separator
        self._width = len(header)
        self._places = _places(header)
        self._fuel_unit = ("", 0)
        """The unit that `kwh_per_unit` is of, and the first row that has it."""

    def read(self, row: int, cells: list[str]) -> _Row:
        """Return a row. Raises `Unreadable`."""
        if len(cells) <= max(self._places.values()):
            raise Unreadable("it has too few columns", f"fill in {', '.join(COLUMNS)}")
        if any(cell.strip() for cell in cells[self._width :]):
            raise Unreadable(
                "it has more columns than the first line: perhaps a number or a text has a"
                f" {self._separator!r} in it",
                "write numbers without, and put texts into quotation marks",
            )
        said = {name: cells[place] for name, place in self._places.items()}
        start, end = self._moment("start", said["start"]), self._moment("end", said["end"])
        if end.at <= start.at:
            raise Unreadable(
                "its end is not after its start",
                "end is not included: a day ends with the date of the next",
            )
        value = number_of(said["value"], self._separator)
        amount = value * self._factor(said["unit"].strip(), row)
        return _Row(MeterRecord(start.at, end.at, amount, row), start, end)

    def _moment(self, name: str, text: str) -> Moment:
        if not text.strip():
            raise Unreadable(f"its {name} is empty", _DATE_REMEDY)
        try:
            return moment_of(text, self._zone)
        except ValueError as error:
            raise Unreadable(f"its {name}: {error}", _DATE_REMEDY) from None

    def _factor(self, name: str, row: int) -> float:
        """Return how many J or litres one of a unit is. Raises `Unreadable`."""
        if not name:
            raise Unreadable("its unit is empty", "write it, e.g. kWh")
        unit: Unit | None
        try:
            unit, why = unit_of(name), ""
        except ValueError as error:
            unit, why = None, str(error)
        if unit is not None and unit.is_rate:
            raise Unreadable(
                f"{name} is a rate, not an amount", "write the amount of that time, e.g. in kWh"
            )
        if unit is not None and unit.quantity is self._quantity:
            return unit.factor
        if self._quantity is Quantity.WATER:
            if unit is None:
                raise Unreadable(why, "mend the unit, e.g. m3")
            raise Unreadable(
                f"{name} is a unit of energy, and this meter is one of water", "mend it"
            )
        if self._kwh_per_unit is not None:
            self._one_fuel_unit(name, row)
            return self._kwh_per_unit * JOULES_PER_KWH
        if unit is not None or name in _FUEL:
            raise Unreadable(
                f"{name} is no unit of energy",
                f"set kwh_per_unit of this meter to the kWh (lower calorific value) of one {name}",
            )
        raise Unreadable(why, "mend the unit; of fuel, set kwh_per_unit")

    def _one_fuel_unit(self, name: str, row: int) -> None:
        """See to it that all rows of fuel have the unit that `kwh_per_unit` is of."""
        if not self._fuel_unit[0]:
            self._fuel_unit = (name, row)
        elif name != self._fuel_unit[0]:
            known, first = self._fuel_unit
            raise Unreadable(
                f"it is in {name}, but line {first} in {known}: kwh_per_unit is of one of them",
                f"convert it to {known}",
            )


def _twice(rows: list[_Row]) -> Iterator[RowError]:
    """Say which rows name a local time that comes twice."""
    for record, *moments in rows:
        if any(moment.is_first_of_two for moment in moments):
            yield RowError(
                record.row,
                "it names a local time that comes twice, taken as the first: clocks were put back",
                "write such times with their offset, e.g. 2026-10-25T02:30+02:00",
            )


def _last_days_missing(rows: list[_Row]) -> Iterator[RowError]:
    """Say when `end` looks as if it had been meant as the last day, which it is not."""
    days = sorted({(start.day, end.day) for _, start, end in rows if start.day and end.day})
    if not days or len(days) < len({(start.at, end.at) for _, start, end in rows}):
        return
    one_day = timedelta(days=1)
    whole_months = all(
        start.day == 1 and (end + one_day).day == 1 and end > start for start, end in days
    )
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(days)]
    if whole_months or (gaps and all(gap == one_day for gap in gaps)):
        start, end = days[0]
        row = next(r for r in rows if (r.start.day, r.end.day) == (start, end)).record.row
        yield RowError(
            row,
            f"end is not included: {end} is missing, and so is the last day of all other rows",
            f"write {start},{end + one_day} if {end} is meant to be in it",
        )
