"""What a carbon report says beside its figures: sources, uncertainty, what is missing. Pure."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from agent.carbon.market import Tier
from agent.carbon.operational import Total
from agent.carbon.settings import CarbonSettings
from agent.carbon.timeline import Standing
from agent.carbon.words import Factor
from agent.kpi.period import Period
from agent.report.carbon_embodied import embodied_missing
from agent.report.carbon_figures import Carbon, unknown_of_other_family
from agent.report.carbon_inputs import CarbonInputs

_FAMILY: Final = {Factor.DIRECT: "direct", Factor.LIFECYCLE: "life-cycle"}
_YEAR: Final = re.compile(r", (\d{4})(?=,| \()")
"""As the table of yearly factors writes it: "publisher: place, year (licence)"."""
ENOUGH: Final = 0.9995
_MEANS: Final = {
    Standing.ESTIMATED: "is the provider's estimate, not measured",
    Standing.FORECAST: "is a forecast: nothing later was fetched",
    Standing.HELD: "is the last known value, held while no provider answered",
    Standing.AVERAGE: "is a yearly average, which knows neither hour nor season",
    Standing.LOCATION: "is the location's, for want of a supplier's factor or a residual mix",
    Standing.UNKNOWN: "is unknown: that energy is in no figure",
}


class _Source(NamedTuple):
    """One factor."""

    what: str
    source: str
    year: str
    """Which year it is of; "" where nobody says."""
    family: str = ""
    provider: str = ""


def sources(inputs: CarbonInputs, found: Carbon, carbon: CarbonSettings) -> list[dict[str, Any]]:
    """Return every factor that is in a figure: what it is of, source, year and family."""
    rows = [
        *_of_total("Scope 2 by location", found.location, inputs.period),
        *_of_market(found, carbon, inputs.period),
        *_of_category3(found, carbon, inputs.period),
    ]
    for activity, _ in inputs.direct:
        what = f"{activity.name}: {activity.kilograms_per_unit:g} kg per unit"
        source = activity.source or "settings, no source given"
        rows.append(_Source(what, source, _first_year(source)))
    rows += [
        _Source(f"embodied: {part.asset}", part.source, _first_year(part.source))
        for part in inputs.inventory.parts
        if part.kilograms
    ]
    return [each._asdict() for each in dict.fromkeys(rows)]


def uncertainty(inputs: CarbonInputs, found: Carbon) -> list[str]:
    """Return what the figures' errors are, one sentence each."""
    said = [
        f"{_percent(share)} of the energy: the intensity {_MEANS[standing]}"
        for standing, share in standings(found.location).items()
        if standing in _MEANS
    ]
    for row in found.location.rows:
        said += [
            f"{row.provider}: {source.partition('; ')[2]}"
            for source in row.sources
            if "; " in source
        ]
    said.append(
        "operation has no bounds: the error of energy that is estimated is in"
        " wattlas_host_power_uncertainty_ratio, and providers publish none of their intensities"
        if inputs.scope == "host"
        else "operation has no bounds: meters and providers publish none"
    )
    by = found.posted.grams
    if by:
        low, best, high = (
            sum(getattr(span, bound) for span in by.values()) for bound in ("low", "best", "high")
        )
        if best > 0:
            said.append(
                f"embodied: from {low / best:.2f} to {high / best:.2f} times the best figure; parts"
                " of one machine err alike, so bounds add up"
            )
    longest = max((cell.end - cell.start for cell in found.cells), default=0.0)
    if longest > 3600 * 1.001:
        said.append(
            f"energy of rows up to {longest / 86400:.0f} days long is taken as even within them"
        )
    return said


def missing(inputs: CarbonInputs, found: Carbon, carbon: CarbonSettings) -> list[str]:
    """Return what is in no figure and what to do, one sentence each."""
    said = [*inputs.problems, *found.grid.problems]
    seconds = inputs.period.seconds
    if found.known_seconds < ENOUGH * seconds:
        said.append(
            f"energy: {_percent(1 - found.known_seconds / seconds)} of the period is not known;"
            " it is in no figure, and nothing is scaled up"
        )
    covered = found.location.coverage
    if covered is not None and covered < 1 - 1e-9:
        lacking = found.location.kwh - found.location.known_kwh
        other = unknown_of_other_family(found)
        more = (
            ""
            if other is None
            else f"; by {_FAMILY[found.other.factor]} factors it would be {other / 1000:,.1f} kg,"
            " which are never added to the others"
        )
        said.append(f"{lacking:,.1f} kWh have no {_FAMILY[found.location.factor]} intensity{more}")
    said += [
        f"{each.name}: there are no records of the period; a row with 0 says that there was nothing"
        for each in found.direct
        if each.grams is None
    ]
    said += _losses(found, carbon)
    said += embodied_missing(inputs)
    return list(dict.fromkeys(said))


def standings(total: Total) -> dict[Standing, float]:
    """Return the share of the energy by how its intensity was obtained."""
    found: dict[Standing, float] = {}
    for row in total.rows:
        if total.kwh and row.kwh:
            found[row.standing] = found.get(row.standing, 0.0) + row.kwh / total.kwh
    return found


def _of_total(what: str, total: Total, period: Period) -> Iterator[_Source]:
    for row in total.rows:
        for source in row.sources:
            year = _year(source, row.standing, period)
            yield _Source(what, source, year, _FAMILY[total.factor], row.provider)


def _of_market(found: Carbon, carbon: CarbonSettings, period: Period) -> Iterator[_Source]:
    rates = {contract.name: contract.grams_per_kwh for contract in carbon.contract}
    what, family = "Scope 2 by market", _FAMILY[found.location.factor]
    for line in found.market.lines:
        if line.tier is Tier.CONTRACT:
            source = f"contract {line.name}: {rates.get(line.name, 0.0):g} g/kWh"
            yield _Source(what, source, "", "")
        elif line.grams is not None:
            yield _Source(what, line.name, _year(line.name, Standing.LOCATION, period), family)


def _of_category3(found: Carbon, carbon: CarbonSettings, period: Period) -> Iterator[_Source]:
    if found.losses.upstream is not None:
        yield from _of_total("Scope 3 upstream of the grid", found.other, period)
    if found.losses.transmission is not None:
        source = f"carbon.losses_percent = {carbon.losses_percent:g}"
        yield _Source("Scope 3 losses of the grid", source, "")


def _losses(found: Carbon, carbon: CarbonSettings) -> Iterator[str]:
    if carbon.losses_percent is None:
        yield (
            "Scope 3, losses of the grid: carbon.losses_percent is not set (the country's"
            " transmission and distribution losses)"
        )
    elif found.losses.transmission_is_direct_only and found.location.factor is Factor.DIRECT:
        yield (
            "Scope 3, losses of the grid: only the direct intensity is known, so what is upstream"
            " of them is not in it"
        )
    if found.location.factor is Factor.LIFECYCLE:
        yield (
            "Scope 2 is counted with life-cycle factors, which have the grid's upstream emissions"
            " (Scope 3, category 3) in them; the GHG Protocol asks for direct ones"
        )
    elif found.losses.upstream is None:
        yield (
            "Scope 3, upstream of the grid: no provider gives both a direct and a life-cycle"
            " intensity of this zone"
        )


def _year(source: str, standing: Standing, period: Period) -> str:
    if standing in {Standing.AVERAGE, Standing.LOCATION} or ", " in source:
        told = _YEAR.search(source)
        if told:
            return told[1]
        if standing is Standing.AVERAGE:
            return _first_year(source)
    zone = ZoneInfo(period.zone)
    first = datetime.fromtimestamp(period.start, zone).year
    last = datetime.fromtimestamp(period.end - 1, zone).year
    return str(first) if first == last else f"{first} to {last}"


def _first_year(source: str) -> str:
    found = re.findall(r"\b(?:19|20)\d{2}\b", source)
    return found[-1] if found else ""


def _percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")
