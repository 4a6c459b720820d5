"""A carbon report as one document of plain values: JSON, and what tables and pages show. Pure."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from agent.carbon.operational import Total
from agent.carbon.settings import CarbonSettings
from agent.kpi.period import Period
from agent.report.carbon_budgets import Burn, burns
from agent.report.carbon_embodied import embodied_document
from agent.report.carbon_figures import Carbon, figures
from agent.report.carbon_grid import by_hour_of_day
from agent.report.carbon_inputs import CarbonInputs
from agent.report.carbon_said import missing, sources, standings, uncertainty
from agent.report.carbon_series import by_time, step_of
from agent.report.carbon_units import per_unit
from agent.report.period import iso

COLUMNS = ("from", "to", "scope", "basis", "stage", "grams", "low", "high")
HOUR = 3600


def carbon_document(inputs: CarbonInputs, carbon: CarbonSettings, grid_zone: str) -> dict[str, Any]:
    """Return the report. Grams are g CO2e of the period, None where unknown.

    Raises ValueError, one sentence, for what cannot be counted.
    """
    found = figures(inputs, carbon, grid_zone)
    period = inputs.period
    return {
        "period": _span(period) | {"time_zone": period.zone},
        "scope": inputs.scope,
        "name": inputs.name,
        "grid_zone": grid_zone,
        "emissions": [msgspec.to_builtins(line) for line in found.lines],
        "totals": [msgspec.to_builtins(each, str_keys=True) for each in found.totals],
        "energy_kwh": found.location.kwh if found.cells else None,
        "coverage": min(1.0, found.known_seconds / period.seconds),
        "intensity": _intensity(found, period),
        "scope_1": [msgspec.to_builtins(each) for each in found.direct],
        "grid_losses": found.losses._asdict(),
        "contracts": _contracts(found),
        "carbon_free": msgspec.to_builtins(found.carbon_free),
        "restated": _restated(found, period),
        "embodied": embodied_document(inputs),
        "budgets": [_budget(each) for each in burns(inputs, found, carbon)],
        "per_unit": [msgspec.to_builtins(each) for each in per_unit(inputs, found)],
        "series": {
            "step": step_of(period),
            "stages": [
                _span(each.period) | {"grams": msgspec.to_builtins(each.stages, str_keys=True)}
                for each in by_time(inputs, found)
            ],
        },
        "sources": sources(inputs, found, carbon),
        "uncertainty": uncertainty(inputs, found),
        "missing": missing(inputs, found, carbon),
    }


def carbon_csv(document: dict[str, Any]) -> str:
    """Return one row for each line of the account, with the period."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    period = {key: document["period"][key] for key in ("from", "to")}
    writer.writerows(period | line for line in document["emissions"])
    return text.getvalue()


def _intensity(found: Carbon, period: Period) -> dict[str, Any]:
    market = found.market
    market_mean = None
    if market.grams is not None and market.known_kwh > 0:
        market_mean = market.grams / market.known_kwh
    return {
        "family": found.location.factor.value,
        "location_grams_per_kwh": found.location.mean_grams_per_kwh,
        "market_grams_per_kwh": market_mean,
        "coverage": found.location.coverage,
        "by_provider": list(_rows(found.location)),
        "by_standing": {key.value: share for key, share in standings(found.location).items()},
        "by_hour_of_day": [
            msgspec.to_builtins(each) for each in by_hour_of_day(found.grid.location, period)
        ],
    }


def _rows(total: Total) -> Iterable[dict[str, Any]]:
    for row in total.rows:
        if row.kwh:
            yield {
                "provider": row.provider,
                "standing": row.standing.value,
                "grams_per_kwh": None if row.grams is None else row.grams / row.kwh,
                "kwh": row.kwh,
                "share": row.kwh / total.kwh if total.kwh else None,
                "grams": row.grams,
                "sources": list(row.sources),
            }


def _contracts(found: Carbon) -> dict[str, Any]:
    market = found.market
    return {
        "bought_kwh": market.bought_kwh,
        "onsite_kwh": market.onsite_kwh,
        "surplus_kwh": market.surplus_kwh,
        "unused_kwh": market.unused_kwh,
        "lines": [msgspec.to_builtins(line) for line in market.lines],
    }


def _restated(found: Carbon, period: Period) -> dict[str, Any] | None:
    """Return what was booked live against what is known now; None: nothing was booked."""
    both = found.restated
    if both is None:
        return None
    return {
        "booked_grams": both.booked_grams,
        "known_grams": both.grams,
        "difference_grams": both.difference_grams,
        "added_grams": both.added_grams,
        "hours": [
            _span(Period(each.hour * HOUR, (each.hour + 1) * HOUR, period.zone))
            | {
                "booked_grams": each.booked_grams,
                "known_grams": each.grams,
                "difference_grams": each.difference_grams,
            }
            for each in both.changed
        ],
    }


def _budget(burn: Burn) -> dict[str, Any]:
    used, zone = burn.used, burn.used.period.zone

    def when(moment: float | None) -> str | None:
        return None if moment is None else iso(moment, zone)

    return {
        "name": used.name,
        "of": used.of,
        "unit": used.unit,
        "basis": burn.budget.basis if used.of != "energy" else "-",
        "period": _span(used.period),
        "limit": used.limit,
        "used": used.used,
        "share": used.share,
        "coverage": used.coverage,
        "exceeded": when(used.exceeded),
        "paces": [
            {
                "days": pace.days,
                "per_day": pace.per_day,
                "expected": pace.expected,
                "runs_out": when(pace.runs_out),
            }
            for pace in used.paces
        ],
        "points": [{"at": when(at), "used": amount} for at, amount in burn.points],
    }


def _span(period: Period) -> dict[str, str]:
    return {"from": iso(period.start, period.zone), "to": iso(period.end, period.zone)}
