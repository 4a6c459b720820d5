"""All KPIs of a site over one period."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from agent.kpi.carbon_water import cue, water_consumed, wue
from agent.kpi.compose_servers import server_kpis
from agent.kpi.days import by_day
from agent.kpi.fleet import PARTS, Fleet
from agent.kpi.inputs import Inputs
from agent.kpi.period import Period
from agent.kpi.pue import ItCategory, dcie, mpue, ppue, pue, pue_name
from agent.kpi.quantity import Heading, Sum, figure, gather, withheld
from agent.kpi.result import Kpi
from agent.kpi.shares import cer, erf, ref
from agent.site.cells import Cell
from agent.site.settings import Partial, SiteSettings
from agent.site.words import Role

BY_AGENTS = (
    "IT energy is the sum of the agents: what has no agent (network, storage) is not in it, "
    "which makes the figure too high"
)
INTERIM = "interim: the standard asks for 12 consecutive months"
SAME_LOAD = (0.9, 1.02)
"""A finer category measures so much of a coarser one's energy if both see the same load: the
losses between UPS output and IT input are a few percent, and meters err by 1 or 2."""


def site_kpis(
    site: SiteSettings,
    cells: Mapping[str, Sequence[Cell]],
    period: Period,
    fleet: Fleet | None = None,
) -> list[Kpi]:
    """Return the KPIs that a site's meters, and the agents, are there for.

    `cells`: by the name of each real meter. A KPI that nobody asked for, since no meter has its
    role, is left out; one that is asked for and cannot be worked out has no value, and its note
    says why.
    """
    inputs = _condensed(site, cells, period, fleet)
    return [
        *_pue(inputs, period),
        *_partial(inputs, period),
        *_carbon_and_water(inputs, period),
        *_shares(inputs, period),
        *server_kpis(inputs, period),
    ]


def _condensed(
    site: SiteSettings,
    cells: Mapping[str, Sequence[Cell]],
    period: Period,
    fleet: Fleet | None,
) -> Inputs:
    """Return the inputs in as few cells as give the same sums."""
    agents = fleet or Fleet()
    rows = {("meter", name): row for name, row in cells.items()}
    rows |= {("fleet", part): getattr(agents, part) for part in PARTS}
    rows |= {("work", unit): row for unit, row in agents.work.items()}
    days = by_day(rows, period.start, period.end)

    def of(kind: str) -> dict[str, list[Cell]]:
        return {name: row for (which, name), row in days.items() if which == kind}

    return Inputs(site, of("meter"), Fleet(**of("fleet"), work=of("work")))


def _made(heading: Heading, make: Callable[[], Kpi]) -> Kpi:
    """Return what `make` makes; withheld with its sentence if a sum cannot be made."""
    try:
        return make()
    except ValueError as error:
        return withheld(heading, str(error))


def _of(
    heading: Heading,
    period: Period,
    formula: Callable[..., float],
    *sums: Callable[[], Sum],
    notes: Sequence[str] = (),
) -> Kpi:
    return _made(
        heading, lambda: figure(heading, gather([s() for s in sums], period), formula, notes)
    )


def _pue(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    has_total = bool(inputs.of(Role.TOTAL, Role.GENERATION))
    categories = inputs.categories()
    if not has_total and not categories:
        return
    mixed_use = inputs.site.mixed_use
    formula, definition = (mpue, "mpue-2026") if mixed_use else (pue, "pue-2026")
    if not categories:
        why = "no meter has the role it or ups, and no agents are known: E_IT is missing"
        yield withheld(Heading("PUE", "1", "", definition), why)
        return
    for category in categories:
        name = pue_name(category, is_year=period.is_year, mixed_use=mixed_use)
        heading = Heading("PUE", "1", name, definition)
        inverse = Heading("DCiE", "1", name, "dcie")
        try:
            gathered = gather([inputs.total(), inputs.it(category)], period)
            notes = [*_it_notes(inputs, category, period)]
        except ValueError as error:
            yield withheld(heading, str(error))
            yield withheld(inverse, str(error))
            continue
        found = figure(heading, gathered, formula, notes)
        below = (
            ["below 1, which cannot be: the meters of E_DC and E_IT contradict each other"]
            if found.value is not None and found.value < 1
            else []
        )
        yield figure(heading, gathered, formula, [*below, *notes])
        yield figure(inverse, gathered, dcie, [*below, *notes])


def _it_notes(inputs: Inputs, category: ItCategory, period: Period) -> Iterator[str]:
    """Say what is to be known of E_IT of one category: agents, and other categories beside it."""
    if inputs.is_by_agents:
        yield BY_AGENTS
    for other in inputs.categories():
        if other == category:
            continue
        coarse, fine = sorted((other, category))
        try:
            found = gather([inputs.it(coarse), inputs.it(fine)], period)
        except ValueError:  # the other category's own figure says why
            continue
        if not found.coverage or not found.amounts[0]:
            continue
        ratio = found.amounts[1] / found.amounts[0]
        if not SAME_LOAD[0] <= ratio <= SAME_LOAD[1]:
            yield (
                f"the meters of category {fine} measure {ratio:.0%} of what those of category "
                f"{coarse} do: they do not see the same load, and a figure with a part of the IT "
                "energy is too high; give all of them the coarser category if their loads add up"
            )


def _partial(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    for part in inputs.site.partial:
        name = f"{'' if period.is_year else 'i'}pPUE {part.name}"
        yield _of(
            Heading("PUE", "1", name, "ppue-2026"),
            period,
            lambda both, it: ppue(both - it, it),
            partial(_sub, inputs, part, with_infrastructure=True),
            partial(_sub, inputs, part, with_infrastructure=False),
        )


def _sub(inputs: Inputs, part: Partial, *, with_infrastructure: bool) -> Sum:
    """Return E_sub + E_IT, or E_IT, of a part of the site."""
    meters = {meter.name: meter for meter in inputs.site.meter}
    names = [*(part.infrastructure if with_infrastructure else ()), *part.it]
    unknown = [name for name in names if name not in meters]
    if unknown:
        raise ValueError(f"there is no meter named {unknown[0]!r}")
    name = "E_sub + E_IT" if with_infrastructure else "E_IT"
    return inputs.sum(name, ((meters[each], 1.0) for each in names))


def _carbon_and_water(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    categories = inputs.categories()
    first = categories[0] if categories else None
    if first is None:  # PUE says that IT energy is missing
        return
    it, its = (lambda: inputs.it(first)), f"IT{first}"
    by_agents = [BY_AGENTS] if inputs.is_by_agents else []
    interim = [] if period.is_year else [INTERIM]
    notes = [*interim, *by_agents]
    if inputs.of(Role.TOTAL, Role.GENERATION):
        heading = Heading("CUE", "kg/kWh", its, "cue-2022")
        yield _of(heading, period, cue, inputs.carbon, it, notes=notes)
    if not inputs.of(Role.WATER_IN):
        return
    water_in = partial(inputs.role, "W_in", Role.WATER_IN, unit="l")
    water_out = partial(inputs.role, "W_out", Role.WATER_OUT, unit="l")
    has_out = bool(inputs.of(Role.WATER_OUT))
    prefix = "" if period.is_year else "i"

    def heading_of(kind: str, definition: str) -> Heading:
        return Heading("WUE", "l/kWh", f"{prefix}{kind} {its}", definition)

    def consumed(taken: float, given: float, energy: float) -> float:
        return wue(water_consumed(taken, given), energy)

    yield _of(heading_of("WUE1", "wue1-2022"), period, wue, water_in, it, notes=by_agents)
    if has_out:
        heading = heading_of("WUE2", "wue2-2022")
        yield _of(heading, period, consumed, water_in, water_out, it, notes=by_agents)
    heading = heading_of("WUE EU-2024", "wue-eu-2024")
    if has_out:
        said = ["WIN by category 2: what is given back is taken off", *by_agents]
        yield _of(heading, period, consumed, water_in, water_out, it, notes=said)
    else:
        said = ["WIN by category 1: all water in, as no meter measures what is given back"]
        yield _of(heading, period, wue, water_in, it, notes=[*said, *by_agents])
    heading = heading_of("WUE EU-2026", "wue-eu-2026")
    said = ["adopted and not in force: not to be reported yet", *by_agents]
    yield _of(heading, period, wue, inputs.fresh_water, it, notes=said)


def _shares(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    notes = [] if period.is_year else [INTERIM]
    if inputs.renewable_meters():
        yield _renewable(inputs, period, notes)
    if inputs.of(Role.REUSED_HEAT):
        reused = partial(inputs.role, "E_reuse", Role.REUSED_HEAT)
        heading = Heading("ERF", "1", "", "erf-2021")
        yield _of(heading, period, erf, reused, inputs.total, notes=notes)
    if inputs.of(Role.REMOVED_HEAT):
        removed = partial(inputs.role, "Q_removed", Role.REMOVED_HEAT)
        cooling = partial(inputs.role, "E_cooling", Role.COOLING)
        yield _of(Heading("CER", "1", "", "cer-2023"), period, cer, removed, cooling, notes=notes)


def _renewable(inputs: Inputs, period: Period, notes: Sequence[str]) -> Kpi:
    heading = Heading("REF", "1", "", "ref-2016")

    def make() -> Kpi:
        found = gather([inputs.renewable(), inputs.total()], period)
        own, used = found.amounts
        capped = "capped at 1: more renewable energy than the data centre used"
        return figure(heading, found, ref, [capped if own > used > 0 else "", *notes])

    return _made(heading, make)
