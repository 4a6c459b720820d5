"""What is measured: missing, estimated, disagreeing."""

from agent.alerts import Limits
from dashboards.rules.model import Group


def measuring_alerts(limits: Limits, where: str) -> Group:
    """Return them."""
    del limits, where
    return Group("wattlas_alerts_measuring", "1m", ())
