"""What is measured of running programs: CPU, scrapes, late ticks."""

import threading
import time
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from cost.host import Program, load
from cost.scrape import Connection, quantile, values

LATE = "wattlas_tick_late_seconds"
SKIPPED = "wattlas_ticks_skipped_total"
WARM_UP = 3
"""Scrapes and rounds that are not counted."""
ROUND_SECONDS = 1.013
"""Once a tick, wandering through all phases of the second."""


class Cpu(NamedTuple):
    """CPU time of one program, in % of one core."""

    idle: float
    scraped: float
    """While it is scraped; what lies between the scrapes included."""
    ms_per_scrape: float
    each: list[float]
    """The scraped figure of each segment, in order."""


def _scrape_for(programs: Sequence[Program], seconds: float, every: float) -> int:
    """Scrape all of them every so often, one after another; return how often."""
    start = time.perf_counter()
    times = max(1, round(seconds / every))
    for turn in range(times):
        for place, program in enumerate(programs):
            due = start + (turn + (place + 0.5) / len(programs)) * every
            time.sleep(max(0.0, due - time.perf_counter()))
            program.connection.get()
    time.sleep(max(0.0, start + times * every - time.perf_counter()))
    return times


def cpu(
    agent: Program,
    peers: Sequence[Program],
    *,
    seconds: float,
    pairs: int,
    every: float,
    say: Callable[[str], None],
) -> dict[str, Cpu]:
    """Scrape the agent and its peers in turns, A B B A …, and take the CPU time of each.

    While one side is scraped the other is idle, so one run gives both figures.
    """
    everyone = [agent, *peers]
    idle: dict[str, list[float]] = {p.name: [] for p in everyone}
    scraped: dict[str, list[float]] = {p.name: [] for p in everyone}
    scrapes = 0
    for number in range(2 * pairs):
        ours = number % 4 in {0, 3}
        scraped_now = [agent] if ours else list(peers)
        before = {p.name: p.cpu_seconds() for p in everyone}
        start = time.perf_counter()
        if scraped_now:
            scrapes = _scrape_for(scraped_now, seconds, every)
        else:
            time.sleep(seconds)
        elapsed = time.perf_counter() - start
        for p in everyone:
            spent = 100 * (p.cpu_seconds() - before[p.name]) / elapsed
            (scraped if p in scraped_now else idle)[p.name].append(spent)
        say(f"CPU time: {number + 1} of {2 * pairs} turns")
    result = {}
    for p in everyone:
        asleep, awake = fmean(idle[p.name]), fmean(scraped[p.name])
        per_scrape = (awake - asleep) / 100 * every * 1e3 if scrapes else 0.0
        result[p.name] = Cpu(asleep, awake, per_scrape, scraped[p.name])
    return result


class Latency(NamedTuple):
    """How long scrapes took, ms, and what came."""

    p50: float
    p99: float
    count: int
    series: int
    page_bytes: int
    gzipped_bytes: int


def latency(
    programs: Sequence[Program], *, count: int, say: Callable[[str], None]
) -> dict[str, Latency]:
    """Scrape each of them in turn, `count` times, each every `ROUND_SECONDS` exactly.

    Steadily, as Prometheus does. A little above a second: no answer can come from an
    earlier scrape of the same tick, and the scrapes wander through all phases of the second. The
    first few are left out: they open connections.
    """
    took: dict[str, list[float]] = {p.name: [] for p in programs}
    start = time.perf_counter()
    for turn in range(WARM_UP + count):
        for place, program in enumerate(programs):
            due = start + (turn + place / len(programs)) * ROUND_SECONDS
            time.sleep(max(0.0, due - time.perf_counter()))
            seconds = program.connection.get().seconds
            if turn >= WARM_UP:
                took[program.name].append(seconds * 1e3)
        if turn % 30 == 29:
            say(f"scrapes: {turn + 1} of {WARM_UP + count}")
    result = {}
    for p in programs:
        answer = p.connection.get()
        page = answer.text()
        result[p.name] = Latency(
            quantile(took[p.name], 0.5),
            quantile(took[p.name], 0.99),
            count,
            len(values(page)),
            len(page.encode()),
            answer.sent_bytes,
        )
    return result


class Crowd(NamedTuple):
    """Many scrapers at once."""

    scrapers: int
    series: int
    p50: float
    p99: float
    worst_late_ms: float
    skipped: float


def crowd(agent: Program, *, scrapers: int, rounds: int, say: Callable[[str], None]) -> Crowd:
    """Let `scrapers` scrape at the same moment, `rounds` times; the first few do not count."""
    took: list[float] = []
    late: list[float] = []
    failed: list[OSError] = []
    barrier = threading.Barrier(scrapers + 1)

    def scraper() -> None:
        connection = Connection(agent.port)
        for turn in range(WARM_UP + rounds):
            barrier.wait()
            try:
                seconds = connection.get().seconds
                if turn >= WARM_UP:
                    took.append(seconds * 1e3)
            except OSError as error:
                failed.append(error)
            barrier.wait()
        connection.close()

    threads = [threading.Thread(target=scraper, daemon=True) for _ in range(scrapers)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    page: dict[str, float] = {}
    for turn in range(WARM_UP + rounds):
        time.sleep(max(0.0, start + turn * ROUND_SECONDS - time.perf_counter()))
        barrier.wait()
        barrier.wait()
        time.sleep(max(0.0, start + (turn + 0.9) * ROUND_SECONDS - time.perf_counter()))
        page = values(agent.connection.get().text())
        late.append(page[LATE] * 1e3)
    for thread in threads:
        thread.join(timeout=10)
    if failed:
        raise failed[0]
    say(f"{scrapers} scrapers at once: {rounds} rounds")
    return Crowd(
        scrapers, len(page), quantile(took, 0.5), quantile(took, 0.99), max(late), page[SKIPPED]
    )


class Late(NamedTuple):
    """Ticks while every core is busy."""

    ticks: int
    p50_ms: float
    worst_ms: float
    skipped: float


def late_ticks(agent: Program, *, seconds: float, cores: int, say: Callable[[str], None]) -> Late:
    """Keep every core busy, and ask the agent twice a second how late its last tick was."""
    late: list[float] = []
    before = values(agent.connection.get().text())[SKIPPED]
    with load(0, cores):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            page = values(agent.connection.get().text())
            if not late or page[LATE] != late[-1]:
                late.append(page[LATE])
            time.sleep(0.5)
        page = values(agent.connection.get().text())
    say(f"every core busy: {len(late)} ticks seen")
    return Late(len(late), median(late) * 1e3, max(late) * 1e3, page[SKIPPED] - before)


class OwnEnergy(NamedTuple):
    """What the agent says of itself."""

    joules: float
    host_joules: float

    @property
    def share(self) -> float | None:
        """Its share of the host's energy; None while there is none."""
        return self.joules / self.host_joules if self.host_joules else None


def own_energy(agent: Program) -> OwnEnergy:
    """Read the agent's estimate of its own energy and the host's total."""
    page = values(agent.connection.get().text())
    host = sum(v for k, v in page.items() if k.startswith("wattlas_host_energy_joules_total"))
    return OwnEnergy(page.get("wattlas_agent_energy_joules_total", 0.0), host)


def spread(numbers: Sequence[float]) -> dict[str, Any]:
    """Return the median and the ends."""
    return {"median": median(numbers), "least": min(numbers), "most": max(numbers)}
