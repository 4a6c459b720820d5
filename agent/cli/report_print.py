"""How reports look: JSON for programs, tables for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
import msgspec

from agent.cli.common import print_table
from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.compare import ItCompared
from agent.kpi.period import Period
from agent.kpi.reconcile import Row
from agent.kpi.result import ENOUGH, Kpi
from agent.report.gathered import Correction, Gathered
from agent.report.missing import MeterCover, covers
from agent.report.period import iso, show
from agent.site.virtual import water_meters

SHOWN: Final = 5
"""Stretches, servers or rows that are named one by one for people; JSON has all."""
ALL: Final = 0.99995
"""Coverage that is printed as 100 %."""
JUDGED: Final = {"ok": "", "outside": "outside", "incomplete": "incomplete", "missing": "missing"}


def kpi_document(
    found: Gathered, period: Period, kpis: Iterable[Kpi], both: ItCompared | None
) -> dict[str, Any]:
    """Return the KPIs as JSON."""
    return {
        "period": _period(period),
        "site": found.site.name,
        "kpis": [
            {
                "name": each.name,
                "value": each.value,
                "unit": each.unit,
                "category": each.category,
                "coverage": each.coverage,
                "complete": each.is_complete,
                "note": each.note,
                "definition": each.definition,
                "inputs": msgspec.to_builtins(each.inputs),
            }
            for each in kpis
        ],
        "it_by_meters_and_agents": msgspec.to_builtins(both),
        **_about(found, period),
    }


def reconcile_document(found: Gathered, period: Period, rows: Iterable[Row]) -> dict[str, Any]:
    """Return the reconciliation as JSON."""
    zone = period.zone
    return {
        "period": _period(period),
        "site": found.site.name,
        "tolerance_percent": found.site.tolerance_percent,
        "rows": [
            {
                **msgspec.to_builtins(row),
                "start": iso(row.start, zone),
                "end": iso(row.end, zone),
            }
            for row in rows
        ],
        **_about(found, period),
    }


def print_kpis(
    found: Gathered, period: Period, kpis: Sequence[Kpi], both: ItCompared | None
) -> None:
    """Print the KPIs as a table, and below it what is missing."""
    rows = [
        [
            each.name,
            number(each.value),
            "" if each.unit == "1" else each.unit,
            each.category,
            share(each.coverage),
            "withheld" if each.value is None else "" if each.is_complete else "incomplete",
        ]
        for each in kpis
    ]
    click.echo(_heading(found, period))
    if rows:
        columns = ["KPI", "value", "unit", "category", "coverage", ""]
        print_table("", columns, rows, right=(1, 4))
    else:
        click.echo("no meter and no agent is there for any KPI")
    notes: dict[str, list[str]] = {}
    for each in kpis:
        if each.note:
            named = each.name in each.category
            name = each.category if named else f"{each.name} {each.category}".rstrip()
            notes.setdefault(each.note, []).append(name)
    for note, names in notes.items():
        click.echo(f"{', '.join(dict.fromkeys(names))}: {note}")
    if both is not None and both.meters_kwh is not None and both.agents_kwh is not None:
        percent = both.difference_percent
        apart = "" if percent is None else f", {percent:+.2f} %"
        click.echo(
            f"IT energy: {both.meters_kwh:,.1f} kWh by meters (category {both.category}),"
            f" {both.agents_kwh:,.1f} kWh by agents{apart}, over {share(both.coverage)} of the"
            " period"
        )
    _print_about(found, period)


def print_reconciliation(found: Gathered, period: Period, rows: Sequence[Row]) -> None:
    """Print the reconciliation as a table, and below it what is outside tolerance."""
    click.echo(_heading(found, period))
    columns = ["month", "what", "against", "it says", "they say", "unit", "difference", "%", ""]
    print_table(
        "",
        columns,
        [
            [
                row.month,
                row.what,
                " + ".join(row.against),
                amount(row.compared if row.compared is not None else row.billed),
                amount(row.measured),
                row.unit,
                amount(row.difference, sign="+"),
                "–" if row.difference_percent is None else f"{row.difference_percent:+.2f}",
                JUDGED[row.status],
            ]
            for row in rows
        ],
        right=(3, 4, 6, 7),
    )
    outside = [row for row in rows if row.status == "outside"]
    for row in outside:
        there = " + ".join(row.against)
        click.echo(
            f"outside {found.site.tolerance_percent:g} %: {row.month} {row.what}"
            f" {amount(row.compared)} {row.unit}, {there} {amount(row.measured)} {row.unit}"
        )
    if not outside and all(row.status == "ok" for row in rows):
        click.echo(f"all within {found.site.tolerance_percent:g} %")
    for row in rows:
        if row.note:
            click.echo(f"{row.month} {row.what}: {row.note}")
    _print_about(found, period)


def number(value: float | None) -> str:
    """Format a KPI."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.5g}"


def amount(value: float | None, *, sign: str = "") -> str:
    """Format kWh or litres; a dash for unknown."""
    return "–" if value is None else f"{value:{sign},.1f}"


def share(ratio: float) -> str:
    """Format a coverage; what is not whole never looks so."""
    return "100 %" if ratio >= ALL else f"{min(ratio, 0.9999):.2%}".replace("%", " %")


def _heading(found: Gathered, period: Period) -> str:
    first, last = show(period.start, period.zone), show(period.end, period.zone)
    return f"{found.site.name or 'this site'}: {first} to {last} (not included), {period.zone}"


def _period(period: Period) -> dict[str, str]:
    return {
        "from": iso(period.start, period.zone),
        "to": iso(period.end, period.zone),
        "time_zone": period.zone,
    }


def _about(found: Gathered, period: Period) -> dict[str, Any]:
    """Return what is known, what is missing, and what was corrected."""
    zone = period.zone
    water = water_meters(found.site)
    return {
        "meters": [
            {
                "name": each.meter,
                "role": each.role,
                "source": each.source,
                "coverage": each.coverage,
                "missing": [{"from": iso(a, zone), "to": iso(b, zone)} for a, b in each.missing],
            }
            for each in covers(found.site, found.cells, period)
        ],
        "servers": None
        if found.server_count is None
        else {
            "count": found.server_count,
            "not_always_there": [
                {
                    "instance": server.name,
                    "from": iso(server.first, zone),
                    "to": iso(server.last, zone),
                    "missing_seconds": server.missing_seconds,
                }
                for server in found.servers
            ],
        },
        "history": [_correction(each, each.meter in water, zone) for each in found.history],
        "problems": list(found.problems),
    }


def _correction(each: Correction, is_water: bool, zone: str) -> dict[str, Any]:
    per_unit = 1.0 if is_water else JOULES_PER_KWH
    when = each.replaced_at
    return {
        "meter": each.meter,
        "from": iso(each.old.start, zone),
        "to": iso(each.old.end, zone),
        "value": each.old.amount / per_unit,
        "replaced_by": None if each.new is None else each.new.amount / per_unit,
        "unit": "l" if is_water else "kWh",
        "line": each.old.row,
        "replaced_by_line": None if each.new is None else each.new.row,
        "replaced_at": None if when is None else iso(when, zone),
    }


def _print_about(found: Gathered, period: Period) -> None:
    poor = [each for each in covers(found.site, found.cells, period) if each.missing]
    for each in poor:
        click.echo(f"missing: {_lacks(each, period.zone)}")
    late = [s for s in found.servers if s.missing_seconds]
    for server in late[:SHOWN]:
        hours = server.missing_seconds / 3600
        click.echo(f"missing: {hours:,.2f} h of the server {server.name}")
    if len(late) > SHOWN:
        click.echo(f"missing: something of {len(late) - SHOWN} more servers (--json names them)")
    water = water_meters(found.site)
    for correction in found.history:
        row = _correction(correction, correction.meter in water, period.zone)
        old, new, unit = amount(row["value"]), amount(row["replaced_by"]), row["unit"]
        click.echo(
            f"corrected: {row['meter']} {show(correction.old.start, period.zone)} to"
            f" {show(correction.old.end, period.zone)}, {old} {unit} became {new} {unit}"
        )
    for problem in found.problems:
        click.echo(f"note: {problem}")
    begin = day_of_first(found, period)
    if begin is not None:
        click.echo(f"note: nothing is known before {begin}; --from {begin} leaves that out")


def day_of_first(found: Gathered, period: Period) -> str | None:
    """Return the first whole day of which anything is known, where a good part lies before it."""
    fleet = found.fleet
    everything = [*found.cells.values(), *((fleet.it, fleet.busy) if fleet else ())]
    inside = [c.start for cells in everything for c in cells if c.end > period.start and c.seconds]
    first = min(inside, default=period.start)
    if first - period.start <= (1 - ENOUGH) * period.seconds:
        return None
    zone = ZoneInfo(period.zone)
    day = datetime.fromtimestamp(first, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if day.timestamp() < first:
        day += timedelta(days=1)
    return f"{day:%Y-%m-%d}" if day.timestamp() < period.end else None


def _lacks(each: MeterCover, zone: str) -> str:
    if not each.coverage and not each.note:
        return f"{each.meter} ({each.role}) knows nothing of the period"
    times = [f"{show(a, zone)} to {show(b, zone)}" for a, b in each.missing[:SHOWN]]
    more = len(each.missing) - SHOWN
    times += [f"{more} more times"] if more > 0 else []
    note = f" ({each.note})" if each.note else ""
    enough = "" if each.coverage >= ENOUGH else ", too little"
    return (
        f"{each.meter} ({each.role}) knows {share(each.coverage)}{enough}: not"
        f" {', '.join(times)}{note}"
    )
