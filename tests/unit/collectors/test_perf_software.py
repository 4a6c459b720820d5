"""The reading path of the perf collector on the kernel's own software events.

cpu-clock counts one a nanosecond on each CPU: real descriptors, groups, times and reads, and a
truth that is known.
"""

import fcntl
import os

import pytest
from unit.collectors.perf_host import (
    CPU_CLOCK,
    DUMMY,
    SOFTWARE,
    TASK_CLOCK,
    collector,
    counting,
    cpus,
    descriptors,
    host,
    let_pass,
    on_x86,
    refused,
    within,
)
from unit.collectors.trees import put

from agent.clock import SystemClock
from agent.collector import Transient
from agent.quantities import Component
from collectors import perf_setup
from collectors.perf_events import Event, Group, Plan
from collectors.perf_syscall import Counters

pytestmark = on_x86


class Watched:
    """A collector and when its last two readings began and ended."""

    def __init__(self, perf):
        self.perf = perf
        self.spans = [(0.0, 0.0)]

    def read(self):
        clock = SystemClock()
        begin = clock.boottime()
        samples = self.perf.read()
        self.spans.append((begin, clock.boottime()))
        return samples

    def check(self, weights, count):
        """Read after a while and compare with the truth."""
        let_pass()
        samples = {sample.precision: sample for sample in self.read()}
        assert samples.keys() == weights.keys()
        for precision, weight in weights.items():
            sample = samples[precision]
            assert sample.component is Component.CPU
            within(sample.flop, weight, count, *self.spans[-2:])


BOTH = {"fp64": 3, "fp32": 16}
"""What the `software` host does in a nanosecond on each CPU."""


@pytest.fixture
def software(monkeypatch, tmp_path):
    """A host whose core PMU is the kernel's software one, counting both clocks."""
    groups = (
        Group("fp64", (Event(CPU_CLOCK, 1), Event(TASK_CLOCK, 0), Event(CPU_CLOCK, 2))),
        Group("fp32", (Event(CPU_CLOCK, 16),)),
    )
    plan = Plan({"cpu": groups})
    monkeypatch.setattr(perf_setup, "plan_for", lambda _cpu: plan)
    put(tmp_path / "sys/bus/event_source/devices/cpu/type", SOFTWARE)
    return host(tmp_path)


@counting
def test_a_group_is_read_as_one_with_its_times():
    counters = Counters(SOFTWARE, [CPU_CLOCK, CPU_CLOCK, DUMMY], 0)
    let_pass(0.03)
    first = counters.read()
    let_pass(0.03)
    second = counters.read()
    counters.close()
    assert len(first.values) == 3
    passed = second.enabled_ns - first.enabled_ns
    assert passed > 15e6
    assert second.running_ns - first.running_ns == pytest.approx(passed, rel=0.02)
    assert second.values[0] - first.values[0] == pytest.approx(passed, rel=0.02)
    assert second.values[2] == 0


@counting
def test_two_readings_give_what_was_done_between_them(software):
    perf = Watched(collector(software))
    assert perf.read() == ()
    before = descriptors()
    for _ in range(3):
        perf.check(BOTH, len(cpus()))
    assert descriptors() == before
    assert perf.perf.problems() == ()
    perf.perf.close()


@counting
@pytest.mark.skipif(len(cpus()) < 2, reason="needs two CPUs")
def test_cpus_that_come_and_go(software):
    first, second = sorted(cpus())[:2]
    online = software / "sys/devices/system/cpu/online"
    put(online, first)
    perf = Watched(collector(software))
    perf.read()
    perf.check(BOTH, 1)
    put(online, f"{first},{second}")
    let_pass()
    assert perf.read() == ()  # some of its work was not counted
    perf.check(BOTH, 2)
    put(online, first)
    let_pass()
    assert perf.read() == ()
    perf.check(BOTH, 1)
    before = descriptors()
    perf.perf.close()
    assert before - descriptors() == 4 + 1


@counting
def test_events_that_were_switched_off_with_their_cpu_are_made_anew(software):
    perf = Watched(collector(software))
    perf.read()
    perf.check(BOTH, len(cpus()))
    # What is left of events when their CPU has been offline and is back: they do not count.
    leader = next(iter(perf.perf._cpus.values())).counters[0]._descriptors[0]
    fcntl.ioctl(leader, 0x2401, 1)  # PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP
    perf.check({"fp32": 16}, len(cpus()))  # fp64 is unknown, and not too low
    (problem,) = perf.perf.problems()
    assert problem.what == "fp64 operations"
    let_pass()
    assert perf.read() == ()
    perf.check(BOTH, len(cpus()))
    assert perf.perf.problems() == ()
    perf.perf.close()


@counting
def test_when_no_precision_is_known_the_reading_failed(software):
    perf = Watched(collector(software))
    perf.read()
    for counters in next(iter(perf.perf._cpus.values())).counters:
        fcntl.ioctl(counters._descriptors[0], 0x2401, 1)
    let_pass()
    error = refused(perf)
    assert isinstance(error, Transient)
    assert error.reason == "busy"
    assert len(perf.perf.problems()) == 2
    let_pass()
    assert perf.read() == ()
    perf.check(BOTH, len(cpus()))
    perf.perf.close()


@counting
def test_a_descriptor_that_died_costs_one_reading(software):
    perf = Watched(collector(software))
    perf.read()
    victim = next(iter(perf.perf._cpus.values())).counters[0]
    # somebody else's file under that number
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, victim._descriptors[0])
    os.close(null)
    let_pass()
    error = refused(perf)
    assert isinstance(error, Transient)
    assert error.reason == "gone"
    let_pass()
    assert perf.read() == ()
    perf.check(BOTH, len(cpus()))
    perf.perf.close()


@counting
def test_a_cpu_that_is_listed_and_cannot_be_counted_on_makes_all_unknown(software):
    put(software / "sys/devices/system/cpu/online", "0,60000")
    perf = collector(software)
    for _ in range(2):
        error = refused(perf)
        assert isinstance(error, Transient)
        assert "CPU 60000" in error.why
    perf.close()


@counting
@pytest.mark.skipif(len(cpus()) < 2, reason="needs two CPUs")
def test_a_hybrid_part_has_a_pmu_for_each_kind_of_core(monkeypatch, tmp_path):
    first, second = sorted(cpus())[:2]
    big = (Group("fp64", (Event(CPU_CLOCK, 4),)), Group("fp32", (Event(CPU_CLOCK, 8),)))
    small = (Group("fp64", (Event(CPU_CLOCK, 1),)), Group("fp32", (Event(CPU_CLOCK, 2),)))
    plan = Plan({"cpu_core": big, "cpu_atom": small})
    monkeypatch.setattr(perf_setup, "plan_for", lambda _cpu: plan)
    devices = tmp_path / "sys/bus/event_source/devices"
    host(tmp_path, online=f"{first},{second}")
    assert "no PMU of cpu_core, cpu_atom" in refused(collector(tmp_path)).why
    put(devices / "cpu_core/type", SOFTWARE)
    put(devices / "cpu_core/cpus", first)
    # the small cores' PMU is not there: their work would be missing
    assert f"CPU {second} has no PMU" in refused(collector(tmp_path)).why
    put(devices / "cpu_atom/type", SOFTWARE)
    put(devices / "cpu_atom/cpus", second)
    perf = Watched(collector(tmp_path))
    perf.read()
    perf.check({"fp64": 4 + 1, "fp32": 8 + 2}, 1)
    perf.perf.close()
