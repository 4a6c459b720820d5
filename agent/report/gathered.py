"""What every source of a report gives."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.kpi.fleet import Fleet
from agent.samples import MeterRecord
from agent.site.cells import Cell
from agent.site.settings import SiteSettings


class Correction(NamedTuple):
    """A row of an invoice that another took the place of."""

    meter: str
    old: MeterRecord
    new: MeterRecord | None
    """None: only the ledger still has the old one."""
    replaced_at: float | None = None
    """Unix time at which an agent saw it; None: both rows are in the file."""


class Server(NamedTuple):
    """A server of the fleet that was not there all the time."""

    name: str
    first: float
    """Unix time."""
    last: float
    missing_seconds: float
    """Between the two."""


class Gathered(NamedTuple):
    """All that a report is made of."""

    site: SiteSettings
    cells: dict[str, list[Cell]]
    """By real meter; J or litres."""
    fleet: Fleet | None
    history: Sequence[Correction] = ()
    problems: Sequence[str] = ()
    """Sentences: what could not be had, and what to do."""
    servers: Sequence[Server] = ()
    server_count: int | None = None
    """How many agents were seen; None: none were looked for."""
