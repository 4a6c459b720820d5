"""What the tables hold against what was sealed, row by row, in words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agent.audit.body import (
    HOUR_MINUTES,
    SECTIONS,
    SERIES_FIELDS,
    STREAM_FIELDS,
    Names,
    Row,
    Rows,
    Section,
    same,
    sections,
)
from agent.audit.record import HOUR
from agent.audit.verdict import iso

MOST: Final = 3
"""Rows named of one hour; the rest is counted."""


def differences(
    span: str,
    hour: int,
    sealed: Mapping[str, Any],
    rows: Rows,
    names: Names,
    *,
    pruned_minutes: int,
    pruned_hours: int,
) -> list[str]:
    """Return what is not as it was sealed; nothing: all is.

    `pruned_minutes`, `pruned_hours`: rows before these may be gone; where energy came for an hour
    after that, `left` in its record says what the table has of it.
    """
    found = sections(rows, names)
    if same({name: sealed.get(name) for name in found}, found):
        return []
    said: list[str] = []
    may_be_gone = {
        "energy": span == HOUR and hour < pruned_hours,
        "minutes": (hour + 1) * HOUR_MINUTES <= pruned_minutes,
    }
    for name, section in SECTIONS.items():
        was, now = sealed.get(name), found[name]
        if same(was, now):
            continue
        if may_be_gone.get(name):
            if same(sealed.get("left"), now):
                continue
            there = {row[0] for row in now}
            was = [row for row in was or () if row[0] in there]
            if same(was, now):
                continue
        said += _of_section(section, was, now, sealed, found)
    was, now = sealed.get("minutes"), found["minutes"]
    # what is posted to a minute that is pruned already goes with the next pruning
    if not same(was, now) and not may_be_gone["minutes"]:
        said.append(_of_minutes(was, now))
    for table, fields in (("streams", STREAM_FIELDS), ("series", SERIES_FIELDS)):
        said += _of_names(table, fields, sealed.get(table), found[table])
    return said


def _of_minutes(was: Any, now: Any) -> str:
    if now is None:
        return "minutes: all rows are missing"
    if was is None:
        return f"minutes: {now['rows']} rows were inserted"
    count = was.get("rows") if isinstance(was, dict) else None
    if count != now["rows"]:
        return f"minutes: {now['rows']} rows, sealed with {count}"
    return "minutes: a row was changed (their digest is not the sealed one)"


def _of_names(table: str, fields: Sequence[str], was: Any, now: Mapping[str, Any]) -> Iterator[str]:
    sealed = was if isinstance(was, dict) else {}
    one = table.removesuffix("s") if table == "streams" else table
    for number in sorted(sealed.keys() & now.keys()):
        before, after = sealed[number], now[number]
        if same(before, after):
            continue
        if after is None:
            yield f"{one} {number}: its row is missing"
        elif isinstance(before, list):
            for name, old, new in zip(fields, before, after, strict=False):
                if not same(old, new):
                    yield f"{one} {number}: {name} is {new!r}, sealed as {old!r}"


def _of_section(
    section: Section, was: Any, now: Sequence[Row], sealed: Mapping[str, Any], found: Any
) -> Iterator[str]:
    keys = len(section.key)
    before = {tuple(row[:keys]): tuple(row[keys:]) for row in was or () if isinstance(row, list)}
    after = {row[:keys]: row[keys:] for row in now}
    said = 0
    for key in sorted(before.keys() | after.keys(), key=repr):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and same(old, new):
            continue
        said += 1
        if said <= MOST:
            who = f"{section.name}: {_title(section, key, sealed, found)}"
            if new is None:
                yield f"{who} is missing"
            elif old is None:
                yield f"{who} was inserted"
            else:
                yield f"{who}: {_changed(section, old, new)}"
    if said > MOST:
        yield f"{section.name}: {said - MOST} more rows differ"
    if not said:
        yield f"{section.name}: rows differ in order or number"


def _changed(section: Section, old: Row, new: Row) -> str:
    return ", ".join(
        f"{name} is {b!r}, sealed as {a!r}"
        for name, a, b in zip(section.values, old, new, strict=False)
        if not same(a, b)
    )


def _title(section: Section, key: Row, sealed: Mapping[str, Any], found: Any) -> str:
    """Return what a row is called."""
    match section.name:
        case "energy":
            return _named("streams", key[0], sealed, found)
        case "quarters":
            at = key[1]
            when = iso(at * 900) if isinstance(at, int) else repr(at)
            return f"{_named('series', key[0], sealed, found)} of {when}"
        case "invoices":
            return f"row {key[0]!r}"
        case _:
            return " ".join(str(cell) for cell in key[2:7]) + f" from {_when(key[0])}"


def _when(cell: Any) -> str:
    return iso(cell) if isinstance(cell, float) else repr(cell)


def _named(table: str, number: Any, sealed: Mapping[str, Any], found: Any) -> str:
    for names in (sealed.get(table), found.get(table)):
        row = names.get(str(number)) if isinstance(names, dict) else None
        if row:
            return " ".join(str(cell) for cell in row[:4])
    return f"{table} {number!r}"
