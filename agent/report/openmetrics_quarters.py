"""What the ledger keeps by quarter of an hour: a site's meters, work, emissions. Pure."""

from collections.abc import Iterable

from agent.ledger.saved import AgentState
from agent.quarters import Series
from agent.report.openmetrics_counter import Counter, Family, Labels
from agent.report.openmetrics_rows import Copied
from agent.site.book import UNIT
from agent.site.settings import Polled, SiteSettings, VirtualMeter
from agent.site.virtual import factors, quantities
from agent.site.words import Quantity


class Quarters:
    """The series of quarters, and what of them is not in the table yet."""

    def __init__(self, copied: Copied, state: AgentState) -> None:
        self._keys = copied.series
        self._open: dict[str, tuple[float, float]] = {}
        for quarter in state.reports.quarters.open.values():
            for name, (amount, _, gap) in quarter.items():
                so_far = self._open.get(name, (0.0, 0.0))
                self._open[name] = so_far[0] + amount, so_far[1] + gap

    def end(self, series: Series, total: float, of: str = "amount") -> dict[int, float]:
        """Return the key of a series and where it stands; empty: the ledger has none of it."""
        key = self._keys.get(series)
        if key is None:
            return {}
        name = f"{series.kind}\t{series.name}\t{series.unit}"
        amount, gap_seconds = self._open.get(name, (0.0, 0.0))
        waiting = amount if of == "amount" else gap_seconds
        return {key: max(0.0, total - waiting)}

    def counters(
        self, labels: Labels, series: Series, total: float, of: str = "amount"
    ) -> list[Counter]:
        """Return the counter of one series; none where the ledger has none of it."""
        ends = self.end(series, total, of)
        return [Counter(labels, ends, of)] if ends else []


def site_families(
    site: SiteSettings,
    site_name: str,
    state: AgentState,
    quarters: Quarters,
    left_out: list[str],
) -> list[Family]:
    """Return what the site's meters have; leave in `left_out` which the settings do not name."""
    stood = state.reports.site
    unsaid = stood.meters.keys() - {meter.name for meter in site.meter}
    if unsaid:
        left_out.append(
            f"the site's meters {', '.join(sorted(unsaid))}: the ledger does not say their roles;"
            " name the settings that do with --config"
        )
    of: dict[Quantity, list[Counter]] = {quantity: [] for quantity in Quantity}
    dark: list[Counter] = []
    measures = quantities(site)
    for meter in site.meter:
        labels = (("site", site_name), ("meter", meter.name), ("role", meter.role.value))
        quantity, state_of = measures[meter.name], stood.meters.get(meter.name)
        if quantity is Quantity.TEMPERATURE:
            continue
        if isinstance(meter, VirtualMeter):
            total, gap = _virtual(labels, meter, site, state, quarters)
            of[quantity] += total
            dark += gap
        elif isinstance(meter, Polled) and state_of is not None:
            series = Series("meter", meter.name, UNIT[quantity])
            of[quantity] += quarters.counters(labels, series, state_of.amount)
            dark += quarters.counters(labels, series, state_of.gap_seconds, "gap_seconds")
    return [
        Family(
            "wattlas_site_energy_joules",
            "joules",
            "Energy through a meter of the site. A virtual meter's is the sum of others.",
            of[Quantity.ENERGY],
        ),
        Family(
            "wattlas_site_water_liters",
            "liters",
            "Water through a meter of the site.",
            of[Quantity.WATER],
        ),
        Family(
            "wattlas_site_gap_seconds",
            "seconds",
            "Time for which what went through a meter is not known and will not be.",
            dark,
        ),
    ]


def _virtual(
    labels: Labels,
    meter: VirtualMeter,
    site: SiteSettings,
    state: AgentState,
    quarters: Quarters,
) -> tuple[list[Counter], list[Counter]]:
    """Return a sum of meters as it was shown, and the longest gap of them.

    Where a part that is taken off ran ahead, the sum stood still.
    """
    stood = state.reports.site
    measures = quantities(site)
    terms = factors([meter.name], {one.name: one for one in site.meter})
    ends: dict[int, float] = {}
    gaps: dict[int, float] = {}
    for name in terms:
        if name in stood.meters:
            series = Series("meter", name, UNIT[measures[name]])
            ends |= quarters.end(series, stood.meters[name].amount)
            gaps |= quarters.end(series, stood.meters[name].gap_seconds, "gap_seconds")
    if not terms or len(ends) != len(terms):
        return [], []
    weights = tuple(terms.values())

    def total(values: Iterable[float]) -> float:
        return sum(value * weight for value, weight in zip(values, weights, strict=True))

    most = stood.virtual.get(meter.name, float("inf"))
    return [Counter(labels, ends, joined=total, most=most)], [
        Counter(labels, gaps, "gap_seconds", max)
    ]


def work_counters(state: AgentState, quarters: Quarters) -> list[Counter]:
    """Return useful work by workload and unit."""
    found: list[Counter] = []
    for key, total in state.reports.work.items():
        workload, unit = key.split("\t")
        labels = (("workload", workload), ("unit", unit))
        found += quarters.counters(labels, Series("work", f"{workload} {unit}", unit), total)
    return found


def emission_counters(state: AgentState, quarters: Quarters) -> list[Counter]:
    """Return grams by scope, basis and stage, as they were counted."""
    found: list[Counter] = []
    for key, total in state.carbon.emissions.grams.items():
        scope, basis, stage = key.split("\t")
        labels = (("scope", scope), ("basis", basis), ("stage", stage))
        series = Series("emission", f"{scope} {basis or '-'} {stage}", "g")
        found += quarters.counters(labels, series, total)
    return found
