"""Less work per joule than is usual."""

from agent.alerts import Limits
from dashboards.rules.model import Alert, Group
from dashboards.rules.record_efficiency import RELATIVE_30M, RELATIVE_SCATTER
from dashboards.rules.words import matching, number


def efficiency_alerts(limits: Limits, where: str) -> Group:
    """Return drops: fast, slow, and of a whole site."""
    relative = RELATIVE_30M + matching(where)
    drop, sigmas = number(limits.efficiency_drop_ratio), number(limits.efficiency_drop_sigmas)
    return Group(
        "wattlas_alerts_efficiency",
        "1m",
        (
            Alert(
                name="WattlasEfficiencyDrop",
                expression=(
                    f"{relative} < {drop}\n"
                    "and\n"
                    f"{relative} < 1 - {sigmas} * last_over_time({RELATIVE_SCATTER}[1h])"
                ),
                for_="15m",
                keep_firing_for="15m",
                severity="warning",
                summary="A host does clearly less work per joule than it used to at the same load",
                description=(
                    "{{ $labels.host }} ({{ $labels.instance }}) does"
                    " {{ $value | humanizePercentage }} of the usual {{ $labels.unit }} of"
                    " {{ $labels.workload }} per joule. Look at its throttling and clocks first,"
                    " then at what was deployed when it began."
                ),
                runbook="efficiency-drop",
            ),
        ),
    )
