"""Emissions of energy: each cell of energy times the intensity of its own time. Pure.

GHG Protocol Scope 2 Guidance (2015), ch. 6: activity data x emission factor, summed. Nothing is
scaled up: energy of a time whose intensity is unknown is told apart.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from agent.carbon.timeline import Piece, Standing, Timeline
from agent.carbon.words import Basis, Factor
from agent.kpi.checked import JOULES_PER_KWH
from agent.site.cells import Cell


class Share(NamedTuple):
    """What of a cell's energy falls into one piece of the timeline."""

    joules: float
    piece: Piece


class Located(NamedTuple):
    """A cell with its emissions."""

    cell: Cell
    grams: float | None
    """None: no intensity of any of its time is known."""
    known_joules: float
    """Its energy for which the intensity is known."""


class Row(msgspec.Struct, frozen=True):
    """What of a total stands on one provider's values of one kind."""

    provider: str
    standing: Standing
    grams: float | None
    """None: unknown."""
    kwh: float
    sources: tuple[str, ...]


class Total(msgspec.Struct, frozen=True):
    """Emissions of some energy, with what they stand on."""

    basis: Basis
    factor: Factor
    grams: float | None
    """Of the energy whose intensity is known; None: of none is."""
    kwh: float
    """All energy."""
    known_kwh: float
    """Energy whose intensity is known."""
    seconds: float
    """Time for which the energy is known."""
    known_seconds: float
    """Time for which energy and intensity are known."""
    rows: tuple[Row, ...]
    """By provider and kind of value; their grams add up to the total."""

    @property
    def coverage(self) -> float | None:
        """Share of the energy whose intensity is known; None: there is no energy."""
        return self.known_kwh / self.kwh if self.kwh else None

    @property
    def mean_grams_per_kwh(self) -> float | None:
        """Mean intensity of the energy that was used, not of the time."""
        if self.grams is None or not self.known_kwh:
            return None
        return self.grams / self.known_kwh


class Scope2(msgspec.Struct, frozen=True):
    """Both ways of counting purchased energy, side by side (Scope 2 Guidance, ch. 7.1)."""

    location: Total
    market: Total


def grams(joules: float, grams_per_kwh: float) -> float:
    """Return energy x intensity in g; 1 kWh = 3.6 MJ."""
    return joules / JOULES_PER_KWH * grams_per_kwh


def shares(cell: Cell, pieces: Sequence[Piece], starts: Sequence[float]) -> list[Share]:
    """Share a cell's energy among the pieces that it touches, by time.

    `starts`: where each piece begins. What of the cell lies in no piece is in no share.
    """
    length = cell.end - cell.start
    if length <= 0:
        return []
    found: list[Share] = []
    index = max(bisect_right(starts, cell.start) - 1, 0)
    while index < len(pieces) and pieces[index].start < cell.end:
        piece = pieces[index]
        overlap = min(cell.end, piece.end) - max(cell.start, piece.start)
        if overlap >= length:
            return [Share(cell.amount, piece)]
        if overlap > 0:
            found.append(Share(cell.amount * (overlap / length), piece))
        index += 1
    return found


def located(cells: Iterable[Cell], line: Timeline) -> list[Located]:
    """Return each cell's emissions, g. Raises ValueError for marginal intensities."""
    _no_marginal(line)
    starts = [piece.start for piece in line.pieces]
    found: list[Located] = []
    for cell in cells:
        parts = [
            (share.joules, share.piece.grams_per_kwh)
            for share in shares(cell, line.pieces, starts)
            if share.piece.grams_per_kwh is not None
        ]
        found.append(
            Located(
                cell,
                math.fsum(grams(joules, each) for joules, each in parts) if parts else None,
                math.fsum(joules for joules, _ in parts),
            )
        )
    return found


def total(cells: Iterable[Cell], line: Timeline) -> Total:
    """Return the emissions of all cells. Raises ValueError for marginal intensities.

    The total is the sum of energy x factor over all cells and pieces, correctly rounded (fsum), so
    the order of cells and the number of hosts or meters that they are from do not matter.
    """
    _no_marginal(line)
    starts = [piece.start for piece in line.pieces]
    amounts: list[float] = []
    seconds: list[float] = []
    known_seconds: list[float] = []
    rows: dict[tuple[str, Standing], tuple[list[float], list[float], dict[str, None]]] = {}
    for cell in cells:
        amounts.append(cell.amount)
        seconds.append(cell.seconds)
        parts = shares(cell, line.pieces, starts)
        inside = math.fsum(
            min(cell.end, part.piece.end) - max(cell.start, part.piece.start) for part in parts
        )
        length = cell.end - cell.start
        if inside < length:
            _add(rows, cell.amount * ((length - inside) / length), _OUTSIDE)
        for part in parts:
            _add(rows, part.joules, part.piece)
            if part.piece.grams_per_kwh is not None:
                overlap = min(cell.end, part.piece.end) - max(cell.start, part.piece.start)
                known_seconds.append(cell.seconds * (overlap / length))
    known = [row for key, row in rows.items() if key[1] is not Standing.UNKNOWN]
    return Total(
        line.basis,
        line.factor,
        math.fsum(each for _, each_grams, _ in known for each in each_grams) if known else None,
        math.fsum(amounts) / JOULES_PER_KWH,
        math.fsum(joule for joules, _, _ in known for joule in joules) / JOULES_PER_KWH,
        math.fsum(seconds),
        math.fsum(known_seconds),
        tuple(
            Row(
                provider,
                standing,
                None if standing is Standing.UNKNOWN else math.fsum(each_grams),
                math.fsum(joules) / JOULES_PER_KWH,
                tuple(sources),
            )
            for (provider, standing), (joules, each_grams, sources) in sorted(rows.items())
        ),
    )


_OUTSIDE = Piece(0.0, 0.0, None, "", Standing.UNKNOWN, "")


def _add(
    rows: dict[tuple[str, Standing], tuple[list[float], list[float], dict[str, None]]],
    joules: float,
    piece: Piece,
) -> None:
    amounts, each_grams, sources = rows.setdefault((piece.provider, piece.standing), ([], [], {}))
    amounts.append(joules)
    if piece.grams_per_kwh is not None:
        each_grams.append(grams(joules, piece.grams_per_kwh))
        if piece.source:
            sources[piece.source] = None


def _no_marginal(line: Timeline) -> None:
    if line.basis is Basis.MARGINAL:
        raise ValueError(
            "marginal intensities say when to run, not what was emitted: "
            "Scope 2 is counted by location or by market"
        )
