"""Expressions that the fleet's panels share."""

from typing import Final

from dashboards.boards.frame import SITES
from dashboards.boards.panels import Query
from dashboards.rules.record_carbon import BURN
from dashboards.rules.record_energy import SITE_HOSTS_HOUR

MONTH: Final = "now/M"
NO_PRICE: Final = "no price set"
NO_BUDGET: Final = "No budget: set one in [alerts]"
NO_HISTORY: Final = "No history yet: it needs some hours of reported work at the same load"
NOT_YET: Final = "no history yet"
"""The same in a small panel."""
_HOURS: Final = "[$__range:1h]"
_GAP: Final = "site:wattlas_host_energy_gap_seconds:increase1h"
_BY_QUALITY: Final = "site_quality:wattlas_host_energy_joules:increase1h"


def month(recorded: str, matchers: str) -> str:
    """Return the sum of an hourly series over the panel's range, at whole hours.

    Before the first whole hour of its life it is that hour so far.
    """
    one = f"{recorded}{{{matchers}}}"
    return f"(sum_over_time({one}{_HOURS}) or {one})"


def pace(of: str, budget: str) -> str:
    """Return the mean pace of the sites' budgets in the panel's range; 1 is the even pace.

    It is a mean over the time that is known: hours before the first agent do not count as saved.
    """
    limit = f"{budget}{{{SITES}}}"
    burn = f'avg_over_time({BURN}{{of="{of}", {SITES}}}[$__range])'
    return f"sum({burn} * on (site) {limit}) / sum({limit} and on (site) {burn})"


def shares() -> tuple[Query, ...]:
    """Return the shares of energy by quality, and what is missing, which together are 1.

    Missing is known as time. With m the share of the hosts' time that is not wholly known, the
    qualities share 1 - m: as if hosts had drawn their mean power in the time that is missing.
    """
    missing = (
        f"clamp_max(sum({_GAP}{{{SITES}}}) / (3600 * sum(site:wattlas_hosts:count{{{SITES}}})), 1)"
    )
    known = (
        f"sum by (quality) ({_BY_QUALITY}{{{SITES}}})"
        f" / on () group_left () sum({SITE_HOSTS_HOUR}{{{SITES}}})"
        f" * on () group_left () (1 - {missing})"
    )
    return Query(known, "{{quality}}"), Query(missing, "missing")
