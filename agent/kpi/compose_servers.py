"""The KPIs of the servers and of their work: ITEEsv, ITEUsv, ITUE, TUE, CE, DCeP."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from agent.kpi.definitions import DEFINITIONS
from agent.kpi.fleet import AGENTS
from agent.kpi.inputs import Inputs
from agent.kpi.period import Period
from agent.kpi.pue import itue, pue, tue
from agent.kpi.quantity import Heading, Sum, figure, gather, withheld
from agent.kpi.result import Input, Kpi
from agent.kpi.servers import computing_efficiency, iteesv, iteusv
from agent.kpi.work import dcep, work_per_it_energy
from agent.site.cells import Cell, Term
from agent.site.settings import Servers
from agent.site.words import Role

MOST = 0.95
"""ITUE of servers that take less of the IT energy than this says so."""


def server_kpis(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    """Yield what settings and agents say about the servers."""
    yield from _efficiency(inputs.site.servers)
    yield from _utilisation(inputs, period)
    yield from _inside(inputs, period)
    yield from _computing(inputs.site.servers)
    yield from _work(inputs, period)


def _agents(name: str, cells: Iterable[Cell], unit: str = "kWh", per_unit: float = 3.6e6) -> Sum:
    return Sum(name, unit, (Term(tuple(cells)),), (AGENTS,), per_unit)


def _efficiency(servers: Iterable[Servers]) -> Iterator[Kpi]:
    """ITEEsv, one for each benchmark: results of different ones cannot be added."""
    known = [s for s in servers if s.max_performance is not None]
    for benchmark, kinds in _by(known, "benchmark"):
        heading = Heading("ITEEsv", "1/W", benchmark, "iteesv-2017")
        rows = [(float(s.count), s.max_performance or 0.0, s.max_power_watts or 0.0) for s in kinds]
        lacking = [s.model for s in kinds if s.max_power_watts is None]
        if lacking:
            yield withheld(heading, f"max_power_watts is not set for {', '.join(lacking)}")
            continue
        amounts = (
            Input("SMPE", sum(n * best for n, best, _ in rows), benchmark),
            Input("SMPO", sum(n * watts for n, _, watts in rows), "W"),
        )
        yield _static(heading, iteesv(rows), amounts, _count(kinds, servers))


def _computing(servers: Iterable[Servers]) -> Iterator[Kpi]:
    """CE, one for each precision; peak computing power over most power."""
    known = [s for s in servers if s.peak_gigaflops is not None]
    for precision, kinds in _by(known, "precision"):
        heading = Heading("CE", "GFLOPS/W", f"{precision} peak", "ce")
        lacking = [s.model for s in kinds if s.max_power_watts is None]
        if lacking:
            yield withheld(heading, f"max_power_watts is not set for {', '.join(lacking)}")
            continue
        rows = [(float(s.count), s.peak_gigaflops or 0.0, s.max_power_watts or 0.0) for s in kinds]
        amounts = (
            Input("CP", sum(n * peak for n, peak, _ in rows), "GFLOPS"),
            Input("PC", sum(n * watts for n, _, watts in rows), "W"),
        )
        said = f"peak over the servers' most power; {_count(kinds, servers)}"
        yield _static(heading, computing_efficiency(rows), amounts, said)


def _by(servers: Iterable[Servers], key: str) -> Iterator[tuple[str, list[Servers]]]:
    def of(kind: Servers) -> str:
        return str(getattr(kind, key))

    for name, kinds in groupby(sorted(servers, key=of), key=of):
        yield name, list(kinds)


def _count(kinds: Iterable[Servers], servers: Iterable[Servers]) -> str:
    return f"of {sum(s.count for s in kinds)} of {sum(s.count for s in servers)} servers"


def _static(heading: Heading, value: float, inputs: tuple[Input, ...], note: str) -> Kpi:
    """Return a figure of settings, which stand for the whole period."""
    name, unit, category, definition = heading
    return Kpi(name, value, unit, category, 1.0, DEFINITIONS[definition].text, note, inputs)


def _utilisation(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    fleet = inputs.fleet
    if fleet.busy or fleet.present:
        sums = [
            _agents("busy", fleet.busy, "server-hours", 3600.0),
            _agents("observed", fleet.present, "server-hours", 3600.0),
        ]
        heading = Heading("ITEUsv", "1", "", "iteusv-2017")
        yield figure(heading, gather(sums, period), iteusv)


def _inside(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    """ITUE, and TUE where the site's energy is known, too."""
    fleet = inputs.fleet
    if not (fleet.wall or fleet.compute):
        return
    inside = [_agents("E_wall", fleet.wall), _agents("E_compute", fleet.compute)]
    said = _share(inputs, inside[0], period)
    yield figure(Heading("ITUE", "1", "", "itue"), gather(inside, period), itue, [said])
    if not inputs.of(Role.TOTAL):
        return
    heading = Heading("TUE", "1", "", "tue")
    try:
        if 3 in inputs.categories():
            it = inputs.it(3)
        elif fleet.it:
            it = inputs.agents()
        else:
            raise ValueError("no meter measures IT energy of category 3, and the agents do not")
        gathered = gather([*inside, inputs.total(), it], period)
    except ValueError as error:
        yield withheld(heading, str(error))
        return
    whose = "the agents" if AGENTS in it.meters else "the meters of category 3"
    yield figure(
        heading,
        gathered,
        lambda wall, compute, total, its: tue(itue(wall, compute), pue(total, its)),
        [f"with E_IT by {whose}", said],
    )


def _share(inputs: Inputs, wall: Sum, period: Period) -> str:
    """Say for which part of the servers' energy wall and parts are known, where not for most."""
    if not inputs.fleet.it:
        return ""
    found = gather([wall, inputs.agents()], period)
    if not found.coverage or not found.amounts[1]:
        return ""
    share = found.amounts[0] / found.amounts[1]
    return f"of servers with {share:.0%} of the servers' energy" if share < MOST else ""


def _work(inputs: Inputs, period: Period) -> Iterator[Kpi]:
    categories = inputs.categories()
    for unit, cells in sorted(inputs.fleet.work.items()):
        done = _agents("work", cells, unit, 1.0)
        if inputs.of(Role.TOTAL):
            heading = Heading("DCeP", f"{unit}/kWh", "", "dcep")
            try:
                yield figure(heading, gather([done, inputs.total()], period), dcep)
            except ValueError as error:
                yield withheld(heading, str(error))
        if categories:
            heading = Heading("work/E_IT", f"{unit}/kWh", f"IT{categories[0]}", "work-it")
            try:
                gathered = gather([done, inputs.it(categories[0])], period)
                yield figure(heading, gathered, work_per_it_energy)
            except ValueError as error:
                yield withheld(heading, str(error))
