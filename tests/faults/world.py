"""A server whose true power is known, its agent in this process, and a Prometheus that watches.

All on virtual time: an hour takes a second or two. What breaks is real: the disk, the file, the
process. `Outside` sees only what is exported, as a Prometheus does, and so is the judge.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hardware import Machine, VirtualClock, xeon_2s
from hardware.hwmon import drive, power_meter
from hardware.power import busy

from agent.app import App
from agent.collector import Found, find_collectors
from agent.ledger import LedgerWriter
from agent.settings import Settings, load
from agent.snapshot import Snapshot
from agent.worker import Worker

COUNTERS = ("package-0", "package-1", "dram-0", "dram-1")
"""What RAPL counts: bridged over any outage that is shorter than a turn of the counter."""
WALL = "power_meter"
"""The server's own meter: a sensor, silent while no agent reads it."""
FULL = os.environ.get("WATTLAS_FAULTS") == "full"
"""As in conftest.py, which cannot be imported."""
SCRAPE_SECONDS = 5.0
WITHIN = 1e-3
"""The promise: a total is the truth within 0.1 %."""
FALL = 1e-9
"""Relative; below this a fall is the rounding of a sum."""
SETTINGS = """\
[agent]
state_dir = "{state}"
work_socket = ""

[paths]
procfs = "{root}/machine/proc"
sysfs = "{root}/machine/sys"

[ledger]
flush_seconds = {flush}

[carbon]
providers = []

[collectors.estimate]
enabled = false
[collectors.host]
enabled = false
"""
T = TypeVar("T")
_found: list[Found] = []


class Outside:
    """What a Prometheus would make of the exported counters: `increase` with its resets.

    A value below the one before is taken for a counter that began anew at 0, so a counter that
    goes on from an older total is counted twice: this sees it.
    https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self.increase: dict[str, float] = {}
        """J by device, and `host` for the whole server."""
        self.falls: list[str] = []

    def scrape(self, snapshot: Snapshot, when: float) -> None:
        """Take every counter of energy of one snapshot."""
        values = {f"{v.identity.device} {v.identity.quality}": v.joules for v in snapshot.streams}
        values |= {f"host {quality}": j for quality, j in snapshot.host_joules.items()}
        for name, value in values.items():
            device = name.split()[0]
            before = self._last.get(name, value)  # the first value of a series is no increase
            rise = value - before
            if rise < -FALL * max(1.0, before):
                self.falls.append(f"{when}: {name} fell from {before!r} to {value!r}")
                rise = value
            self.increase[device] = self.increase.get(device, 0.0) + max(0.0, rise)
            self._last[name] = value

    def shows(self, name: str) -> float:
        """Return the newest value of a counter, J."""
        return self._last[name]


class World:
    """The server, its agent and who watches it. One tick a second."""

    def __init__(
        self, root: Path, *, state_dir: Path | None = None, seed: int = 1, flush_seconds: float = 10
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.state_dir = state_dir or root / "state"
        self.clock = VirtualClock(root / "clock")
        self.machine: Machine = xeon_2s(
            root / "machine",
            {"drive": busy(6.0, 24.0, seed, 600.0)},
            self.clock,
            (drive("nvme0", "drive"), power_meter("wall")),
        )
        text = SETTINGS.format(root=root, state=self.state_dir, flush=flush_seconds)
        self.config = root / "wattlas.toml"
        self.config.write_text(text)
        self.outside = Outside()
        self.began: float | None = None
        """True time of the first reading."""
        self.app: App | None = None
        self.ledger: LedgerWriter | None = None

    # -- lives --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a life of the agent."""
        found, settings = _everything(self.config)
        self.ledger = LedgerWriter(
            self.state_dir,
            self.clock,
            flush_seconds=settings.ledger.flush_seconds,
            minute_days=settings.ledger.minute_days,
            hour_days=settings.ledger.hour_days,
            spare=self.root / "work.state",
        )
        # virtual time stands still while a tick waits, so it waits for all: no grace
        self.app = App(settings, found, self.clock, ledger=self.ledger, grace_seconds=None)
        self.app.start()

    async def live(self, seconds: float) -> None:
        """Tick once a second and be scraped."""
        assert self.app is not None
        end = self.clock.now + seconds
        if self.began is None:
            self.began = self.clock.now
        scraped = -SCRAPE_SECONDS
        while self.clock.now < end:
            await self.app.tick()
            await self.written()
            if self.clock.now - scraped >= SCRAPE_SECONDS or self.clock.now + 1.0 >= end:
                scraped = self.clock.now
                self.outside.scrape(self.app.snapshot(), self.clock.now)
            self.last = self.clock.now
            self.machine.write(self.clock.now + 1.0, proc=False)

    async def written(self) -> None:
        """Wait for the ledger, to which virtual time gives none."""
        task = self.ledger._task if self.ledger else None
        if task is not None and not task.done():
            await asyncio.wait([task])

    async def stop(self) -> None:
        """End a life as SIGTERM does."""
        assert self.app is not None
        await self.app.stop()
        self.app = self.ledger = None

    async def kill(self) -> None:
        """End a life as `kill -9` does: what its files hold at this moment is what is left."""
        left, spare = self.root / "left", self.root / "work.state"
        shutil.copytree(self.state_dir, left)
        shown = spare.read_bytes()
        await self.stop()
        spare.write_bytes(shown)
        for path in self.state_dir.iterdir():
            path.unlink()
        for path in left.iterdir():
            shutil.copy2(path, self.state_dir / path.name)
        shutil.rmtree(left)

    async def abandon(self) -> None:
        """End a life as `kill -9` does where the disk cannot be written: nothing is left of it."""
        assert self.ledger is not None
        spare = self.root / "work.state"
        shown = spare.read_bytes()
        await self.stop()
        spare.write_bytes(shown)

    def sleep(self, seconds: float) -> None:
        """Let time pass without an agent."""
        self.machine.write(self.clock.now + seconds, proc=False)

    def close(self) -> None:
        """Let go of the files."""
        self.machine.close()
        self.clock.close()

    # -- truth --------------------------------------------------------------------------------

    def true_joules(self, device: str, start: float | None = None) -> float:
        """Return what a device used from `start` (the first reading) to the last reading."""
        begin = self.began if start is None else start
        assert begin is not None
        script = {WALL: "wall", "host": "wall", "nvme0": "drive"}.get(device, device)
        return self.machine.joules(script, begin, self.last)

    def error(self, *devices: str) -> float:
        """Return by how much what was seen from outside differs from the truth, relative."""
        seen = sum(self.outside.increase[device] for device in devices)
        true = sum(self.true_joules(device) for device in devices)
        return abs(seen - true) / true


def _everything(config: Path) -> tuple[Found, Settings]:
    """Return what is installed, looked up once, and the settings."""
    if not _found:
        _found.append(find_collectors())
    types = {name: cls.Settings for name, cls in _found[0].classes.items()}
    return _found[0], load(config, types)


async def _inline(_worker: Worker, function: Callable[[], T]) -> T:
    """Stand in for `Worker.run`: virtual time stands still meanwhile, and a thread costs more."""
    return function()


@contextmanager
def quick() -> Iterator[None]:
    """Spare virtual time what only real time needs: threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "run", _inline)
        yield


def asides(state_dir: Path) -> list[Path]:
    """Return the ledgers that were set aside."""
    found = state_dir.glob("ledger.db.corrupt-*")
    return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))


def spoil(path: Path, offset: int, data: bytes) -> None:
    """Write into a file in place, as a failing disk would."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, data, offset)
    finally:
        os.close(descriptor)
