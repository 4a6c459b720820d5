"""The nvml collector on the stand-in library, in virtual time."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from hardware.nvml import Standin
from unit.collectors.trees import put

from agent.collector import Context, Paths
from agent.quantities import Component, Seconds
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figure,
    Figures,
    FlopCount,
    Inventory,
    PowerReading,
    Utilization,
)
from collectors.nvml import Nvml

UPTIME = 5000.0
"""CLOCK_BOOTTIME when the stand-in's time is 0."""


class RigClock:
    """The stand-in's time."""

    def __init__(self, standin):
        self.standin = standin
        self.wall_ahead = 0.0

    def boottime(self):
        return Seconds(UPTIME + self.standin.now)

    monotonic = boottime

    def wall(self):
        return Seconds(self.standin.state.epoch + self.standin.now + self.wall_ahead)


class Rig:
    """A machine with boards and a collector that reads them."""

    def __init__(self, root: Path, boards, *, driver="580.95.05", standin=None, **settings):
        self.root = root
        self.standin = Standin(root / "nvml.state", boards, driver=driver, **(standin or {}))
        self.standin.preload()
        self.standin.write(1.0)
        self.clock = RigClock(self.standin)
        paths = Paths(procfs=root / "proc", sysfs=root / "sys")
        context = Context(paths, self.clock, lambda _component, _device: None)
        self.collector = Nvml(Nvml.Settings(**settings), context)

    def read(self, after=1.0):
        """Let time pass and read."""
        self.standin.write(self.standin.now + after)
        return self.collector.read()

    def reads(self, count, after=1.0):
        """Read several times; return all samples."""
        return [sample for _ in range(count) for sample in self.read(after)]

    @property
    def reasons(self):
        return {problem.what: problem.reason for problem in self.collector.problems()}


def rigs(root: Path):
    """Yield a function that makes a `Rig`, then close all it has made."""
    made = []

    def make(*boards, **options):
        made.append(Rig(root, boards, **options))
        return made[-1]

    yield make
    for each in made:
        each.collector.close()


def only(samples, kind, device=None, component=None):
    return [
        s
        for s in samples
        if isinstance(s, kind)
        and (device is None or s.device == device)
        and (component is None or s.component == component)
    ]


def energy(samples, device=None):
    return only(samples, EnergyCounter, device)


def power(samples, device=None):
    return only(samples, PowerReading, device, Component.GPU)


def figures(samples, device=None):
    """Return figure and second label to value; the newest counts."""
    return {
        (figure, which): value
        for sample in only(samples, Figures, device)
        for figure, which, value in sample.values
    }


def pipes(samples, device=None):
    return {w: v for (f, w), v in figures(samples, device).items() if f is Figure.PIPE_ACTIVE}


def flop_rates(samples, device=None):
    """Return FLOP/s by precision of the last count."""
    return {s.precision: s.flop / (s.at - s.since) for s in only(samples, FlopCount, device)}


def inventory(samples, component=Component.GPU):
    found = only(samples, Inventory, component=component)
    return found[-1].devices if found else None


def devices(samples):
    """Return whose utilisation was read."""
    return [s.device for s in only(samples, Utilization)]


def about(samples):
    return {s.device: s for s in only(samples, Accelerator)}


def bus(root, driver):
    """Plant an H100 and its neighbours on the PCI bus."""
    numbers = "\t".join(["10"] + ["0"] * 14)
    lines = [f"0000\t80861237\t{numbers}", f"1b00\t10de2330\t{numbers}\t{driver}".rstrip()]
    put(root / "proc/bus/pci/devices", "\n".join(lines))
    put(root / "sys/bus/pci/devices/0000:1b:00.0/class", "0x030200")


def child(root: Path, environment, script):
    """Run a script in a process that loads the library named by `environment`; return stdout."""
    prelude = """
        import sys
        import time
        from pathlib import Path
        from agent.clock import SystemClock
        from agent.collector import Absent, Context, Paths, Transient
        from agent.samples import *
        from collectors.nvml import Nvml
        root = Path(sys.argv[1])
        def make(**settings):
            paths = Paths(procfs=root / "proc", sysfs=root / "sys")
            context = Context(paths, SystemClock(), lambda _component, _device: None)
            return Nvml(Nvml.Settings(**settings), context)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script), str(root)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
