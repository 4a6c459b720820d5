"""One stream's step: a new reading against the last one."""

from agent.meter.counter import NoEnergy, energy_between, horizon
from agent.meter.state import StreamIdentity, StreamState
from agent.quantities import Joules, Quality, Seconds, Watts
from agent.ranges import FOREVER, Range
from agent.samples import EnergyCounter, PowerReading

HOLD_INTERVALS = 3.5
"""A power sensor may miss this many of its own intervals before the hole is a gap."""
HOLD_SECONDS = 2.5
"""… and never less than this, so that a busy machine's late tick is no gap."""
MAX_AHEAD_SECONDS = 60.0
"""A reading from further in the future has another clock's timestamp."""
MAX_AWAY = 16
"""Absences remembered, for the same reason."""
MAX_HOLES = 256
"""Holes remembered for those who may fill them; reached only by a flapping sensor."""


def is_usable(sample: EnergyCounter | PowerReading, now: float) -> bool:
    """Tell a reading from nonsense: negative, not finite, or from the future."""
    value = sample.joules if isinstance(sample, EnergyCounter) else sample.watts
    return 0.0 <= value < FOREVER and -FOREVER < sample.at <= now + MAX_AHEAD_SECONDS


class Stream:
    """Its identity, its state, and what the last tick brought. Holds no arbitration."""

    __slots__ = (
        "dark_now",
        "half_width",
        "hold",
        "identity",
        "is_counter",
        "is_doubled",
        "reset",
        "state",
        "watts",
    )

    def __init__(self, identity: StreamIdentity, state: StreamState, interval: float) -> None:
        self.identity = identity
        self.state = state
        self.is_counter = identity.quality is Quality.MEASURED
        self.is_doubled = False
        """Its source has a counter and a sensor of this device."""
        self.hold = HOLD_SECONDS
        self.set_interval(interval)
        self.watts: float | None = None
        """Power over the last interval; None until there is one."""
        self.half_width = 0.0
        """Half-width of that power's uncertainty, W."""
        self.reset: str | None = None
        """Set for one tick when the counter started anew."""
        self.dark_now: Range | None = None
        """What the last call added to the gap."""

    def set_interval(self, interval: float) -> None:
        """Say how many seconds lie between readings when all is well."""
        self.hold = max(HOLD_SECONDS, HOLD_INTERVALS * interval)

    def step(self, sample: EnergyCounter | PowerReading) -> tuple[float, float, float] | None:
        """Take a reading; return (from, until, joules) if it closes an interval.

        Whatever does not become energy is left in `dark_now` as a gap. A reading that is not
        newer than the last is passed over.
        """
        state = self.state
        before_at, before = state.at, state.value
        if before_at is None:
            state.at = sample.at
            self.begin_at(sample.at)
            self._remember(sample)
            self._show(sample, None)
            return None
        if sample.at <= before_at:
            return None
        seconds = Seconds(sample.at - before_at)
        joules = None
        if before is not None and state.dark_until is None:
            joules = self._energy(sample, before, seconds)
        self._remember(sample)
        if joules is None:
            self._show(sample, None)
            self.darken(sample.at)
            if state.dark_until is not None and state.dark_until <= sample.at:
                state.dark_until = None
            state.at = sample.at
            return None
        self._show(sample, joules / seconds)
        state.at = sample.at
        return before_at, sample.at, joules

    def darken(self, until: float) -> None:
        """Call the time from the last reading to `until` a gap."""
        state = self.state
        start = self.known_until()
        if until <= start:
            return
        state.dark_until = until
        state.gap_seconds += until - start
        self.dark_now = (start, until)
        holes = state.holes
        if holes and holes[-1][1] == start:
            holes[-1] = (holes[-1][0], until)
        else:
            holes.append((start, until))
            if len(holes) > MAX_HOLES:
                del holes[0]

    def grow_dark(self, now: float) -> None:
        """Call the silence a gap once it is certain that it cannot be bridged."""
        state = self.state
        if state.at is None or state.retired:
            return
        silent = now - state.at
        if silent <= self.hold and state.value is not None:
            return
        self.watts = None
        if state.value is None or silent > self.horizon():
            self.darken(now)

    def horizon(self) -> float:
        """Return the longest silence that can still be bridged, in s."""
        if not self.is_counter:
            return self.hold
        state = self.state
        wraps_at = None if state.wraps_at is None else Joules(state.wraps_at)
        max_watts = None if state.max_watts is None else Watts(state.max_watts)
        return max(self.hold, horizon(self.identity.component, wraps_at, max_watts))

    def known_until(self) -> float:
        """Return until when it is certain whether this stream had energy or a gap."""
        state = self.state
        if state.at is None:
            return FOREVER
        known = state.at if state.dark_until is None else state.dark_until
        return max(known, state.away[-1][1])

    def begin_at(self, moment: float) -> None:
        """End its absence."""
        away = self.state.away
        away[-1:] = [(away[-1][0] if away else -FOREVER, moment)]

    def retire(self) -> None:
        """Begin an absence where what is known of it ends."""
        state = self.state
        if state.at is not None:
            state.away.append((self.known_until(), FOREVER))
            del state.away[:-MAX_AWAY]
        state.retired, state.dark_until = True, None
        self.watts = None

    def open_to_others(self) -> list[Range]:
        """Return when it does not keep others from counting, as far as that is known."""
        ranges = [*self.state.away, *self.state.holes]
        known = self.known_until()
        if known < FOREVER:
            ranges.append((known, FOREVER))
        ranges.sort()
        return ranges

    def restart_clock(self, start: float) -> None:
        """Begin a new boot's time: nothing before `start`, and the silence since then is a gap."""
        state = self.state
        if state.at is None:
            return
        state.at, state.value, state.dark_until = start, None, None
        state.away = [(start, FOREVER) if state.retired else (-FOREVER, start)]
        state.holes, state.pending, state.counted_until = [], [], None
        self.watts = None

    def _energy(
        self, sample: EnergyCounter | PowerReading, before: float, seconds: Seconds
    ) -> float | None:
        if isinstance(sample, PowerReading):
            if seconds > self.hold:
                return None
            return (before + sample.watts) / 2 * seconds
        outcome = energy_between(
            before,
            sample.joules,
            seconds,
            component=sample.component,
            wraps_at=sample.wraps_at,
            max_watts=sample.max_watts,
        )
        if isinstance(outcome, NoEnergy):
            if outcome is not NoEnergy.AMBIGUOUS:
                self.reset = outcome.value
            return None
        return outcome * sample.calibration

    def _remember(self, sample: EnergyCounter | PowerReading) -> None:
        state = self.state
        if isinstance(sample, EnergyCounter):
            state.value = sample.joules
            state.wraps_at = sample.wraps_at
            state.max_watts = sample.max_watts
        else:
            state.value = sample.watts

    def _show(self, sample: EnergyCounter | PowerReading, watts: float | None) -> None:
        if isinstance(sample, EnergyCounter):
            self.watts = watts
            self.half_width = (watts or 0.0) * sample.accuracy
            return
        self.watts = sample.watts
        if sample.low_watts is not None and sample.high_watts is not None:
            self.half_width = (sample.high_watts - sample.low_watts) / 2
        else:
            self.half_width = sample.watts * sample.accuracy
