"""Work per joule, and what it is worth beside its own past at the same load.

A host does more work per joule the busier it is, since what it draws when idle is shared by more
work. So a mean over day and night says nothing about the machine; what is compared here is always
the same tenth of load: 70 to 80 % now with 70 to 80 % of the last days.
"""

from typing import Final

from agent.alerts import Limits
from dashboards.rules.model import Group, Record
from dashboards.rules.record_hosts import LOAD
from dashboards.rules.words import HOST, HOSTS, number

EFFICIENCY: Final = "instance_workload:wattlas_work_per_joule:ratio_rate5m"
BY_LOAD: Final = "instance_workload_decile:wattlas_work_per_joule:ratio_rate5m"
MEDIAN_7D: Final = "instance_workload_decile:wattlas_work_per_joule:median7d"
MEDIAN_28D: Final = "instance_workload_decile:wattlas_work_per_joule:median28d"
RELATIVE: Final = "instance_workload:wattlas_work_per_joule_relative:ratio7d"
RELATIVE_30M: Final = "instance_workload:wattlas_work_per_joule_relative:avg30m"
RELATIVE_SCATTER: Final = "instance_workload:wattlas_work_per_joule_relative:stddev7d"
RELATIVE_28D: Final = "instance_workload:wattlas_work_per_joule_relative:ratio28d"
RELATIVE_1D: Final = "instance_workload:wattlas_work_per_joule_relative:avg1d"
SITE_RELATIVE: Final = "site:wattlas_work_per_joule_relative:median"
SITE_RELATIVE_COUNT: Final = "site:wattlas_work_per_joule_relative:count"
_DECILE: Final = "instance:wattlas_load_decile:info"
_HOST_ENERGY: Final = "instance:wattlas_host_energy_joules:rate5m"
SLOW_HISTORY_HOURS: Final = 24
"""Hours at the same load within 28 days that a slow comparison asks for."""


def efficiency_group(limits: Limits) -> Group:
    """Return work per joule now, by load, and beside its median."""
    return Group(
        "wattlas_efficiency",
        "1m",
        (
            Record(
                _HOST_ENERGY,
                "sum by (job, instance) (rate(wattlas_host_energy_joules_total[5m]))\n"
                f"* on (job, instance) group_left (host, site, rack) {HOSTS}",
                "Power of a host by its energy counters, W.",
            ),
            Record(
                EFFICIENCY,
                "(sum by (job, instance, workload, unit) (rate(wattlas_work_total[5m])) > 0)\n"
                f"/ on (job, instance) group_left (host, site, rack) ({_HOST_ENERGY} > 0)",
                "Work per joule of the whole host, units/J.",
            ),
            Record(
                EFFICIENCY,
                _flops('component=~"gpu|accelerator"')
                + "\nor\n("
                + _flops('component="cpu"')
                + "\nunless on (job, instance)\ninstance_component:wattlas_component_utilization"
                ':avg5m{component=~"gpu|accelerator"}\n)',
                "FLOP per joule of the accelerators, or of the CPUs of a host without: FLOPS per"
                " watt.",
                {"workload": "flops", "unit": "flop"},
            ),
            Record(
                _DECILE,
                f'count_values by ({HOST}) ("load_decile", floor(10 * clamp_max({LOAD}, 0.99)))',
                'The tenth of load that a host is in, as a label: "7" is 70 to 80 %. Always 1.',
            ),
            Record(
                BY_LOAD,
                f"{EFFICIENCY}\n"
                "* on (job, instance) group_left (load_decile)\n"
                f'{_DECILE}{{load_decile=~"{_deciles(limits.efficiency_load_ratio)}"}}',
                "Work per joule by load; absent where the load is too low to judge.",
            ),
            Record(
                RELATIVE,
                f"sum without (load_decile) ({BY_LOAD} / last_over_time({MEDIAN_7D}[1h]))",
                "Work per joule as a share of its median of 7 days at the same load; 1 is as"
                " usual.",
            ),
            Record(
                RELATIVE_30M,
                f"avg_over_time({RELATIVE}[30m])",
                "The same over half an hour.",
            ),
            Record(
                SITE_RELATIVE,
                f"quantile by (site) (0.5, {RELATIVE_30M})",
                "The median of a site's hosts.",
            ),
            Record(
                SITE_RELATIVE_COUNT,
                f"count by (site) ({RELATIVE_30M})",
                "How many hosts and workloads that median is of.",
            ),
        ),
    )


def baseline_group(limits: Limits) -> Group:
    """Return what is usual. Read them with last_over_time(…[1h]): they are evaluated seldom."""
    fast, slow = "[7d:5m] offset 1h", "[28d:1h] offset 1d"
    hours = number(limits.efficiency_history_hours)
    return Group(
        "wattlas_efficiency_baseline",
        "10m",
        (
            Record(
                MEDIAN_7D,
                f"quantile_over_time(0.5, {BY_LOAD}{fast})\n"
                f"and (count_over_time({BY_LOAD}{fast}) >= 12 * {hours})",
                "The usual work per joule at a load: the median of 7 days up to an hour ago, where"
                f" there are {hours} hours of it.",
            ),
            Record(
                RELATIVE_SCATTER,
                f"stddev_over_time({RELATIVE_30M}{fast})",
                "How much half an hour usually differs from that, as a share.",
            ),
            Record(
                MEDIAN_28D,
                f"quantile_over_time(0.5, {BY_LOAD}{slow})\n"
                f"and (count_over_time({BY_LOAD}{slow}) >= {SLOW_HISTORY_HOURS})",
                "The same over 28 days up to a day ago.",
            ),
            Record(
                RELATIVE_28D,
                f"sum without (load_decile) ({BY_LOAD} / last_over_time({MEDIAN_28D}[1h]))",
                "Work per joule now as a share of that.",
            ),
            Record(
                RELATIVE_1D,
                f"avg_over_time({RELATIVE_28D}[1d])",
                "The same over a day.",
            ),
        ),
    )


def _flops(matcher: str) -> str:
    return (
        "(\n"
        "  (sum by (job, instance, component, precision, method)"
        f" (rate(wattlas_flops_total{{{matcher}}}[5m])) > 0)\n"
        "  / on (job, instance, component) group_left ()\n"
        "  (sum by (job, instance, component)"
        f" (rate(wattlas_component_energy_joules_total{{{matcher}}}[5m])) > 0)\n"
        f")\n* on (job, instance) group_left (host, site, rack) {HOSTS}"
    )


def _deciles(least: float) -> str:
    """Return the tenths of load from `least` on, as a regular expression."""
    return "|".join(str(n) for n in range(min(round(least * 10), 9), 10))
