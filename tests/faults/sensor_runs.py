"""Lives an agent's App through scenarios of failing sensors; run by test_sensors.py.

This process runs under the fault library: `python sensor_runs.py DIRECTORY SEED COUNT`. For each
scenario it writes one JSON line of what came of it. Time is virtual and the threads are real: a
sensor that hangs does so until the scenario's time has come.
"""

import asyncio
import json
import sys
import time
import traceback
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from e2e.truth_lives import find_collectors
from faults.sensor_scenarios import (
    CLEAN_SECONDS,
    FAULTY_SECONDS,
    HOST,
    Episode,
    Scenario,
    scenario,
)
from hardware import Machine, VirtualClock, xeon_2s
from hardware.faults import Faults
from hardware.hwmon import drive, power_meter, thermometer
from hardware.power import Sine

from agent import logs
from agent.app import App
from agent.quantities import Quality
from agent.samples import Sample
from agent.settings import load

SETTINGS = """\
[agent]
state_dir = "{directory}/state"
work_socket = ""

[paths]
procfs = "{directory}/proc"
sysfs = "{directory}/sys"

[collectors.estimate]
enabled = {estimate}
"""
GRACE_SECONDS = 0.1
"""How long a tick waits for a sensor that hangs: less than an agent's, for the test's sake."""
SCRIPTS = {"nvme0": "drive", "power_meter": "wall"}
"""Scripts of power by device, where they have another name."""
POWER = {"wall": Sine(420.0, 40.0, 900.0), "drive": Sine(12.0, 1.0, 900.0)}
"""A power sensor is read at 1 Hz: its power changes so slowly that what happens between two
readings, and the second that a mean lies back, are below a thousandth."""
UPTIME_SECONDS = 3600.0
"""The simulated machine's at 0."""
LAST = round(FAULTY_SECONDS + CLEAN_SECONDS)
"""The last tick."""
EVERY_SECOND = (
    "rapl package-0",
    "rapl package-1",
    "rapl dram-0",
    "rapl dram-1",
    "hwmon nvme0",
    "hwmon power_meter",
    "host all",
)
"""Who, "collector device", gives a reading at each tick."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps with the virtual one, and between two jumps runs on.

    So a collector's deadline of 2 s passes with two ticks, and a tick still waits for threads.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.virtual = clock

    def time(self) -> float:
        """Return real seconds plus the virtual ones."""
        return super().time() + self.virtual.now


class Kept(list[Any]):
    """What the meter counts, kept though the agent empties the list at each tick."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def append(self, interval: Any) -> None:
        """Take an interval."""
        super().append(interval)
        self.kept.append(interval)


async def all_back(app: App) -> None:
    """Wait until whoever hung has seen that it is over: it looks every few milliseconds."""
    end = time.monotonic() + 30.0
    while any(r._worker is not None and r._worker.busy for r in app._crew._runners):
        assert time.monotonic() < end, "somebody still hangs"
        await asyncio.sleep(0.002)


class Run:
    """One scenario."""

    def __init__(self, directory: Path, plan: Scenario, faults: Faults, clock: VirtualClock):
        directory.mkdir()
        self.plan = plan
        self.faults = faults
        self.clock = clock
        self.machine: Machine = xeon_2s(
            directory,
            POWER,
            clock,
            (
                drive("nvme0", "drive"),
                power_meter("wall"),
                thermometer("coretemp", 0),
                thermometer("coretemp", 1),
            ),
        )
        found = find_collectors()
        types = {name: cls.Settings for name, cls in found.classes.items()}
        path = directory / "wattlas.toml"
        estimate = "true" if plan.with_estimate else "false"
        path.write_text(SETTINGS.format(directory=directory, estimate=estimate))
        self.heard: dict[str, set[float]] = defaultdict(set)
        """When each "collector device" gave a reading."""
        self.app = App(
            load(path, types),
            found,
            clock,
            ledger=None,
            record=self._record,
            grace_seconds=GRACE_SECONDS,
        )
        self.rules: dict[Episode, int] = {}
        self.hits = 0

    def _record(self, sample: Sample) -> None:
        device = getattr(sample, "device", "")
        self.heard[f"{sample.collector} {device}"].add(self.clock.now)

    async def live(self) -> None:
        """Tick at 1 Hz through the faults and the quiet after them."""
        self._turn(0.0)
        self.app.start()
        self.intervals = self.app._accounts.meter.posted = Kept()
        while self.clock.now < LAST:
            t = self.clock.now + 1.0
            self.machine.write(t)
            back = self._turn(t)
            if back:
                await all_back(self.app)
            await self.app.tick()
            await self._others()
        await self.app.stop()

    def _turn(self, t: float) -> bool:
        """Begin and end what is due; return whether a sensor that hung answers again."""
        back = False
        for episode in self.plan.episodes:
            if episode in self.rules and t >= episode.end:
                rule = self.rules.pop(episode)
                self.hits += self.faults.counts(rule).hits
                self.faults.clear(rule)
                back = back or episode.kind == "hang"
            elif episode not in self.rules and episode.start <= t < episode.end:
                self.rules[episode] = self.faults.set(
                    episode.target.pattern,
                    errno=episode.errno,
                    per_mille=episode.per_mille,
                    hang_ms=3_600_000 if episode.kind == "hang" else 0,
                    short=episode.short,
                    garbage=episode.garbage,
                    on="open" if episode.kind == "open" else "read",
                    seed=episode.seed,
                )
        return back

    async def _others(self) -> None:
        """Give those who do not hang the rest of the second: here it is not there by itself."""
        hangs = (touched for e in self.rules if e.kind == "hang" for touched in e.touches)
        hanging = {touched.split()[0] for touched in hangs}
        tasks = [
            runner.task
            for runner in self.app._crew._runners
            if runner.task is not None and not runner.task.done() and runner.name not in hanging
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=30.0)

    # -- what came of it -------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """Return what the test judges."""
        snapshot = self.app.snapshot()
        bugs = {
            status.name: status.why for status in snapshot.collectors if "bug" in status.failures
        }
        return {
            "seed": self.plan.seed,
            "episodes": [str(episode) for episode in self.plan.episodes],
            "hits": self.hits,
            "bugs": bugs,
            "down": [s.name for s in snapshot.collectors if s.up is False],
            "failures": sum(sum(s.failures.values()) for s in snapshot.collectors),
            "streams": self._streams(),
            "late": self._late(),
            "host": self._host(),
        }

    def _streams(self) -> dict[str, dict[str, float]]:
        """Compare, stream by stream, what was counted with the truth of just those times."""
        counted: dict[Any, list[tuple[float, float, float]]] = defaultdict(list)
        for identity, start, until, joules in self.intervals.kept:
            counted[identity].append((start - UPTIME_SECONDS, until - UPTIME_SECONDS, joules))
        found = {}
        for view in self.app.snapshot().streams:
            identity = view.identity
            if identity.quality is Quality.ESTIMATED:
                continue
            script = SCRIPTS.get(identity.device, identity.device)
            pieces = counted[identity]
            truth = sum(self.machine.joules(script, a, b) for a, b, _ in pieces)
            times = self.heard[f"{identity.source} {identity.device}"]
            first, last = min(times), max(times)
            found[f"{identity.source} {identity.device}"] = {
                "joules": view.joules,
                "posted": sum(joules for _, _, joules in pieces),
                "truth": truth,
                "whole": self.machine.joules(script, first, last),
                "seconds": view.seconds,
                "gap_seconds": view.gap_seconds,
                "span": last - first,
                "resets": view.resets,
                "last": last,
            }
        return found

    def _late(self) -> list[str]:
        """Return who, untouched by a fault now and just before, gave no reading at a tick."""
        late = []
        for who in EVERY_SECOND:
            # the CPUs' load is a difference, which the first reading has not
            first = 2 if who.startswith(HOST) else 1
            late += [
                f"{who} at {t} s"
                for t in range(first, LAST + 1)
                if float(t) not in self.heard[who] and not self.plan.excuses(who, float(t))
            ]
        return late

    def _host(self) -> dict[str, float]:
        """Return the whole server's energy; the truth is the wall's while its meter answered."""
        snapshot = self.app.snapshot()
        times = self.heard["hwmon power_meter"]
        first, last = min(times), max(times)
        return {
            "joules": sum(snapshot.host_joules.values()),
            "gap_seconds": snapshot.host_gap_seconds,
            "truth": self.machine.joules("wall", first, last),
            "first": first,
        }


def main() -> None:
    """Live through COUNT scenarios from SEED on."""
    base, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    logs.configure("critical")
    faults = Faults(base / "faults")
    for number in range(seed, seed + count):
        with closing(VirtualClock(base / f"clock-{number}")) as clock:
            run = Run(base / "machines" / str(number), scenario(number), faults, clock)
            loop = VirtualLoop(clock)
            try:
                loop.run_until_complete(run.live())
                found = run.result()
            except Exception:  # noqa: BLE001 - the test tells of it
                found = {"seed": number, "crash": traceback.format_exc()}
            finally:
                faults.clear()
                loop.close()
                run.machine.close()
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
