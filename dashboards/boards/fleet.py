"""The fleet: what it takes and emits, whether it does its work well, what is wasted."""

from typing import Final

from agent.alerts import Limits
from dashboards.boards.colours import BAD, FAIR, GOOD, NOTHING, PARTS, QUALITIES
from dashboards.boards.fleet_tables import (
    ALERTS,
    BEST,
    HOSTS_BY_POWER,
    IDLE_HOSTS,
    SITES_NOW,
    WORST,
)
from dashboards.boards.fleet_words import (
    MONTH,
    NO_BUDGET,
    NO_HISTORY,
    NO_PRICE,
    NOT_YET,
    month,
    pace,
    shares,
)
from dashboards.boards.frame import SITES, Board, Section, link_to
from dashboards.boards.panels import Look, Query, bars, series, stat
from dashboards.rules.record_carbon import BURN, CARBON_BUDGET, ENERGY_BUDGET, OPERATION_HOUR
from dashboards.rules.record_efficiency import SITE_RELATIVE, SITE_RELATIVE_COUNT
from dashboards.rules.record_energy import SITE_HOUR, SITE_RATE
from dashboards.rules.record_limits import MONTH_HOURS, PRICE

_DROP: Final = Limits().efficiency_fleet_ratio
_IT: Final = f"site:wattlas_it_power_watts:sum{{{SITES}}}"
_IDLE: Final = f"site:wattlas_idle_power_watts:sum{{{SITES}}}"
_LOCATION: Final = f'basis="location", {SITES}'
_OF_BUDGET: Final = (("of even pace", (("unit", "percentunit"), ("decimals", 0))),)
_TO_SITE: Final = (("Go to this site", link_to("site", site="${__field.labels.site}")),)
_OWN_PACE: Final = "100 % is the pace at which the month's budget lasts to its end."

_NOW: Final = Section(
    "Now, and this month so far",
    (
        stat(
            "Power now",
            "What all servers draw, and what the sites with a total meter take with cooling and"
            " losses. A step here with a step in the number of hosts is no saving.",
            "watt",
            Query(f"sum({_IT})", "servers"),
            Query(
                f"sum({SITE_RATE}{{{SITES}}})"
                f' and on () site_role:wattlas_site_power_watts:sum{{role="total", {SITES}}}',
                "whole sites",
            ),
            look=Look(width=4, height=5),
            names=True,
        ),
        stat(
            "Work per joule",
            "What hosts get done per joule beside their own past at the same load: the median of"
            f" each site, weighted by its hosts. Below {_DROP:.0%} something hit many hosts at"
            " once: look at what was deployed, and at the inlet temperature.",
            "percentunit",
            Query(
                f"sum({SITE_RELATIVE}{{{SITES}}} * on (site) {SITE_RELATIVE_COUNT}{{{SITES}}})"
                f" / sum({SITE_RELATIVE_COUNT}{{{SITES}}})",
                "of usual",
            ),
            look=Look(
                width=4,
                height=5,
                decimals=1,
                steps=((None, "text"), (0, BAD), (_DROP, FAIR), (0.98, GOOD)),
                no_value=NOT_YET,
            ),
            names=True,
        ),
        stat(
            "Energy this month",
            "What the sites took since the month began, to the last whole hour: by their total"
            f" meters, else their servers. {_OWN_PACE}",
            "kwatth",
            Query(f"sum({month(SITE_HOUR, SITES)}) / 3.6e6", "this month"),
            Query(pace("energy", ENERGY_BUDGET), "of even pace"),
            look=Look(width=4, height=5, overrides=_OF_BUDGET, time_from=MONTH, says_range=True),
            spark=False,
            names=True,
        ),
        stat(
            "CO₂e this month",
            "What operation emitted since the month began, location-based, to the last whole hour."
            f" {_OWN_PACE} Move work that can wait to hours and sites with a cleaner grid.",
            "masst",
            Query(f"sum({month(OPERATION_HOUR, _LOCATION)}) / 1e6", "this month"),
            Query(pace("carbon", CARBON_BUDGET), "of even pace"),
            look=Look(
                width=4,
                height=5,
                overrides=_OF_BUDGET,
                time_from=MONTH,
                says_range=True,
            ),
            spark=False,
            names=True,
        ),
        stat(
            "Idle waste",
            "Power of hosts and accelerators that did next to nothing for an hour, and its share of"
            " the servers' power. Switch them off, or give them work: the list is below.",
            "watt",
            Query(f"sum({_IDLE})", "idle"),
            Query(f"sum({_IDLE}) / sum({_IT} and on (site) {_IDLE})", "of power"),
            look=Look(
                width=4,
                height=5,
                overrides=(("of power", (("unit", "percentunit"), ("decimals", 0))),),
            ),
            names=True,
        ),
        stat(
            "Idle cost",
            "What the idle power costs in a month if it stays as it is, without its cooling: what"
            " switching it off is worth. Needs electricity_price_per_kwh in [alerts].",
            "short",
            Query(
                f"sum by (currency) ({_IDLE} / 1000 * {MONTH_HOURS}"
                f" * on (site) group_right () {PRICE}{{{SITES}}})",
                "{{currency}} a month",
            ),
            look=Look(width=4, height=5, no_value=NO_PRICE),
            names=True,
            spark=False,
        ),
    ),
)

_MAIN: Final = Section(
    "Power, and how well it is known",
    (
        series(
            "Power by site",
            "What each site takes, by its total meters, else its servers. Click a line's point to"
            " go to that site.",
            "watt",
            Query(f"sum by (site) ({SITE_RATE}{{{SITES}}})", "{{site}}"),
            look=Look(width=12, height=9, least=0, links=_TO_SITE),
            stacked=True,
        ),
        series(
            "How the energy is known",
            "Measured by energy counters, integrated from power sensors, estimated by models."
            " Missing is the share of the hosts' time that is not wholly known, as if they had"
            " drawn their mean power in it. Estimated or missing rising: see data quality.",
            "percentunit",
            *shares(),
            look=Look(width=6, height=9, least=0, most=1, overrides=QUALITIES),
            stacked=True,
        ),
        ALERTS,
    ),
)

_EFFICIENCY: Final = Section(
    "Work per joule, each host against its own past at the same load",
    (
        WORST,
        BEST,
        series(
            "Work per joule against usual, by site",
            "The median of each site's hosts. A line that falls by itself is that site's cooling,"
            " firmware or software; all lines together are a change that went everywhere.",
            "percentunit",
            Query(f"{SITE_RELATIVE}{{{SITES}}}", "{{site}}"),
            look=Look(
                width=24,
                height=7,
                steps=((None, NOTHING), (_DROP, BAD)),
                links=_TO_SITE,
                no_value=NO_HISTORY,
            ),
        ),
    ),
)

_WASTE: Final = Section(
    "Idle waste",
    (
        series(
            "Idle waste by site",
            "Power of hosts and accelerators that did next to nothing for an hour. What stays at"
            " night and at weekends is what could be switched off.",
            "watt",
            Query(_IDLE, "{{site}}"),
            look=Look(width=10, height=9, least=0, links=_TO_SITE),
            stacked=True,
        ),
        IDLE_HOSTS,
    ),
)

_BUDGETS: Final = Section(
    "Budgets",
    tuple(
        series(
            f"Pace of {what} against budget",
            f"The last day's mean over the even pace of each site's budget of {what}. Above 100 %"
            " it runs out before the month ends: the alerts say when that is urgent.",
            "percentunit",
            Query(f'avg_over_time({BURN}{{of="{of}", {SITES}}}[1d])', "{{site}}"),
            look=Look(
                width=12,
                least=0,
                steps=((None, NOTHING), (1.0, BAD)),
                links=_TO_SITE,
                no_value=NO_BUDGET,
            ),
        )
        for what, of in (("energy", "energy"), ("CO₂e", "carbon"))
    ),
    folded=True,
)

_PARTS: Final = Section(
    "Where the watts go",
    (
        series(
            "Power by part",
            "All parts of one kind, over all servers. The largest area is where saving starts; with"
            " wall meters the parts are less than the power above, by fans and losses.",
            "watt",
            Query(
                f"sum by (component) (site_component:wattlas_component_power_watts:sum{{{SITES}}})",
                "{{component}}",
            ),
            look=Look(width=12, height=9, least=0, overrides=PARTS),
            stacked=True,
        ),
        series(
            "Power by quality",
            "Which of the servers' watts are measured, integrated or estimated now. Estimated watts"
            " go away with a driver, a BMC or a PDU that the agents may read.",
            "watt",
            Query(
                f"sum by (quality) (site_quality:wattlas_host_power_watts:sum{{{SITES}}})",
                "{{quality}}",
            ),
            look=Look(width=6, height=9, least=0, overrides=QUALITIES),
            stacked=True,
        ),
        bars(
            "Racks that draw most",
            "Compare with what each rack's feed may bear, and put new servers elsewhere.",
            "watt",
            Query(
                f'topk(15, rack:wattlas_host_power_watts:sum{{{SITES}, rack=~"$rack"}})',
                "{{site}} {{rack}}",
                instant=True,
            ),
            look=Look(width=6, height=9, least=0),
        ),
    ),
    folded=True,
)

FLEET = Board(
    "fleet",
    "What all sites take and emit, whether they do their work well, and what is wasted. Site, rack"
    " and host narrow the tables of hosts; figures of sites are always of whole sites.",
    (
        _NOW,
        _MAIN,
        Section("Sites, this month so far", (SITES_NOW,)),
        _EFFICIENCY,
        _WASTE,
        Section("Hosts", (HOSTS_BY_POWER,)),
        _BUDGETS,
        _PARTS,
    ),
    since="now-24h",
)
