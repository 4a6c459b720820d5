"""Work per joule, and what it is worth beside its own past at the same load.

A host does more work per joule the busier it is, since what it draws when idle is shared by more
work. So a mean over day and night says nothing about the machine; what is compared here is always
the same step of load: 76 to 87 % now with 76 to 87 % of the last days. docs/design/rules.md says
why steps are so wide, and why medians are compared.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from agent.alerts import AllLimits, Limits
from dashboards.rules.model import Group, Record
from dashboards.rules.record_hosts import LOAD
from dashboards.rules.words import HOST, HOSTS, matching, number, other_sites

EFFICIENCY: Final = "instance_workload:wattlas_work_per_joule:ratio_rate5m"
BY_LOAD: Final = "instance_workload_load:wattlas_work_per_joule:ratio_rate5m"
MEDIAN_7D: Final = "instance_workload_load:wattlas_work_per_joule:median7d"
MEDIAN_28D: Final = "instance_workload_load:wattlas_work_per_joule:median28d"
RELATIVE: Final = "instance_workload:wattlas_work_per_joule_relative:ratio7d"
RELATIVE_30M: Final = "instance_workload:wattlas_work_per_joule_relative:median30m"
RELATIVE_SCATTER: Final = "instance_workload:wattlas_work_per_joule_relative:scatter7d"
RELATIVE_28D: Final = "instance_workload:wattlas_work_per_joule_relative:ratio28d"
RELATIVE_1D: Final = "instance_workload:wattlas_work_per_joule_relative:median1d"
RELATIVE_3D: Final = "instance_workload:wattlas_work_per_joule_relative:median3d"
SITE_RELATIVE: Final = "site:wattlas_work_per_joule_relative:median"
SITE_RELATIVE_COUNT: Final = "site:wattlas_work_per_joule_relative:count"
_HOST_ENERGY: Final = "instance:wattlas_host_energy_joules:rate5m"
_WORKLOADS: Final = "instance:wattlas_workloads:count"
_BESIDE: Final = "instance_workload_beside:wattlas_work_per_joule:ratio_rate5m"
THIRTY_MINUTES: Final = "instance_workload_load:wattlas_work_per_joule:median30m"
OFF: Final = "instance_workload:wattlas_work_per_joule_off:every30m"
_LOAD_STEP: Final = 1.15
"""A step of load ends where this many times its beginning is. Within one, work per joule of a host
that draws half its full power when idle differs by 12 % at most; within the tenth from 0.2 to 0.3
it would be 38 %."""
_LOAD_LEAST: Final = 0.05
"""Below this load there is one more step."""
_WITHIN_A_SIGMA: Final = 0.683
"""Share of a normal distribution within one standard deviation of its mean."""
SLOW_HISTORY_HOURS: Final = 24
"""Hours at the same load within 28 days that a slow comparison asks for."""
SLOW_JUDGED_HOURS: Final = 6
"""Hours of the last three days for which it must be judged."""
SLOW_MENDED_HOURS: Final = 2
"""Hours of the last day that can say that it is mended."""


def efficiency_group(limits: AllLimits | Limits) -> Group:
    """Return work per joule now, by load, and beside its median. `limits` alone: of every site."""
    every = limits if isinstance(limits, AllLimits) else AllLimits(limits, {})
    half_hour = f"{RELATIVE}[30m:5m]"
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
                _WORKLOADS,
                f'count by ({HOST}) (max by ({HOST}, workload) ({EFFICIENCY}{{unit!="flop"}}))',
                "How many workloads a host works at.",
            ),
            Record(
                _BESIDE,
                f"({EFFICIENCY} unless on (job, instance) ({_WORKLOADS} > 1))\n"
                "or\n"
                f"label_replace({EFFICIENCY} and on (job, instance) ({_WORKLOADS} > 1),"
                ' "beside", "others", "", "")',
                "Work per joule; that of a workload beside others is a series of its own, since"
                " they take a share of the host's energy. units/J.",
            ),
            *_by_load(every),
            Record(
                RELATIVE,
                f"max without (load_percent, beside) ({BY_LOAD} / last_over_time({MEDIAN_7D}[2h]))",
                "Work per joule as a share of its median of 7 days at the same load; 1 is as"
                " usual.",
            ),
            Record(
                RELATIVE_30M,
                f"max by ({HOST}, workload) (\n"
                f"  quantile_over_time(0.5, {half_hour})\n"
                f"  and (count_over_time({half_hour}) >= 3)\n"
                ")",
                "Its median of half an hour of which at least 15 minutes can be judged: of a"
                " workload's units (of flops: precisions) the best, since more of one and less of"
                " another is another mixture, no loss.",
            ),
            Record(
                SITE_RELATIVE,
                f"quantile by (site) (0.5, avg by (site, job, instance) ({RELATIVE_30M}))",
                "The median of a site's hosts.",
            ),
            Record(
                SITE_RELATIVE_COUNT,
                f"count by (site) (count by (site, job, instance) ({RELATIVE_30M}))",
                "How many hosts that median is of.",
            ),
        ),
    )


def baseline_group(limits: AllLimits | Limits) -> Group:
    """Return what is usual. Read them with last_over_time(…[2h]): they are evaluated seldom.

    Half an hour is kept as one value, so that 7 days are 336 samples and not 10,000.
    """
    every = limits if isinstance(limits, AllLimits) else AllLimits(limits, {})
    fast, slow = "[7d] offset 1h", "[28d] offset 1d"

    def enough(series: str) -> str:
        return " or ".join(
            f"count_over_time({series}{where}{fast}) >= {number(least)}"
            for where, least in _by_value(every, _history_samples)
        )

    return Group(
        "wattlas_efficiency_baseline",
        "30m",
        (
            Record(
                THIRTY_MINUTES,
                f"quantile_over_time(0.5, {BY_LOAD}[30m])",
                "Work per joule at a load in half an hour, units/J.",
            ),
            Record(
                MEDIAN_7D,
                f"quantile_over_time(0.5, {THIRTY_MINUTES}{fast})\nand ({enough(THIRTY_MINUTES)})",
                "The usual work per joule at a load: the median of 7 days up to an hour ago, where"
                " there are hours enough of it.",
            ),
            Record(
                OFF,
                f"abs({RELATIVE_30M} - 1)",
                "How far half an hour is from as usual, as a share, kept every half-hour.",
            ),
            Record(
                RELATIVE_SCATTER,
                f"quantile_over_time({_WITHIN_A_SIGMA}, {OFF}{fast})\nand ({enough(OFF)})",
                "How far it usually is at most: two thirds of 7 days were nearer, as they are"
                " nearer than a standard deviation in a normal distribution.",
            ),
            Record(
                MEDIAN_28D,
                f"quantile_over_time(0.5, {THIRTY_MINUTES}{slow})\n"
                f"and (count_over_time({THIRTY_MINUTES}{slow}) >= {2 * SLOW_HISTORY_HOURS})",
                "The usual work per joule at a load over 28 days up to a day ago.",
            ),
            Record(
                RELATIVE_28D,
                "max without (load_percent, beside)"
                f" ({THIRTY_MINUTES} / last_over_time({MEDIAN_28D}[2h]))",
                "Work per joule now as a share of that.",
            ),
            _days(RELATIVE_1D, "1d", SLOW_MENDED_HOURS, "a day"),
            _days(RELATIVE_3D, "3d", SLOW_JUDGED_HOURS, "three days"),
        ),
    )


def _days(name: str, window: str, hours: int, words: str) -> Record:
    return Record(
        name,
        f"max by ({HOST}, workload) (\n"
        f"  quantile_over_time(0.5, {RELATIVE_28D}[{window}])\n"
        f"  and (count_over_time({RELATIVE_28D}[{window}]) >= {2 * hours})\n"
        ")",
        f"Its median of {words} of which at least {hours} hours can be judged; of a workload's"
        " units the best.",
    )


def load_steps(least: float) -> list[tuple[float, float]]:
    """Return the steps of load that reach above `least`, as low and high ends, busiest first."""
    ends = [1.0]
    while ends[-1] > max(least, _LOAD_LEAST):
        ends.append(round(_LOAD_STEP ** -len(ends), 3))
    if least < ends[-1]:
        ends.append(0.0)
    return [(low, high) for high, low in pairwise(ends)]


def _by_load(every: AllLimits) -> Iterator[Record]:
    """Yield work per joule by step of load, each a rule of its own.

    `count_values` would do it in one, but Prometheus (2.42 at least) sorts its grouping labels in
    place, so that range queries of five and more lose one after the first step.
    """
    least = min(each.efficiency_load_ratio for each in (every.common, *every.by_site.values()))
    for low, high in load_steps(least):
        below = f" < {number(high)}" if high < 1 else ""

        def within(limits: Limits, low: float = low) -> float:
            return max(low, limits.efficiency_load_ratio)

        ranges = [
            f"{LOAD}{where} >= {number(start)}{below}"
            for where, start in _by_value(every, within)
            if start < high
        ]
        percent = f"{number(100 * low)}-{number(100 * high)}"
        yield Record(
            BY_LOAD,
            f"{_BESIDE}\nand on (job, instance) ({' or '.join(ranges)})",
            f"Work per joule where the load is {percent} %, units/J; absent where it is too low"
            " to judge.",
            {"load_percent": percent},
        )


def _history_samples(limits: Limits) -> float:
    return 2 * limits.efficiency_history_hours


def _by_value(every: AllLimits, value: Callable[[Limits], float]) -> list[tuple[str, float]]:
    """Return matchers of sites and their value: a single pair where it is the same for all."""
    common = value(every.common)
    if all(value(own) == common for own in every.by_site.values()):
        return [("", common)]
    own = [(f'{{site="{site}"}}', value(limits)) for site, limits in every.by_site.items()]
    return [(matching(other_sites(every)), common), *own]


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
