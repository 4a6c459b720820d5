"""What is measured of commands: starting, `wattlas read`, a day's replay, an absent collector."""

import asyncio
import json
import math
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from cost.host import Program, node_exporter, settings, wattlas, wattlas_command

DAY_SECONDS = 86_400
SOURCES = 20


def start_seconds(make: Callable[[], Program], times: int) -> list[float]:
    """Start a program several times; return how long its first answer took each time."""
    took = []
    for _ in range(times):
        program = make()
        took.append(program.wait_until_scraped())
        program.stop()
    return took


def first_and_later_starts(directory: Path, sysfs: Path, times: int) -> dict[str, float]:
    """Return the median start with a new ledger, with the last run's ledger, and of the peer."""
    fresh = [
        start_seconds(lambda n=n: wattlas(directory / f"first-{n}", sysfs), 1)[0]
        for n in range(times)
    ]
    later = start_seconds(lambda: wattlas(directory / "first-0", sysfs), times)
    result = {"new ledger": median(fresh), "old ledger": median(later)}
    try:
        result["peer"] = median(start_seconds(lambda: node_exporter("node_exporter"), times))
    except OSError:
        result["peer"] = math.nan
    return result


def read_seconds(directory: Path, sysfs: Path, times: int) -> float:
    """Return the median duration of `wattlas read`."""
    file = settings(directory, sysfs, 9760)
    took = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(
            wattlas_command("read", "--json", "--config", str(file)),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        took.append(time.perf_counter() - start)
    return median(took)


class Replayed(NamedTuple):
    """One replayed trace."""

    samples: int
    seconds: float
    seconds_with_ledger: float
    ledger_bytes: int
    """Of the whole day, however short the trace was."""


def write_trace(file: Path, seconds: int) -> int:
    """Write 1 Hz samples of 20 sources: 12 counters, of which some wrap, and 8 power sensors."""
    turn = 262_143.328850
    with file.open("w", encoding="ascii") as out:
        for t in range(seconds):
            lines = []
            for n in range(SOURCES):
                watts = 90 + 60 * math.sin(t / 300 + n) + (t * (n + 3)) % 7
                if n < 12:
                    value = (95 * t + 60 * 300 * math.sin(t / 300 + n) + n * 21_000) % turn
                    lines.append(
                        f'{{"t":{t}.0,"collector":"nvml","component":"gpu","device":"GPU-{n}",'
                        f'"kind":"energy","value":{value:.6f},"wraps_at":{turn:.6f}}}\n'
                    )
                else:
                    lines.append(
                        f'{{"t":{t}.0,"collector":"hwmon","component":"storage",'
                        f'"device":"nvme{n}","kind":"power","value":{watts:.3f}}}\n'
                    )
            out.write("".join(lines))
    return seconds * SOURCES


def replay(directory: Path, share_of_a_day: float) -> Replayed:
    """Replay a trace without and with a ledger."""
    directory.mkdir(parents=True, exist_ok=True)
    trace, state = directory / "day.jsonl", directory / "ledger"
    seconds = max(120, int(DAY_SECONDS * share_of_a_day))
    samples = write_trace(trace, seconds)
    took = []
    for extra in ([], ["--start", "2026-03-01T00:00:00Z", "--state-dir", str(state)]):
        start = time.perf_counter()
        done = subprocess.run(
            wattlas_command("replay", str(trace), "--json", *extra),
            check=True,
            stdout=subprocess.PIPE,
        )
        took.append(time.perf_counter() - start)
        assert len(json.loads(done.stdout)["components"]) == SOURCES
    trace.unlink()
    size = (state / "ledger.db").stat().st_size
    return Replayed(samples, took[0], took[1], int(size * DAY_SECONDS / seconds))


class Absent(NamedTuple):
    """A collector that finds nothing."""

    start_ms: float
    later_us: float


def absent(sysfs: Path, times: int) -> Absent:
    """Poll `rapl` where there is none: the first poll, then what each tick after it costs."""
    from agent.clock import SystemClock  # noqa: PLC0415 - so that --help needs no Wattlas
    from agent.collector import Context, Paths, find_collectors  # noqa: PLC0415
    from agent.lane import Lane  # noqa: PLC0415
    from agent.runner import Runner  # noqa: PLC0415

    sysfs.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    context = Context(Paths(sysfs=sysfs), clock, lambda _component, _device: None)
    rapl = find_collectors().classes["rapl"]

    async def once() -> tuple[float, float]:
        lane = Lane(clock)
        await lane.start([])  # its thread is there anyway
        start = time.perf_counter()
        given = rapl.Settings()
        runner = Runner("rapl", rapl(given, context), given, 1.0, clock)
        future = lane.start([runner])
        await future
        lane.finish(future, lambda _samples: None)
        first = time.perf_counter() - start
        assert runner.gone
        start = time.perf_counter()
        polled = sum(runner.is_due for _ in range(1000))
        later = (time.perf_counter() - start) / 1000
        assert not polled
        lane.stop()
        return first, later

    took = [asyncio.run(once()) for _ in range(times)]
    return Absent(median(t[0] for t in took) * 1e3, median(t[1] for t in took) * 1e6)
