"""Sums of meters over the time that all inputs of a figure know, and figures made of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.definitions import DEFINITIONS
from agent.kpi.period import Period
from agent.kpi.result import ENOUGH, Input, Kpi
from agent.site.cells import Term, common, covered


class Sum(NamedTuple):
    """One quantity: a sum of meters."""

    name: str
    """E.g. "E_IT"."""
    unit: str
    """In which a report shows it."""
    terms: Sequence[Term]
    meters: Sequence[str]
    """The name of each term's meter."""
    per_unit: float = JOULES_PER_KWH
    """Of what the cells hold (J, l, s) in one `unit`."""


class Gathered(NamedTuple):
    """Sums over the time that all of them know."""

    amounts: tuple[float, ...]
    """As the cells hold them: J, l, s …"""
    coverage: float
    """That time as a share of the period."""
    inputs: tuple[Input, ...]
    note: str
    """What is missing; "" where nothing is."""


class Heading(NamedTuple):
    """What a figure is called."""

    name: str
    unit: str
    category: str
    definition: str
    """Key in `definitions`."""


def gather(sums: Sequence[Sum], period: Period) -> Gathered:
    """Return the sums over exactly the time that all their meters know, nothing scaled up."""
    found = common([each.terms for each in sums], period.start, period.end)
    coverage = min(1.0, found.seconds / period.seconds) if period.seconds > 0 else 0.0
    inputs = tuple(
        Input(each.name, amount / each.per_unit, each.unit, tuple(each.meters))
        for each, amount in zip(sums, found.sums, strict=True)
    )
    note = ""
    if not coverage:
        note = f"there is no time that all inputs know: {_poorest(sums, period)}"
    elif coverage < ENOUGH:
        note = (
            f"stands for {coverage:.1%} of the period only, the rest is left out and not "
            f"scaled up: {_poorest(sums, period)}"
        )
    return Gathered(found.sums, coverage, inputs, note)


def figure(
    heading: Heading,
    gathered: Gathered,
    formula: Callable[..., float],
    notes: Iterable[str] = (),
) -> Kpi:
    """Return the KPI that `formula` makes of the sums, or why it is withheld."""
    said = [note for note in (gathered.note, *notes) if note]
    value = None
    if gathered.coverage:
        try:
            value = formula(*gathered.amounts)
        except ValueError as error:
            said.insert(0, str(error))
    return Kpi(
        *heading[:1],
        value,
        heading.unit,
        heading.category,
        gathered.coverage,
        DEFINITIONS[heading.definition].text,
        "; ".join(said),
        gathered.inputs if gathered.coverage else (),
    )


def withheld(heading: Heading, why: str) -> Kpi:
    """Return a KPI without a value, because something it needs is not there at all."""
    text = DEFINITIONS[heading.definition].text
    return Kpi(heading.name, None, heading.unit, heading.category, 0.0, text, why)


def _poorest(sums: Sequence[Sum], period: Period) -> str:
    """Name the inputs that know least, at most three."""
    least: dict[str, float] = {}
    for each in sums:
        for term, meter in zip(each.terms, each.meters, strict=True):
            seconds = covered(term.cells, period.start, period.end)[1]
            least[meter] = min(least.get(meter, 1.0), seconds / max(period.seconds, 1e-9))
    shares = sorted((share, meter) for meter, share in least.items())
    poor = [f"{meter} knows {share:.1%}" for share, meter in shares if share < 1][:3]
    return ", ".join(poor) or "their times do not fit each other"
