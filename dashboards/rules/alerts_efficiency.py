"""Less work per joule than is usual."""

from typing import Final

from agent.alerts import Limits
from dashboards.rules.model import Alert, Group
from dashboards.rules.record_efficiency import (
    RELATIVE_1D,
    RELATIVE_3D,
    RELATIVE_30M,
    RELATIVE_SCATTER,
    SITE_RELATIVE,
    SITE_RELATIVE_COUNT,
)
from dashboards.rules.words import matching, number

FLEET_LEAST_HOSTS: Final = 5
"""A median of fewer hosts is not a fleet's."""
_WHO: Final = "{{ $labels.workload }} on {{ $labels.host }} ({{ $labels.instance }})"
_SHARE: Final = "{{ $value | humanizePercentage }}"


def efficiency_alerts(limits: Limits, where: str) -> Group:
    """Return drops: fast, slow, and of a whole site."""
    return Group(
        "wattlas_alerts_efficiency",
        "1m",
        (_drop(limits, where), _slow(limits, where), _fleet(limits, where)),
    )


def _drop(limits: Limits, where: str) -> Alert:
    relative, scatter = (RELATIVE_30M + matching(where), RELATIVE_SCATTER + matching(where))
    return Alert(
        name="WattlasEfficiencyDrop",
        expression=(
            f"{relative} < {number(limits.efficiency_drop_ratio)}\n"
            "and\n"
            f"{relative} < 1 - {number(limits.efficiency_drop_sigmas)}"
            f" * last_over_time({scatter}[2h])"
        ),
        for_="15m",
        keep_firing_for="15m",
        severity="warning",
        summary="A host does clearly less work per joule than it used to at the same load",
        description=(
            f"{_WHO} did {_SHARE} of its usual work per joule in the last half-hour, compared at"
            " the same load with the last 7 days. Look at the host's throttling, clocks and"
            " temperatures first, then at what was deployed or changed when it began."
        ),
        runbook="efficiency-drop",
    )


def _slow(limits: Limits, where: str) -> Alert:
    matchers, ratio = matching(where), number(limits.efficiency_slow_ratio)
    return Alert(
        name="WattlasEfficiencySlowDrop",
        expression=(
            f"last_over_time({RELATIVE_3D}{matchers}[1h]) < {ratio}\n"
            "unless\n"
            f"last_over_time({RELATIVE_1D}{matchers}[1h]) >= {ratio}"
        ),
        for_="1h",
        severity="warning",
        summary="A host has come to do less work per joule than weeks ago at the same load",
        description=(
            f"{_WHO} did {_SHARE} of its usual work per joule in the last three days, compared at"
            " the same load with the 28 days before. Look for what creeps:"
            " dust and fans, temperatures, a new version of the software, growing inputs; then"
            " plan the mending."
        ),
        runbook="efficiency-slow-drop",
    )


def _fleet(limits: Limits, where: str) -> Alert:
    matchers = matching(where)
    return Alert(
        name="WattlasFleetEfficiencyDrop",
        expression=(
            f"{SITE_RELATIVE}{matchers} < {number(limits.efficiency_fleet_ratio)}\n"
            f"and on (site) {SITE_RELATIVE_COUNT}{matchers} >= {FLEET_LEAST_HOSTS}"
        ),
        for_="30m",
        keep_firing_for="15m",
        severity="warning",
        summary="The hosts of a site do less work per joule than they used to at the same load",
        description=(
            f"Half of the hosts of {{{{ $labels.site }}}} did {_SHARE} or less of their usual work"
            " per joule in the last half-hour. Look for what they share: a roll-out, the cooling's"
            " temperature, a power limit set on all of them."
        ),
        runbook="fleet-efficiency-drop",
    )
