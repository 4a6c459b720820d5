"""An independent judge: the same life lived by every stream alone, added up on a fine grid.

A meter that knows one stream only has nothing to arbitrate, so it says when that stream had
energy, a gap, or was not there. Every time in a script lies on the grid, so a cell of the grid is
one of the three for every stream, and who counts in it follows from the list of betters alone.
"""

import msgspec

from agent.meter import Meter, MeterState

GRID = 0.25
COVERED, GAP = "covered", "gap"


class Solo:
    """One stream's life, cell by cell of true time."""

    def __init__(self, intervals, now, wall):
        self.intervals = intervals
        self.meter = Meter(intervals)
        self.meter.begin("boot-1", now, wall)
        self.cells = {}
        self.saved = None
        self.save()

    def do(self, action, offset):
        """Run `action(meter)`; what it decides goes into the cells, at boottime + offset."""
        before = self._state()
        action(self.meter)
        after = self._state()
        if before is None or after is None:
            return
        if after[0] > before[0]:
            self._fill(before[2], after[2], offset, COVERED)
        elif after[1] > before[1]:
            self._fill(before[2], after[2], offset, GAP)

    def reboot(self, boot_id, now, wall, old_offset):
        """The old boot ends with what was last known; the rest is told by the next calls."""
        before = self._state()
        end = self.meter.state.boottime
        self.meter.begin(boot_id, now, wall)
        if before is not None and not self.meter.state.streams[0].retired:
            self._fill(before[2], max(end, before[2]), old_offset, GAP)

    def save(self):
        state = msgspec.msgpack.encode(self.meter.state)
        self.saved = state, self.meter.identities, dict(self.cells)

    def restart(self, *, back_to_saved):
        if not back_to_saved:
            self.save()
        state, identities, self.cells = self.saved
        self.meter = Meter(
            self.intervals, identities, msgspec.msgpack.decode(state, type=MeterState)
        )
        self.save()

    def _state(self):
        if not self.meter.state.streams:
            return None
        state = self.meter.state.streams[0]
        known = state.at if state.dark_until is None else state.dark_until
        return state.seconds, state.gap_seconds, known

    def _fill(self, start, until, offset, what):
        for cell in range(round((start + offset) / GRID), round((until + offset) / GRID)):
            assert cell not in self.cells, "decided twice"
            self.cells[cell] = what


def judge(solos, betters):
    """Return seconds counted per stream and seconds that were nobody's.

    `betters` lists for each stream the indices of those it gives way to.
    """
    cells = set().union(*(solo.cells for solo in solos))
    counted = [0.0] * len(solos)
    nobodys = 0.0
    for cell in cells:
        what = [solo.cells.get(cell) for solo in solos]
        counts = [
            what[i] == COVERED and all(what[b] != COVERED for b in betters[i])
            for i in range(len(solos))
        ]
        for i, yes in enumerate(counts):
            counted[i] += GRID * yes
        missing = any(
            what[i] == GAP
            and all(what[b] is None for b in betters[i])
            and not any(counts[f] for f in range(len(solos)) if i in betters[f])
            for i in range(len(solos))
        )
        nobodys += GRID * missing
    return counted, nobodys
