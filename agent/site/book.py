"""Readings of a site's polled meters into amounts, quarter by quarter. Pure.

Unlike a server's own counters, a meter's register goes on whatever happens to the server that
reads it: its rise over a long silence, a restart or a reboot is what really flowed, so it is
counted, spread evenly over the time. A register that fell has rolled over if the rise that this
would mean is of the size seen before; else the meter was replaced or reset, and the time between
is a gap. A rate (power, flow) is integrated by the trapezoid rule as long as readings follow each
other; a longer silence is a gap. A temperature is no amount: the newest is shown, none is kept.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from agent.quarters import Quarters, Series
from agent.samples import MeterCounter, MeterRate, MeterTemperature
from agent.site.settings import Polled, SiteSettings, VirtualMeter
from agent.site.virtual import factors, quantities
from agent.site.words import Quantity

HOLD_INTERVALS: Final = 3.5
"""A rate may miss this many of its own intervals before the hole is a gap."""
HOLD_SECONDS: Final = 2.5
SURGE: Final = 3.0
"""A roll-over is believed if the flow that it means is at most this many times the most seen."""
REFRESH_SECONDS: Final = 60.0
"""A register may be renewed this much later than it is read: invoices' meters every minute."""
UNIT: Final = {Quantity.ENERGY: "J", Quantity.WATER: "l"}


class MeterState(msgspec.Struct, array_like=True):
    """What of one meter a restart must know."""

    at: float = float("-inf")
    """CLOCK_BOOTTIME of the last reading; minus infinity where that was in another boot."""
    wall: float = 0.0
    """Unix time of the last reading."""
    total: float | None = None
    """The register at the last reading, J or l."""
    rate: float | None = None
    """The rate at the last reading, where it is integrated."""
    most: float = 0.0
    """The largest mean flow between two readings so far, W or l/s."""
    amount: float = 0.0
    """J or l counted."""
    seconds: float = 0.0
    """Time for which it was counted."""
    gap_seconds: float = 0.0
    dark_until: float | None = None
    """Unix time up to which the present silence of a rate is a gap already."""
    resets: int = 0


class BookState(msgspec.Struct, array_like=True):
    """What the book must remember."""

    boot_id: str = ""
    meters: dict[str, MeterState] = {}
    virtual: dict[str, float] = {}
    """The most that each virtual meter has shown: a counter may not fall."""


class MeterView(msgspec.Struct, frozen=True):
    """One meter as others see it."""

    name: str
    role: str
    quantity: Quantity
    amount: float
    gap_seconds: float
    resets: int
    rate: float | None
    """W or l/s now; None: unknown."""
    silent_seconds: float
    """Since its last reading."""
    celsius: float | None = None
    """A thermometer's temperature now; None: unknown, or no thermometer."""


class SiteBook:
    """All polled meters of one site."""

    def __init__(
        self, site: SiteSettings, quarters: Quarters, state: BookState | None = None
    ) -> None:
        self.state = state or BookState()
        self._quarters = quarters
        self._rates: dict[str, tuple[float, float]] = {}
        """What flows now by the meter's own word, and when that was read (CLOCK_BOOTTIME)."""
        self._means: dict[str, tuple[float, float]] = {}
        """What flowed between the last two readings of a register, and when it was read."""
        self._temperatures: dict[str, tuple[float, float]] = {}
        """The newest of a thermometer in degrees Celsius, and when it was read."""
        self._same_boot = False
        self._hold: dict[str, float] = {}
        self._quantities: dict[str, Quantity] = {}
        self.meters: Mapping[str, Polled] = {}
        self.use(site)

    def use(self, site: SiteSettings) -> None:
        """Take new settings; what is known of meters that stay is kept."""
        self.site = site
        self.meters = {m.name: m for m in site.meter if isinstance(m, Polled)}
        self._quantities = quantities(site)
        self._hold = {
            name: max(HOLD_SECONDS, HOLD_INTERVALS * (m.interval_seconds or site.interval_seconds))
            for name, m in self.meters.items()
        }

    def begin(self, boot_id: str) -> None:
        """Say which boot this is: within one, CLOCK_BOOTTIME tells how long a silence was."""
        self._same_boot = boot_id == self.state.boot_id
        self.state.boot_id = boot_id
        if not self._same_boot:
            for state in self.state.meters.values():
                state.at = float("-inf")

    def take(
        self, sample: MeterCounter | MeterRate | MeterTemperature, now: float, wall: float
    ) -> None:
        """Take a reading. `now` is CLOCK_BOOTTIME, `wall` Unix time of the same moment."""
        meter = self.meters.get(sample.meter)
        if meter is None:
            return
        at_wall = wall - (now - sample.at)
        state = self.state.meters.setdefault(sample.meter, MeterState())
        if isinstance(sample, MeterTemperature):
            self._temperatures[sample.meter] = (sample.celsius, sample.at)
            state.at, state.wall = sample.at, at_wall
            state.total = state.rate = None  # of the time when it was another meter
            return
        if isinstance(sample, MeterRate):
            self._rates[sample.meter] = (sample.per_second, sample.at)
            if state.total is None and sample.at > state.at:
                self._integrate(meter, state, sample, at_wall)
            return
        if state.total is None:
            state.rate = None  # from now on the register counts
        elif sample.at <= state.at:
            return
        else:
            self._rise(meter, state, sample, at_wall)
        state.at, state.wall, state.total = sample.at, at_wall, sample.total

    def settle(self, now: float, wall: float) -> None:
        """Call the silence of rates a gap once it is longer than can be bridged."""
        for name, meter in self.meters.items():
            state = self.state.meters.get(name)
            if state is None or state.total is not None or state.rate is None:
                continue
            silent = self._since(state, now, wall)
            if silent > self._hold[name]:
                self._darken(meter, state, wall - silent, wall)

    def views(self, now: float, wall: float) -> list[MeterView]:
        """Return every meter that has ever answered, and virtual ones all of whose parts have."""
        found = self._polled_views(now, wall)
        parts = {view.name: view for view in found}
        for meter in self.site.meter:
            if isinstance(meter, VirtualMeter):
                view = self._virtual_view(meter, parts)
                if view is not None:
                    found.append(view)
        return found

    # -- inside -------------------------------------------------------------------------------

    def _virtual_view(
        self, meter: VirtualMeter, parts: Mapping[str, MeterView]
    ) -> MeterView | None:
        """Return the sum. Its counter stands still while a part that is taken off runs ahead."""
        by_name = {m.name: m for m in self.site.meter}
        terms = factors([meter.name], by_name)
        if not terms or any(name not in parts for name in terms):
            return None
        amount = sum(parts[name].amount * factor for name, factor in terms.items())
        amount = self.state.virtual[meter.name] = max(
            amount, self.state.virtual.get(meter.name, 0.0)
        )
        rate: float | None = 0.0
        for name, factor in terms.items():
            part = parts[name].rate
            rate = None if rate is None or part is None else rate + part * factor
        return MeterView(
            meter.name,
            meter.role.value,
            next(parts[name].quantity for name in terms),
            amount,
            max(parts[name].gap_seconds for name in terms),
            sum(parts[name].resets for name in terms),
            rate,
            max(parts[name].silent_seconds for name in terms),
        )

    def _polled_views(self, now: float, wall: float) -> list[MeterView]:
        found: list[MeterView] = []
        for name, meter in self.meters.items():
            state = self.state.meters.get(name)
            if state is None:
                continue
            fresh = now - self._hold[name]
            rate, at = max(
                self._rates.get(name, (None, float("-inf"))),
                self._means.get(name, (None, float("-inf"))),
                key=lambda shown: shown[1] >= fresh,
            )
            found.append(
                MeterView(
                    name,
                    meter.role.value,
                    self._quantities[name],
                    state.amount,
                    state.gap_seconds,
                    state.resets,
                    rate if at >= fresh else None,
                    self._since(state, now, wall),
                    self._celsius(name, fresh),
                )
            )
        return found

    def _celsius(self, name: str, fresh: float) -> float | None:
        found = self._temperatures.get(name)
        if found is None or found[1] < fresh or self._quantities[name] is not Quantity.TEMPERATURE:
            return None
        return found[0]

    def _apart(self, state: MeterState, at: float, wall: float) -> float:
        """Return the seconds between the last reading and this; over a reboot by the wall clock.

        That may have been set back meanwhile: what flowed is counted all the same, as if in 1 s.
        """
        if state.at > float("-inf"):
            return at - state.at
        return wall - state.wall if wall > state.wall else 1.0

    def _since(self, state: MeterState, now: float, wall: float) -> float:
        """Return the seconds since a meter's last reading."""
        if state.at > float("-inf"):
            return max(0.0, now - state.at)
        return max(0.0, wall - state.wall)

    def _rise(self, meter: Polled, state: MeterState, sample: MeterCounter, wall: float) -> None:
        """Count what the register rose by since the last reading, or a gap."""
        assert state.total is not None
        seconds = self._apart(state, sample.at, wall)
        rise = sample.total - state.total
        most = sample.max_per_second or float("inf")
        if rise < 0 and sample.wraps_at is not None and state.total <= sample.wraps_at:
            rise += sample.wraps_at
            most = min(most, max(SURGE * state.most, meter.max_per_second or 0.0))
        if not 0 <= rise <= most * (seconds + REFRESH_SECONDS):
            state.resets += 1
            self._means.pop(meter.name, None)
            self._gap(meter, state, wall - seconds, wall)
            return
        state.most = max(state.most, rise / seconds)
        self._means[meter.name] = (rise / seconds, sample.at)
        self._post(meter, state, wall - seconds, wall, rise)

    def _integrate(self, meter: Polled, state: MeterState, sample: MeterRate, wall: float) -> None:
        before, state.rate = state.rate, sample.per_second
        seconds = self._apart(state, sample.at, wall)
        state.at, state.wall = sample.at, wall
        if before is None:
            return
        if seconds <= self._hold[meter.name] and state.dark_until is None:
            amount = (before + sample.per_second) / 2 * seconds
            self._post(meter, state, wall - seconds, wall, amount)
            return
        self._darken(meter, state, wall - seconds, wall)
        state.dark_until = None

    def _darken(self, meter: Polled, state: MeterState, begin: float, end: float) -> None:
        begin = max(begin, state.dark_until or begin)
        if end > begin:
            self._gap(meter, state, begin, end)
            state.dark_until = end

    def _gap(self, meter: Polled, state: MeterState, begin: float, end: float) -> None:
        state.gap_seconds += end - begin
        self._quarters.add(self._series(meter), begin, end, None)

    def _post(
        self, meter: Polled, state: MeterState, begin: float, end: float, amount: float
    ) -> None:
        state.amount += amount
        state.seconds += end - begin
        self._quarters.add(self._series(meter), begin, end, amount)

    def _series(self, meter: Polled) -> Series:
        return Series("meter", meter.name, UNIT[self._quantities[meter.name]])
