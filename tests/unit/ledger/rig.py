"""What the ledger's tests share: streams, postings, sums, and a disk of their own."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from unit.collectors.trees import Clock

from agent.ledger import Ledger, LedgerWriter
from agent.ledger.batch import Batch
from agent.meter import Posting, StreamIdentity
from agent.quantities import Component, Quality

STREAMS = [
    StreamIdentity("rapl", Component.CPU, "package-0", Quality.MEASURED),
    StreamIdentity("hwmon", Component.PLATFORM, 'power1 "wäll"', Quality.INTEGRATED),
    StreamIdentity("rapl", Component.PLATFORM, "psys", Quality.MEASURED, counted=False),
]
LEVELS = {"minute": 1, "hour": 60, "day": 1440}


def posting(minute: int, stream: int = 0, joules: float = 1.0) -> Posting:
    return Posting(minute, stream, joules, 60.0, 0.0)


def begun(state_dir: Path, minutes: int = 3) -> None:
    """Make a ledger with all streams, a state and a posting in each minute; leave it closed."""
    ledger = Ledger.open(state_dir)
    ledger.commit(list(enumerate(STREAMS)), b"state", Batch([posting(m) for m in range(minutes)]))
    ledger.close()


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Read from the side, as another program would; changes nothing."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(statement).fetchall()


def sums(state_dir: Path) -> dict[str, float]:
    """Return the joules of each level; they must always be the same."""
    path = state_dir / "ledger.db"
    return {level: rows(path, f"SELECT total(joules) FROM {level}")[0][0] for level in LEVELS}


def writer(state_dir: Path, clock: Clock, **changes: Any) -> LedgerWriter:
    usual: dict[str, Any] = {"flush_seconds": 10.0, "minute_days": 7.0, "hour_days": 400.0}
    return LedgerWriter(state_dir, clock, **(usual | changes))


class Day:
    """A writer and its agent: `tick` hands over one more joule and waits until it is dealt with."""

    def __init__(self, state_dir: Path, **changes: float) -> None:
        self.clock = Clock()
        self.dir = state_dir
        self.writer = writer(state_dir, self.clock, **changes)
        self.joules = 0
        self.tick_seconds = 1.0

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.joules += 1
            minute = int(self.clock.wall() // 60)
            self.writer.submit(list(STREAMS), b"%d" % self.joules, Batch([posting(minute)]))
            if self.writer._task is not None:
                await self.writer._task
            self.clock.now += self.tick_seconds


def lived(day: Day, life: Callable[[Day], Any]) -> None:
    """Run a life from `open` to `close`."""

    async def run() -> None:
        day.writer.open()
        try:
            await life(day)
        finally:
            await day.writer.close()

    asyncio.run(run())


@contextmanager
def disk(path: Path, kilobytes: int) -> Iterator[Callable[[str], None]]:
    """Mount a small disk at `path`; yields a function that mounts it anew with other options."""
    path.mkdir()
    options = f"size={kilobytes}k"
    made = mount("-t", "tmpfs", "-o", options, "wattlas-test", str(path))
    if made.returncode:
        pytest.skip(f"needs the right to mount: {made.stderr.strip()}")

    def remount(how: str) -> None:
        done = mount("-o", f"remount,{how}", str(path))
        assert done.returncode == 0, done.stderr

    try:
        yield remount
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
