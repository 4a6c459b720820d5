"""What the host's accounts ask the meter about the whole server's meters, and about its parts."""

from collections.abc import Callable, Iterator
from typing import Final

from agent.meter import teams
from agent.meter.arbitration import Arrangement
from agent.meter.state import StreamIdentity
from agent.meter.stream import Stream
from agent.meter.teams import EVER, Team
from agent.quantities import Component
from agent.ranges import FOREVER, Range, intersect

COMPUTE: Final = frozenset(
    {
        Component.CPU,
        Component.DRAM,
        Component.GPU,
        Component.ACCELERATOR,
        Component.STORAGE,
        Component.NIC,
    }
)
"""What computes, in the sense of ITUE; the rest cools it and feeds it (Patterson et al., "TUE, a
new energy-efficiency metric applied at ORNL's Jaguar", ISC 2013)."""

Posted = tuple[StreamIdentity, float, float, float]
"""An interval whose energy counts: stream, from, until, joules; s of CLOCK_BOOTTIME."""


class Walls:
    """Read-only answers; the meter's streams and who gives way to whom are asked for each time."""

    def __init__(self, streams: list[Stream], arrangement: Callable[[], Arrangement]) -> None:
        self._streams = streams
        self._arrangement = arrangement

    @property
    def teams(self) -> list[Team]:
        """The sources of the whole server, best first."""
        return self._arrangement().teams

    def known_until(self) -> float:
        """Return until when it is certain for all of them whether they had energy or a gap, s."""
        indices = (i for team in self.teams for i in team.indices)
        return min((self._streams[i].known_until() for i in indices), default=FOREVER)

    def away(self, meter: tuple[int, ...]) -> list[Range]:
        """Return when a meter was not there."""
        return teams.away(meter, self._streams)

    def parts_known_until(self) -> float:
        """Return until when it is certain for all parts that count whether they had energy."""
        return min((stream.known_until() for _, stream in self._parts()), default=FOREVER)

    def parts_away(self) -> list[Range]:
        """Return when not one part was there."""
        ranges = EVER
        for _, stream in self._parts():
            ranges = intersect(ranges, stream.state.away)
        return ranges

    def computes_all_of(self, start: float, until: float) -> bool:
        """Tell whether the CPU was there, and nothing that computes came or went, in that time."""
        cpu = False
        for _, stream in self._parts():
            if stream.identity.component not in COMPUTE:
                continue
            absent = False
            for a, b in stream.state.away:
                if a < until and start < b:
                    if a > start or b < until:
                        return False
                    absent = True
            cpu |= stream.identity.component == Component.CPU and not absent
        return cpu

    def stream(self, index: int) -> Stream:
        """Return a stream by its index."""
        return self._streams[index]

    def index_of(self, identity: StreamIdentity) -> int:
        """Return the index of a stream by its identity, the very object."""
        return next(i for i, s in enumerate(self._streams) if s.identity is identity)

    def joules_of_parts(self) -> Iterator[tuple[StreamIdentity, float]]:
        """Yield what each part has had counted ever, J."""
        for stream in self._streams:
            if stream.identity.component != Component.HOST:
                yield stream.identity, stream.state.joules

    def _parts(self) -> Iterator[tuple[int, Stream]]:
        left_out = self._arrangement().left_out
        for index, stream in enumerate(self._streams):
            if index not in left_out and stream.identity.component != Component.HOST:
                yield index, stream
