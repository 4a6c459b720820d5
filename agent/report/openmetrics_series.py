"""Which of /metrics' counters the ledger's history can give, and where each stands. Pure.

What is not in the tables yet (the minute and the quarter of an hour under way) is left to the
agent's own page.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agent.ledger.saved import AgentState
from agent.meter import Meter, StreamView
from agent.quantities import Component
from agent.report.openmetrics_counter import Counter, Family, Labels
from agent.report.openmetrics_quarters import (
    Quarters,
    emission_counters,
    site_families,
    work_counters,
)
from agent.report.openmetrics_rows import Copied
from agent.report_book import ENERGY
from agent.site.settings import SiteSettings


class Found(NamedTuple):
    """What can be told of the past."""

    families: list[Family]
    left_out: list[str]
    """What cannot, and why: one sentence each."""


def find(copied: Copied, site: SiteSettings, site_name: str) -> Found:
    """Return the counters of a copy. `site` says the roles of its meters."""
    state = copied.state
    if state is None:
        return Found([], [])
    left_out: list[str] = []
    views = Meter({}, copied.identities, state.meter).views()
    # What is a second opinion and was never counted has no counter: exporters/families.py.
    shown = [
        (index, view) for index, view in enumerate(views) if view.joules or not view.cross_check
    ]
    parts = [(i, v) for i, v in shown if v.identity.component != Component.HOST]
    walls = [(i, v) for i, v in shown if v.identity.component == Component.HOST]
    open_minutes = _open_minutes(state)
    joules = {i: max(0.0, v.joules - open_minutes.get(i, (0.0, 0.0))[0]) for i, v in shown}
    gaps = {i: max(0.0, v.gap_seconds - open_minutes.get(i, (0.0, 0.0))[1]) for i, v in shown}
    quarters = Quarters(copied, state)
    families = [
        Family(
            "wattlas_component_energy_joules",
            "joules",
            "Energy of a part of the host, each joule counted once.",
            [Counter(_part(v, quality=True), {i: joules[i]}) for i, v in parts],
        ),
        Family(
            "wattlas_energy_gap_seconds",
            "seconds",
            "Time for which a source gave no energy. Nothing is made up for it.",
            _longest(parts, gaps, _part),
        ),
        Family(
            "wattlas_host_energy_joules",
            "joules",
            "Energy of the host by quality; the sum over quality is the whole server.",
            _host(state, parts, joules, quarters, left_out),
        ),
        Family(
            "wattlas_wall_energy_joules",
            "joules",
            "Energy of the whole server by a meter of it, counted while no better one had it.",
            [Counter(_wall(v, quality=True), {i: joules[i]}) for i, v in walls],
        ),
        Family(
            "wattlas_wall_gap_seconds",
            "seconds",
            "Time for which a meter of the whole server gave no energy.",
            _longest(walls, gaps, _wall),
        ),
        *site_families(site, site_name, state, quarters, left_out),
        Family("wattlas_work", "", "Useful work done.", work_counters(state, quarters)),
        Family(
            "wattlas_emissions_grams",
            "grams",
            "Emissions of this host as they were counted with what was known then. Scope 2 is there"
            " twice, by location and by market: add only one.",
            emission_counters(state, quarters),
        ),
    ]
    return Found([family for family in families if family.counters], left_out)


# -- the host's own ---------------------------------------------------------------------------


def _open_minutes(state: AgentState) -> dict[int, tuple[float, float]]:
    """Return J and gap seconds of each stream that are in no table yet."""
    found: dict[int, tuple[float, float]] = {}
    for minute in state.meter.open_minutes.values():
        for stream, (joules, _, gap) in minute.items():
            so_far = found.get(stream, (0.0, 0.0))
            found[stream] = so_far[0] + joules, so_far[1] + gap
    return found


def _part(view: StreamView, *, quality: bool = False) -> Labels:
    who = view.identity
    labels = (("component", who.component.value), ("device", who.device), ("source", who.source))
    return (*labels, ("quality", who.quality.value)) if quality else labels


def _wall(view: StreamView, *, quality: bool = False) -> Labels:
    return _part(view, quality=quality)[1:]


def _longest(
    shown: Sequence[tuple[int, StreamView]],
    gaps: Mapping[int, float],
    labels: Callable[[StreamView], Labels],
) -> list[Counter]:
    """Return one counter a device and source: the longer gap of its counter and its sensor."""
    ends: dict[Labels, dict[int, float]] = {}
    for index, view in shown:
        ends.setdefault(labels(view), {})[index] = gaps[index]
    return [Counter(who, each, "gap_seconds", max) for who, each in ends.items()]


def _host(
    state: AgentState,
    parts: Sequence[tuple[int, StreamView]],
    joules: Mapping[int, float],
    quarters: "Quarters",
    left_out: list[str],
) -> list[Counter]:
    """Return the host's energy: the sum of its parts, or what was decided with a wall meter."""
    if state.host is None:
        ends: dict[str, dict[int, float]] = {}
        for index, view in parts:
            ends.setdefault(view.identity.quality.value, {})[index] = joules[index]
        return [Counter((("quality", quality),), each) for quality, each in ends.items()]
    totals = {quality: total for quality, total in state.host.joules.items() if total}
    if len(totals) != 1:
        left_out.append(
            "wattlas_host_energy_joules_total: this host has a meter of the whole server, and the"
            " ledger's quarters do not say which part of the energy is of which quality"
        )
        return []
    ((quality, total),) = totals.items()
    return quarters.counters((("quality", quality.value),), ENERGY, total)
