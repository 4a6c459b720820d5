"""The real agent on a simulated host with accelerators, driven through hours of virtual time."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.truth_lives import find_collectors, run_inline
from hardware import Machine, VirtualClock
from hardware.nvml import Board, Standin
from prometheus_client.parser import text_string_to_metric_families

from agent import logs
from agent.app import App
from agent.ledger import LedgerWriter
from agent.meter import StreamIdentity, StreamView
from agent.quantities import Component, Quality
from agent.samples import Sample
from agent.settings import load
from agent.worker import Worker
from exporters.prometheus import PrometheusPages

SETTINGS = """\
[agent]
state_dir = "{directory}/state"
work_socket = ""

[paths]
procfs = "{directory}/machine/proc"
sysfs = "{directory}/machine/sys"
"""
QUIET = """
[collectors.host]
enabled = false
[collectors.estimate]
enabled = false
"""
REFRESH_SECONDS = 0.2
"""Two refreshes of an energy counter: what either end of an interval may be off by."""

TOLERANCE = 1e-3
"""The promise: energy within 0.1 %."""
HMMA_FLOPS = 0.40 * 132 * 4096 * 1.98e9
"""An H100 busy with HMMA in 40 % of the cycles, as boards.py has it: 132 SMs,
4096 operations per clock and SM in FP16 (H100 white paper), 1.98 GHz."""

Interval = tuple[float, float, float]
"""From, until (both the scenario's time), joules."""
Events = Mapping[float, Callable[[], object]]


class Intervals(list[tuple[StreamIdentity, float, float, float]]):
    """What the meter counts, kept though the agent empties the list at each tick."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[StreamIdentity, float, float, float]] = []

    def append(self, interval: tuple[StreamIdentity, float, float, float]) -> None:
        """Take an interval."""
        super().append(interval)
        self.kept.append(interval)


class Host:
    """A machine with boards and an agent on it."""

    def __init__(
        self,
        directory: Path,
        make_machine: Callable[..., Machine],
        boards: Sequence[Board],
        *,
        more: str = "",
        power: Mapping[str, Any] | None = None,
        grace_seconds: float | None = None,
        with_ledger: bool = False,
        with_host: bool = True,
        **options: Any,
    ) -> None:
        """`more`: further settings; `options`: the stand-in's.

        `with_host`: with the collectors of the host's load and of estimates, which make up a third
        of a tick here.
        """
        logs.configure("critical")
        self._with_host = with_host
        self.clock = VirtualClock(directory / "clock")
        self.machine = make_machine(directory / "machine", power, self.clock)
        self.standin = Standin(
            directory / "nvml.state", boards, epoch=self.clock.timeline.epoch, **options
        )
        self.standin.preload()
        path = directory / "wattlas.toml"
        path.write_text(SETTINGS.format(directory=directory) + more + ("" if with_host else QUIET))
        found = find_collectors()
        types = {name: cls.Settings for name, cls in found.classes.items()}
        self.heard: dict[str, list[float]] = defaultdict(list)
        """When samples of a device came, by its label."""
        settings = load(path, types)
        self.ledger = None
        if with_ledger:
            self.ledger = LedgerWriter(
                Path(settings.agent.state_dir),
                self.clock,
                flush_seconds=settings.ledger.flush_seconds,
                minute_days=settings.ledger.minute_days,
                hour_days=settings.ledger.hour_days,
            )
        self.app = App(
            settings,
            found,
            self.clock,
            ledger=self.ledger,
            record=self._record,
            grace_seconds=grace_seconds,
        )
        self.app.start()
        self.intervals = Intervals()
        self.app._accounts.meter.posted = self.intervals

    def _record(self, sample: Sample) -> None:
        self.heard[getattr(sample, "device", "")].append(self.clock.now)

    def write(self, t: float) -> None:
        """Bring machine and boards to a moment."""
        self.machine.write(t, proc=self._with_host)
        self.standin.write(t)

    async def run(self, until: float, events: Events | None = None) -> None:
        """Tick at 1 Hz; each event happens just before the tick of its time."""
        due = sorted((events or {}).items())
        while self.clock.now < until:
            self.write(self.clock.now + 1.0)
            while due and due[0][0] <= self.clock.now:
                due.pop(0)[1]()
            await self.app.tick()
            task = self.ledger._task if self.ledger is not None else None
            if task is not None and not task.done():
                await asyncio.wait([task])

    @property
    def boards(self) -> list[Board]:
        """Its boards."""
        return self.standin.boards

    def stream(self, device: str, quality: Quality = Quality.MEASURED) -> StreamView:
        """Return a board's stream."""
        for view in self.app.snapshot().streams:
            if view.identity.device == device and view.identity.quality is quality:
                return view
        raise KeyError(device)

    def counted(self, device: str, component: Component = Component.GPU) -> list[Interval]:
        """Return what was counted of a device, whichever stream gave it, in order."""
        uptime = self.clock.timeline.uptime
        return sorted(
            (start - uptime, until - uptime, joules)
            for who, start, until, joules in self.intervals.kept
            if (who.device, who.component) == (device, component)
        )

    def collector(self, name: str) -> Any:
        """Return how a collector is doing."""
        return next(c for c in self.app.snapshot().collectors if c.name == name)

    def page(self) -> list[tuple[str, dict[str, str], float]]:
        """Return every series that Prometheus would get."""
        body = PrometheusPages(self.app.snapshot).page("text/plain", gzipped=False).body.decode()
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        ]

    def close(self) -> None:
        """End the agent and let go of the files."""
        asyncio.run(self.app.stop())
        self.machine.close()
        self.clock.close()


@contextmanager
def without_threads() -> Iterable[None]:
    """Let collectors read where they are asked: virtual time stands still for a tick anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "run", run_inline)
        yield


def overlap_seconds(intervals: Sequence[Interval]) -> float:
    """Return for how long something was counted twice."""
    twice, reached = 0.0, float("-inf")
    for start, until, _ in intervals:
        twice += max(0.0, min(reached, until) - start)
        reached = max(reached, until)
    return twice


def covered_seconds(intervals: Sequence[Interval]) -> float:
    """Return for how long something was counted."""
    return sum(until - start for start, until, _ in intervals)


def pieces(intervals: Sequence[Interval]) -> list[tuple[float, float]]:
    """Return the stretches without a hole."""
    whole: list[tuple[float, float]] = []
    for start, until, _ in intervals:
        if whole and start - whole[-1][1] < 1e-6:
            whole[-1] = (whole[-1][0], until)
        else:
            whole.append((start, until))
    return whole


def close_to_truth(host: Host, device: str, highest_watts: float) -> None:
    """Compare what was counted of a board with the truth of just those times."""
    intervals = host.counted(device)
    assert intervals, device
    assert overlap_seconds(intervals) == pytest.approx(0.0, abs=1e-6)
    joules = sum(energy for _, _, energy in intervals)
    whole = pieces(intervals)
    truth = sum(host.standin.joules(device, a, b) for a, b in whole)
    edges = highest_watts * REFRESH_SECONDS * len(whole)
    assert joules == pytest.approx(truth, rel=TOLERANCE, abs=edges)
