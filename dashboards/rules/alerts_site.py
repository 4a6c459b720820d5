"""A site: PUE, idle waste."""

from agent.alerts import Limits
from dashboards.rules.model import Group


def site_alerts(limits: Limits, where: str) -> Group:
    """Return them."""
    del limits, where
    return Group("wattlas_alerts_site", "1m", ())
