"""Ledgers, the agents' own pace, and what they cost."""

from typing import Final

from dashboards.boards.cells import coloured, unit
from dashboards.boards.colours import BAD, FAIR
from dashboards.boards.frame import RAW, SITES, Section
from dashboards.boards.panels import Look, Query, series, stat, table, value_of, with_room
from dashboards.boards.quality_tables import HOST_CELLS, HOST_COLUMNS, worst

_COUNT: Final = f"site:wattlas_hosts:count{{{SITES}}}"
_CPU: Final = f"site:wattlas_agent_cpu_seconds:rate5m{{{SITES}}}"
_MEMORY: Final = f"site:wattlas_agent_resident_bytes:sum{{{SITES}}}"
_WATTS: Final = f"site:wattlas_agent_energy_joules:rate5m{{{SITES}}}"
_IT: Final = f"site:wattlas_it_power_watts:sum{{{SITES}}}"

LEDGERS: Final = Section(
    "Ledgers and ticks",
    (
        with_room(
            series(
                "Rows that wait for the disk",
                "Minutes of detail that agents could not save yet. A line that rises is a disk"
                " that is full or slow; totals are exported all the same, but a restart"
                " would lose these.",
                "short",
                Query(
                    f"sum by (site) (site:wattlas_ledger_unsaved_postings:sum{{{SITES}}})",
                    "{{site}}",
                ),
                look=Look(width=7, least=0, no_value="no agent has a ledger"),
            ),
            10,
        ),
        series(
            "Largest ledger",
            "The largest ledger of each site with its log. It grows by the retention set under"
            " [ledger] and then stays; one that goes on growing cannot be cleaned up.",
            "bytes",
            Query(f"max by (site) (site:wattlas_ledger_size_bytes:max{{{SITES}}})", "{{site}}"),
            look=Look(width=7, least=0, no_value="no agent has a ledger"),
        ),
        table(
            "Failed writes and late ticks",
            "The hosts whose agents write or tick worst. Late or skipped ticks: the host is"
            " overloaded or a collector is slow. Failed writes: look at the disk.",
            "none",
            Query(worst(15, f"wattlas_tick_late_seconds{{{RAW}}}")),
            Query(worst(15, f"increase(wattlas_ticks_skipped_total{{{RAW}}}[1h])")),
            Query(worst(15, f"increase(wattlas_ledger_failures_total{{{RAW}}}[1h])")),
            look=Look(
                width=10,
                overrides=(
                    *HOST_CELLS,
                    ("Late", (*unit("s"), *coloured(((None, "text"), (0.5, FAIR))))),
                    ("Skipped, 1 h", (*unit("none", 0), *coloured(((None, "text"), (1, FAIR))))),
                    (
                        "Writes failed, 1 h",
                        (*unit("none", 0), *coloured(((None, "text"), (1, BAD)))),
                    ),
                ),
            ),
            columns=(
                *HOST_COLUMNS[:2],
                (value_of(0), "Late"),
                (value_of(1), "Skipped, 1 h"),
                (value_of(2), "Writes failed, 1 h"),
            ),
            sort="Late",
        ),
    ),
    folded=True,
)
AGENTS: Final = Section(
    "What the agents cost",
    (
        stat(
            "Share of the hosts' energy",
            "What the agents draw themselves, an estimate by their CPU time, as a share of all the"
            " power that they measure. Above 0.1 % read docs/performance.md.",
            "percentunit",
            Query(f"sum({_WATTS}) / sum({_IT})"),
            look=Look(width=4, height=8, decimals=4, no_value="CPU power is unknown"),
        ),
        series(
            "CPU of an agent",
            "Mean share of one core. A step up came with a new version, a new collector or a"
            " shorter interval.",
            "percentunit",
            Query(f"sum by (site) ({_CPU}) / on (site) sum by (site) ({_COUNT})", "{{site}}"),
            look=Look(width=10, least=0),
        ),
        series(
            "Memory of an agent",
            "Mean and largest resident memory. A largest that rises for days without an end is a"
            " leak: report it with the output of wattlas check.",
            "bytes",
            Query(
                f"sum by (site) ({_MEMORY}) / on (site) sum by (site) ({_COUNT})", "mean {{site}}"
            ),
            Query(
                f"max by (site) (site:wattlas_agent_resident_bytes:max{{{SITES}}})",
                "largest {{site}}",
            ),
            look=Look(width=10, least=0),
        ),
        series(
            "Power of the agents",
            "All agents of a site together, an estimate: what measuring costs you.",
            "watt",
            Query(f"sum by (site) ({_WATTS})", "{{site}}"),
            look=Look(width=12, least=0, no_value="CPU power is unknown"),
        ),
        table(
            "Most expensive agents",
            "The 15 agents with the most CPU time. If one stands out, compare its collectors with a"
            " neighbour's: its slowest reading is above.",
            "none",
            Query(
                worst(
                    15,
                    f"max by (job, instance) (rate(wattlas_agent_cpu_seconds_total{{{RAW}}}[5m]))",
                )
                + "\n* on (job, instance) group_left (version)"
                f" max by (job, instance, version) (wattlas_build_info{{{RAW}}})"
            ),
            look=Look(
                width=12,
                overrides=(*HOST_CELLS, ("CPU, share of a core", unit("percentunit", 2))),
            ),
            columns=(
                *HOST_COLUMNS,
                (value_of(0), "CPU, share of a core"),
                ("version", "Version"),
            ),
            sort="CPU, share of a core",
        ),
    ),
    folded=True,
)
