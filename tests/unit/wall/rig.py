"""A server on a bench: parts, meters of the whole, and the accounts that live through it all."""

import msgspec
import pytest
from unit.meter.rig import Source

from agent.accounts import Accounts
from agent.ledger.saved import AgentState
from agent.meter import StreamIdentity
from agent.quantities import Component, Quality
from agent.samples import PowerReading
from agent.snapshot import host_power

C, Q = Component, Quality
EXACT = 1e-9

_encode = msgspec.msgpack.encode
_decode_state = msgspec.msgpack.Decoder(AgentState).decode
_decode_identities = msgspec.msgpack.Decoder(list[StreamIdentity]).decode


def approx(value, tolerance=1e-6):
    return pytest.approx(value, rel=EXACT, abs=tolerance)


def wall(source="redfish", device="system", quality=Q.INTEGRATED, *, watts=500.0, **more):
    return Source(source, C.HOST, device, quality, watts=watts, **more)


def cpu(*, watts=200.0, **more):
    return Source("rapl", C.CPU, "package-0", Q.MEASURED, watts=watts, **more)


def rest(*, watts=60.0):
    """The modelled rest of the server."""
    return Source("estimate", C.PLATFORM, "all", Q.ESTIMATED, watts=watts)


def part(source, component, quality=Q.INTEGRATED, *, watts=40.0, device="0"):
    return Source(source, component, device, quality, watts=watts)


class Server:
    """The host's clock, its sources, and its accounts."""

    def __init__(self, *sources, intervals=None, boottime=1200.0, wall_time=1_700_000_000.0):
        self.sources = sources
        self.intervals = {"redfish": 5.0, "ipmi": 5.0} | (intervals or {})
        self.boottime, self.wall_time, self.boots = boottime, wall_time, 1
        self.accounts = Accounts(self.intervals, peaks_of=lambda _: {})
        self.told = self.accounts.host_posted = []
        self.observe()
        self.meter.begin("boot-1", self.boottime, self.wall_time)
        self.before = 0.0

    def observe(self):
        """Called for each new life of the accounts, before it begins."""

    @property
    def meter(self):
        return self.accounts.meter

    def pass_time(self, seconds):
        self.boottime += seconds
        self.wall_time += seconds
        for source in self.sources:
            source.truth += source.watts * seconds

    def read(self, *alive):
        for source in alive:
            at = self.boottime - source.lag
            self.accounts.take([source.sample(at)], self.boottime, self.wall_time)

    def settle(self):
        self.accounts.settle(self.boottime, self.wall_time)
        total = self.host()
        assert total >= self.before * (1 - 1e-12), "the host's energy fell"
        self.before = max(self.before, total)

    def tick(self, *alive, seconds=1.0):
        self.pass_time(seconds)
        self.read(*alive)
        self.settle()

    def run(self, ticks, *alive, slow=(), every=5, seconds=1.0):
        """Let it tick; those that are `slow` are read at every so manyth."""
        for n in range(ticks):
            self.tick(*alive, *(slow if (n + 1) % every == 0 else ()), seconds=seconds)

    def save(self):
        accounts = self.accounts
        state = AgentState(accounts.meter.state, {}, accounts.tally.state, host=accounts.host_state)
        return _encode(state), _encode(accounts.meter.identities), self.host(), list(self.told)

    def restart(self, saved=None):
        """kill -9 and back, from `saved` or from this very moment."""
        body, identities, self.before, told = saved or self.save()
        state = _decode_state(body)
        self.accounts = Accounts(
            self.intervals,
            _decode_identities(identities),
            state.meter,
            state.work,
            state.host,
            peaks_of=lambda _: {},
        )
        self.told = self.accounts.host_posted = told
        self.observe()
        assert self.host() == pytest.approx(self.before, rel=1e-12)
        self.meter.begin(f"boot-{self.boots}", self.boottime, self.wall_time)

    def reboot(self, off, up=5.0):
        self.wall_time += off + up
        self.boottime = up
        self.boots += 1
        for source in self.sources:
            source.truth += source.watts * up
            source.reset(source.watts * up)
        self.restart()

    # -- what came of it ----------------------------------------------------------------------

    def joules(self):
        """Return the host's energy by quality."""
        return self.accounts.host_joules(self.meter.views())

    def host(self):
        return sum(self.joules().values())

    def gap(self):
        return self.accounts.host_gap_seconds

    def power(self):
        return host_power(self.meter, self.meter.views())

    @property
    def state(self):
        return self.accounts.host_state

    def last(self):
        return self.accounts.walled.last_minute(self.boottime)

    def total(self, *, of_wall):
        """Return the joules of all meters of the whole, or of all parts."""
        return sum(
            view.joules
            for view in self.meter.views()
            if (view.identity.component is C.HOST) == of_wall
        )


__all__ = ["PowerReading", "Server", "approx", "cpu", "part", "rest", "wall"]
