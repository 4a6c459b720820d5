"""All groups of rules, in the order in which they build on each other."""

from collections.abc import Iterator

from agent.alerts import AllLimits
from dashboards.rules.alerts import alert_groups
from dashboards.rules.model import Group
from dashboards.rules.record_carbon import budget_group, carbon_group
from dashboards.rules.record_efficiency import baseline_group, efficiency_group
from dashboards.rules.record_energy import day_group, hour_group, now_group
from dashboards.rules.record_hosts import hosts_group, idle_group
from dashboards.rules.record_limits import limits_group
from dashboards.rules.record_quality import own_cost_group, quality_group
from dashboards.rules.words import other_sites


def groups(every: AllLimits) -> Iterator[Group]:
    """Yield recording rules, the alerts of sites without limits of their own, then each other's."""
    yield hosts_group()
    yield quality_group()
    yield own_cost_group()
    yield limits_group(every)
    yield now_group()
    yield efficiency_group(every)
    yield idle_group(every.common)
    yield budget_group()
    yield hour_group()
    yield carbon_group()
    yield baseline_group(every)
    yield day_group()
    yield from alert_groups(every.common, other_sites(every))
    for site, limits in every.by_site.items():
        yield from alert_groups(limits, f'site="{site}"', site)
