"""A meter on a bench: time, boots, restarts, and sources with known power.

Written as stories: `rig.tick(...)` is one second of the agent's life. `alive` names the sources
that answer at that tick.
"""

import msgspec
import pytest

from agent.meter import Meter, MeterState, StreamIdentity
from agent.quantities import Component, Quality
from agent.samples import EnergyCounter, PowerReading

C, Q = Component, Quality
RANGE = 262143.328851
SHORT_RANGE = 65532.610988

_encode_state = msgspec.msgpack.encode
_decode_state = msgspec.msgpack.Decoder(MeterState).decode
_decode_identities = msgspec.msgpack.Decoder(list[StreamIdentity]).decode


class Source:
    """One device seen through one source; its power is known."""

    def __init__(self, name, component, device, quality, *, watts=100.0, wraps_at=None, lag=0.0):
        self.name, self.component, self.device, self.quality = name, component, device, quality
        self.watts = watts
        self.wraps_at = wraps_at
        self.lag = lag
        """How old a reading is when it arrives."""
        self.truth = 0.0
        """Joules ever drawn."""
        self.zero = 0.0
        """Truth when the counter last began anew."""
        self.offset = 0.0
        self.counted = True
        self.max_watts = None

    def counter(self):
        raw = self.truth - self.zero + self.offset
        return raw % self.wraps_at if self.wraps_at else raw

    def reset(self, to=0.0):
        self.zero, self.offset = self.truth, to

    def sample(self, at):
        if self.quality is not Q.MEASURED:
            return PowerReading(
                self.name, self.component, self.device, at, self.watts, self.quality,
                counted=self.counted,
            )  # fmt: skip
        joules = self.counter() - self.watts * self.lag
        if self.wraps_at:
            joules %= self.wraps_at
        return EnergyCounter(
            self.name, self.component, self.device, at, max(0.0, joules), self.wraps_at,
            self.max_watts, self.counted,
        )  # fmt: skip


def rapl(device="package-0", *, watts=100.0, wraps_at=RANGE, **more):
    return Source("rapl", C.CPU, device, Q.MEASURED, watts=watts, wraps_at=wraps_at, **more)


def hwmon(device="package-0", **more):
    return Source("hwmon", C.CPU, device, Q.INTEGRATED, **more)


def estimate(component=C.CPU, **more):
    return Source("estimate", component, "all", Q.ESTIMATED, **more)


class Rig:
    """The host's clocks, its sources, and the meter that lives through it all."""

    def __init__(self, *sources, intervals=None, boottime=1000.0, wall=1_700_000_000.0):
        self.sources = sources
        self.intervals = intervals or {}
        self.boottime, self.wall, self.boots = boottime, wall, 1
        self.postings = []
        self.meter = Meter(self.intervals)
        self.meter.begin("boot-1", self.boottime, self.wall)

    # -- time passes --------------------------------------------------------------------------

    def pass_time(self, seconds):
        """The machine runs, nobody looks (a stopped agent, a suspend, a missed tick)."""
        self.boottime += seconds
        self.wall += seconds
        for source in self.sources:
            source.truth += source.watts * seconds

    def read(self, *alive):
        """Each living source is read and its sample taken, in this order."""
        for source in alive:
            at = self.boottime - source.lag
            self.meter.take([source.sample(at)], self.boottime, self.wall)

    def tick(self, *alive, seconds=1.0):
        self.pass_time(seconds)
        self.read(*alive)
        self.settle()

    def settle(self):
        self.meter.settle(self.boottime, self.wall)

    def run(self, ticks, *alive, seconds=1.0):
        for _ in range(ticks):
            self.tick(*alive, seconds=seconds)

    # -- things happen ------------------------------------------------------------------------

    def save(self):
        """What the ledger holds."""
        return _encode_state(self.meter.state), _encode_state(self.meter.identities)

    def restart(self, saved=None):
        """kill -9 and back, from `saved` or from this very moment."""
        state, identities = saved or self.save()
        self.meter = Meter(self.intervals, _decode_identities(identities), _decode_state(state))
        self.meter.begin(f"boot-{self.boots}", self.boottime, self.wall)

    def reboot(self, off, up=5.0):
        """Power is off for `off` seconds; the agent is back `up` seconds after the boot."""
        self.wall += off + up
        self.boottime = up
        self.boots += 1
        for source in self.sources:
            source.truth += source.watts * up
            source.reset(source.watts * up)
        self.restart()

    def close(self):
        self.postings += self.meter.close_minutes(self.wall)

    # -- what came of it ----------------------------------------------------------------------

    def stream(self, source):
        for view, state in zip(self.meter.views(), self.meter.state.streams, strict=True):
            identity = view.identity
            if (identity.source, identity.component, identity.device, identity.quality) == (
                source.name, source.component, source.device, source.quality
            ):  # fmt: skip
                return view, state
        raise AssertionError(f"no stream of {source.name} {source.device}")

    def joules(self, source):
        return self.stream(source)[0].joules

    def seconds(self, source):
        return self.stream(source)[0].seconds

    def gap(self, source):
        return self.stream(source)[0].gap_seconds

    def host_gap(self):
        return self.meter.state.host_gap_seconds

    def check_books(self):
        """The minutes add up to the totals, and nothing in them is negative."""
        open_rows = [
            (stream, *row)
            for rows in self.meter.state.open_minutes.values()
            for stream, row in rows.items()
        ]
        closed = [(p.stream, p.joules, p.seconds, p.gap_seconds) for p in self.postings]
        for index, state in enumerate(self.meter.state.streams):
            mine = [row[1:] for row in [*closed, *open_rows] if row[0] == index]
            assert all(value >= 0.0 for row in mine for value in row)
            sums = [sum(column) for column in zip(*mine, strict=True)] or [0.0, 0.0, 0.0]
            totals = [state.joules, state.seconds, state.gap_seconds]
            assert sums == pytest.approx(totals, rel=1e-9, abs=1e-6)
