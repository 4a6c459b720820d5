"""Three days of a small site and its servers, as a Prometheus would have scraped them.

Scrapes are at 17 s past each minute. All powers are steps, so that every figure can be worked out
by hand; the faults are those that a year brings: a silent meter, a register that begins anew, an
agent and a server that are not scraped for a while, an agent that lost its ledger, a server that
comes later. Another site stands
beside it and must not be in any figure, and one whose servers have no agents.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from e2e.agents import until
from e2e.test_prometheus import Prometheus, free_port

START = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
HOUR = 3600
DAY = 24 * HOUR
SECONDS = 3 * DAY
SCRAPE = 60
PAST = 17
ALWAYS = [(-HOUR, SECONDS + HOUR)]
Times = list[tuple[float, float]]


def at(day: int, clock: str) -> float:
    """Return seconds since the start of "hh:mm" or "hh:mm:ss" of a day from 1."""
    hours, minutes, *seconds = map(int, clock.split(":"))
    return (day - 1) * DAY + hours * HOUR + minutes * 60 + sum(seconds)


def steady(watts: float, since: float = -HOUR, *, dark: Times = (), reset: float | None = None):
    """Return a counter of a steady flow; it stands still in the dark and begins anew at `reset`."""

    def value(t: float) -> float:
        begin = since if reset is None or t < reset else reset
        return watts * (t - begin - sum(max(0.0, min(t, b) - a) for a, b in dark if t > a))

    return value


def night_and_day(night_watts: float, day_watts: float) -> Callable[[float], float]:
    """Return a counter of one power before noon and another after it."""

    def value(t: float) -> float:
        days, rest = divmod(t + DAY, DAY)
        half = DAY / 2
        whole = days * half * (night_watts + day_watts)
        return whole + night_watts * min(rest, half) + day_watts * max(0.0, rest - half)

    return value


def gap(*dark: tuple[float, float]) -> Callable[[float], float]:
    """Return a counter of seconds in the dark."""
    return lambda t: sum(max(0.0, min(t, end) - begin) for begin, end in dark)


class World:
    """Series with values over time, and when they are scraped."""

    def __init__(self) -> None:
        self.families: dict[str, list[tuple[str, Callable[[float], float], Times]]] = {}

    def add(self, metric, value, scraped=ALWAYS, **labels):
        text = ",".join(f'{key}="{text}"' for key, text in labels.items())
        self.families.setdefault(metric, []).append((text, value, scraped))

    def meter(self, name, role, value, dark=(), scraped=ALWAYS, site="gz-1", **more):
        labels = {"site": site, "meter": name, "role": role, "instance": "site:9760"} | more
        labels |= {"job": "wattlas"}
        water = role.startswith("water")
        metric = "wattlas_site_water_liters" if water else "wattlas_site_energy_joules"
        self.add(metric, value, scraped, **labels)
        self.add("wattlas_site_gap_seconds", gap(*dark), scraped, **labels)

    def server(self, name, watts, scraped=ALWAYS, site="gz-1", busy=0.0, dark=(), **how):
        who = {"instance": f"{name}:9760", "job": "wattlas"}
        shares = {"measured": 0.75, "estimated": 0.25}
        for quality, part in shares.items():
            value = steady(watts * part, **how)
            self.add("wattlas_host_energy_joules", value, scraped, quality=quality, **who)
        self.add("wattlas_host_energy_gap_seconds", gap(*dark), scraped, **who)
        self.add("wattlas_host_info", lambda _: 1.0, scraped, host=name, site=site, **who)
        load = {"component": "cpu", "device": "all"}
        self.add("wattlas_component_utilization_ratio", lambda _: busy, scraped, **load, **who)
        return who

    def inside(self, who, wall, parts, scraped=ALWAYS, **how):
        more = {"device": "x", "source": "s", "quality": "measured"}
        self.add("wattlas_wall_energy_joules", steady(wall, **how), scraped, **who)
        for component, watts in parts.items():
            labels = {"component": component, **more, **who}
            self.add("wattlas_component_energy_joules", steady(watts, **how), scraped, **labels)

    def lines(self) -> Iterator[str]:
        """Yield OpenMetrics text."""
        gauges = ("_info", "_ratio")
        for metric, several in self.families.items():
            is_gauge = metric.endswith(gauges)
            yield f"# TYPE {metric} {'gauge' if is_gauge else 'counter'}"
            suffix = "" if is_gauge else "_total"
            for labels, value, scraped in several:
                for t in range(-HOUR + PAST, SECONDS + HOUR, SCRAPE):
                    if any(begin <= t < end for begin, end in scraped):
                        yield f"{metric}{suffix}{{{labels}}} {value(t):.6f} {START + t}"
        yield "# EOF"


def small_site() -> World:
    """Return the world that the tests work out by hand."""
    world = World()
    silent = [(at(1, "6:00"), at(1, "9:00"))]
    away = [(-HOUR, at(3, "10:00")), (at(3, "11:30"), SECONDS + HOUR)]
    world.meter("utility-a", "total", steady(3000, dark=silent), silent, away)
    world.meter("utility-b", "total", night_and_day(1000, 1500), scraped=away)
    world.meter("ups-1", "ups", steady(1500), scraped=away)
    world.meter("ups-2", "ups", steady(1000, reset=at(2, "3:07")), scraped=away)
    world.meter("mains", "water_in", steady(0.01), scraped=away)
    world.meter("utility-a", "total", steady(9e6), site="other", instance="elsewhere:9760")
    world.meter("feed", "total", steady(100), site="bare", instance="bare:9760")
    world.meter("pdu", "it", steady(80), site="bare", instance="bare:9760")
    h1_there = [(-HOUR, at(2, "15:20")), (at(2, "16:10"), SECONDS + HOUR)]
    h1 = world.server("h1", 500, h1_there, busy=0.5)
    world.inside(h1, 500, {"cpu": 300, "dram": 50, "fan": 60}, h1_there)
    lost = {"reset": at(1, "20:05:30")}
    dark = [(at(3, "5:10"), at(3, "5:12"))]
    h2 = world.server("h2", 800, busy=0.25, dark=dark, **lost)
    world.inside(h2, 800, {"cpu": 200, "gpu": 400, "platform": 100}, **lost)
    late = at(2, "12:00:30")
    world.server("h3", 1000, [(late, SECONDS + HOUR)], busy=1.0, since=late)
    world.server("h9", 5000, site="other", busy=1.0)
    began = at(1, "1:00")
    work = {"workload": "llama", "unit": "tokens", "instance": "h1:9760", "job": "wattlas"}
    told = [(max(began, a), b) for a, b in h1_there]
    world.add("wattlas_work", steady(100, since=began), told, **work)
    return world


@contextmanager
def serving(directory: Path, world: World) -> Iterator[Prometheus]:
    """Run a Prometheus on what it would have scraped of a world."""
    text, data = directory / "world.txt", directory / "data"
    text.write_text("\n".join(world.lines()) + "\n")
    made = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, data],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    config = directory / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": []}))
    address = f"127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    server = Prometheus(f"http://{address}")
    try:
        until("Prometheus answers", lambda: process.poll() is not None or server.is_ready())
        assert process.poll() is None, (directory / "prometheus.log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(30)
