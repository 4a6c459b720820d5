"""One server: where its watts go, how busy, fast and hot it is, how far its figures go."""

from typing import Final

from agent.alerts import Limits
from dashboards.boards.colours import (
    BAD,
    FAIR,
    GOOD,
    NOTHING,
    PARTS,
    QUALITIES,
    fixed,
    line_over,
)
from dashboards.boards.fleet_words import NO_HISTORY, NOT_YET
from dashboards.boards.frame import HOSTS, RAW, Board, Section
from dashboards.boards.panels import Look, Query, series, stat, states
from dashboards.boards.server_tables import CARDS, PARTS_NOW
from dashboards.boards.throttling import HELD, MISSING, STEPS, rate, state
from dashboards.rules.record_efficiency import RELATIVE_30M
from dashboards.rules.record_hosts import LOAD

_DROP: Final = Limits().efficiency_drop_ratio
_DAY: Final = "[1d]"
_GAP: Final = "wattlas_host_energy_gap_seconds_total"
_POWER: Final = f"sum by (job, instance) (wattlas_host_power_watts{{{RAW}}})"
_HALF: Final = f"wattlas_host_power_uncertainty_ratio{{{RAW}}}"
_OPERATION: Final = f'basis="location", scope="2", stage="operation", {RAW}'

_GPU_HELD: Final = f"wattlas_gpu_throttled_seconds_total{{{RAW}}}"
_PART_HELD: Final = f"wattlas_component_throttled_seconds_total{{{RAW}}}"
_HOST_GAP: Final = f"{_GAP}{{{RAW}}}"
_PART_GAP: Final = f"wattlas_energy_gap_seconds_total{{{RAW}}}"
_WALL_GAP: Final = f"wattlas_wall_gap_seconds_total{{{RAW}}}"
_NO_WORK: Final = "Nobody reports work: see docs/work.md"

_NOW: Final = Section(
    "Now, and the last 24 hours",
    (
        stat(
            "Power now",
            "What the whole server draws: by its wall meter, else the sum of its parts. Compare it"
            " with the rating of its supplies and with its neighbours.",
            "watt",
            Query(f"sum({_POWER})"),
        ),
        stat(
            "Uncertainty",
            "Its true power is at most so far from the figure shown, either way. More than 15 %"
            " means that models fill in: let the agent read a BMC or a PDU.",
            "percentunit",
            Query(f"max(wattlas_host_power_uncertainty_ratio{{{RAW}}})"),
            look=Look(width=4, height=4, decimals=1, steps=((None, GOOD), (0.15, FAIR))),
        ),
        stat(
            "Load",
            "Mean utilisation of its accelerators, or of its CPUs if it has none, over 5 minutes."
            " Below 5 % for an hour it counts as idle: give it work or switch it off.",
            "percentunit",
            Query(f"max({LOAD}{{{HOSTS}}})"),
            look=Look(width=4, height=4, least=0, most=1, decimals=0),
        ),
        stat(
            "Work per joule",
            "The last half hour beside this host's own usual at the same load; the worst of its"
            f" workloads. Below {_DROP:.0%} look at throttling, clocks and what was deployed.",
            "percentunit",
            Query(f"min({RELATIVE_30M}{{{HOSTS}}})", "of usual"),
            look=Look(
                width=4,
                height=4,
                decimals=1,
                steps=((None, "text"), (0, BAD), (_DROP, FAIR), (0.98, GOOD)),
                no_value=NOT_YET,
            ),
            names=True,
        ),
        stat(
            "Last 24 hours",
            "What it took and what that emitted, location-based. The share of its manufacture is on"
            " the dashboard of lifecycle carbon.",
            "kwatth",
            Query(
                f"sum(increase(wattlas_host_energy_joules_total{{{RAW}}}{_DAY})) / 3.6e6",
                "energy",
                instant=True,
            ),
            Query(
                f"sum(increase(wattlas_emissions_grams_total{{{_OPERATION}}}{_DAY}))",
                "CO₂e",
                instant=True,
            ),
            look=Look(width=4, height=4, decimals=1, overrides=(("CO₂e", (("unit", "massg"),)),)),
            names=True,
            spark=False,
        ),
        stat(
            "Not known of 24 h",
            "Time for which neither a wall meter nor every part had a figure; its energy is missing"
            " above. If it grows, see gaps below for the source that failed.",
            "s",
            Query(f"sum(increase({_GAP}{{{RAW}}}{_DAY}))", instant=True),
            look=Look(width=4, height=4, decimals=0, steps=((None, GOOD), (60, FAIR), (8640, BAD))),
            spark=False,
        ),
    ),
)

_WATTS: Final = Section(
    "Where the watts go",
    (
        series(
            "Parts against the wall",
            "Its parts stacked; the line is the wall meter. Unattributed is what the wall has and"
            " no part: fans, regulators, losses of the supplies. A stack above the line is a sensor"
            " that is wrong: see the runbook cross-checks.",
            "watt",
            Query(f"sum by (component) (wattlas_component_power_watts{{{RAW}}})", "{{component}}"),
            Query(
                # it moves once a minute: over less than some minutes it would be all spikes
                f"sum(rate(wattlas_host_unattributed_joules_total{{{RAW}}}[5m]))",
                "unattributed",
            ),
            Query(f"sum(wattlas_wall_power_watts{{{RAW}}})", "wall"),
            look=Look(
                width=14, height=10, least=0, overrides=(*PARTS, ("wall", line_over("text")))
            ),
            stacked=True,
        ),
        series(
            "Power, and how sure it is",
            "The true power is somewhere between low and high. Second opinions are other meters of"
            " the whole server, which are not counted: one outside the band is wrong, or the band"
            " is too narrow.",
            "watt",
            Query(f"{_POWER} * on (job, instance) (1 - {_HALF})", "low"),
            Query(f"{_POWER} * on (job, instance) (1 + {_HALF})", "high"),
            Query(_POWER, "power"),
            Query(
                f'wattlas_crosscheck_power_watts{{component="host", {RAW}}}',
                "second opinion: {{source}} {{device}}",
            ),
            look=Look(
                width=10,
                height=10,
                overrides=(
                    ("low", (fixed("light-blue"), ("custom.fillOpacity", 0))),
                    (
                        "high",
                        (
                            fixed("light-blue"),
                            ("custom.fillBelowTo", "low"),
                            ("custom.fillOpacity", 25),
                        ),
                    ),
                    ("power", line_over("blue")),
                ),
            ),
        ),
    ),
)

_QUALITY: Final = series(
    "Power by quality",
    "How the server's watts are obtained, by the source that counts now. Estimated watts go away"
    " with a driver, a BMC or a PDU that the agent may read.",
    "watt",
    Query(f"sum by (quality) (wattlas_host_power_watts{{{RAW}}})", "{{quality}}"),
    look=Look(width=24, height=7, least=0, overrides=QUALITIES),
    stacked=True,
)

_BUSY: Final = Section(
    "How busy, how fast, how hot",
    (
        series(
            "Utilisation",
            "Mean of all parts of one kind. Accelerators that wait while CPUs or disks are full are"
            " fed too slowly: that is energy for nothing.",
            "percentunit",
            Query(
                f"avg by (component) (wattlas_component_utilization_ratio{{{RAW}}})",
                "{{component}}",
            ),
            look=Look(width=8, least=0, most=1, overrides=PARTS),
        ),
        series(
            "Clocks",
            "Clocks that the processors and cards really have. A clock that falls while the load"
            " stays is heat or a power limit: see throttling below.",
            "hertz",
            Query(f"avg by (component) (wattlas_component_clock_hertz{{{RAW}}})", "{{component}}"),
            Query(f'avg(wattlas_gpu_clock_hertz{{clock="sm", {RAW}}})', "gpu"),
            look=Look(width=8, least=0, overrides=PARTS),
        ),
        series(
            "Hottest sensors",
            "The hottest of each kind. All of them rising together is the air that comes in or the"
            " fans; one alone is its own cooling.",
            "celsius",
            Query(
                f"max by (component) (wattlas_component_temperature_celsius{{{RAW}}})",
                "{{component}}",
            ),
            Query(f"max by (sensor) (wattlas_gpu_temperature_celsius{{{RAW}}})", "gpu {{sensor}}"),
            look=Look(
                width=8,
                overrides=(
                    *PARTS,
                    ("gpu core", (fixed("purple"),)),
                    ("gpu memory", (fixed("super-light-purple"),)),
                    ("gpu hotspot", (fixed("dark-purple"),)),
                ),
            ),
        ),
        states(
            "Throttling",
            "For how much of the time something held clocks down, the worst of all cards or"
            " processors. A power cap may be wanted; heat never is: look at fans and inlet air.",
            "none",
            Query(
                state(f"max by (reason) ({rate(_GPU_HELD)})"),
                "gpu {{reason}}",
            ),
            Query(
                state(f"max by (component, reason) ({rate(_PART_HELD)})"),
                "{{component}} {{reason}}",
            ),
            look=Look(
                width=12,
                height=8,
                steps=STEPS,
                mappings=HELD,
                no_value="Nothing here says whether it is throttled",
            ),
        ),
        states(
            "Gaps",
            "When a source gave no energy. A source that is missing harms only if host is missing,"
            " too: else another one stepped in, or its counter made up for it later.",
            "none",
            Query(state(f"max by (instance) ({rate(_HOST_GAP)})"), "host"),
            Query(
                state(f"max by (component, source) ({rate(_PART_GAP)})"),
                "{{component}} by {{source}}",
            ),
            Query(state(f"max by (source) ({rate(_WALL_GAP)})"), "wall by {{source}}"),
            look=Look(width=12, height=8, steps=STEPS, mappings=MISSING),
        ),
    ),
)

_WORK: Final = Section(
    "What it gets done",
    (
        series(
            "Energy per unit of work",
            "Joules that each unit takes of the devices that do it, over the last minute. It rises"
            " at low load by nature; at the same load it should stay.",
            "joule",
            Query(f"wattlas_work_energy_joules_per_unit{{{RAW}}}", "{{workload}}: per {{unit}}"),
            look=Look(width=12, least=0, no_value=_NO_WORK),
        ),
        series(
            "Work per joule against usual, by workload",
            "Beside this host's own usual at the same load. One workload that falls alone is its"
            " software; all together are the machine.",
            "percentunit",
            Query(f"{RELATIVE_30M}{{{HOSTS}}}", "{{workload}}"),
            look=Look(width=12, steps=((None, NOTHING), (_DROP, BAD)), no_value=NO_HISTORY),
        ),
    ),
)

SERVER = Board(
    "server",
    "Where one server's watts go: its parts against its wall, how busy it is, and how far the"
    " figures can be trusted.",
    (
        _NOW,
        _WATTS,
        _BUSY,
        Section("Accelerators", (CARDS,)),
        _WORK,
        Section("Parts", (PARTS_NOW, _QUALITY), folded=True),
    ),
    one_host=True,
)
