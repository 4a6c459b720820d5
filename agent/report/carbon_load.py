"""What a site bought, and what it used, by the cells of its meters. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.carbon.hours import is_hourly
from agent.carbon.settings import Contract
from agent.kpi.fleet import Fleet
from agent.kpi.inputs import Inputs
from agent.site.cells import COMPLETE, Cell, Term
from agent.site.settings import Meter, SiteSettings
from agent.site.virtual import factors, terms
from agent.site.words import Role


class Together(NamedTuple):
    """A stretch of time that all terms of several quantities know."""

    start: float
    """Unix time."""
    end: float
    sums: tuple[float, ...]
    """One for each quantity, J."""


class Load(NamedTuple):
    """A site's electricity."""

    bought: list[Cell]
    """J of all meters with the role total, one after the other; their seconds are shares of the
    time, so that they add up to the time that the meters know on average."""
    own: list[Cell]
    """J that plants with a contract of kind onsite made, as far as their hours are known."""
    meters: tuple[str, ...]
    problems: tuple[str, ...]


def together(quantities: Sequence[Sequence[Term]]) -> Iterator[Together]:
    """Yield the stretches that all terms know completely, as `agent.site.cells.common` adds up.

    Cells of different length are compared over the longer one.
    """
    flat = [term for quantity in quantities for term in quantity]
    pieces = sorted(
        (cell.start, cell.end, index, cell.amount, cell.seconds)
        for index, term in enumerate(flat)
        for cell in term.cells
        if cell.end > cell.start
    )
    i = 0
    while i < len(pieces):
        begin, until = pieces[i][0], pieces[i][1]
        amounts, seconds = [0.0] * len(flat), [0.0] * len(flat)
        while i < len(pieces) and pieces[i][0] < until:
            _, piece_end, index, amount, known = pieces[i]
            until = max(until, piece_end)
            amounts[index] += amount * flat[index].factor
            seconds[index] += known
            i += 1
        if all(known >= COMPLETE * (until - begin) for known in seconds):
            left = iter(amounts)
            yield Together(
                begin, until, tuple(sum(next(left) for _ in quantity) for quantity in quantities)
            )


def cells_of_meter(
    name: str, meters: Mapping[str, Meter], cells: Mapping[str, Sequence[Cell]]
) -> list[list[Cell]]:
    """Return a meter's cells, one list for each real meter that it is a sum of.

    A virtual meter that takes something off is one list: the times that all its parts know.
    Raises ValueError (`VirtualError`) for a name that no meter has.
    """
    parts = terms([name], meters, cells)
    if any(term.factor < 0 for term in parts):
        return [
            [Cell(a, b, amount, b - a) for a, b, (amount,) in together([parts])],
        ]
    return [
        [cell._replace(amount=cell.amount * term.factor) for cell in term.cells] for term in parts
    ]


def load_of(
    site: SiteSettings, cells: Mapping[str, Sequence[Cell]], contracts: Iterable[Contract]
) -> Load:
    """Return what was bought and what own plants made. Raises ValueError, one sentence.

    A meter of role total whose weight is not 1 is another carrier than electricity (fuel, bought
    cooling): no grid's intensity applies to it.
    """
    meters = {meter.name: meter for meter in site.meter}
    totals = [meter for meter in site.meter if meter.role is Role.TOTAL]
    electric = [meter for meter in totals if meter.weight == 1.0]
    if not electric:
        raise ValueError(
            "no meter has the role total: what the site buys is not known; give its feeds"
            ' role = "total", or report the host with --scope host'
        )
    problems = [
        f"{meter.name}: its weight of {meter.weight:g} says that it is no electricity, so it is in"
        " no Scope 2; give fuel as [[carbon.fuel]]"
        for meter in totals
        if meter.weight != 1.0
    ]
    _none_twice(electric, meters)
    lists = [each for meter in electric for each in cells_of_meter(meter.name, meters, cells)]
    own: list[Cell] = []
    for name in {c.meter for c in contracts if c.kind == "onsite" and c.meter in meters}:
        made = [cell for each in cells_of_meter(name, meters, cells) for cell in each]
        own += [cell._replace(seconds=0.0) for cell in made if is_hourly(cell)]
        if any(not is_hourly(cell) for cell in made):
            problems.append(
                f"{name}: rows longer than an hour do not say when the plant's energy was used;"
                " they are not taken into the load"
            )
    count = max(len(lists), 1)
    return Load(
        sorted(cell._replace(seconds=cell.seconds / count) for each in lists for cell in each),
        sorted(own),
        tuple(meter.name for meter in electric),
        tuple(problems),
    )


def with_it(
    site: SiteSettings, cells: Mapping[str, Sequence[Cell]]
) -> tuple[list[tuple[Cell, float]], str]:
    """Return bought energy with the IT energy of the same time, J, and what the latter is.

    Nothing where either is not known; the text then says why.
    """
    inputs = Inputs(site, cells, Fleet())
    categories = inputs.categories()
    if not categories:
        return [], "no meter has the role it or ups"
    try:
        totals = [m for m in site.meter if m.role is Role.TOTAL and m.weight == 1.0]
        taken = inputs.sum("E", ((meter, 1.0) for meter in totals)).terms
        it = inputs.it(categories[0]).terms
    except ValueError as error:
        return [], str(error)
    pairs = [(Cell(a, b, both[0], b - a), both[1]) for a, b, both in together([taken, it])]
    return pairs, f"IT energy of category {categories[0]}"


def _none_twice(totals: Iterable[Meter], meters: Mapping[str, Meter]) -> None:
    by: dict[str, str] = {}
    for meter in totals:
        for real, factor in factors([meter.name], meters).items():
            if factor > 0 and real in by:
                raise ValueError(
                    f"{real} is counted twice in what was bought, by {by[real]} and by {meter.name}"
                )
            if factor > 0:
                by[real] = meter.name
