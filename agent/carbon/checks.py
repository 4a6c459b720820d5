"""What the types of `[carbon]` cannot say."""

from collections.abc import Iterator

from agent.carbon.settings import CarbonSettings
from agent.site.settings import SiteSettings

Wrong = tuple[tuple[str, ...], str]
"""Key below `carbon`, and what is wrong with it."""


def check_carbon(carbon: CarbonSettings, site: SiteSettings) -> Iterator[Wrong]:
    """Yield what is wrong, the first first."""
    rules: list[tuple[bool, tuple[str, ...], str]] = [
        (
            not 60 <= carbon.interval_seconds <= 86_400,
            ("interval_seconds",),
            "must be from 60 to 86400 seconds: providers count questions",
        ),
        (not 0 <= carbon.hold_hours <= 8760, ("hold_hours",), "must be from 0 to 8760"),
        (
            not 0 <= (carbon.losses_percent or 0) < 100,
            ("losses_percent",),
            "must be from 0 to less than 100",
        ),
    ]
    factors: list[tuple[tuple[str, ...], float | None]] = [
        (("static", "grams_per_kwh"), carbon.static.grams_per_kwh),
        (("static", "market_grams_per_kwh"), carbon.static.market_grams_per_kwh),
        *((("entsoe", "factors", kind), value) for kind, value in carbon.entsoe.factors.items()),
    ]
    rules += [
        (not 0 <= (value or 0) < 1e5, key, "must be from 0 to 100000 g/kWh")
        for key, value in factors
    ]
    yield from ((key, why) for is_wrong, key, why in rules if is_wrong)
    yield from _check_contracts(carbon, {meter.name for meter in site.meter})
    yield from _check_amounts(carbon)


def _check_contracts(carbon: CarbonSettings, meters: set[str]) -> Iterator[Wrong]:
    for index, contract in enumerate(carbon.contract):
        number = str(index)
        if bool(contract.meter) == (contract.kwh_per_year is not None):
            yield ("contract", number, "meter"), "give either meter, or kwh_per_year"
        if contract.meter and contract.meter not in meters:
            why = f"there is no meter named {contract.meter!r} in [[site.meter]]"
            yield ("contract", number, "meter"), why
        if contract.grams_per_kwh < 0:
            yield ("contract", number, "grams_per_kwh"), "must not be negative"


def _check_amounts(carbon: CarbonSettings) -> Iterator[Wrong]:
    for kind, activities in (("fuel", carbon.fuel), ("refrigerant", carbon.refrigerant)):
        for index, activity in enumerate(activities):
            if activity.kilograms_per_unit < 0:
                yield (kind, str(index), "kilograms_per_unit"), "must not be negative"
    for index, budget in enumerate(carbon.budget):
        number = str(index)
        limits = (budget.kwh, budget.kilograms, budget.grams_per_unit)
        if all(limit is None for limit in limits):
            yield ("budget", number, "kwh"), "give kwh, kilograms or grams_per_unit"
        if any(limit is not None and limit <= 0 for limit in limits):
            yield ("budget", number, "kwh"), "a limit must be more than 0"
        if (budget.grams_per_unit is None) != (not budget.unit):
            yield ("budget", number, "unit"), "belongs to grams_per_unit, and is needed with it"
