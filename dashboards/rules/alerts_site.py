"""A site: idle waste, PUE, its meters, the grid's carbon intensity."""

import math
from typing import Final

from agent.alerts import Limits
from dashboards.rules.model import Alert, Group
from dashboards.rules.record_quality import GRID_FAILURES, GRID_STANDING
from dashboards.rules.words import HOSTS, matching, number

_WHOLE: Final = 'category!~"i?pPUE.*"'
"""PUE of the whole site, and of no part of it: `pPUE hall-1`, `ipPUE hall-1`."""
_OF_THE_DAY: Final = 'window="24h"'
_SITE: Final = '{{ or $labels.site "the site" }}'
"""Not every host has a site in its settings."""
_HISTORY_HOURS: Final = 24
"""A provider that gave nothing in the stale hours counts as set if it did within so many more."""


def site_alerts(limits: Limits, where: str) -> Group:
    """Return them."""
    return Group(
        "wattlas_alerts_site",
        "1m",
        (
            _idle_waste(limits, where),
            *_pue(limits, where),
            *_meters(limits, where),
            _grid(limits, where),
        ),
    )


def _idle_waste(limits: Limits, where: str) -> Alert:
    here = matching(where)
    return Alert(
        name="WattlasIdleWaste",
        expression=(
            f"site:wattlas_idle_power_watts:sum{here}\n"
            f"/ on (site) site:wattlas_it_power_watts:sum{here}\n"
            f"> {number(limits.idle_waste_ratio)}"
        ),
        for_="1h",
        keep_firing_for="30m",
        severity="info",
        summary="Idle hosts and accelerators draw much of a site's power",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of what the hosts of {_SITE} draw has"
            " gone into idle hosts and accelerators for an hour. The fleet dashboard lists them by"
            " their watts: free, suspend or switch off the largest."
        ),
        runbook="idle-waste",
    )


def _pue(limits: Limits, where: str) -> tuple[Alert, Alert]:
    series = "wattlas_site_pue_ratio" + matching(where, _OF_THE_DAY, _WHOLE)
    target, rise = number(limits.pue_target_ratio), number(limits.pue_rise_ratio)
    return (
        Alert(
            name="WattlasPueHigh",
            expression=f"max by (site, category) ({series}) > {target}",
            for_="1h",
            keep_firing_for="1h",
            severity="warning",
            summary="A site's PUE of the last 24 hours is above its target",
            description=(
                f'The {{{{ $labels.category }}}} of {_SITE} is {{{{ $value | printf "%.2f" }}}};'
                f" its target is {target}. See on the site dashboard which overhead has grown:"
                " cooling, UPS losses, or less IT load for the same overhead."
            ),
            runbook="pue",
        ),
        Alert(
            name="WattlasPueRising",
            expression=(
                f"max by (site, category) ({series})\n"
                f"/ max by (site, category) (avg_over_time({series}[1h] offset 7d))\n"
                f"- 1 > {rise}"
            ),
            for_="3h",
            keep_firing_for="1h",
            severity="info",
            summary="A site's PUE has risen over a week",
            description=(
                f"The {{{{ $labels.category }}}} of {_SITE} is"
                " {{ $value | humanizePercentage }} above that of the same 24 hours a week ago."
                " Compare the weather and the IT load of both days on the site dashboard; if they"
                " are alike, look at chillers, set points and filters."
            ),
            runbook="pue",
        ),
    )


def _meters(limits: Limits, where: str) -> tuple[Alert, Alert]:
    here = matching(where)
    silent = number(60 * limits.meter_silent_minutes)
    missing = number(limits.power_missing_ratio)
    return (
        Alert(
            name="WattlasSiteMeterSilent",
            expression=f"wattlas_site_meter_silent_seconds{here} > {silent}",
            for_="5m",
            severity="warning",
            summary="A meter of a site does not answer",
            description=(
                f"{{{{ $labels.meter }}}} ({{{{ $labels.role }}}}) of {_SITE} has not been read"
                " for {{ $value | humanizeDuration }}. Run `wattlas check` on the host of"
                " {{ $labels.instance }}: it names what is wrong. While it lasts, KPIs that need"
                " this meter go missing."
            ),
            runbook="site-meters",
        ),
        Alert(
            name="WattlasSiteMeterGaps",
            expression=(
                f"increase(wattlas_site_gap_seconds_total{here}[1h]) / 3600 > {missing}\n"
                "unless on (job, instance, meter)\n"
                f"(max_over_time(wattlas_site_meter_silent_seconds{here}[1h]) > {silent})"
            ),
            for_=f"{math.ceil(limits.meter_silent_minutes)}m",
            severity="warning",
            summary="A meter of a site is lost again and again",
            description=(
                f"{{{{ $labels.meter }}}} ({{{{ $labels.role }}}}) of {_SITE} was unknown for"
                " {{ $value | humanizePercentage }} of the last hour, in pieces. Look at its line,"
                " its gateway and the timeout of {{ $labels.instance }}; a register that began"
                " anew (replaced, reset) is the other cause."
            ),
            runbook="site-meters",
        ),
    )


def _grid(limits: Limits, where: str) -> Alert:
    """Return what tells a silent provider from one that was never set.

    Values of "static" stand as `average` for ever and are in none of these. A provider that is
    late by nature (ENTSO-E: one to two hours) stands as `held` while all is well, so that counts
    as alive until the agent no longer holds it (`carbon.hold_hours`).
    """
    counted = 'basis=~"location|marginal"'
    fresh = matching(where, counted, 'standing=~"measured|estimated|forecast"')
    alive = matching(where, counted, 'standing=~"measured|estimated|forecast|held"')
    hours = number(limits.grid_stale_hours)
    long = f"{_seconds(limits.grid_stale_hours)}s"
    longer = f"{_seconds(limits.grid_stale_hours + _HISTORY_HOURS)}s"

    def within(matchers: str, window: str) -> str:
        return (
            "max by (site, grid_zone, basis)"
            f" (count_over_time({GRID_STANDING}{matchers}[{window}]))"
        )

    failing = GRID_FAILURES + matching(where)
    return Alert(
        name="WattlasGridIntensityStale",
        expression=(
            "max by (site, grid_zone) (\n"
            f"({within(fresh, longer)}\nunless\n{within(fresh, long)})\n"
            f"or\n({within(alive, longer)}\nunless\n{within(alive, long)})\n"
            "or on (site, grid_zone)\n"
            f"(({failing} > 0 and {failing} offset {long} > 0)\n"
            f"unless on (site, grid_zone)\n{within(alive, long)})\n"
            f")\nand on (site)\n{HOSTS}{matching(where)}"
        ),
        for_="10m",
        severity="warning",
        summary="No fresh carbon intensity of the grid has come for hours",
        description=(
            f"{_SITE} has had no fresh intensity of {{{{ $labels.grid_zone }}}} for more"
            f" than {hours} h; the last known value or a yearly figure stands in. Run"
            " `wattlas check` on one of its hosts: it names the provider and what it says (key,"
            " quota, proxy). Late values are fetched once it answers."
        ),
        runbook="grid-intensity",
    )


def _seconds(hours: float) -> str:
    return str(round(3600 * hours))
