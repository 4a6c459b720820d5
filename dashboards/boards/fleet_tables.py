"""The fleet's tables: sites, hosts that do well or badly, idle hosts, alerts."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel

from agent.alerts import Limits
from dashboards.boards.cells import coloured, gauge, linked, unit, wide
from dashboards.boards.colours import BAD, FAIR, GOOD, NEUTRAL
from dashboards.boards.fleet_words import MONTH, NO_HISTORY, month
from dashboards.boards.frame import HOSTS, SITES, link_to
from dashboards.boards.panels import Look, Query, hidden_field, table, value_of
from dashboards.rules.record_carbon import BURN, OPERATION_HOUR
from dashboards.rules.record_efficiency import EFFICIENCY, RELATIVE_30M, SITE_RELATIVE
from dashboards.rules.record_energy import SITE_HOUR, SITE_RATE
from dashboards.rules.record_hosts import LOAD, POWER
from dashboards.rules.record_limits import MONTH_HOURS, PRICE
from dashboards.rules.words import HOST

_DROP: Final = Limits().efficiency_drop_ratio
_FLEET_DROP: Final = Limits().efficiency_fleet_ratio
_TO_SERVER: Final = (
    ("instance", hidden_field()),
    ("host", linked("Go to this server", link_to("server", host="${__data.fields.instance}"))),
)
_WHO: Final = (("instance", "instance"), ("host", "host"), ("site", "site"), ("rack", "rack"))
_SHARE: Final = ((None, NEUTRAL),)
_WORK: Final = f"max by ({HOST}, workload, unit) ({EFFICIENCY}{{{HOSTS}}})"


def _judged(title: str, description: str, choose: str, *, descending: bool) -> Panel:
    ten = f"{choose}(10, {RELATIVE_30M}{{{HOSTS}}})"
    chosen = f"on (job, instance, workload) {ten}"
    # all without a metric's name: rows are joined by all their labels, and the name is one
    return table(
        title,
        description,
        "percentunit",
        Query(f"0 * {_WORK} + on (job, instance, workload) group_left () {ten}"),
        Query(f"1 / {_WORK} and {chosen}"),
        *(
            Query(f"0 * {_WORK} + on (job, instance) group_left () {one}{{{HOSTS}}} and {chosen}")
            for one in (POWER, LOAD)
        ),
        look=Look(
            width=24,
            height=10,
            overrides=(
                *_TO_SERVER,
                (
                    "of usual",
                    (
                        *unit("percentunit", 1),
                        *coloured(((None, BAD), (_DROP, FAIR), (0.98, GOOD))),
                    ),
                ),
                ("energy per unit", unit("joule", 2)),
                ("power", unit("watt")),
                ("load", (*unit("percentunit", 0), *gauge(0, 1, _SHARE))),
            ),
            no_value=NO_HISTORY,
        ),
        columns=(
            *_WHO,
            (value_of(0), "of usual"),
            ("workload", "workload"),
            ("unit", "unit"),
            (value_of(1), "energy per unit"),
            (value_of(2), "power"),
            (value_of(3), "load"),
        ),
        sort="of usual",
        descending=descending,
    )


WORST: Final = _judged(
    "Ten worst hosts",
    "Work per joule of the last half hour beside the host's own usual at the same load. Open the"
    " first one: throttling, clocks and temperature tell a sick host from new software.",
    "bottomk",
    descending=False,
)
BEST: Final = _judged(
    "Ten best hosts",
    "The same, from the other end. Find out what the best do otherwise (firmware, power limit,"
    " place in the rack) and do it elsewhere.",
    "topk",
    descending=True,
)

_IDLE: Final = f"1 * topk(10, instance:wattlas_idle_power_watts:sum{{{HOSTS}}})"
IDLE_HOSTS: Final = table(
    "Hosts that waste most when idle",
    "Power of hosts, or of accelerators in them, that did next to nothing for an hour, and what it"
    " costs in a month. Ask whose they are; then switch them off or put them to work.",
    "watt",
    Query(_IDLE),
    Query(f"1 * {LOAD}{{{HOSTS}}} and on (job, instance) {_IDLE}"),
    Query(
        f"{_IDLE} / 1000 * {MONTH_HOURS} * on (site) group_left (currency) {PRICE}{{{SITES}}}",
    ),
    look=Look(
        width=14,
        height=9,
        overrides=(
            *_TO_SERVER,
            ("idle power", unit("watt")),
            ("load", (*unit("percentunit", 0), *gauge(0, 1, _SHARE))),
            ("cost a month", unit("short", 0)),
        ),
        no_value="No host or accelerator is idle",
    ),
    columns=(
        *_WHO,
        (value_of(0), "idle power"),
        (value_of(1), "load"),
        (value_of(2), "cost a month"),
        ("currency", "currency"),
    ),
    sort="idle power",
)

HOSTS_BY_POWER: Final = table(
    "Hosts that draw most",
    "The 50 hosts with the highest power of those chosen above; a click on a host opens it. High"
    " power at low load is worth a look, and so is a large estimated share.",
    "watt",
    *(
        Query(f"1 * {one}{{{HOSTS}}} and on (job, instance) topk(50, {POWER}{{{HOSTS}}})")
        for one in (
            POWER,
            LOAD,
            "instance:wattlas_host_energy_joules:increase1h",
            "instance:wattlas_host_energy_estimated:ratio_increase1h",
            "instance:wattlas_host_energy_gap_seconds:increase1h",
        )
    ),
    look=Look(
        width=24,
        height=11,
        overrides=(
            *_TO_SERVER,
            ("power", unit("watt")),
            ("load", (*unit("percentunit", 0), *gauge(0, 1, _SHARE))),
            ("energy of the last hour", unit("joule")),
            (
                "of it estimated",
                (*unit("percentunit", 0), *coloured(((None, GOOD), (0.1, FAIR)))),
            ),
            ("time not known", (*unit("s", 0), *coloured(((None, GOOD), (60, FAIR), (360, BAD))))),
        ),
    ),
    columns=(
        *_WHO,
        (value_of(0), "power"),
        (value_of(1), "load"),
        (value_of(2), "energy of the last hour"),
        (value_of(3), "of it estimated"),
        (value_of(4), "time not known"),
    ),
    sort="power",
)

_MONTH_ENERGY: Final = month(SITE_HOUR, SITES)
_MONTH_CARBON: Final = month(OPERATION_HOUR, f'basis="location", {SITES}')
SITES_NOW: Final = table(
    "Sites",
    "Each site at one glance; a click on its name opens it. Pace: the month's mean so far over the"
    " even pace of its energy budget, above 100 % it will not last.",
    "watt",
    Query(f"1 * site:wattlas_hosts:count{{{SITES}}}"),
    Query(f"1 * {SITE_RATE}{{{SITES}}}"),
    Query(f"{_MONTH_ENERGY} / 3.6e6"),
    Query(f'max by (site) (avg_over_time({BURN}{{of="energy", {SITES}}}[$__range]))'),
    Query(f"max by (site) ({_MONTH_CARBON}) / 1e6"),
    Query(f"1 * {SITE_RELATIVE}{{{SITES}}}"),
    Query(f"1 * site:wattlas_idle_power_watts:sum{{{SITES}}}"),
    Query(
        f"{_MONTH_ENERGY} / 3.6e6 * on (site) group_left (currency) {PRICE}{{{SITES}}}",
    ),
    look=Look(
        width=24,
        height=6,
        overrides=(
            ("site", linked("Go to this site", link_to("site", site="${__data.fields.site}"))),
            ("hosts", (*unit("none", 0), *wide(80))),
            ("power", unit("watt")),
            ("energy", unit("kwatth")),
            (
                "pace",
                (*unit("percentunit", 0), *coloured(((None, GOOD), (1.0, FAIR), (1.1, BAD)))),
            ),
            ("CO₂e", unit("masst")),
            (
                "work per joule",
                (
                    *unit("percentunit", 1),
                    *coloured(((None, BAD), (_FLEET_DROP, FAIR), (0.98, GOOD))),
                ),
            ),
            ("idle waste", unit("watt")),
            ("cost of energy", unit("short")),
        ),
        time_from=MONTH,
        says_range=True,
    ),
    columns=(
        ("site", "site"),
        (value_of(0), "hosts"),
        (value_of(1), "power"),
        (value_of(2), "energy"),
        (value_of(3), "pace"),
        (value_of(4), "CO₂e"),
        (value_of(5), "work per joule"),
        (value_of(6), "idle waste"),
        (value_of(7), "cost of energy"),
        ("currency", "currency"),
    ),
    sort="power",
)

ALERTS: Final = table(
    "Alerts firing now",
    "What is wrong by the rules' own word; each alert's runbook says what to do. A host's name"
    " leads to its server.",
    "none",
    Query(
        "max by (severity, alertname, site, host, instance)"
        f' (ALERTS{{alertname=~"Wattlas.+", alertstate="firing", {SITES}}})'
    ),
    look=Look(
        width=6,
        height=9,
        overrides=_TO_SERVER,
        no_value="no alert is firing",
    ),
    columns=(
        ("instance", "instance"),
        ("severity", "severity"),
        ("alertname", "alert"),
        ("host", "host"),
    ),
    sort="severity",
    descending=False,
)
