"""What flows through a site's meters, as PromQL, and the panels of its energy and its meters."""

from typing import Any, Final

from dashboards.boards.cells import coloured, unit
from dashboards.boards.colours import BAD, FAIR, fixed
from dashboards.boards.frame import SITES, Section
from dashboards.boards.panels import Look, Query, bars, series, stat, table, value_of
from dashboards.rules.record_energy import ROLE_HOUR, SITE_HOUR
from dashboards.rules.record_limits import PRICE

_METERS: Final = f'job=~"$job", {SITES}'
"""Matchers of the agents' own series of a site's meters: one agent has them, so they are few."""


def role(name: str) -> str:
    """Return the power through the meters of a role, W."""
    return f"sum({_power(name)})"


def temperature(role_name: str) -> str:
    """Return the mean of the thermometers of a role, degrees Celsius."""
    return f'avg(wattlas_site_temperature_celsius{{{_METERS}, role="{role_name}"}})'


def water(role_name: str) -> str:
    """Return the flow through the water meters of a role over the last hour, litres per hour.

    An hour, since many water meters give one pulse for 10 or 100 litres.
    """
    return f'sum(increase(wattlas_site_water_liters_total{{{_METERS}, role="{role_name}"}}[1h]))'


def on_the_right(unit_name: str, colour: str) -> tuple[tuple[str, Any], ...]:
    """Return properties of a line with an axis and a unit of its own."""
    return (
        ("unit", unit_name),
        ("custom.axisPlacement", "right"),
        ("custom.axisLabel", "temperature"),
        ("custom.fillOpacity", 0),
        ("custom.lineWidth", 2),
        fixed(colour),
    )


def _power(roles: str) -> str:
    """Return each site's power through the meters of some roles, W.

    A mean of 5 minutes: meters are read seconds apart, and differences of single readings jump.
    """
    power = f'site_role:wattlas_site_power_watts:sum{{{SITES}, role=~"{roles}"}}'
    return f"sum by (site) (avg_over_time({power}[5m]))"


_FEED = f"({_power('total|generation')} and on (site) {_power('total')})"
_AUXILIARY = _power("cooling|lighting")
_LEFT = f"(({_FEED} - {_AUXILIARY}) or {_FEED})"
_UPS, _PDU = _power("ups"), _power("it")
_AGENTS = f"sum by (site) (avg_over_time(site:wattlas_it_power_watts:sum{{{SITES}}}[5m]))"

FEED: Final = f"sum({_FEED})"
LEFT: Final = f"sum({_LEFT})"
"""Feed less what cooling and lighting meters show; nothing is taken off where there are none."""
SUPPLY_LOSS: Final = f"sum({_LEFT} - ({_UPS} or {_PDU}))"
DISTRIBUTION_LOSS: Final = f"sum({_UPS} - {_PDU})"
IT: Final = f"sum({_PDU} or {_UPS} or {_AGENTS})"
AGENTS: Final = f"sum({_AGENTS})"


def _hour(role_name: str) -> str:
    return f'sum by (site) ({ROLE_HOUR}{{{SITES}, role="{role_name}"}})'


def _day(role_name: str) -> str:
    """Return the energy of the 24 hours before a midnight: Grafana's steps of a day end there."""
    day = f'site_role:wattlas_site_energy_joules:increase1d{{{SITES}, role="{role_name}"}}'
    return f"sum(last_over_time({day}[1h])) / 3.6e6"


_ENDING: Final = tuple(
    (name, (fixed(colour), ("custom.barAlignment", -1)))
    for name, colour in (("bought", "blue"), ("own generation", "yellow"))
)
"""Bars that end at their moment, as the hour or day does that they stand for."""
NO_HOUR: Final = "no whole hour yet"


def _month(what: str) -> str:
    return f"sum_over_time({what}[$__range:1h])"


THIS_MONTH: Final = Section(
    "This month",
    (
        stat(
            "Energy, 24 hours",
            "What the sites took in the last 24 whole hours. Compare it with the same day a week"
            " before in the days below.",
            "kwatth",
            Query(
                f"sum(last_over_time(site:wattlas_energy_joules:increase1d{{{SITES}}}[1h])) / 3.6e6"
            ),
            look=Look(width=4, no_value=NO_HOUR),
            spark=False,
        ),
        stat(
            "Energy this month",
            "What the sites took since the month began, in whole hours. Compare it with your bill;"
            " hours without data are missing in it.",
            "kwatth",
            Query(f"sum({_month(f'{SITE_HOUR}{{{SITES}}}')}) / 3.6e6", instant=True),
            look=Look(width=4, time_from="now/M", says_range=True, no_value=NO_HOUR),
            spark=False,
        ),
        stat(
            "Cost this month",
            "That energy times electricity_price_per_kwh under [alerts], in its currency."
            " What peaks and the grid cost is not in it.",
            "short",
            Query(
                f"sum by (currency) ({_month(f'{SITE_HOUR}{{{SITES}}}')} / 3.6e6"
                f" * on (site) group_left (currency) {PRICE}{{{SITES}}})",
                "{{currency}}",
                instant=True,
            ),
            look=Look(
                width=4,
                no_value="no price is set",
                time_from="now/M",
                says_range=True,
            ),
            spark=False,
            names=True,
        ),
        bars(
            "Energy by role this month",
            "Sum of the meters of each role since the month began. Roles are not to be added:"
            " a UPS's energy is inside the total, and IT inside the UPS's.",
            "kwatth",
            Query(
                f"sum by (role) ({_month(f'{ROLE_HOUR}{{{SITES}}}')}) / 3.6e6",
                "{{role}}",
                instant=True,
            ),
            look=Look(
                width=12,
                time_from="now/M",
                says_range=True,
                no_value="no meter of a site",
            ),
        ),
        series(
            "Energy by day",
            "Energy of each whole day of the last 30, by the meters: what was bought and what the"
            " site made itself. A day that stands out is worth a look at the hours below.",
            "kwatth",
            Query(_day("total"), "bought", interval="1d"),
            Query(_day("generation"), "own generation", interval="1d"),
            look=Look(
                width=24,
                least=0,
                overrides=_ENDING,
                time_from="now-30d/d",
                no_value="no total meter, or no whole day yet",
            ),
            bars=True,
            stacked=True,
        ),
        series(
            "Energy by hour",
            "Energy of each hour of the chosen time. Use it to see when the site's peak is, and"
            " whether work can leave it.",
            "kwatth",
            Query(f"sum({_hour('total')}) / 3.6e6", "bought", interval="1h"),
            Query(f"sum({_hour('generation')}) / 3.6e6", "own generation", interval="1h"),
            look=Look(width=24, least=0, overrides=_ENDING, no_value="no total meter"),
            bars=True,
            stacked=True,
        ),
    ),
    folded=True,
)
_METER: Final = "site, meter, role"
METERS: Final = Section(
    "Meters",
    (
        table(
            "Meters of the site",
            "Each meter with its last reading. One that is silent for minutes makes a gap in every"
            " figure it belongs to: go and look at it, wattlas check says why it does not answer.",
            "none",
            Query(f"max by ({_METER}) (wattlas_site_power_watts{{{_METERS}}})"),
            Query(f"max by ({_METER}) (wattlas_site_temperature_celsius{{{_METERS}}})"),
            Query(f"max by ({_METER}) (wattlas_site_meter_silent_seconds{{{_METERS}}})"),
            Query(f"max by ({_METER}) (increase(wattlas_site_gap_seconds_total{{{_METERS}}}[1d]))"),
            Query(
                f"max by ({_METER}) (increase(wattlas_site_meter_resets_total{{{_METERS}}}[1d]))"
            ),
            look=Look(
                width=24,
                height=12,
                overrides=(
                    ("Power", unit("watt")),
                    ("Temperature", unit("celsius", 1)),
                    (
                        "Silent for",
                        (*unit("s"), *coloured(((None, "text"), (120.0, FAIR), (900.0, BAD)))),
                    ),
                    ("Gap, last day", (*unit("s"), *coloured(((None, "text"), (60.0, FAIR))))),
                    (
                        "Resets, last day",
                        (*unit("none", 0), *coloured(((None, "text"), (1, FAIR)))),
                    ),
                ),
            ),
            columns=(
                ("site", "Site"),
                ("meter", "Meter"),
                ("role", "Role"),
                (value_of(0), "Power"),
                (value_of(1), "Temperature"),
                (value_of(2), "Silent for"),
                (value_of(3), "Gap, last day"),
                (value_of(4), "Resets, last day"),
            ),
            sort="Silent for",
        ),
    ),
    folded=True,
)
