"""What of the host's energy must outlive the agent."""

from typing import Final

import msgspec

from agent.quantities import Quality
from agent.ranges import Range

QUALITIES: Final = (Quality.MEASURED, Quality.INTEGRATED, Quality.ESTIMATED)
OTHERS: Final = len(QUALITIES)
"""Column of the first of the parts that do not compute; before it, those that do."""
COLUMNS: Final = 2 * OTHERS
MINUTE: Final = 60.0

Piece = tuple[int, float, float, float, float]
"""Stream, from, until, joules, half-width of the joules' uncertainty."""
LongPiece = tuple[int, float, float, float, float]
"""Column, from, until, joules, half-width."""
Told = tuple[str, float, float, float]
"""What an amount is of (energy: the host's; wall; compute), from, until, J."""
Hole = tuple[float, float, bool]
"""From, until, whether it is one of a part that computes."""


class Period(msgspec.Struct, array_like=True):
    """A minute or more in which the wall's energy is set against its parts'."""

    start: float
    until: float
    wall: float = 0.0
    """J, of the time that the wall covers; the next two as well."""
    parts: list[float] = []
    """J by column."""
    half_width: float = 0.0
    """J: the half-widths of the uncertainties of wall and parts together."""
    covered: float = 0.0
    """s."""


class HostState(msgspec.Struct, array_like=True):
    """The host's totals and what is not decided yet. Times are s of CLOCK_BOOTTIME."""

    done: float
    """Up to here it is decided whose energy the host's is."""
    begun: float
    """Before this nobody was asked: no gap."""
    joules: dict[Quality, float] = {}
    gap_seconds: float = 0.0
    unattributed: float = 0.0
    """J that the wall had more than its parts, over all periods where it was more."""
    excess: float = 0.0
    """J that the parts had more than the wall, over all periods where they were more."""
    pieces: list[Piece] = []
    """Of the wall."""
    cells: dict[int, list[float]] = {}
    """Of the parts: from which second, to length in s, J by column, half-width in J."""
    long: list[LongPiece] = []
    """Of the parts: what lasts longer than a minute."""
    holes: list[Hole] = []
    """Of the parts."""
    covered: list[Range] = []
    """When the wall had the host's energy, as long as late energy of parts may come."""
    gaps: list[Range] = []
    """What is counted as a gap, as long as more may come."""
    periods: list[Period] = []
