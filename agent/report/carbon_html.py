"""A carbon report as one HTML page that needs nothing else: tables, plots, sources."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from agent.report.carbon_plots import INSTALL, Plot, plots

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; margin: .8em 0; width: 100%; }
caption { text-align: left; color: #555; padding-bottom: .3em; }
th, td { padding: .25em .6em; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.sum td { font-weight: 600; border-top: 1px solid #555; }
figure { margin: 1em 0; break-inside: avoid; } figure svg { width: 100%; height: auto; }
figcaption { color: #555; } .small { color: #555; font-size: .9em; }
@media print { body { margin: 0; max-width: none; font-size: 10pt; } h2 { break-after: avoid; }
  table { break-inside: auto; } tr { break-inside: avoid; } }
"""
_DASH: Final = "–"


def carbon_html(document: dict[str, Any]) -> str:
    """Return the page."""
    period = document["period"]
    name = document["name"] or f"this {document['scope']}"
    title = f"Carbon report of {name}"
    drawn = plots(document)
    zone = document["grid_zone"] or "none set"
    about = (
        f"{_day(period['from'])} to {_day(period['to'])} (not included), {period['time_zone']}."
        f" Grid zone: {zone}. Energy: {_number(document['energy_kwh'])} kWh, known for"
        f" {document['coverage']:.2%} of the period."
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(about)}</p>",
        _account(document),
        _figures(drawn),
        _intensity(document["intensity"]),
        _contracts(document),
        _restated(document["restated"]),
        _embodied(document["embodied"]),
        _budgets(document["budgets"]),
        _per_unit(document["per_unit"]),
        _sources(document["sources"]),
        _list("Uncertainty", document["uncertainty"]),
        _list("What is missing", document["missing"]),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _account(document: dict[str, Any]) -> str:
    rows = [
        [
            line["scope"],
            "" if line["basis"] == "-" else line["basis"],
            line["stage"].replace("_", " and "),
            *(_kilograms(line[key]) for key in ("grams", "low", "high")),
        ]
        for line in document["emissions"]
    ]
    sums = [
        ["all", each["basis"], "all that are known"]
        + [_kilograms(each[key]) for key in ("grams", "low", "high")]
        for each in document["totals"]
    ]
    note = (
        "Location and market are two accounts of the same energy and are never added to each"
        " other. Offsets are in neither. A dash is unknown, which is not zero."
    )
    head = ["scope", "basis", "stage", "kg CO2e", "low", "high"]
    return "<h2>Emissions</h2>\n" + _table(head, rows, right=(3, 4, 5), sums=sums, caption=note)


def _figures(drawn: Sequence[Plot] | None) -> str:
    if drawn is None:
        return f"<p>The plots need matplotlib: <code>{escape(INSTALL)}</code></p>"
    return "\n".join(
        f"<figure>\n<h2>{escape(plot.title)}</h2>\n{plot.svg}\n"
        f'<figcaption id="plot{number}-alt">{escape(plot.alt)}</figcaption>\n</figure>'
        for number, plot in enumerate(drawn, 1)
    )


def _intensity(found: dict[str, Any]) -> str:
    rows = [
        [
            row["provider"] or "nobody",
            row["standing"],
            _number(row["grams_per_kwh"]),
            _number(row["kwh"]),
            _percent(row["share"]),
            "; ".join(row["sources"]),
        ]
        for row in found["by_provider"]
    ]
    family = "life-cycle" if found["family"] == "lifecycle" else "direct"
    note = (
        f"Mean of the energy used, {family}: {_number(found['location_grams_per_kwh'])} g/kWh by"
        f" location, {_number(found['market_grams_per_kwh'])} g/kWh by market. Intensity is known"
        f" for {_percent(found['coverage'])} of the energy."
    )
    head = ["provider", "how it was obtained", "g/kWh", "kWh", "share", "source"]
    return "<h2>Intensity of the grid</h2>\n" + _table(head, rows, right=(2, 3, 4), caption=note)


def _contracts(document: dict[str, Any]) -> str:
    contracts, free = document["contracts"], document["carbon_free"]
    rows = [
        [
            line["tier"].replace("_", " "),
            line["name"],
            _number(line["kwh"]),
            _kilograms(line["grams"]),
        ]
        for line in contracts["lines"]
    ]
    said = (
        f"Bought: {_number(contracts['bought_kwh'])} kWh; made on the site and used there:"
        f" {_number(contracts['onsite_kwh'])} kWh; contracted beyond the load of its hour and"
        f" claimed nowhere: {_number(contracts['surplus_kwh'])} kWh; yearly amounts beyond what"
        f" was bought: {_number(contracts['unused_kwh'])} kWh."
    )
    if free is not None and free["score"] is not None:
        said += (
            f" Hourly carbon-free score (24/7): {_percent(free['score'])}; the grid's own"
            f" carbon-free share is unknown in {free['hours_without_grid']} of {free['hours']} h"
            " and counts as none."
        )
    head = ["rung", "contract or factor", "kWh", "kg CO2e"]
    table = _table(head, rows, right=(2, 3), caption=said)
    return "<h2>Scope 2 by market</h2>\n" + table


def _restated(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    keys = ("booked_grams", "known_grams", "difference_grams")
    rows = [
        [_day(each["from"]), *(_kilograms(each[key]) for key in keys)] for each in found["hours"]
    ]
    text = (
        "<h2>Restated</h2>\n<p>Booked live (Scope 2 by location):"
        f" {_kilograms(found['booked_grams'])} kg. With what is known now:"
        f" {_kilograms(found['known_grams'])} kg. Difference:"
        f" {_kilograms(found['difference_grams'])} kg in {len(rows)} hours.</p>"
    )
    if not rows:
        return text
    head = ["hour from", "booked kg", "known now kg", "difference kg"]
    inner = _table(head, rows, right=(1, 2, 3))
    return f"{text}\n<details><summary>The hours that changed</summary>\n{inner}\n</details>"


def _embodied(found: dict[str, Any]) -> str:
    rows = [
        [part["asset"], part["model"], f"{part['count']:g}"]
        + [_best(part[key]) for key in ("period", "to_date", "life")]
        + [_range(part["life"]), (part["in_service"] or _DASH)[:10]]
        + ["; ".join([part["source"], *part["notes"]])]
        for part in found["assets"]
    ]
    kept, credit = found["longer_life"], found["credit_grams"]
    note = [f"Inventory from: {found['from']}. kg CO2e, straight-line over the planned life."]
    if found["per_hour"] is not None:
        note.append(f"{found['per_hour']['all']['best']:.4g} g an hour.")
    if credit:
        note.append(f"Recycling credit, in no figure: {_kilograms(credit)} kg.")
    if kept is not None:
        note.append(
            f"Each year beyond the planned end saves {_kilograms(kept['saved_grams_per_year'])} kg;"
            f" so far {_kilograms(kept['saved_grams_to_date'])} kg."
        )
    head = ["asset", "model", "count", "in period", "to date", "life", "low to high"]
    head += ["since", "source"]
    title = "<h2>Before and after operation</h2>\n"
    if not rows:
        return f"{title}<p>Nothing is known of the machine's other stages; see below.</p>"
    return title + _table(head, rows, right=(2, 3, 4, 5, 6), caption=" ".join(note))


def _budgets(budgets: Iterable[dict[str, Any]]) -> str:
    rows = [
        [
            f"{each['name']} ({each['of']})",
            f"{_number(each['limit'])} {each['unit']}",
            _number(each["used"]),
            _percent(each["share"]),
            "since the start" if pace["days"] is None else f"last {pace['days']} days",
            _number(pace["per_day"]),
            _number(pace["expected"]),
            _day(each["exceeded"] or pace["runs_out"] or "") or "not in this period",
        ]
        for each in budgets
        for pace in each["paces"]
    ]
    head = ["budget", "limit", "used", "share", "pace of", "a day", "expected", "runs out"]
    return "<h2>Budgets</h2>\n" + _table(head, rows, right=(1, 2, 3, 5, 6)) if rows else ""


def _per_unit(found: Iterable[dict[str, Any]]) -> str:
    rows = [[each["name"], _number(each["value"]), each["unit"], each["what"]] for each in found]
    head = ["figure", "value", "unit", "what it is"]
    return "<h2>Per unit</h2>\n" + _table(head, rows, right=(1,)) if rows else ""


def _sources(found: Iterable[dict[str, Any]]) -> str:
    rows = [[row[key] for key in ("what", "source", "year", "family")] for row in found]
    head = ["factor", "source", "year", "family"]
    return "<h2>Factors and their sources</h2>\n" + _table(head, rows)


def _list(title: str, sentences: Sequence[str]) -> str:
    items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{escape(title)}</h2>\n<ul>\n{items}\n</ul>" if sentences else ""


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    sums: Sequence[Sequence[str]] = (),
    caption: str = "",
) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = [' class="n"' if i in right else "" for i in range(len(row))]
        scope = ' scope="col"' if tag == "th" else ""
        return "".join(
            f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>"
            for kind, cell in zip(kinds, row, strict=True)
        )

    lines = [f"<tr>{cells('td', row)}</tr>" for row in rows]
    lines += [f'<tr class="sum">{cells("td", row)}</tr>' for row in sums]
    said = f"<caption>{escape(caption)}</caption>\n" if caption else ""
    return (
        f"<table>\n{said}<thead><tr>{cells('th', head)}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody>\n</table>"
    )


def _kilograms(grams: float | None) -> str:
    return _DASH if grams is None else _number(grams / 1000)


def _number(value: float | None) -> str:
    if value is None:
        return _DASH
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return _DASH if share is None else f"{share:.2%}"


def _best(stages: dict[str, Any] | None) -> str:
    return _DASH if stages is None else _kilograms(stages["all"]["best"])


def _range(stages: dict[str, Any] | None) -> str:
    if stages is None:
        return _DASH
    both = stages["all"]
    return f"{_kilograms(both['low'])} to {_kilograms(both['high'])}"


def _day(moment: str) -> str:
    date, _, rest = moment.partition("T")
    return date if rest.startswith("00:00:00") else f"{date} {rest[:5]}".strip()
