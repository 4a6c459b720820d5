"""How a carbon report looks for people, from its document."""

from typing import Any, Final

import click

from agent.cli.common import print_table
from agent.cli.report_print import amount, share

SHOWN: Final = 5
"""Hours, sources or assets that are named one by one; JSON has all."""


def print_carbon(document: dict[str, Any]) -> None:
    """Print the account, what it stands on, and what is missing."""
    period = document["period"]
    name = document["name"] or f"this {document['scope']}"
    first, last = day(period["from"]), day(period["to"])
    click.echo(f"{name}: {first} to {last} (not included), {period['time_zone']}")
    _account(document)
    _intensity(document)
    _contracts(document)
    _restated(document)
    _embodied(document["embodied"])
    _budgets(document["budgets"])
    _per_unit(document["per_unit"])
    for row in document["sources"]:
        family = f", {row['family']}" if row["family"] else ""
        year = f", {row['year']}" if row["year"] and row["year"] not in row["source"] else ""
        click.echo(f"source: {row['what']}: {row['source']}{year}{family}")
    for sentence in document["uncertainty"]:
        click.echo(f"uncertainty: {sentence}")
    for sentence in document["missing"]:
        click.echo(f"missing: {sentence}")


def kilograms(grams: float | None) -> str:
    """Format g as kg; a dash for unknown."""
    if grams is None:
        return "–"
    return f"{grams / 1000:,.1f}" if abs(grams) >= 1e5 else f"{grams / 1000:.4g}"


def day(moment: str) -> str:
    """Return a moment of the document for people: without the time where it is midnight."""
    date, _, rest = moment.partition("T")
    return date if rest.startswith("00:00:00") else f"{date} {rest[:5]}"


def _account(document: dict[str, Any]) -> None:
    rows = [
        [
            line["scope"],
            "" if line["basis"] == "-" else line["basis"],
            line["stage"],
            kilograms(line["grams"]),
            "" if line["low"] is None else kilograms(line["low"]),
            "" if line["high"] is None else kilograms(line["high"]),
        ]
        for line in document["emissions"]
    ]
    rows += [
        [
            "all",
            each["basis"],
            "all that are known",
            *(kilograms(each[key]) for key in ("grams", "low", "high")),
        ]
        for each in document["totals"]
    ]
    columns = ["scope", "basis", "stage", "kg CO2e", "low", "high"]
    print_table("", columns, rows, right=(3, 4, 5))
    click.echo("location and market are two accounts of the same energy: never add them")
    known = share(document["coverage"])
    click.echo(f"energy: {amount(document['energy_kwh'])} kWh, known for {known} of the period")


def _intensity(document: dict[str, Any]) -> None:
    found = document["intensity"]
    zone = document["grid_zone"] or "no grid zone set"
    if found["location_grams_per_kwh"] is None:
        click.echo(f"intensity ({zone}): unknown")
        return
    parts = [
        f"{row['standing']} by {row['provider']} {share(row['share'])}"
        if row["provider"]
        else f"unknown {share(row['share'])}"
        for row in found["by_provider"]
        if row["share"] is not None
    ]
    click.echo(
        f"intensity ({zone}, {found['family']}): {found['location_grams_per_kwh']:.1f} g/kWh by"
        f" location; {'; '.join(parts)}"
    )


def _contracts(document: dict[str, Any]) -> None:
    contracts = document["contracts"]
    for line in contracts["lines"]:
        grams = kilograms(line["grams"])
        click.echo(f"market: {line['kwh']:,.1f} kWh {line['tier']}: {line['name']}: {grams} kg")
    for key, said in (
        ("onsite_kwh", "made on the site and used there"),
        ("surplus_kwh", "contracted beyond the load of the hour, claimed nowhere"),
        ("unused_kwh", "contracted beyond what was bought"),
    ):
        if contracts[key]:
            click.echo(f"contracts: {contracts[key]:,.1f} kWh {said}")
    free = document["carbon_free"]
    if free is not None and free["score"] is not None:
        without = free["hours_without_grid"]
        more = f" (the grid's own share is unknown in {without} h and counts as 0)"
        click.echo(f"hourly carbon-free score: {share(free['score'])}{more if without else ''}")


def _restated(document: dict[str, Any]) -> None:
    found = document["restated"]
    if found is None:
        return
    click.echo(
        f"restated: booked live {kilograms(found['booked_grams'])} kg, known now"
        f" {kilograms(found['known_grams'])} kg, difference"
        f" {found['difference_grams'] / 1000:+,.4g} kg in {len(found['hours'])} h"
    )
    worst = sorted(found["hours"], key=lambda each: -abs(each["difference_grams"]))[:SHOWN]
    for each in sorted(worst, key=lambda row: str(row["from"])):
        click.echo(
            f"restated: {day(each['from'])}: {kilograms(each['booked_grams'])} became"
            f" {kilograms(each['known_grams'])} kg"
        )


def _embodied(found: dict[str, Any]) -> None:
    rows = [
        [
            part["asset"],
            part["model"],
            f"{part['count']:g}",
            *(
                "–" if part[key] is None else kilograms(part[key]["all"]["best"])
                for key in ("period", "to_date", "life")
            ),
            part["source"],
        ]
        for part in found["assets"]
    ]
    if rows:
        columns = ["asset", "model", "count", "kg in period", "to date", "life", "source"]
        print_table("the machine's other stages", columns, rows, right=(2, 3, 4, 5))
    if found["per_hour"] is not None:
        hourly = found["per_hour"]["all"]
        click.echo(
            f"embodied: {hourly['best']:.4g} g an hour ({hourly['low']:.4g} to"
            f" {hourly['high']:.4g})"
        )
    if found["credit_grams"]:
        click.echo(f"recycling credit, in no figure: {kilograms(found['credit_grams'])} kg")
    kept = found["longer_life"]
    if kept is not None:
        click.echo(
            f"a longer life saves {kilograms(kept['saved_grams_per_year'])} kg for each year beyond"
            f" the planned end; so far {kilograms(kept['saved_grams_to_date'])} kg"
        )


def _budgets(budgets: list[dict[str, Any]]) -> None:
    rows = []
    for each in budgets:
        pace = next((p for p in each["paces"] if p["expected"] is not None), None)
        out = each["exceeded"] or (pace and pace["runs_out"])
        rows.append(
            [
                f"{each['name']} ({each['of']})",
                f"{each['limit']:,.6g} {each['unit']}",
                "–" if each["used"] is None else f"{each['used']:,.6g}",
                "–" if each["share"] is None else f"{each['share']:.1%}",
                "–" if pace is None else f"{pace['expected']:,.6g}",
                f"exceeded {day(each['exceeded'])}"
                if each["exceeded"]
                else f"runs out {day(out)}"
                if out
                else "",
            ]
        )
    if rows:
        columns = ["budget", "limit", "used", "%", "expected at this pace", ""]
        print_table("", columns, rows, right=(1, 2, 3, 4))


def _per_unit(rows: list[dict[str, Any]]) -> None:
    for each in rows:
        value = "–" if each["value"] is None else f"{each['value']:.5g}"
        click.echo(f"{each['name']}: {value} {each['unit']} ({each['what']})")
