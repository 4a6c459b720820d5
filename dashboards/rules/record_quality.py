"""How well the measuring itself works: who answers, collectors, throttling, ledgers, own cost.

Recorded so that neither an alert nor a panel has to look at every series of 10,000 hosts.
"""

from typing import Final

from dashboards.rules.model import Group, Record
from dashboards.rules.words import HOSTS, located

LAST_SEEN: Final = "instance:wattlas_last_seen:timestamp_seconds"
"""Unix time at which an agent was seen last; kept for as long as its target is there and down."""
FAILURES: Final = "instance_collector:wattlas_collector_failures:rate15m"
GPU_THROTTLED: Final = "device_reason:wattlas_gpu_throttled:ratio_rate10m"
PART_THROTTLED: Final = "device_reason:wattlas_component_throttled:ratio_rate30m"
POWER_LIMIT: Final = "instance:wattlas_gpu_power_limit_watts:avg"
DEVIATION: Final = "instance:wattlas_crosscheck_energy_deviation:max"
GRID_STANDING: Final = "site_zone_standing:wattlas_grid_carbon_intensity_info:count"
GRID_FAILURES: Final = "site_zone:wattlas_grid_failures:rate30m"
THERMAL: Final = ".*therm.*"
"""Reasons of throttling that are heat: thermal, sw_thermal_slowdown, hw_thermal_slowdown."""
BRAKE: Final = "hw_power_brake.*"
"""An outside signal, mostly of the power supply, halves the clocks (nvml.h,
nvmlClocksEventReasonHwPowerBrakeSlowdown)."""
_NOTICED: Final = "0.001"
"""A device that is throttled for less of the time has no series of its own."""


def quality_group() -> Group:
    """Return what alerts and panels need every minute."""
    return Group(
        "wattlas_quality",
        "1m",
        (
            Record(
                LAST_SEEN,
                f"time() * {HOSTS}\n"
                "or on (job, instance)\n"
                f"(last_over_time({LAST_SEEN}[15m]) and on (job, instance) (up == 0))",
                "When each agent was last seen, Unix time; kept while its target does not answer,"
                " so that an agent that is down still has its host, site and rack.",
            ),
            Record(
                "site:wattlas_agents_up:ratio",
                f"count by (site) ({HOSTS}) / count by (site) ({LAST_SEEN})",
                "Share of a site's agents that answer.",
            ),
            Record(
                "site_collector:wattlas_collector_up:avg",
                _by_site("site, collector", "wattlas_collector_up", "avg", "min"),
                "Share of the hosts that have a collector on which it works.",
            ),
            Record(
                "site:wattlas_collectors_all_up:ratio",
                _by_site("site", "wattlas_collector_up", "avg", "min"),
                "Share of a site's hosts on which every collector works.",
            ),
            Record(
                FAILURES,
                located(
                    "(sum by (job, instance, collector)"
                    " (rate(wattlas_collector_failures_total[15m])) > 0)"
                ),
                "Failed readings of a collector or of its sources, 1/s; absent where none fails.",
            ),
            *_throttling(),
            Record(
                POWER_LIMIT,
                located("avg by (job, instance) (wattlas_gpu_power_limit_watts)"),
                "Mean enforced power limit of a host's accelerators, W.",
            ),
            Record(
                GRID_STANDING,
                "count by (site, grid_zone, basis, provider, standing) (\n"
                "  max by (job, instance, grid_zone, basis, provider, standing)"
                " (wattlas_grid_carbon_intensity_info)\n"
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                ")",
                "How many hosts of a site have a grid intensity of this standing.",
            ),
            Record(
                GRID_FAILURES,
                "sum by (site, grid_zone) (\n"
                "  sum by (job, instance)"
                ' (rate(wattlas_collector_failures_total{collector="grid"}[30m]))\n'
                f"  * on (job, instance) group_left (site) {HOSTS}\n"
                "  * on (job, instance) group_left (grid_zone)"
                " max by (job, instance, grid_zone) (wattlas_host_info)\n"
                ")",
                "Failed questions to providers of grid intensity, 1/s.",
            ),
        ),
    )


def own_cost_group() -> Group:
    """Return what panels show of agents and their ledgers."""
    return Group(
        "wattlas_own_cost",
        "2m",
        (
            Record(
                "site_collector:wattlas_collector_duration_seconds:max",
                _by_site("site, collector", "wattlas_collector_duration_seconds", "max"),
                "The slowest last reading of a collector on any host, s.",
            ),
            Record(
                "site_collector:wattlas_collector_failures:rate15m",
                f"sum by (site, collector) ({FAILURES})",
                "Failed readings of a site's collectors, 1/s; absent where none fails.",
            ),
            Record(
                "site_reason:wattlas_counter_resets:increase1h",
                _by_site("site, reason", "increase(wattlas_counter_resets_total[1h])"),
                "Energy counters that began anew in the last hour.",
            ),
            Record(
                DEVIATION,
                located("max by (job, instance) (abs(wattlas_crosscheck_energy_ratio - 1))"),
                "By how much counter and power sensor differ, as a share: a host's worst device.",
            ),
            Record(
                "site:wattlas_agent_cpu_seconds:rate5m",
                _by_site("site", "rate(wattlas_agent_cpu_seconds_total[5m])"),
                "CPU time of all agents of a site per second: cores.",
            ),
            Record(
                "site:wattlas_agent_resident_bytes:sum",
                _by_site("site", "wattlas_agent_resident_bytes"),
                "Memory of all agents of a site, bytes.",
            ),
            Record(
                "site:wattlas_agent_resident_bytes:max",
                _by_site("site", "wattlas_agent_resident_bytes", "max"),
                "Memory of the largest agent of a site, bytes.",
            ),
            Record(
                "site:wattlas_agent_energy_joules:rate5m",
                _by_site("site", "rate(wattlas_agent_energy_joules_total[5m])"),
                "Power of all agents of a site, an estimate, W.",
            ),
            Record(
                "site:wattlas_ledger_up:avg",
                _by_site("site", "wattlas_ledger_up", "avg"),
                "Share of a site's ledgers that can be written.",
            ),
            Record(
                "site:wattlas_ledger_unsaved_postings:sum",
                _by_site("site", "wattlas_ledger_unsaved_postings"),
                "Rows of detail that wait for the disk on all hosts of a site.",
            ),
            Record(
                "site:wattlas_ledger_size_bytes:max",
                _by_site("site", "wattlas_ledger_size_bytes", "max"),
                "The largest ledger of a site, bytes.",
            ),
        ),
    )


def _throttling() -> tuple[Record, ...]:
    """Return who is throttled, for how much of the time."""
    faults = f'reason=~"{THERMAL}|{BRAKE}"'
    return (
        Record(
            GPU_THROTTLED,
            located(
                "(max by (job, instance, gpu, uuid, reason)"
                f" (rate(wattlas_gpu_throttled_seconds_total{{{faults}}}[10m])) > {_NOTICED})"
            ),
            "Share of the time for which heat or a power brake held an accelerator down; absent"
            " where none did.",
        ),
        Record(
            PART_THROTTLED,
            located(
                "(clamp_max(max by (job, instance, component, device, reason)"
                f" (rate(wattlas_component_throttled_seconds_total{{{faults}}}[30m])), 1)"
                f" > {_NOTICED})"
            ),
            "The same of a CPU, over half an hour, since it tells of a throttling when it is over.",
        ),
        Record(
            "instance_reason:wattlas_throttled:ratio_rate10m",
            located(
                "max by (job, instance, reason) (\n"
                "  rate(wattlas_gpu_throttled_seconds_total[10m])\n"
                "  or\n"
                "  clamp_max(rate(wattlas_component_throttled_seconds_total[10m]), 1)\n"
                ")"
            ),
            "Share of the time for which a host's most throttled device was held down, by reason.",
        ),
    )


def _by_site(labels: str, expression: str, over: str = "sum", within: str = "") -> str:
    """Return `over` a site's hosts of `within` each host (else the same) of the expression."""
    kept = "".join(f", {label}" for label in labels.split(", ") if label != "site")
    return (
        f"{over} by ({labels}) (\n"
        f"  {within or over} by (job, instance{kept}) ({expression})\n"
        f"  * on (job, instance) group_left (site) {HOSTS}\n"
        ")"
    )
