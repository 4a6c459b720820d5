"""Any sequence of readings, faults, restarts and boots: the books balance to the joule.

Every source draws constant power here, so counted energy must be that power times the counted
time, however the time was cut up. `test_truth.py` varies the power.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.meter.oracle import Solo, judge
from unit.meter.rig import SHORT_RANGE, C, Q, Rig, Source, estimate, hwmon, rapl


@dataclass
class System:
    """Sources, and for each the indices of those that it gives way to, written by hand."""

    sources: list[Source]
    betters: list[list[int]]
    intervals: dict[str, float] = field(default_factory=dict)


def gpu(quality, **more):
    return Source("nvml", C.GPU, "GPU-1", quality, **more)


SYSTEMS = {
    "one counter": lambda: System([rapl(wraps_at=SHORT_RANGE)], [[]]),
    "one sensor": lambda: System([hwmon()], [[]]),
    "two packages and a model": lambda: System(
        [rapl(), rapl("package-1", watts=110.0), estimate(watts=190.0)], [[], [], [0, 1]]
    ),
    "counter, sensor, model": lambda: System(
        [rapl(wraps_at=SHORT_RANGE), hwmon(watts=90.0), estimate(watts=80.0)], [[], [0], [0, 1]]
    ),
    "slow BMC and a model": lambda: System(
        [Source("redfish", C.PLATFORM, "PSU", Q.INTEGRATED), estimate(C.PLATFORM, watts=50.0)],
        [[], [0]],
        {"redfish": 5.0},
    ),
    "two groups": lambda: System(
        [gpu(Q.MEASURED, watts=400.0), gpu(Q.INTEGRATED, watts=390.0), rapl(), estimate()],
        [[], [0], [], [2]],
    ),
}

masks = st.integers(1, 15) | st.just(15)
steps = st.one_of(
    st.tuples(
        st.just("run"), masks, st.integers(1, 25), st.sampled_from([0.25, 0.5, 1.0, 1.0, 2.0, 3.0])
    ),
    st.tuples(st.just("run"), st.integers(0, 15), st.integers(1, 3), st.sampled_from([20.0, 60.0])),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 3.0, 30.0, 110.0, 200.0, 1000.0, 4000.0])),
    st.tuples(st.just("late"), masks, masks, st.sampled_from([0.25, 0.5, 1.0, 3.0])),
    st.tuples(st.just("unsettled"), masks, st.integers(1, 4)),
    st.tuples(st.just("batch"), masks, st.integers(2, 5)),
    st.tuples(st.just("kill"), masks),
    st.tuples(st.just("restart")),
    st.tuples(
        st.just("reboot"), st.sampled_from([0.0, 0.5, 30.0, 600.0]), st.sampled_from([5.0, 60.0])
    ),
    st.tuples(st.just("retire"), st.integers(0, 3)),
    st.tuples(st.just("step"), st.sampled_from([-3600.0, 3600.0, 0.5])),
    st.tuples(st.just("reset"), st.integers(0, 3)),
    st.tuples(st.just("again"), masks, st.sampled_from([0.0, 0.25, 30.0])),
)  # fmt: skip
scripts = st.lists(steps, min_size=1, max_size=14)


class Life:
    """The meter under test, and every stream's life alone beside it."""

    def __init__(self, system):
        self.system = system
        self.sources = system.sources
        self.rig = Rig(*system.sources, intervals=system.intervals)
        self.solos = [
            Solo(system.intervals, self.rig.boottime, self.rig.wall) for _ in system.sources
        ]
        self.true_time = self.rig.boottime
        self.to_reset = set()
        self.saved = None
        self.lagged = False
        for source in self.sources:
            source.offset = 30_000.0
        self.save()

    def play(self, script):
        for step in script:
            getattr(self, f"do_{step[0]}")(*step[1:])
            self.check()
        self.finish()

    # -- what can happen ----------------------------------------------------------------------

    def do_run(self, mask, ticks, seconds):
        for _ in range(ticks):
            self.do_pass(seconds)
            self.read(mask)
            self.settle()

    def do_pass(self, seconds):
        self.rig.pass_time(seconds)
        self.true_time += seconds

    def do_late(self, mask, prompt, lag):
        """Answers come late: their timestamps lie before the last settling and others' answers."""
        self.lagged = True
        self.do_pass(0.5)
        self.settle()
        self.do_pass(lag)
        self.read(prompt, resets=False)
        self.read(mask, lag=lag, resets=False)
        self.settle()

    def do_unsettled(self, mask, ticks):
        for _ in range(ticks):
            self.do_pass(1.0)
            self.read(mask)

    def do_batch(self, mask, size):
        """Several samples of each stream in one call."""
        batches = [[] for _ in self.sources]
        for _ in range(size):
            self.do_pass(1.0)
            for i in self.of(mask):
                self.may_reset(i)
                batches[i].append(self.sources[i].sample(self.rig.boottime))
        now, wall = self.rig.boottime, self.rig.wall
        self.rig.meter.take([s for batch in batches for s in batch], now, wall)
        for solo, batch in zip(self.solos, batches, strict=True):
            for sample in batch:
                solo.do(lambda m, s=sample: m.take([s], now, wall), self.offset)
        self.settle()

    def do_kill(self, mask):
        """Killed within a tick: back to what was saved at the end of the last."""
        self.save()
        self.do_pass(1.0)
        self.read(mask, resets=False)
        state, self.rig.postings = self.saved[0], list(self.saved[1])
        self.rig.restart(state)
        for solo in self.solos:
            solo.restart(back_to_saved=True)
        self.begin_again()

    def do_restart(self):
        self.rig.restart()
        for solo in self.solos:
            solo.restart(back_to_saved=False)
        self.begin_again()

    def do_reboot(self, off, up):
        old = self.offset
        self.do_restart()
        self.rig.reboot(off, up)
        self.true_time += off + up
        for solo in self.solos:
            solo.reboot(f"boot-{self.rig.boots}", self.rig.boottime, self.rig.wall, old)
        self.to_reset.clear()

    def do_retire(self, which):
        name = self.sources[which % len(self.sources)].name
        self.rig.meter.retire([name])
        for solo in self.solos:
            solo.meter.retire([name])

    def do_step(self, seconds):
        self.rig.wall += seconds
        self.settle()

    def do_reset(self, which):
        self.to_reset.add(which % len(self.sources))

    def do_again(self, mask, back):
        """A reading twice, or an old one."""
        for i in self.of(mask):
            state = self.solos[i].meter.state.streams
            if state and state[0].at is not None and not state[0].retired:
                self.take(i, self.sources[i].sample(state[0].at - back))

    # -- how it happens -----------------------------------------------------------------------

    @property
    def offset(self):
        return self.true_time - self.rig.boottime

    def of(self, mask):
        return [i for i in range(len(self.sources)) if mask >> i & 1]

    def read(self, mask, lag=0.0, *, resets=True):
        for i in self.of(mask):
            if resets:
                self.may_reset(i)
            self.sources[i].lag = lag
            self.take(i, self.sources[i].sample(self.rig.boottime - lag))
            self.sources[i].lag = 0.0

    def take(self, i, sample):
        now, wall = self.rig.boottime, self.rig.wall
        self.rig.meter.take([sample], now, wall)
        self.solos[i].do(lambda m: m.take([sample], now, wall), self.offset)

    def may_reset(self, i):
        """Only where it cannot be taken for a wrap: high enough, and soon after a reading."""
        source, states = self.sources[i], self.solos[i].meter.state.streams
        if i in self.to_reset and states and states[0].at is not None:
            recent = self.rig.boottime - states[0].at < 20.0
            if recent and source.counter() > 21_000.0:
                self.to_reset.discard(i)
                source.reset(source.counter() - 21_000.0)

    def settle(self):
        now, wall = self.rig.boottime, self.rig.wall
        self.rig.settle()
        for solo in self.solos:
            solo.do(lambda m: m.settle(now, wall), self.offset)
        self.rig.close()

    def save(self):
        self.saved = self.rig.save(), list(self.rig.postings)
        for solo in self.solos:
            solo.save()

    def begin_again(self):
        for solo in self.solos:
            solo.meter.begin(f"boot-{self.rig.boots}", self.rig.boottime, self.rig.wall)

    # -- what must hold -----------------------------------------------------------------------

    def check(self):
        for view, source in self.views():
            assert view.joules == pytest.approx(view.seconds * source.watts, rel=1e-9, abs=1e-3)
        self.rig.check_books()

    def views(self):
        for view in self.rig.meter.views():
            for source in self.sources:
                if (source.name, source.device, source.quality) == (
                    view.identity.source, view.identity.device, view.identity.quality
                ):  # fmt: skip
                    yield view, source

    def finish(self):
        """Hear every stream that lives, so that everything is decided, and compare."""
        alive = sum(
            1 << i
            for i, solo in enumerate(self.solos)
            if solo.meter.state.streams and not solo.meter.state.streams[0].retired
        )
        self.do_run(alive, 4, 1.0)
        self.check()
        counted, nobodys = judge(self.solos, self.system.betters)
        seconds = {id(source): view.seconds for view, source in self.views()}
        mine = [seconds.get(id(source), 0.0) for source in self.sources]
        assert sum(mine) == pytest.approx(sum(counted), abs=1e-6)
        assert self.rig.host_gap() == pytest.approx(nobodys, abs=1e-6)
        if not self.lagged:  # a source that turns up late may find its first seconds counted
            assert mine == pytest.approx(counted, abs=1e-6)
        assert all(not s.holes and not s.pending for s in self.rig.meter.state.streams)
        for solo in self.solos:
            for state in solo.meter.state.streams:
                self.check_alone(solo, state)

    def check_alone(self, solo, state):
        """With nothing better: counted plus gap is all the time that was decided."""
        assert state.seconds + state.gap_seconds == pytest.approx(len(solo.cells) * 0.25, abs=1e-6)
        assert solo.meter.state.host_gap_seconds == pytest.approx(state.gap_seconds, abs=1e-6)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_books_balance(name):
    @settings(max_examples=60)
    @given(script=scripts)
    def live(script):
        Life(SYSTEMS[name]()).play(script)

    live()
