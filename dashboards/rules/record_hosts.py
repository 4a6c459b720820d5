"""Recorded every minute: who the hosts are, what they draw, how busy they are."""

from agent.alerts import Limits
from dashboards.rules.model import Group, Record
from dashboards.rules.words import HOST, HOSTS, located, number

LOAD = "instance:wattlas_load:avg5m"
POWER = "instance:wattlas_host_power_watts:sum"
_ACCELERATORS = 'component=~"gpu|accelerator"'


def hosts_group() -> Group:
    """Return hosts, power and load."""
    return Group(
        "wattlas_hosts",
        "1m",
        (
            Record(
                HOSTS,
                f"max by ({HOST}) (wattlas_host_info)",
                "Each agent with its host, site and rack; always 1. Agents do not repeat these on"
                " each series: everything below takes them from here.",
            ),
            Record(
                POWER,
                located("sum by (job, instance) (wattlas_host_power_watts)"),
                "Power of a host, W.",
            ),
            Record(
                "rack:wattlas_host_power_watts:sum",
                f"sum by (site, rack) ({POWER})",
                "Power of a rack's hosts, W.",
            ),
            Record(
                "site:wattlas_it_power_watts:sum",
                f"sum by (site) ({POWER})",
                "IT power of a site: the sum of its agents, W.",
            ),
            Record(
                "site:wattlas_hosts:count",
                f"count by (site) ({POWER})",
                "How many hosts that sum is over: a step in the power with a step here is no"
                " saving.",
            ),
            Record(
                "site_component:wattlas_component_power_watts:sum",
                _by_site("component", "wattlas_component_power_watts"),
                "Power of all parts of one kind, W.",
            ),
            Record(
                "site_quality:wattlas_host_power_watts:sum",
                _by_site("quality", "wattlas_host_power_watts"),
                "Power by how it was obtained, W.",
            ),
            Record(
                "instance_component:wattlas_component_utilization:avg5m",
                located(
                    "avg by (job, instance, component) (avg_over_time(wattlas_component_utilization"
                    '_ratio{component=~"gpu|accelerator|cpu"}[5m]))'
                ),
                "Mean utilisation of a host's parts of one kind, 0 to 1.",
            ),
            Record(
                LOAD,
                f"max by ({HOST}) (instance_component:wattlas_component_utilization:avg5m"
                f"{{{_ACCELERATORS}}})\n"
                f"or\n"
                f"max by ({HOST}) (instance_component:wattlas_component_utilization:avg5m"
                f'{{component="cpu"}})',
                "How busy a host is, 0 to 1: its accelerators, if it has any, else its CPUs.",
            ),
        ),
    )


def idle_group(limits: Limits) -> Group:
    """Return what idle hosts and accelerators draw."""
    idle = number(limits.idle_load_ratio)
    return Group(
        "wattlas_idle",
        "2m",
        (
            Record(
                "instance:wattlas_idle_accelerator_power_watts:sum",
                located(
                    "sum by (job, instance) (\n"
                    f"  wattlas_component_power_watts{{{_ACCELERATORS}}}\n"
                    "  and on (job, instance, component, device)\n"
                    f"  (avg_over_time(wattlas_component_utilization_ratio{{{_ACCELERATORS}}}[1h])"
                    f" < {idle})\n"
                    ")"
                ),
                f"Power of accelerators that did less than {idle} in the last hour, W.",
            ),
            Record(
                "instance:wattlas_idle_power_watts:sum",
                f"({POWER} and (avg_over_time({LOAD}[1h]) < {idle}))\n"
                "or\n"
                "instance:wattlas_idle_accelerator_power_watts:sum",
                "Idle waste, W: all of a host's power if it was idle for an hour, else that of its"
                " idle accelerators.",
            ),
            Record(
                "site:wattlas_idle_power_watts:sum",
                "sum by (site) (instance:wattlas_idle_power_watts:sum)\n"
                f"or\n0 * max by (site) ({LOAD})",
                "Idle waste of a site, W; 0 only where the load of hosts is known.",
            ),
        ),
    )


def _by_site(label: str, metric: str) -> str:
    return (
        f"sum by (site, {label}) (\n"
        f"  sum by (job, instance, {label}) ({metric})\n"
        f"  * on (job, instance) group_left (site) {HOSTS}\n"
        ")"
    )
