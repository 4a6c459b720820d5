"""What of a device is asked for, and what its answers mean: no I/O.

An answer that is missing, that the MIB calls "not available", or that is no number is never a 0.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from agent.collector import Transient
from agent.site.settings import SnmpMeter
from collectors.metering import Part, Value
from collectors.snmp_cells import GARBAGE_SHOWN, RANGES, Cell
from collectors.snmp_maps import MAPS, Figure, known_maps

OID: Final = re.compile(r"([01]\.[1-3]?\d|2\.\d{1,9})(\.\d{1,10})+", re.ASCII)
INDEX: Final = re.compile(r"\d{1,9}(\.\d{1,9})*", re.ASCII)
NUMBER: Final = re.compile(r"[-+]?\d+(\.\d+)?", re.ASCII)
MOST_LINES: Final = 12
"""Phases that are summed, at most; a UPS has three."""
MOST_DIGITS: Final = 9
NOT_AVAILABLE: Final = frozenset({2**31 - 1, 2**32 - 1})
"""What many agents give for "no reading", besides a negative number."""

Cells = Mapping[str, Cell]


class Lacking(Transient):
    """The device has not got this figure, or not now."""


class Plan(NamedTuple):
    """What of one meter is asked for."""

    figures: tuple[Figure, ...]
    position: str
    is_map: bool

    def once(self) -> list[str]:
        """Return the OIDs that are read once: digits, units, numbers of phases."""
        found = (
            oid for f in self.figures for oid in (f.digits_oid, f.units_oid, f.lines_oid) if oid
        )
        return [oid.format(index=self.position) for oid in found]

    def always(self, fixed: Cells) -> list[str]:
        """Return the OIDs of each reading. Raises `Transient`."""
        found: list[str] = []
        for figure in self.figures:
            for oid in (figure.valid_oid, figure.current_oid, figure.oid):
                found += self.rows(figure, oid, fixed) if oid else []
        return list(dict.fromkeys(found))

    def rows(self, figure: Figure, oid: str, fixed: Cells) -> list[str]:
        """Return an OID of a figure, once for each phase. Raises `Transient`."""
        if "{line}" not in oid:
            return [oid.format(index=self.position)]
        where = figure.lines_oid.format(index=self.position)
        lines = fixed[where].number if where in fixed else None
        if lines is None or not 1 <= lines <= MOST_LINES:
            told = "nothing" if lines is None else str(lines)
            raise Transient(
                f"gives {told} as its number of phases ({where})",
                "nothing",
                "the map may not fit this device; it may be asleep or still starting",
            )
        return [oid.format(index=self.position, line=line) for line in range(1, lines + 1)]

    def parts(self, fixed: Cells, cells: Cells) -> list[Part]:
        """Return what the answers say, and what of them is no figure.

        A device of a map's family may have only one of energy and power: no failure.
        """
        parts: list[Part] = []
        for figure in self.figures:
            try:
                parts.append(self._value(figure, fixed, cells))
            except Transient as failure:
                parts.append(failure)
        lacking = [p for p in parts if isinstance(p, Lacking)]
        if self.is_map and lacking and len(lacking) < len(parts):
            return [p for p in parts if not isinstance(p, Lacking)]
        return parts

    def _value(self, figure: Figure, fixed: Cells, cells: Cells) -> Value:
        """Return a figure. Raises `Lacking` where there is none, `Transient` for no number."""
        if figure.valid_oid:
            oid = figure.valid_oid.format(index=self.position)
            valid = cells[oid]
            if valid.kind != "missing" and _number(valid, oid) not in figure.valid:
                raise self._lacking(f"says that {figure.name} is not available now")
        total = 0.0
        kind = ""
        for oid in self.rows(figure, figure.oid, fixed):
            cell = cells[oid]
            if cell.kind == "missing":
                raise self._lacking(f"has no {figure.name} ({oid}: {cell.text})")
            number = _number(cell, oid)
            if self.is_map and (number < 0 or (cell.kind == "integer" and number in NOT_AVAILABLE)):
                raise self._lacking(f"says {number:g} for {figure.name}: not available")
            total, kind = total + number, cell.kind
        if figure.current_oid and total == 0 and self._flows(figure, fixed, cells):
            raise self._lacking(f"says 0 for {figure.name} while a current flows: not measured")
        unit, scale = self._unit(figure, fixed)
        wraps_at = figure.wraps_at if figure.wraps_at is not None else RANGES.get(kind)
        return Value(total * scale, unit, None if wraps_at is None else wraps_at * scale)

    def _lacking(self, why: str) -> "Lacking":
        remedy = "mend the OID in the settings"
        if self.is_map:
            remedy = "look whether map and index fit the device; docs/meters-snmp.md says how"
        return Lacking(why, "nothing", remedy)

    def _flows(self, figure: Figure, fixed: Cells, cells: Cells) -> bool:
        rows = self.rows(figure, figure.current_oid, fixed)
        return any((cells[oid].number or 0) > 0 for oid in rows)

    def _unit(self, figure: Figure, fixed: Cells) -> tuple[str, float]:
        """Return unit and scale, with what the device says of them. Raises `Transient`."""
        unit, scale = figure.unit, figure.scale
        if figure.units_oid:
            told = fixed[figure.units_oid.format(index=self.position)]
            if told.kind != "missing" and figure.units.get(told.number or 0) != unit:
                raise Transient(
                    f"gives {figure.name} in unit {told.number}, which is not {unit}",
                    "garbage",
                    "the map does not fit this device; give energy_oid, energy_unit and so on",
                )
        if figure.digits_oid:
            told = fixed[figure.digits_oid.format(index=self.position)]
            digits = told.number or 0
            if not 0 <= digits <= MOST_DIGITS:
                raise Transient(f"gives {figure.name} with {digits} decimal digits", "garbage")
            scale = scale / 10**digits
        return unit, scale


def plan_of(meter: SnmpMeter) -> Plan:
    """Return what the settings ask for. Raises `Transient` with what is wrong with them."""
    if meter.map:
        known = MAPS.get(meter.map)
        if known is None:
            raise _settings(f"map {meter.map!r} is not shipped", f"use {', '.join(known_maps())}")
        if meter.energy_oid or meter.power_oid:
            raise _settings(
                "both a map and an OID of its own are set", "leave out map, or the OIDs"
            )
        if meter.index and not known.position:
            raise _settings(f"map {meter.map!r} has no index", "leave out index")
        index = meter.index or known.position
        if index and (not INDEX.fullmatch(index) or index.count(".") != known.position.count(".")):
            raise _settings(
                f"index {index!r} does not fit map {meter.map!r} ({known.position_means})",
                f'write it as "{known.position}"',
            )
        return Plan(tuple(f for f in (known.energy, known.power) if f), index, is_map=True)
    figures: list[Figure] = []
    for key, oid, unit, scale, wraps_at in (
        (
            "energy_oid",
            meter.energy_oid,
            meter.energy_unit,
            meter.energy_scale,
            meter.energy_wraps_at,
        ),
        ("power_oid", meter.power_oid, meter.power_unit, meter.power_scale, None),
        (
            "temperature_oid",
            meter.temperature_oid,
            meter.temperature_unit,
            meter.temperature_scale,
            None,
        ),
    ):
        if not oid:
            continue
        plain = oid.removeprefix(".")
        if not OID.fullmatch(plain):
            raise _settings(
                f"{key} {oid!r} is no OID in numbers",
                f"write it as 1.3.6.1…; `snmptranslate -On {oid[:GARBAGE_SHOWN]}` tells it",
            )
        raw = None if wraps_at is None else wraps_at / scale
        figures.append(Figure(key, plain, unit, scale, raw))
    if not figures:
        raise _settings(
            "neither map nor energy_oid nor power_oid is set",
            f"set map to one of {', '.join(known_maps())}, or give an OID",
        )
    if meter.index:
        raise _settings("index is set, but no map", "write the whole OID, and leave out index")
    return Plan(tuple(figures), "", is_map=False)


def _number(cell: Cell, oid: str) -> float:
    """Return a number; one that is written in a string, as some agents do, counts. Raises."""
    if cell.number is not None:
        return float(cell.number)
    text = cell.text.strip().strip("\0")
    if cell.kind == "text" and NUMBER.fullmatch(text):
        return float(text)
    what = f"the text {text[:GARBAGE_SHOWN]!r}" if cell.kind == "text" else f"a {cell.text}"
    raise Transient(f"{oid} is {what}, not a number", "garbage", "mend map or the OID")


def _settings(why: str, remedy: str) -> Transient:
    return Transient(why, "settings", remedy)
