"""A report from a PromQL engine: the site's polled meters and the sum of its agents."""

from collections.abc import Callable

import msgspec

from agent.kpi.fleet import Fleet
from agent.kpi.period import Period
from agent.report.counters import CountersFound, find_counters
from agent.report.engine import Engine
from agent.report.failure import ReportError
from agent.report.files import read_files
from agent.report.fleet import FleetFound, find_fleet
from agent.report.fleet_queries import FleetQueries
from agent.report.gathered import Gathered, Server
from agent.report.period import step_of
from agent.report.together import both
from agent.site.settings import PrometheusMeter, SiteSettings, is_counted
from agent.site.words import Role

LOOKS = 200
"""At how many moments it is looked which sites the agents say."""


async def gather_prometheus(
    engine: Engine,
    settings: SiteSettings,
    name: str,
    period: Period,
    answered: Callable[[], None] = lambda: None,
) -> Gathered:
    """Return what an engine has of a site and a period, beside the files of its CSV meters.

    `settings`: roles, categories and virtual meters; without any meter they are made from what the
    engine has. `name`: the site's, "" for the only one. Raises `ReportError`.
    """
    step = step_of(period)
    files = read_files(settings, period)
    problems = [*files.problems, *files.unread.values()]
    async with engine:
        label, said = await _agents_site(engine, name, period, answered)
        problems += said
        queries = FleetQueries(int(step), label or "")
        counters, fleet = await both(
            find_counters(engine, name, period.start, period.end, step, answered),
            find_fleet(engine, queries, period.start, period.end, answered)
            if label is not None
            else _no_fleet(),
        )
    if not counters.cells and fleet is None and not files.cells:
        of = f" of the site {name}" if name else ""
        raise ReportError(
            f"{engine.where} has neither meters nor agents{of} in this period; look whether it"
            " scrapes them, or set another --from and --to"
        )
    site, more = _site(settings, name, counters)
    problems += more
    problems += [f"{engine.where} warns: {warning}" for warning in sorted(engine.warnings)]
    return Gathered(
        site,
        files.cells | {name: counters.cells.get(name, []) for name in _polled(site)},
        None if fleet is None else _fleet(fleet),
        files.history,
        problems,
        [] if fleet is None else _not_always_there(fleet, period, step),
        0 if fleet is None else len(fleet.servers),
    )


async def _agents_site(
    engine: Engine, name: str, period: Period, answered: Callable[[], None]
) -> tuple[str | None, list[str]]:
    """Return which site's agents are meant ("": all; None: there are none), and what to say."""
    if not name:
        return "", []
    step = step_of(period)
    coarse = step * max(1, -(-period.seconds // (step * LOOKS)))
    answer = await engine.range(FleetQueries(int(step)).sites(), period.start, period.end, coarse)
    answered()
    sites = {series.labels.get("site", "") for series in answer}
    if name in sites or not sites:
        return name, []
    others = ", ".join(sorted(sites - {""}))
    if others:
        said = (
            f"no agent says that it is of the site {name}, only of {others}; set host.site of its"
            " servers' agents to have them in the report"
        )
        return None, [said]
    said = (
        f"no agent says its site, so all are taken as those of {name}; set host.site of the"
        " servers' agents if there are others"
    )
    return "", [said]


async def _no_fleet() -> None:
    return None


def _site(
    settings: SiteSettings, name: str, counters: CountersFound
) -> tuple[SiteSettings, list[str]]:
    """Return the site's settings, made from the engine's labels where there are none."""
    problems = [
        f"{meter}: the engine has no wattlas_site_gap_seconds_total of it, so nobody knows how much"
        " of its energy is missing; keep that series"
        for meter in counters.without_gap
    ]
    if settings.meter:
        problems += [
            f"{meter}: the engine has nothing of it in this period"
            for meter in _polled(settings)
            if meter not in counters.cells
        ]
        return msgspec.structs.replace(settings, name=name), problems
    roles = {role.value: role for role in Role}
    meters = tuple(
        PrometheusMeter(name=meter, role=roles.get(role, Role.NONE), url="")
        for meter, role in sorted(counters.roles.items())
    )
    if any(meter.role is Role.IT for meter in meters):
        problems.append(
            "the categories of it meters are in the site's settings only, so PDU output (category"
            " 2) is assumed; name them with --config"
        )
    return msgspec.structs.replace(settings, name=name, meter=meters), problems


def _polled(site: SiteSettings) -> list[str]:
    return [meter.name for meter in site.meter if is_counted(meter)]


def _fleet(found: FleetFound) -> Fleet:
    return Fleet(
        it=found.energy,
        wall=found.wall,
        compute=found.compute,
        busy=found.busy,
        present=found.present,
        work=found.work,
    )


def _not_always_there(found: FleetFound, period: Period, step: float) -> list[Server]:
    return [
        Server(stay.name, stay.first, stay.last, stay.missing_seconds(step))
        for stay in found.servers
        if stay.missing_seconds(step) or stay.first > period.start or stay.last < period.end
    ]
