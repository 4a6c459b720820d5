"""The alerts of a site, or of all sites that have no limits of their own."""

from collections.abc import Iterator

import msgspec

from agent.alerts import Limits
from dashboards.rules.alerts_agent import agent_alerts
from dashboards.rules.alerts_budget import budget_alerts
from dashboards.rules.alerts_efficiency import efficiency_alerts
from dashboards.rules.alerts_measuring import measuring_alerts
from dashboards.rules.alerts_site import site_alerts
from dashboards.rules.model import Alert, Group

_TOPICS = (efficiency_alerts, site_alerts, budget_alerts, measuring_alerts, agent_alerts)


def alert_groups(limits: Limits, where: str = "", site: str = "") -> Iterator[Group]:
    """Yield groups of alerts.

    `where`: matchers of the label site that every expression takes in; `site`: whose own limits
    these are, which goes into the groups' names and the label `limits` of its alerts.
    """
    for topic in _TOPICS:
        group = topic(limits, where)
        if site:
            marked = tuple(
                msgspec.structs.replace(alert, labels=alert.labels | {"limits": site})
                for alert in group.rules
                if isinstance(alert, Alert)
            )
            yield Group(f"{group.name}:{site}", group.interval, marked)
        elif group.rules:
            yield group
