"""`[alerts]`: every threshold of the alert rules, for all sites and for each. Pure.

`wattlas rules` prints the rules with them; the agent itself does not use them. Ratios are 0 to 1.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

_SITE_NAME: Final = re.compile(r"[\w.:/ -]{1,64}")
"""What a site may be called here: it goes into a label matcher."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What counts as too much, too little or too long."""

    efficiency_drop_ratio: float = 0.87
    """Work per joule over half an hour, as a share of its median of 7 days at the same load: below
    this (and below what is usual scatter) `WattlasEfficiencyDrop` fires."""
    efficiency_drop_sigmas: float = 3.0
    """And only if it is so many standard deviations below the median: so many times what 68.3 % of
    the half hours of those 7 days differed by at most."""
    efficiency_slow_ratio: float = 0.93
    """Median of work per joule over three days, as a share of its median of 28 days at the same
    load: below this, and if the last day is no better, `WattlasEfficiencySlowDrop` fires."""
    efficiency_fleet_ratio: float = 0.93
    """Median of a site's hosts (five at least), as shares of their own medians: below this
    `WattlasFleetEfficiencyDrop` fires."""
    efficiency_load_ratio: float = 0.2
    """Work per joule is only judged where the mean utilisation is above this: an idle host's is
    bad by nature."""
    efficiency_history_hours: float = 6.0
    """And only where there are so many hours of history at the same load. They are asked for again
    for the scatter, so that a new host is judged after about twice as long."""
    idle_load_ratio: float = 0.05
    """A host or accelerator whose mean utilisation over an hour is below this is idle."""
    idle_waste_ratio: float = 0.2
    """Share of the power of a site's hosts that idle ones and idle accelerators draw, for an hour:
    above this `WattlasIdleWaste` fires."""
    pue_target_ratio: float = 1.5
    """PUE over the last 24 hours that is the most a site should have. 1.5 is what China asked of
    its national average for the end of 2025 (发改环资〔2024〕970号); new sites are asked for
    less."""
    pue_rise_ratio: float = 0.05
    """Rise of the PUE of 24 hours over that of the same 24 hours a week ago, as a share of it."""
    energy_budget_kwh_per_month: float | None = None
    """Energy that a site may use in a month of 730.5 hours, kWh; unset: no budget."""
    carbon_budget_kilograms_per_month: float | None = None
    """CO2e of operation that a site may emit in such a month, kg; unset: no budget."""
    burn_1h_ratio: float = 14.4
    """Pace over 1 hour (and 5 minutes) as a multiple of the budget's even pace: critical."""
    burn_6h_ratio: float = 6.0
    """The same over 6 hours (and 30 minutes): critical."""
    burn_1d_ratio: float = 3.0
    """The same over 1 day (and 2 hours): warning."""
    burn_3d_ratio: float = 1.0
    """The same over 3 days (and 6 hours): warning."""
    throttled_ratio: float = 0.1
    """Share of the time for which a device's clocks are held down by heat, by a power brake, or by
    a power limit that was lowered."""
    power_limit_drop_ratio: float = 0.05
    """By which share of what they were a day ago the enforced power limits of a host's
    accelerators must be lower for `WattlasPowerCapped`: running at the usual limit is ordinary."""
    power_missing_ratio: float = 0.1
    """Share of an hour for which a host's power, or a site's meter, is not wholly known."""
    meter_silent_minutes: float = 30.0
    """Since a meter of a site was last read, min; more than twice the longest interval of yours."""
    agents_down_ratio: float = 0.2
    """Share of a site's agents that may not answer; if more do not, and more than one, somebody is
    woken."""
    estimated_rise_ratio: float = 0.1
    """Rise of the estimated share of a host's energy over the same hour a day ago (0.1: by ten
    points of a hundred)."""
    collector_slow_seconds: float = 1.0
    """Time that a reading of one collector may take, s: of those that read the host itself."""
    collector_slow_remote_seconds: float = 8.0
    """The same of those that ask another device, or run a tool: BMC, meters, pages, npu-smi, s. The
    grid's providers have no such limit."""
    collector_failures_per_hour: float = 60.0
    """Failed readings of a collector, or of one of its sources, that are too many in an hour."""
    crosscheck_ratio: float = 0.05
    """By how much a device's energy counter and its power sensor's integral may differ."""
    grid_stale_hours: float = 6.0
    """For so long the grid's carbon intensity may be anything but a fresh value, where a live
    provider is set."""
    restarts_per_hour: float = 3.0
    """Starts of the agent in an hour that are too many."""
    ticks_skipped_per_minute: float = 6.0
    """Ticks that may be left out in a minute, because the one before ran."""
    ledger_failures_per_hour: float = 10.0
    """Failed writes of a ledger in an hour that are too many."""
    ledger_unsaved_postings: float = 50.0
    """Rows of detail that may wait for the disk; mostly there is none."""
    electricity_price_per_kwh: float | None = None
    """What a kWh costs, in `currency`; unset: no money is shown."""
    currency: str = "EUR"
    """ISO 4217 code of that price."""


class AlertSettings(Limits, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[alerts]`: thresholds of the alert rules, for every site that has no others."""

    site: dict[str, Limits] = {}
    """`[alerts.site.NAME]`: thresholds of one site. A key that it does not set is as above, in
    `[alerts]`."""


class AllLimits(NamedTuple):
    """The limits of every site."""

    common: Limits
    """Of each site that has none of its own."""
    by_site: Mapping[str, Limits]


def all_limits(table: Mapping[str, Any]) -> AllLimits:
    """Return the limits in `[alerts]` as read from the file, already checked as `AlertSettings`."""
    common = {key: value for key, value in table.items() if key != "site"}
    own = {
        name: msgspec.convert({**common, **values}, Limits)
        for name, values in table.get("site", {}).items()
    }
    return AllLimits(msgspec.convert(common, Limits), own)


def check_alerts(limits: AllLimits) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the key and what is wrong with it."""
    tables: list[tuple[tuple[str, ...], Limits]] = [((), limits.common)]
    for name, own in limits.by_site.items():
        if not _SITE_NAME.fullmatch(name):
            yield ("site", name), "a site's name has letters, digits and - _ . : / only"
        tables.append((("site", name), own))
    for prefix, table in tables:
        for key, value in msgspec.structs.asdict(table).items():
            if isinstance(value, float) and not 0 < value < math.inf:
                yield (*prefix, key), "must be more than 0"
        if not re.fullmatch(r"[A-Z]{3}", table.currency):
            yield (*prefix, "currency"), 'write the ISO 4217 code, e.g. "EUR"'
