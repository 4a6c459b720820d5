"""Energy of hosts and sites over an hour and a day, by quality, and what is missing of it."""

from dashboards.rules.model import Group, Record
from dashboards.rules.record_hosts import POWER
from dashboards.rules.words import HOST, HOSTS, located

HOST_HOUR = "instance:wattlas_host_energy_joules:increase1h"
SITE_HOUR = "site:wattlas_energy_joules:increase1h"
SITE_RATE = "site:wattlas_energy_joules:rate5m"
ROLE_HOUR = "site_role:wattlas_site_energy_joules:increase1h"
SITE_HOSTS_HOUR = "site:wattlas_host_energy_joules:increase1h"
UNCERTAINTY = "site:wattlas_host_power_uncertainty:ratio"
_BY_QUALITY = "instance_quality:wattlas_host_energy_joules:increase1h"
_GAP = "instance:wattlas_host_energy_gap_seconds:increase1h"
_TOTAL = 'role=~"total|generation"'


def now_group() -> Group:
    """Return what a site takes now, by its meters and altogether."""
    return Group(
        "wattlas_site_now",
        "1m",
        (
            Record(
                "site_role:wattlas_site_power_watts:sum",
                "sum by (site, role) (wattlas_site_power_watts)",
                "Power through a site's meters of one role, W.",
            ),
            Record(
                SITE_RATE,
                _site(
                    f"sum by (site) (rate(wattlas_site_energy_joules_total{{{_TOTAL}}}[5m]))",
                    'sum by (site) (rate(wattlas_site_energy_joules_total{role="total"}[5m]))',
                    "sum by (site) (\n"
                    "    sum by (job, instance) (rate(wattlas_host_energy_joules_total[5m]))\n"
                    f"    * on (job, instance) group_left (site) {HOSTS}\n"
                    "  )",
                ),
                "What a site takes, W: its total meters and what it generates itself; where it has"
                " no total meter, its hosts.",
            ),
            Record(
                UNCERTAINTY,
                "sum by (site) (\n"
                f"  {POWER}\n"
                "  * on (job, instance) group_left () wattlas_host_power_uncertainty_ratio\n"
                ")\n"
                "/ sum by (site) (\n"
                f"  {POWER} and on (job, instance) wattlas_host_power_uncertainty_ratio\n"
                ")",
                "Half-width of the uncertainty of the hosts' power as a share of it, weighted by"
                " power: an upper bound, as if all erred in the same direction.",
            ),
        ),
    )


def hour_group() -> Group:
    """Return energy of the last hour."""
    return Group(
        "wattlas_hour",
        "2m",
        (
            Record(
                _BY_QUALITY,
                located(
                    "sum by (job, instance, quality)"
                    " (increase(wattlas_host_energy_joules_total[1h]))"
                ),
                "Energy of a host by how it was obtained, J.",
            ),
            Record(
                HOST_HOUR,
                f"sum by ({HOST}) ({_BY_QUALITY})",
                "Energy of a host, J.",
            ),
            Record(
                "instance:wattlas_host_energy_estimated:ratio_increase1h",
                f'sum by ({HOST}) ({_BY_QUALITY}{{quality="estimated"}})\n/ {HOST_HOUR}',
                "Estimated share of a host's energy; absent where nothing was ever estimated.",
            ),
            Record(
                _GAP,
                located(
                    "sum by (job, instance) (increase(wattlas_host_energy_gap_seconds_total[1h]))"
                ),
                "Time for which an agent did not know all of its host's energy, s.",
            ),
            Record(
                "site_quality:wattlas_host_energy_joules:increase1h",
                f"sum by (site, quality) ({_BY_QUALITY})",
                "Energy of a site's hosts by how it was obtained, J.",
            ),
            Record(
                SITE_HOSTS_HOUR,
                f"sum by (site) ({HOST_HOUR})",
                "Energy of a site's agents, J.",
            ),
            Record(
                "site:wattlas_host_energy_gap_seconds:increase1h",
                f"sum by (site) ({_GAP})",
                "Time for which they did not know all of it, summed over agents, s.",
            ),
            Record(
                ROLE_HOUR,
                "sum by (site, role) (increase(wattlas_site_energy_joules_total[1h]))",
                "Energy of a site's meters by role, J.",
            ),
            Record(
                "site_role:wattlas_site_gap_seconds:increase1h",
                "sum by (site, role) (increase(wattlas_site_gap_seconds_total[1h]))",
                "Time for which a meter did not answer, summed over a role's meters, s.",
            ),
            Record(
                SITE_HOUR,
                _site(
                    f"sum by (site) ({ROLE_HOUR}{{{_TOTAL}}})",
                    f'{ROLE_HOUR}{{role="total"}}',
                    SITE_HOSTS_HOUR,
                ),
                "What a site took, J: its total meters and what it generated; where it has no"
                " total meter, its hosts. Meters' weights are not applied.",
            ),
            Record(
                "site:wattlas_it_energy_agents_per_meters:ratio_increase1h",
                _AGENTS_PER_METERS,
                "IT energy by agents over IT energy by meters (role it, else ups) in the last hour;"
                " absent where either knows less than 99.9 % of it.",
            ),
            Record(
                "site:wattlas_renewable_energy:ratio_increase1h",
                f'clamp_max(sum by (site) ({ROLE_HOUR}{{role="renewable"}})\n'
                f"/ on (site) {SITE_HOUR}, 1)",
                "Share of a site's energy that renewable energy of the same hour covers; not more"
                " than all of it, whatever is left over (24/7 matching).",
            ),
        ),
    )


def day_group() -> Group:
    """Return energy of the last 24 whole hours. Read with last_over_time(…[30m])."""
    return Group(
        "wattlas_day",
        "10m",
        (
            Record(
                "instance:wattlas_host_energy_joules:increase1d",
                f"sum_over_time({HOST_HOUR}[1d:1h])",
                "Energy of a host, J.",
            ),
            Record(
                "site:wattlas_energy_joules:increase1d",
                f"sum_over_time({SITE_HOUR}[1d:1h])",
                "Energy of a site, J.",
            ),
            Record(
                "site_role:wattlas_site_energy_joules:increase1d",
                f"sum_over_time({ROLE_HOUR}[1d:1h])",
                "Energy of a site's meters by role, J.",
            ),
        ),
    )


def _site(metered: str, total: str, hosts: str) -> str:
    return f"({metered} and on (site) {total})\nor\n{hosts}"


_AGENTS_PER_METERS = f"""(
  (
    {SITE_HOSTS_HOUR}
    unless on (site) (
      site:wattlas_host_energy_gap_seconds:increase1h > 3.6 * site:wattlas_hosts:count
    )
  )
  / on (site)
  (
    sum by (site) ({ROLE_HOUR}{{role="it"}})
    or
    sum by (site) ({ROLE_HOUR}{{role="ups"}})
  )
)
unless on (site) (
  sum by (site) (site_role:wattlas_site_gap_seconds:increase1h{{role=~"it|ups"}}) > 3.6
)"""
