"""The grid's intensity by hour and day, how it was obtained, and what was carbon-free."""

from typing import Final

from dashboards.boards.colours import BAD, FAIR, GOOD, NEUTRAL, UNKNOWN, by_name
from dashboards.boards.frame import SITES
from dashboards.boards.panels import Look, Query, heatmap, rows_of, series
from dashboards.rules.record_carbon import SITE_INTENSITY
from dashboards.rules.record_energy import SITE_HOUR
from dashboards.rules.record_quality import GRID_STANDING

_RATIO: Final = f"site:wattlas_renewable_energy:ratio_increase1h{{{SITES}}}"
_ENERGY: Final = f"{SITE_HOUR}{{{SITES}}}"
CARBON_FREE: Final = (
    f"sum by (site) (sum_over_time(({_RATIO} * on (site) {_ENERGY})[$__range:1h]))\n"
    f"/ sum by (site) (sum_over_time(({_ENERGY} and on (site) {_RATIO})[$__range:1h]))"
)
"""Each hour's share weighted by the energy of that hour."""


def _hours_of_a_day() -> str:
    """Return 24 series, one for each hour of the day that ends at the moment asked for.

    A heat map of Grafana draws each series as a row and each moment as a column that ends there.
    With a step of a day Grafana asks for midnights of the viewer's time zone (the range is rounded
    down to the step, with the zone's offset), so that hour 13 of a column is that many hours before
    its end, whatever the zone. A label made of hour() would be hours of UTC. It is one request, of
    24 windows of an hour a day from one recorded series: for a month 744 of them, which takes
    milliseconds.
    """
    terms: list[str] = []
    for hour in range(24):
        back = f" offset {23 - hour}h" if hour < 23 else ""
        mean = f'avg(avg_over_time({SITE_INTENSITY}{{{SITES}, basis="location"}}[1h]{back}))'
        terms.append(f'label_replace({mean}, "hour", "{hour:02}:00", "", "")')
    return "\nor\n".join(terms)


HEAT_MAP: Final = rows_of(
    heatmap(
        "Grid intensity by hour and day",
        "Each column is a day of the last 30, each row an hour of your time; red is dirty. Rows"
        " that are blue on most days are the hours to run what can wait.",
        "suffix:gCO₂e/kWh",
        Query(_hours_of_a_day(), "{{hour}}", interval="1d"),
        look=Look(
            width=24,
            height=11,
            decimals=0,
            time_from="now-30d/d",
            no_value="no whole day yet: it is drawn after midnight",
        ),
        scheme="RdYlBu",
    )
)
STANDING: Final = series(
    "How the intensity was obtained",
    "Hosts by what their intensity rests on. Held or average where a live provider is set means"
    " that it does not answer: look at the collector grid, its key and its quota.",
    "short",
    Query(
        f'sum by (standing) ({GRID_STANDING}{{{SITES}, basis="location"}})',
        "{{standing}}",
    ),
    look=Look(
        least=0,
        decimals=0,
        overrides=by_name(
            {
                "measured": GOOD,
                "estimated": NEUTRAL,
                "forecast": "purple",
                "average": UNKNOWN,
                "held": FAIR,
                "unknown": BAD,
            }
        ),
        no_value="no intensity: set host.grid_zone and carbon.providers",
    ),
    stacked=True,
)
