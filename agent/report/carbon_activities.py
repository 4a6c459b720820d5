"""Records of fuel and refrigerants, from their CSV files, in the unit of the file."""

import csv
import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from agent.carbon.settings import Activity
from agent.collector import Transient
from agent.site.cells import Cell
from agent.site.records import cells_of, resolve
from agent.site.table import JOULES_PER_KWH, parse_table
from agent.site.units import unit_of
from agent.site.words import Quantity
from collectors.meter_files import read_file

NAMED_ROWS: Final = 5
_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class Records(NamedTuple):
    """What one file says."""

    cells: list[Cell]
    """Amounts in `unit`."""
    unit: str
    problems: list[str]


def read_activity(activity: Activity, zone: str) -> Records:
    """Return the records of a fuel or refrigerant; dates are of `zone`, an IANA name.

    Amounts are in the unit that the file has, which `kilograms_per_unit` is of; a row in another
    unit than the first is left out. A file that cannot be read is a problem, and no records.
    """
    try:
        text, _ = read_file(activity.file)
    except Transient as failure:
        remedy = f"; {failure.remedy}" if failure.remedy else ""
        return Records([], "", [f"{activity.name}: {failure.why}{remedy}"])
    # one unit of what is no energy counts as one kWh there, so that any unit can be read
    table = parse_table(text, ZoneInfo(zone), Quantity.ENERGY, 1.0)
    units = _units(text)
    first = next((units.get(record.row, "") for record in table.records), "")
    alike = [record for record in table.records if units.get(record.row, "") == first]
    resolved = resolve(alike)
    wrong = [(e.row, f"is left out: {e.why}; {e.remedy}") for e in table.errors]
    wrong += [
        (r.row, f"is left out: it is in {units.get(r.row)}, not in {first}; convert it to {first}")
        for r in table.records
        if units.get(r.row, "") != first
    ]
    wrong += [
        (r.record.row, f"is left out: it overlaps line {r.other.row} in part; mend the dates")
        for r in resolved.refused
    ]
    wrong += [(e.row, f"{e.why}; {e.remedy}") for e in table.remarks]
    per_unit = _per_unit(first)
    cells = [cell._replace(amount=cell.amount / per_unit) for cell in cells_of(resolved.records)]
    return Records(cells, first, _said(activity, sorted(wrong)))


def _per_unit(name: str) -> float:
    """Return how many J the table made of one unit."""
    try:
        unit = unit_of(name)
    except ValueError:
        return JOULES_PER_KWH
    return unit.factor if unit.quantity is Quantity.ENERGY else JOULES_PER_KWH


def _units(text: str) -> dict[int, str]:
    """Return what each line says in the column `unit`."""
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    counting = [
        (n, line)
        for n, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    told = ""
    if counting and (sep := re.fullmatch(r"sep=([,;\t])", counting[0][1].strip(" \r"))):
        told = sep[1]
        counting = counting[1:]
    if not counting:
        return {}
    header = counting[0][1]
    separator = told or next((s for s in "\t;" if s in header), ",")
    names = [name.strip().lower() for name in _cells(header, separator)]
    if "unit" not in names:
        return {}
    place = names.index("unit")
    rows = ((n, _cells(line, separator)) for n, line in counting[1:])
    return {n: cells[place].strip() for n, cells in rows if len(cells) > place}


def _cells(line: str, separator: str) -> Sequence[str]:
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # the table said so already
        return ()


def _said(activity: Activity, wrong: list[tuple[int, str]]) -> list[str]:
    said = [
        f"{activity.name}: {activity.file} line {row} {what}" for row, what in wrong[:NAMED_ROWS]
    ]
    if len(wrong) > NAMED_ROWS:
        said.append(f"{activity.name}: {activity.file}: {len(wrong) - NAMED_ROWS} more such lines")
    return said
