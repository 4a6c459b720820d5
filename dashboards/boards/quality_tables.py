"""Tables of the hosts and devices whose figures are worth a look, the worst first."""

from typing import Final

from dashboards.boards.cells import coloured, linked, unit, wide
from dashboards.boards.colours import BAD, FAIR, GOOD
from dashboards.boards.frame import HOSTS as HOST_MATCHERS
from dashboards.boards.frame import RAW, Section, link_to
from dashboards.boards.panels import Look, Query, hidden_field, series, table, value_of
from dashboards.rules.record_quality import DEVIATION
from dashboards.rules.words import HOSTS

HOST_COLUMNS: Final = (("host", "Host"), ("instance", "instance"), ("site", "Site"))
"""First columns of a table of hosts; the instance is what a link needs, and hidden."""
HOST_CELLS: Final = (
    ("Host", linked("Open the server", link_to("server", host="${__data.fields.instance}"))),
    ("instance", hidden_field()),
)
"""Overrides of these columns."""


def of_hosts(expression: str) -> str:
    """Return figures of agents with their host and site, of the chosen sites and racks only."""
    return (
        f"({expression})\n"
        f"* on (job, instance) group_left (host, site, rack) {HOSTS}{{{HOST_MATCHERS}}}"
    )


def worst(count: int, expression: str) -> str:
    """Return the highest figures of hosts."""
    return f"topk({count}, {of_hosts(expression)})"


_DEVICE: Final = "job, instance, component, device"
_GAP: Final = f"instance:wattlas_host_energy_gap_seconds:increase1h{{{HOST_MATCHERS}}}"
_ESTIMATED: Final = f"instance:wattlas_host_energy_estimated:ratio_increase1h{{{HOST_MATCHERS}}}"

UNSURE: Final = table(
    "Hosts with gaps or estimates",
    "The 20 hosts with the longest gaps and the 20 with the most estimated energy in the last hour."
    " Open one: its sources say what is missing, and the runbook host-power-missing what to do.",
    "none",
    Query(f"topk(20, 1 * {_GAP})"),
    Query(f"topk(20, 1 * {_ESTIMATED} > 0)"),
    look=Look(
        width=16,
        overrides=(
            *HOST_CELLS,
            ("Gap, last hour", (*unit("s"), *coloured(((None, "text"), (36.0, FAIR))))),
            ("Estimated", unit("percentunit", 0)),
        ),
        no_value="–",
    ),
    columns=(
        *HOST_COLUMNS,
        ("rack", "Rack"),
        (value_of(0), "Gap, last hour"),
        (value_of(1), "Estimated"),
    ),
    sort="Gap, last hour",
)
FAILING: Final = table(
    "Collectors that failed",
    "The 50 with the most failed readings in the last hour, with their reason. On that host,"
    " wattlas check says what is wrong in a sentence, and what to do.",
    "none",
    Query(
        worst(
            50,
            "sum by (job, instance, collector, reason)"
            f" (increase(wattlas_collector_failures_total{{{RAW}}}[1h])) > 0",
        )
    ),
    look=Look(
        width=12,
        height=9,
        overrides=(*HOST_CELLS, ("Failures, 1 h", unit("none", 0))),
        no_value="–",
    ),
    columns=(
        *HOST_COLUMNS[:2],
        ("collector", "Collector"),
        ("reason", "Reason"),
        (value_of(0), "Failures, 1 h"),
    ),
    sort="Failures, 1 h",
)


def _second(matcher: str) -> str:
    return (
        f"max by ({_DEVICE}, source)"
        f' (wattlas_crosscheck_power_watts{{{RAW}, component{matcher}"host"}})'
    )


_SECONDS: Final = f"({_second('=')} or {_second('!=')})"
_COUNTED: Final = (
    f"(0 * {_second('!=')} + on ({_DEVICE}) group_left ()"
    f" sum by ({_DEVICE}) (wattlas_component_power_watts{{{RAW}}}))\n"
    "or\n"
    f"(0 * {_second('=')} + on (job, instance) group_left ()"
    f" sum by (job, instance) (wattlas_host_power_watts{{{RAW}}}))"
)
"""What counts of the same part, or of the whole server, with the labels of the second source."""
_EXCESS: Final = worst(20, f"increase(wattlas_host_parts_excess_joules_total{{{RAW}}}[1h])")

DISAGREEING: Final = Section(
    "Do the sources agree?",
    (
        series(
            "Counter against integral",
            "By how much a device's energy counter and the integral of its power sensor differ, the"
            " worst device of each site. Above 5 % one of them is wrong: see the runbook"
            " cross-checks.",
            "percentunit",
            Query(f"max by (site) ({DEVIATION}{{{HOST_MATCHERS}}})", "{{site}}"),
            look=Look(
                least=0,
                decimals=1,
                steps=((None, GOOD), (0.05, FAIR)),
                no_value="no device has both a counter and a sensor",
            ),
        ),
        table(
            "Devices whose counter disagrees",
            "Energy by the counter over the sensor's integral in the last whole minute, furthest"
            " from 1 first. One device alone is faulty; all of a model need to be calibrated.",
            "none",
            Query(
                worst(
                    20,
                    f"max by ({_DEVICE}, source)"
                    f" (abs(wattlas_crosscheck_energy_ratio{{{RAW}}} - 1))",
                )
            ),
            look=Look(
                width=16,
                overrides=(
                    *HOST_CELLS,
                    (
                        "Differ by",
                        (
                            *unit("percentunit", 1),
                            *coloured(((None, "text"), (0.05, FAIR), (0.2, BAD))),
                        ),
                    ),
                ),
                no_value="–",
            ),
            columns=(
                *HOST_COLUMNS[:2],
                ("component", "Part"),
                ("device", "Device"),
                ("source", "Source"),
                (value_of(0), "Differ by"),
            ),
            sort="Differ by",
        ),
        table(
            "Second opinions",
            "Power by a second source beside what is counted of the same part or server, the"
            " largest first. They need not be equal, but a factor of 2 is a wrong unit, or a supply"
            " that one of them misses.",
            "watt",
            Query(worst(30, _SECONDS)),
            Query(worst(30, _COUNTED)),
            look=Look(
                width=16,
                overrides=(*HOST_CELLS, ("Part", wide(80)), ("Source", wide(90))),
                no_value="–",
            ),
            columns=(
                *HOST_COLUMNS[:2],
                ("component", "Part"),
                ("device", "Device"),
                ("source", "Source"),
                (value_of(0), "Second source"),
                (value_of(1), "Counted"),
            ),
            sort="Second source",
        ),
        table(
            "Parts above their wall",
            "Hosts whose parts drew more than their wall meter in the last hour; certainly: now, by"
            " more than both may be wrong. The wall meter misses a supply, or a part is counted"
            " twice: see the runbook cross-checks.",
            "none",
            Query(_EXCESS),
            Query(
                f"{of_hosts(f'wattlas_host_parts_exceed_wall{{{RAW}}}')}\n"
                f"and on (job, instance) {_EXCESS}"
            ),
            look=Look(
                overrides=(
                    *HOST_CELLS,
                    ("Excess, 1 h", unit("joule")),
                    ("Certainly", unit("bool_yes_no")),
                ),
                no_value="–",
            ),
            columns=(
                *HOST_COLUMNS[:2],
                (value_of(0), "Excess, 1 h"),
                (value_of(1), "Certainly"),
            ),
            sort="Excess, 1 h",
        ),
    ),
)
