"""One simulated day of an agent that is killed again and again; run by test_truth.py.

This process runs under the fault library. It imports everything once, and then forks the agent's
lives, so a restart costs milliseconds: `python truth_lives.py PLAN.json`. What happened is left in
the plan's directory: the board of exported values, the ledger, and `outages.json`.
"""

import asyncio
import gc
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import aiohttp  # noqa: F401 - a life imports it at its first tick: a third of a second each
from e2e.truth_board import Board, Heard
from hardware import Machine, VirtualClock, xeon_2s
from hardware.hwmon import drive, power_meter
from hardware.power import Power, busy
from hardware.timeline import Kind
from prometheus_client.parser import text_string_to_metric_families

from agent import logs
from agent.app import App
from agent.collector import Found
from agent.collector import find_collectors as find_collectors_slowly
from agent.ledger import LedgerWriter
from agent.settings import load
from agent.worker import Worker
from collectors import work_server  # noqa: F401 - as above
from exporters.prometheus import PrometheusPages

PAGE_EVERY_TICKS = 300
"""A rendered page is compared this often, and at each start."""
SNAPSHOT_EVERY_TICKS = 5
"""The snapshot is compared this often: three times as often as a Prometheus would scrape."""


@cache
def find_collectors() -> Found:
    """Look once: it takes as long as a hundred ticks, and a fork inherits the answer."""
    return find_collectors_slowly()


@dataclass(frozen=True)
class Plan:
    """What shall happen. Times are the scenario's, in seconds."""

    directory: str
    seed: int
    end: float
    kills: int
    reboot: tuple[float, float]
    suspend: tuple[float, float]
    wall_steps: tuple[tuple[float, float], ...]

    def save(self) -> Path:
        """Write it where `load_plan` finds it."""
        path = Path(self.directory) / "plan.json"
        path.write_text(json.dumps(asdict(self)))
        return path


def load_plan(path: Path) -> Plan:
    """Read a plan."""
    raw = json.loads(path.read_text())
    for key in ("reboot", "suspend", "wall_steps"):
        raw[key] = tuple(raw[key])
    return Plan(**raw)


@dataclass(frozen=True)
class Outage:
    """No agent ran from `start` to `end`."""

    start: float
    end: float
    kind: str


class Remembered:
    """A script of power that is asked at each tick for the moments when the machine went off.

    Working them out anew would be half of every tick after the reboot.
    """

    def __init__(self, power: Power) -> None:
        self.watts = power.watts
        self.joules = lru_cache(maxsize=32)(power.joules)


def build_machine(plan: Plan, clock: VirtualClock, name: str = "machine") -> Machine:
    """Make the machine; what happens to it is in the clock."""
    machine = xeon_2s(
        Path(plan.directory) / name,
        {"drive": busy(6.0, 24.0, plan.seed, 600.0)},
        clock,
        (drive("nvme0", "drive"), power_meter("wall")),
    )
    machine._counters = [(f, zone, Remembered(power)) for f, zone, power in machine._counters]
    machine._sensors = [(f, shown, Remembered(power)) for f, shown, power in machine._sensors]
    return machine


def prepare(plan: Plan, machine: Machine) -> None:
    """Let come what shall come."""
    machine.reboot(plan.reboot[0], plan.reboot[1] - plan.reboot[0])
    machine.suspend(*plan.suspend)
    for at, seconds in plan.wall_steps:
        machine.step_wall(at, seconds)


class Life:
    """The agent from one start to its end."""

    def __init__(self, plan: Plan, clock: VirtualClock, machine: Machine, board: Board) -> None:
        self._plan = plan
        self._clock = clock
        self._machine = machine
        self._board = board
        found = find_collectors()
        types = {name: cls.Settings for name, cls in found.classes.items()}
        settings = load(Path(plan.directory) / "wattlas.toml", types)
        self._ledger = LedgerWriter(
            Path(settings.agent.state_dir),
            clock,
            flush_seconds=settings.ledger.flush_seconds,
            minute_days=settings.ledger.minute_days,
            hour_days=settings.ledger.hour_days,
        )
        # Virtual time does not run while a tick waits, so it waits for all: no grace.
        self._app = App(
            settings,
            found,
            clock,
            ledger=self._ledger,
            record=Heard(Path(plan.directory), clock).record,
            grace_seconds=None,
        )
        self._pages = PrometheusPages(self._app.snapshot)
        self._names: dict[object, tuple[str, str, str]] = {}

    async def run(self) -> None:
        """Tick at 1 Hz until the end of the day, then stop cleanly."""
        self._app.start()
        self._export_page("at start")
        ticks = 0
        while self._clock.now <= self._plan.end:
            await self._app.tick()
            self._board.export("last tick", self._clock.now, "after a tick")
            if ticks % SNAPSHOT_EVERY_TICKS == 0 or self._clock.now > self._plan.end - 2.0:
                self._export_snapshot()
            if ticks % PAGE_EVERY_TICKS == 0:
                self._export_page("after a tick")
            ticks += 1
            await self._written()
            self._machine.write(self._next(), proc=False)  # nobody reads the load here
        await self._app.stop()

    def _next(self) -> float:
        t = self._clock.now + 1.0
        for event in self._clock.timeline.events:
            if event.kind is Kind.SUSPEND and event.start <= t < event.end:
                return event.end
            if event.kind is Kind.REBOOT and event.start <= t < event.end:
                time.sleep(60)  # the machine goes down: whoever forked this kills it
        return t

    async def _written(self) -> None:
        """Wait for the ledger: real seconds give it a thousand times what it needs."""
        task = self._ledger._task
        if task is not None and not task.done():
            await asyncio.wait([task])

    def _export_snapshot(self) -> None:
        snapshot = self._app.snapshot()
        export = self._board.export
        for view in snapshot.streams:
            names = self._names.get(view.identity)
            if names is None:
                i = view.identity
                key = f"{i.source} {i.component} {i.device} {i.quality}"
                names = self._names[view.identity] = (f"J {key}", f"s {key}", f"gap {key}")
            export(names[0], view.joules, "after a tick")
            export(names[1], view.seconds, "after a tick")
            export(names[2], view.gap_seconds, "after a tick")
        for quality, joules in snapshot.host_joules.items():
            export(f"host J {quality}", joules, "after a tick")
        export("host gap", snapshot.host_gap_seconds, "after a tick")

    def _export_page(self, when: str) -> None:
        page = self._pages.page("text/plain", gzipped=False)
        for family in text_string_to_metric_families(page.body.decode()):
            if family.type != "counter":
                continue
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
                    self._board.export(f"{sample.name} {labels}", sample.value, when)


T = TypeVar("T")


async def run_inline(_worker: Worker, function: Callable[[], T]) -> T:
    """Stand in for `Worker.run`: while a tick waits, virtual time stands still, so a thread would
    only add two wake-ups, which are most of a tick's cost here."""
    return function()


def live(plan: Plan, clock: VirtualClock, machine: Machine) -> int:
    """Fork one life and return its process id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            asyncio.run(Life(plan, clock, machine, Board(Path(plan.directory))).run())
            status = 0
        except BaseException:  # noqa: BLE001 - os._exit says nothing by itself
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def ends_of_lives(plan: Plan, dice: random.Random) -> Iterator[tuple[float, str]]:
    """Return when each life but the last shall end, in order: the kills, and the reboot."""
    spans = ((5.0, plan.reboot[0] - 90.0), (plan.reboot[1] + 60.0, plan.end - 120.0))
    lengths = [end - start for start, end in spans]
    picks = dice.choices(spans, weights=lengths, k=plan.kills)
    ends = [(dice.uniform(*span), "kill") for span in picks]
    yield from sorted([*ends, (plan.reboot[0] - 1.0, "reboot")])


def wait_until(clock: VirtualClock, pid: int, target: float) -> float | None:
    """Wait until the life has come to a time; return the real seconds of a tick, if known."""
    began, at = time.monotonic(), clock.now
    tick_seconds = None
    while clock.now < target:
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            raise SystemExit(f"the agent ended by itself at {clock.now}")
        if clock.now > at + 5:
            tick_seconds = (time.monotonic() - began) / (clock.now - at)
        # coarse at first: this process shares two cores with the one it watches
        time.sleep(min(max((target - clock.now) * (tick_seconds or 0.0) / 2, 0.0003), 0.05))
    return tick_seconds


def main() -> None:
    """Let the day pass."""
    plan = load_plan(Path(sys.argv[1]))
    directory = Path(plan.directory)
    logs.configure("error")
    Worker.run = run_inline  # type: ignore[method-assign]
    dice = random.Random(plan.seed)
    clock = VirtualClock(directory / "clock")
    machine = build_machine(plan, clock)
    prepare(plan, machine)
    find_collectors()
    gc.freeze()  # what is imported by now is not garbage in any life
    outages: list[Outage] = []
    pid = live(plan, clock, machine)
    for target, kind in ends_of_lives(plan, dice):
        starting = clock.now >= target
        tick_seconds = wait_until(clock, pid, target) or 0.002
        # Anywhere in a tick: the collectors, the meter, the ledger's transaction, the export. Where
        # the outage before has eaten this one's time, anywhere in the start.
        time.sleep(dice.uniform(0.0, 0.03 if starting else 1.5 * tick_seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        start = clock.now
        end = plan.reboot[1] + 20.0 if kind == "reboot" else start + dice.uniform(0.2, 60.0)
        if plan.suspend[0] <= end < plan.suspend[1]:
            end = plan.suspend[1] + 1.0
        outages.append(Outage(start, end, kind))
        machine.write(end)
        pid = live(plan, clock, machine)
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"the last life ended with status {status}")
    (directory / "outages.json").write_text(json.dumps([asdict(o) for o in outages]))


if __name__ == "__main__":
    main()
