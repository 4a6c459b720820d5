"""A site's limits as series, for panels and for rules that divide by them."""

from collections.abc import Callable, Iterator
from typing import Final

from agent.alerts import AllLimits, Limits
from dashboards.rules.model import Group, Record
from dashboards.rules.record_carbon import CARBON_BUDGET, ENERGY_BUDGET
from dashboards.rules.words import HOSTS, matching, number, other_sites

MONTH_HOURS: Final = 730.5
"""Hours of a mean month: 365.25 days / 12."""
PRICE: Final = "site:wattlas_electricity_price_per_kwh:limit"
PUE_TARGET: Final = "site:wattlas_pue_target_ratio:limit"


def limits_group(every: AllLimits) -> Group:
    """Return limits that are set, for each site."""
    return Group(
        "wattlas_limits",
        "1m",
        (
            *_limit(
                PUE_TARGET, "Most that the PUE should be.", every, lambda of: of.pue_target_ratio
            ),
            *_limit(
                ENERGY_BUDGET,
                "The even pace of a site's energy budget, W.",
                every,
                lambda of: _maybe(of.energy_budget_kwh_per_month, 1000 / MONTH_HOURS),
            ),
            *_limit(
                CARBON_BUDGET,
                "The even pace of its budget of CO2e, g/s.",
                every,
                lambda of: _maybe(
                    of.carbon_budget_kilograms_per_month, 1000 / (MONTH_HOURS * 3600)
                ),
            ),
            *_limit(
                PRICE,
                "What a kWh costs.",
                every,
                lambda of: of.electricity_price_per_kwh,
                lambda of: {"currency": of.currency},
            ),
        ),
    )


def _maybe(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _limit(
    name: str,
    about: str,
    every: AllLimits,
    value: Callable[[Limits], float | None],
    labels: Callable[[Limits], dict[str, str]] = lambda _: {},
) -> Iterator[Record]:
    common = value(every.common)
    if common is not None:
        hosts = HOSTS + matching(other_sites(every))
        yield Record(
            name,
            f"0 * max by (site) ({hosts}) + {number(common)}",
            about,
            labels(every.common),
        )
    for site, limits in every.by_site.items():
        own = value(limits)
        if own is not None:
            yield Record(
                name,
                f"vector({number(own)})",
                f"{about} Of {site}.",
                {"site": site} | labels(limits),
            )
