"""Emissions as they happen: counters that only rise, with the intensity that is known now. Pure.

A tick costs a comparison, a multiplication and an addition for each basis: the piece of the
timeline that holds now is kept until it ends or something new is learned. What turns out later is
for reports to restate (`restated.py`); these counters never go back.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.operational import grams, shares
from agent.carbon.timeline import (
    CAN_BE_HELD,
    Piece,
    Rule,
    Standing,
    Static,
    Timeline,
    timeline,
    with_last_resort,
)
from agent.carbon.words import Basis, Factor, Scope, Stage
from agent.kpi.checked import not_below_zero
from agent.site.cells import Cell

AHEAD_SECONDS: Final = 3600.0
"""So far the timeline is laid out at a time; a forecast of days would only be carried along."""
KEPT: Final = 2000
"""Values that are remembered at most; the oldest go first."""


class Key(NamedTuple):
    """What grams are of."""

    scope: Scope
    basis: Basis | None
    """Of Scope 2; None: the same whichever way Scope 2 is counted."""
    stage: Stage


class Now(NamedTuple):
    """An intensity that holds now, for gauges."""

    basis: Basis
    factor: Factor
    provider: str
    grams_per_kwh: float
    standing: Standing
    source: str


class Booked(NamedTuple):
    """What one interval emitted."""

    key: Key
    grams: float | None
    """None: the intensity of some of it is unknown, and that part is in no counter."""


def total_of(totals: Mapping[Key, float], basis: Basis) -> float:
    """Return all scopes and stages together, g, with Scope 2 by one basis: never by both."""
    return math.fsum(grams for key, grams in totals.items() if key.basis in {None, basis})


class EmissionsState(msgspec.Struct, array_like=True):
    """What a restart must know."""

    grams: dict[str, float] = {}
    """`scope TAB basis TAB stage` to the total."""
    unknown_joules: dict[str, float] = {}
    """Basis to energy whose intensity was unknown."""
    last: dict[str, Intensity] = {}
    """Basis and provider to its last known value, so that it can be held after a restart."""


class Emissions:
    """Counters of grams. Feed it energy and what providers say."""

    def __init__(
        self,
        rules: Sequence[Rule],
        statics: Mapping[Basis, Static] | None = None,
        state: EmissionsState | None = None,
        *,
        losses_ratio: float | None = None,
    ) -> None:
        """`rules`: one for each basis; a marginal one is shown and never counted.

        `statics`: yearly factors by basis. By market what nobody knows is counted by location.
        `losses_ratio`: kWh lost in the grid for each kWh delivered (`activities.loss_ratio`), for
        Scope 3, category 3, with the location's intensity; None: not counted.
        """
        self.state = state or EmissionsState()
        self._rules = {rule.basis: rule for rule in rules}
        self._statics = statics or {}
        self._losses = losses_ratio
        self._values = {_name(value): value for value in self.state.last.values()}
        self._lines: dict[Basis, Timeline] = {}
        self._pieces: dict[Basis, Piece] = {}

    def learn(self, values: Iterable[Intensity], wall: float) -> None:
        """Take what providers say, in any order and more than once. `wall`: Unix time."""
        for value in values:
            known = self._values.get(_name(value))
            if known is None or value.fetched_at >= known.fetched_at:
                self._values[_name(value)] = value
                self._remember(value, wall)
        self._forget(wall)
        self._lines.clear()
        self._pieces.clear()

    def count(self, joules: float, begin: float, end: float) -> list[Booked]:
        """Count energy that flowed from `begin` to `end`, Unix time; return what it emitted.

        An interval longer than a piece (an agent that was off for hours) is shared by time.
        """
        booked: list[Booked] = []
        for basis in self._rules:
            if basis is not Basis.MARGINAL:
                booked += self._count(basis, joules, begin, end)
        return booked

    def add(self, key: Key, emitted_grams: float) -> None:
        """Add to a counter what somebody else worked out, g: fuel, or a machine's other stages."""
        name = f"{key.scope}\t{key.basis or ''}\t{key.stage}"
        so_far = self.state.grams.get(name, 0.0)
        self.state.grams[name] = so_far + not_below_zero("the emissions", emitted_grams)

    def totals(self) -> dict[Key, float]:
        """Return all counters, g."""
        return {_key_of(name): total for name, total in self.state.grams.items()}

    def now(self, wall: float) -> list[Now]:
        """Return the intensity that holds now, for each basis for which one is known."""
        found: list[Now] = []
        for basis, rule in self._rules.items():
            piece = self._piece(basis, wall)
            if piece.grams_per_kwh is not None:
                found.append(
                    Now(
                        basis,
                        rule.factor,
                        piece.provider,
                        piece.grams_per_kwh,
                        piece.standing,
                        piece.source,
                    )
                )
        return found

    def _count(self, basis: Basis, joules: float, begin: float, end: float) -> list[Booked]:
        piece = self._pieces.get(basis)
        if piece is None or not piece.start <= begin < piece.end:
            piece = self._piece(basis, begin)
        if end <= piece.end:
            known = piece.grams_per_kwh is not None
            emitted = grams(joules, piece.grams_per_kwh) if piece.grams_per_kwh is not None else 0.0
            missing = 0.0 if known else joules
        else:
            emitted, missing, known = self._count_long(basis, Cell(begin, end, joules, end - begin))
        if missing:
            so_far = self.state.unknown_joules.get(basis, 0.0)
            self.state.unknown_joules[basis] = so_far + missing
        complete = known and not missing
        key = Key(Scope.SCOPE_2, basis, Stage.OPERATION)
        if known:
            self.add(key, emitted)
        booked = [Booked(key, emitted if complete else None)]
        if self._losses is not None and basis is Basis.LOCATION:
            key = Key(Scope.SCOPE_3, None, Stage.OPERATION)
            if known:
                self.add(key, emitted * self._losses)
            booked.append(Booked(key, emitted * self._losses if complete else None))
        return booked

    def _count_long(self, basis: Basis, cell: Cell) -> tuple[float, float, bool]:
        """Return the grams, the joules of unknown intensity, and whether any intensity is known."""
        pieces = self._timeline(basis, cell.start, cell.end).pieces
        parts = shares(cell, pieces, [piece.start for piece in pieces])
        known = [
            grams(part.joules, part.piece.grams_per_kwh)
            for part in parts
            if part.piece.grams_per_kwh is not None
        ]
        missing = math.fsum(part.joules for part in parts if part.piece.grams_per_kwh is None)
        return math.fsum(known), missing, bool(known)

    def _piece(self, basis: Basis, wall: float) -> Piece:
        """Return the piece that holds at a moment."""
        piece = self._pieces.get(basis)
        if piece is not None and piece.start <= wall < piece.end:
            return piece
        line = self._lines.get(basis)
        if line is None or not line.pieces[0].start <= wall < line.pieces[-1].end:
            line = self._lines[basis] = self._timeline(basis, wall, wall + AHEAD_SECONDS)
        piece = next(each for each in line.pieces if wall < each.end)
        self._pieces[basis] = piece
        return piece

    def _timeline(self, basis: Basis, begin: float, end: float) -> Timeline:
        rule = self._rules[basis]
        line = timeline(self._values.values(), begin, end, rule, self._statics.get(basis))
        if basis is Basis.MARKET and Basis.LOCATION in self._rules:
            return with_last_resort(line, self._timeline(Basis.LOCATION, begin, end))
        return line

    def _remember(self, value: Intensity, wall: float) -> None:
        """Keep a provider's newest value in the state, which is written at every tick: few."""
        rule = self._rules.get(value.basis)
        if rule is None or value.factor is not rule.factor or value.start > wall:
            return
        if value.provider not in rule.providers or value.origin not in CAN_BE_HELD:
            return
        name = f"{value.basis}\t{value.provider}"
        last = self.state.last.get(name)
        if last is None or (value.end, value.fetched_at) >= (last.end, last.fetched_at):
            self.state.last[name] = value

    def _forget(self, wall: float) -> None:
        """Drop what can no longer be held, and the oldest beyond a bound."""
        longest = max((rule.hold_seconds for rule in self._rules.values()), default=0.0)
        old = [name for name, value in self._values.items() if value.end + longest < wall]
        for name in old:
            del self._values[name]
        if len(self._values) > KEPT:
            by_end = sorted(self._values, key=lambda name: self._values[name].end)
            for name in by_end[:-KEPT]:
                del self._values[name]


@cache
def _key_of(name: str) -> Key:
    """Return the counter whose name in the state this is: a few, asked for at every tick."""
    scope, basis, stage = name.split("\t")
    return Key(Scope(scope), Basis(basis) if basis else None, Stage(stage))


_Name = tuple[str, str, str, str, float, float, str]


def _name(value: Intensity) -> _Name:
    """Return what a later value of the same thing replaces."""
    return (
        value.provider,
        value.basis,
        value.factor,
        value.origin,
        value.start,
        value.end,
        value.zone,
    )
