"""A host for the perf collector: a tree that says what the CPU is, on this machine's real CPUs."""

import os
import sys
from pathlib import Path

import pytest
from unit.collectors.trees import context, put

from agent.clock import SystemClock
from agent.collector import Absent, Transient
from collectors.perf import Perf, PerfSettings
from collectors.perf_events import cpu_list
from collectors.perf_syscall import perf_event_open

SOFTWARE, CPU_CLOCK, TASK_CLOCK, DUMMY = 1, 0, 1, 9
CPUINFO = "vendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\n\n"
ONLINE = Path("/sys/devices/system/cpu/online")
PER_SECOND = 1e9
"""Counts of cpu-clock in a second."""
WIDE_FP64, WIDE_FP32 = 1 + 2 + 4 + 8, 1 + 4 + 8 + 16
"""Operations for one count of each event of a CPU with AVX-512."""


def may_count():
    try:
        os.close(perf_event_open(SOFTWARE, DUMMY, 0))
    except OSError:
        return False
    return True


on_x86 = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.uname().machine != "x86_64", reason="x86-64 Linux"
)
counting = pytest.mark.skipif(not may_count(), reason="needs CAP_PERFMON for real counts")


def host(root, vendor="GenuineIntel", family=6, model=0x8F, *, online=None, linux="6.8.0-1"):
    """A tree that says what the CPU is; its CPUs are the real ones."""
    put(root / "proc/cpuinfo", CPUINFO.format(vendor, family, model))
    put(root / "proc/sys/kernel/osrelease", linux)
    put(root / "sys/devices/system/cpu/online", online or ONLINE.read_text().strip())
    return root


def collector(root, **settings):
    ctx = context(root)
    return Perf(PerfSettings(**settings), type(ctx)(ctx.paths, SystemClock(), lambda _c, _d: None))


def cpus():
    return cpu_list(ONLINE.read_text())


def let_pass(seconds=0.1):
    clock = SystemClock()
    until = clock.boottime() + seconds
    while clock.boottime() < until:
        pass


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(perf):
    with pytest.raises((Absent, Transient)) as caught:
        perf.read()
    return caught.value


def within(flop, weight, count, first, second):
    """Assert that `count` CPUs did `weight` FLOP a nanosecond between two readings.

    The truth lies between the inner and the outer ends of the readings, however long the machine
    kept us waiting in the middle of one. (cpu-clock and CLOCK_BOOTTIME differ by ppm.)
    """
    rate = weight * PER_SECOND * count
    assert rate * (second[0] - first[1]) * 0.999 <= flop <= rate * (second[1] - first[0]) * 1.001
