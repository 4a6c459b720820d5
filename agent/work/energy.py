"""How much energy a device, a kind of device or the whole host took between two moments.

Fed with what the meter posts: each interval of energy that counts, once. Asked about intervals
that have just ended, and about some that began up to an hour ago.
"""

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, NamedTuple

from agent.quantities import Component

FINE_SECONDS: Final = 90.0
"""For this long every posted interval is remembered."""
COARSE_SECONDS: Final = 10.0
"""Further back, one point in so many seconds is."""
COARSE_POINTS: Final = 400
"""More than an hour of them."""
COVERED: Final = 0.99
"""A single device's energy must be known for this share of an interval."""
WAIT_SECONDS: Final = 20.0
"""So long after its end an interval's energy may still come in."""
ALL: Final = "all"


class Scope(NamedTuple):
    """Whose energy: of a device, of all devices of a component, or (platform, all) of the host."""

    component: Component
    device: str


class NotKnown(Enum):
    """Why there is no figure."""

    YET = auto()
    """It may still come."""
    EVER = auto()


HOST: Final = Scope(Component.PLATFORM, ALL)


class Posted(NamedTuple):
    """An interval of energy of one device, as the meter counted it."""

    until: float
    start: float
    joules: float


class _Track:
    """One device's energy over time. A source in between may post late and out of order."""

    __slots__ = ("_joules", "_seconds", "_times", "base", "posts", "until")

    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.base = (0.0, 0.0)
        """Joules and seconds of what is not in `posts` any more."""
        self._times = array("d")
        self._joules = array("d")
        self._seconds = array("d")
        self.until = float("-inf")

    def add(self, post: Posted) -> None:
        if post.until >= self.until:
            self.posts.append(post)
            self.until = post.until
        else:
            insort(self.posts, post)

    def fold(self, before: float) -> None:
        """Make coarse what ended before a moment."""
        n = bisect_right(self.posts, (before, float("inf"), 0.0))
        if not n:
            return
        joules, seconds = self.base
        for post in self.posts[:n]:
            if not self._times:
                self._remember(post.start, joules, seconds)
            joules += post.joules
            seconds += post.until - post.start
            if post.until - self._times[-1] >= COARSE_SECONDS:
                self._remember(post.until, joules, seconds)
        self.base = (joules, seconds)
        del self.posts[:n]

    def between(self, start: float, until: float) -> tuple[float, float]:
        """Return joules and seconds covered; beyond the memory both are what is known."""
        joules = seconds = 0.0
        for post in reversed(self.posts):
            if post.until <= start:
                return joules, seconds
            overlap = min(until, post.until) - max(start, post.start)
            if overlap > 0:
                joules += post.joules * overlap / (post.until - post.start)
                seconds += overlap
        if self._times and start < self._end_of_coarse():
            before, after = self._at(start), self._at(min(until, self._end_of_coarse()))
            joules += after[0] - before[0]
            seconds += after[1] - before[1]
        return joules, seconds

    def _end_of_coarse(self) -> float:
        return self.posts[0].start if self.posts else self.until

    def _at(self, moment: float) -> tuple[float, float]:
        """Return the coarse sums at a moment; before the first point, the first."""
        times = self._times
        i = max(0, bisect_right(times, moment) - 1)
        here = (self._joules[i], self._seconds[i])
        if i + 1 < len(times):
            then, after = (self._joules[i + 1], self._seconds[i + 1]), times[i + 1]
        else:
            then, after = self.base, self._end_of_coarse()
        if after <= times[i]:
            return here
        share = min(1.0, max(0.0, (moment - times[i]) / (after - times[i])))
        return here[0] + share * (then[0] - here[0]), here[1] + share * (then[1] - here[1])

    def _remember(self, moment: float, joules: float, seconds: float) -> None:
        if len(self._times) >= COARSE_POINTS:
            for column in (self._times, self._joules, self._seconds):
                del column[0]
        self._times.append(moment)
        self._joules.append(joules)
        self._seconds.append(seconds)


class EnergyBook:
    """The energy of every device over the last hour."""

    def __init__(self) -> None:
        self._tracks: dict[Scope, _Track] = {}
        self._dark: dict[Component, float] = {}
        """When a component last had a device without any figure."""
        self._folded = float("-inf")
        self._since = float("inf")
        """Nothing is known of the time before."""

    def post(self, component: Component, device: str, start: float, until: float, j: float) -> None:
        """Add an interval of `j` joules that counts; times in s of CLOCK_BOOTTIME."""
        key = (component, device)  # equal to the Scope, and cheaper
        track = self._tracks.get(key)  # type: ignore[call-overload]
        if track is None:
            track = self._tracks[Scope(component, device)] = _Track()
            self._since = min(self._since, start)
        track.add(Posted(until, start, j))

    def tell(self, now: float, dark: Iterable[Component]) -> None:
        """Say which components have a device without any figure at this moment."""
        for component in dark:
            self._dark[component] = now
        if now - self._folded >= COARSE_SECONDS:
            self._folded = now
            for track in self._tracks.values():
                track.fold(now - FINE_SECONDS)

    def between(self, scope: Scope, start: float, until: float, now: float) -> float | NotKnown:
        """Return the joules that a scope took from `start` to `until`.

        Of several devices, each that is alive must have said what it took, and none may have been
        dark meanwhile; a single device's energy must be known for nearly all of the time.
        """
        if scope.device != ALL:
            track = self._tracks.get(scope)
            tracks = [] if track is None else [track]
        else:
            if start < self._since or any(
                at > start for dark, at in self._dark.items() if scope in (HOST, (dark, ALL))
            ):
                return NotKnown.EVER
            tracks = [
                track
                for key, track in self._tracks.items()
                if (scope == HOST or key.component == scope.component) and track.until > start
            ]
        if now - until < WAIT_SECONDS and (
            not tracks or any(track.until < until for track in tracks)
        ):
            return NotKnown.YET
        joules = 0.0
        for track in tracks:
            there, seconds = track.between(start, until)
            if len(tracks) == 1 and seconds < COVERED * (until - start):
                return NotKnown.EVER
            joules += there
        return joules if joules > 0 else NotKnown.EVER
