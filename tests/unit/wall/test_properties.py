"""Any life of a server with meters of the whole: nothing is lost, nothing counted twice.

The judge keeps what the meter posted, second by second of true time, and adds it up anew: the
wall's energy where the best source has the whole server, else the parts'. All times are whole
seconds, so each second is the one or the other.
"""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.wall.rig import C, Q, Server, cpu, part, rest, wall

from agent.meter.walls import COMPUTE

FOREVER = float("inf")
RANK = {"prometheus": 0, "redfish": 1, "ipmi": 2}


def sources():
    """Counter, sensor and model; two outlets; a BMC by both its ways, one of them a counter."""
    return [
        cpu(),
        part("hwmon", C.STORAGE, watts=15.0),
        rest(),
        wall("prometheus", "a", watts=300.0),
        wall("prometheus", "b", watts=200.0),
        wall("redfish", watts=480.0),
        wall("ipmi", quality=Q.INTEGRATED, watts=470.0),
    ]


masks = st.integers(0, 127) | st.just(127) | st.just(0b0100111) | st.just(0b0000111)
steps = st.one_of(
    st.tuples(st.just("run"), masks, st.integers(1, 40)),
    st.tuples(st.just("run"), masks, st.integers(1, 40)),
    st.tuples(st.just("run"), masks, st.sampled_from([61, 150])),
    st.tuples(st.just("sparse"), masks, st.sampled_from([20, 70]), st.integers(1, 4)),
    st.tuples(st.just("pass"), st.sampled_from([3, 30, 110, 700, 4000])),
    st.tuples(st.just("unsettled"), masks, st.integers(1, 4)),
    st.tuples(st.just("kill"), masks),
    st.tuples(st.just("restart")),
    st.tuples(st.just("reboot"), st.sampled_from([0, 30, 600])),
    st.tuples(st.just("retire"), st.sampled_from(["prometheus", "redfish", "ipmi", "hwmon"])),
    st.tuples(st.just("power"), st.integers(0, 6), st.sampled_from([0.0, 7.0, 130.0, 555.0])),
)
scripts = st.lists(steps, min_size=1, max_size=16)


class Life(Server):
    """A server whose every posting is kept."""

    def __init__(self):
        self.offset = 0
        self.kept, self.dark, self.aways = [], [], defaultdict(list)
        self.begun = None
        super().__init__(*sources(), intervals={"prometheus": 1.0})

    def observe(self):
        meter, life = self.accounts.meter, self
        note, post = meter._note_unfilled, meter._post

        def keep(index, start, until, joules):
            post(index, start, until, joules)
            life.kept.append(
                (meter.identities[index], start + life.offset, until + life.offset, joules)
            )

        def keep_hole(index, start, until):
            note(index, start, until)
            life.dark.append((start + life.offset, until + life.offset))

        meter._post, meter._note_unfilled = keep, keep_hole

    def play(self, script):
        self.tick(self.sources[0])
        self.begun = self.boottime
        for step in script:
            getattr(self, f"do_{step[0]}")(*step[1:])

    def do_run(self, mask, ticks):
        for _ in range(ticks):
            slow = int(self.boottime + 1) % 5 == 0
            self.tick(*self.of(mask, slow=slow))

    def do_sparse(self, mask, seconds, times):
        for _ in range(times):
            self.tick(*self.of(mask), seconds=float(seconds))

    def do_pass(self, seconds):
        self.settle()  # what waits for more than a minute is kept by the minute
        self.pass_time(float(seconds))

    def do_unsettled(self, mask, ticks):
        for _ in range(ticks):
            self.pass_time(1.0)
            self.read(*self.of(mask))

    def do_kill(self, mask):
        saved = self.save(), list(self.kept), list(self.dark)
        self.tick(*self.of(mask))
        self.kept, self.dark = saved[1:]
        self.restart(saved[0])

    def do_restart(self):
        self.restart()

    def do_reboot(self, off):
        self.note_aways()
        self.reboot_with(off)

    def reboot_with(self, off, up=5.0):
        ended = self.boottime + self.offset
        self.wall_time += off + up
        for source in self.sources:
            source.truth += source.watts * up
            source.reset(source.watts * up)
        # the old boot's last postings are made as the new one begins, still on the old clock
        self.boots += 1
        self.boottime = up
        new = ended + off + up - self.boottime
        begin = type(self.meter).begin
        life = self

        def switch(meter, *args):
            begin(meter, *args)
            life.offset = new

        type(self.meter).begin = switch
        try:
            self.restart()
        finally:
            type(self.meter).begin = begin

    def do_retire(self, source):
        self.meter.retire([source])

    def do_power(self, index, watts):
        self.sources[index].watts = watts

    def of(self, mask, *, slow=True):
        return [
            source
            for i, source in enumerate(self.sources)
            if mask >> i & 1 and (slow or source.name not in {"redfish", "ipmi"})
        ]

    # -- the judge ----------------------------------------------------------------------------

    def note_aways(self):
        for view, state in zip(self.meter.views(), self.meter.state.streams, strict=True):
            if view.identity.component is C.HOST:
                key = (view.identity.source, view.identity.device)
                spans = [(a + self.offset, b + self.offset) for a, b in state.away]
                self.aways[key].append((self.offset, spans))

    def is_away(self, meter, second):
        """The last boot that had begun by then knows; in none of them it was not there."""
        boots = [spans for offset, spans in self.aways[meter] if second >= offset]
        return not boots or any(a <= second < b for a, b in boots[-1])

    def finish(self):
        self.run(5, *self.sources[:3])
        self.meter.retire(["prometheus", "redfish", "ipmi"])
        self.run(3, *self.sources[:3])
        self.note_aways()
        self.judge()

    def judge(self):
        parts, walls = defaultdict(float), defaultdict(lambda: defaultdict(float))
        quality = {}
        by_quality = defaultdict(lambda: defaultdict(float))
        for who, start, until, joules in self.kept:
            for second in range(int(start), int(until)):
                share = joules / (until - start)
                if who.component is C.HOST:
                    walls[second][who.source, who.device] += share
                    quality[who.source] = who.quality
                else:
                    parts[second] += share
                    by_quality[second][who.quality] += share
        done = int(self.state.done + self.offset) if self.state else FOREVER
        host, covered = defaultdict(float), {}
        for second in sorted({*parts, *walls}):
            if second >= done:
                continue
            source = self.team(walls[second], second)
            if source is None:
                for q, joules in by_quality[second].items():
                    host[q] += joules
            else:
                mine = sum(j for (s, _), j in walls[second].items() if s == source)
                host[quality[source]] += mine
                covered[second] = mine
        self.check_host(host, parts, done)
        if self.state is not None:
            self.check_rest(covered, parts)
            self.check_gap(covered, parts, walls, done)

    def team(self, there, second):
        for source in sorted({s for s, _ in there}, key=RANK.get):
            meters = [key for key in self.aways if key[0] == source]
            if all(key in there or self.is_away(key, second) for key in meters):
                return source
        return None

    def check_host(self, host, parts, done):
        found = self.joules()
        for q in Q:
            assert found.get(q, 0.0) == pytest.approx(host[q], rel=1e-9, abs=1e-6), q
        told = sum(joules for name, _, _, joules in self.told if name == "energy")
        assert told == pytest.approx(self.host(), rel=1e-9, abs=1e-6)

    def check_rest(self, covered, parts):
        state = self.state
        wall_joules = sum(covered.values())
        inside = sum(parts[second] for second in covered)
        still_open = sum(p.wall - sum(p.parts) for p in state.periods)
        left = state.unattributed - state.excess + still_open
        assert wall_joules - inside == pytest.approx(left, rel=1e-9, abs=1e-6 + 1e-9 * inside)
        assert min(state.unattributed, state.excess) >= 0.0

    def check_gap(self, covered, parts, walls, done):
        """Since the first reading each second is the wall's, the parts' or a gap."""
        dark = {s for a, b in self.dark for s in range(int(a), int(b))}
        gap = {second for second in dark if second not in covered and second < done}
        assert self.gap() == pytest.approx(len(gap), abs=1e-6)
        for second in range(int(self.begun), done):
            has_figure = second in covered or second in parts
            assert has_figure or second in gap, second


@settings(max_examples=150, deadline=None)
@given(script=scripts)
def test_every_joule_is_counted_once(script):
    life = Life()
    life.play(script)
    life.finish()


def test_what_computes_is_what_the_definition_says():
    assert {c.value for c in COMPUTE} == {"cpu", "dram", "gpu", "accelerator", "storage", "nic"}
