"""The agents themselves: collectors, ledger, restarts."""

from agent.alerts import Limits
from dashboards.rules.model import Group


def agent_alerts(limits: Limits, where: str) -> Group:
    """Return them."""
    del limits, where
    return Group("wattlas_alerts_agent", "1m", ())
