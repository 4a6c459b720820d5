"""A simulated past for a Prometheus: TSDB blocks of what it would have scraped.

**Nothing of it was measured, and nothing of it was scraped.** Names and labels are those of the
agents' real pages; the values before now come from the same truth that the simulated hardware
shows. Counters begin at 0 where the past begins, and again where the agents really began, which
PromQL takes for what it is: a restart.

`promtool tsdb create-blocks-from openmetrics` makes the blocks, a few hours to each, so that a
Prometheus that runs already takes them in (it looks every minute).
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from prometheus_client.parser import text_string_to_metric_families

from hardware.site.shapes import Labels, Shape, Shapes
from hardware.site.site import JOB, SimulatedSite
from hardware.site.tracks import Tracks

DAYS: Final = 8.0
STEP_SECONDS: Final = 120.0
OFTEN: Final = (
    "wattlas_budget_*",
    "wattlas_component_energy_joules_total",
    "wattlas_component_utilization_ratio",
    "wattlas_emissions_*",
    "wattlas_flops_*",
    "wattlas_grid_carbon_intensity_grams_per_kwh",
    "wattlas_host_energy_*",
    "wattlas_host_info",
    "wattlas_host_parts_*",
    "wattlas_host_power_*",
    "wattlas_host_unattributed_*",
    "wattlas_site_energy_*",
    "wattlas_site_power_*",
    "wattlas_site_*_ratio",
    "wattlas_site_*_per_kwh",
    "wattlas_site_temperature_*",
    "wattlas_site_water_*",
    "wattlas_wall_*",
    "wattlas_work_*",
)
"""Metrics (globs) whose past has a sample each step."""
SELDOM: Final = (
    "wattlas_collector_up",
    "wattlas_component_*",
    "wattlas_gpu_info",
    "wattlas_gpu_power_limit_watts",
    "wattlas_gpu_temperature_celsius",
    "wattlas_gpu_throttled_seconds_total",
    "wattlas_grid_carbon_intensity_info",
    "wattlas_host_*",
    "wattlas_ledger_up",
)
"""Those that have one each second step: below PromQL's five minutes of looking back."""
SELDOM_EVERY: Final = 2
BLOCK_HOURS: Final = 18
"""A range of Prometheus' own compaction (2 h times 3, times 3); promtool reads its input once for
each block, so the fewer the faster."""
_MARGIN_SECONDS: Final = 5.0


class Made(NamedTuple):
    """What was made."""

    series: int
    samples: int
    seconds: float


class _Series(NamedTuple):
    metric: str
    name: str
    """With its labels, as OpenMetrics has it."""
    shape: Shape
    is_counter: bool
    every: int


def make_history(
    site: SimulatedSite,
    storage: Path,
    *,
    days: float = DAYS,
    step_seconds: float = STEP_SECONDS,
    until: float | None = None,
    often: Sequence[str] = OFTEN,
    seldom: Sequence[str] = SELDOM,
) -> Made:
    """Put a past into a Prometheus' storage directory.

    `until`: Unix time before which it ends, by default now; that of the first real scrape where a
    Prometheus runs already. `often`, `seldom`: globs of metrics. Needs `promtool`.
    """
    began = time.monotonic()
    end = (until or time.time()) - _MARGIN_SECONDS
    count = int(days * 86400 / step_seconds)
    walls = [end - (count - n) * step_seconds for n in range(count + 1)]
    tracks = Tracks(list(site.hosts.values()), site.clock, walls)
    series = sorted(_all_series(site, tracks, often, seldom), key=lambda s: s.metric)
    scratch = site.directory / "past"
    scratch.mkdir()
    samples = 0
    running: subprocess.Popen[bytes] | None = None
    try:
        for number, (first, last) in enumerate(_blocks(walls)):
            text = scratch / f"{number}.txt"
            with text.open("w") as file:
                samples += _write(file, series, walls, first, last)
            _wait(running, scratch)
            running = _start(text, scratch / "blocks", scratch)
        _wait(running, scratch)
        running = None
        storage.mkdir(parents=True, exist_ok=True)
        for block in (scratch / "blocks").iterdir():
            block.rename(storage / block.name)
    finally:
        if running is not None:
            running.kill()
            running.wait()
        shutil.rmtree(scratch, ignore_errors=True)
    return Made(len(series), samples, time.monotonic() - began)


def _all_series(
    site: SimulatedSite, tracks: Tracks, often: Sequence[str], seldom: Sequence[str]
) -> Iterator[_Series]:
    for name, agent in site.agents.items():
        page: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(agent.page()):
            for sample in family.samples:
                page.setdefault(sample.name, []).append((sample.labels, sample.value))
        shapes = Shapes(site.hosts[name], tracks, page)
        for metric, rows in page.items():
            every = _every(metric, often, seldom)
            if not every:
                continue
            is_counter = metric.endswith("_total")
            for labels, value in rows:
                everything = {**labels, "instance": f"{name}:9760", "job": JOB}
                text = ",".join(f'{key}="{_escaped(each)}"' for key, each in everything.items())
                shape = shapes.of(metric, labels, value)
                yield _Series(metric, f"{metric}{{{text}}}", shape, is_counter, every)


def _every(metric: str, often: Sequence[str], seldom: Sequence[str]) -> int:
    if any(fnmatchcase(metric, pattern) for pattern in often):
        return 1
    return SELDOM_EVERY if any(fnmatchcase(metric, pattern) for pattern in seldom) else 0


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _blocks(walls: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield where each block begins and ends; they end at whole multiples of their length."""
    length, first = BLOCK_HOURS * 3600, 0
    for index in range(1, len(walls) + 1):
        if index == len(walls) or walls[index] // length != walls[first] // length:
            yield first, index
            first = index


def _write(
    file: TextIO, series: Sequence[_Series], walls: Sequence[float], first: int, last: int
) -> int:
    """Write one block's OpenMetrics text; return how many samples it has."""
    stamps = [f" {walls[n]:.3f}\n" for n in range(first, last)]
    metric, count = "", 0
    for each in series:
        if each.metric != metric:
            metric = each.metric
            kind = "counter" if each.is_counter else "gauge"
            file.write(
                f"# TYPE {metric.removesuffix('_total') if each.is_counter else metric} {kind}\n"
            )
        track, factor, offset = each.shape
        begin = first + -first % each.every
        values = (track.sums if each.is_counter else track.values)[begin : last : each.every]
        times = stamps[begin - first :: each.every]
        name = f"{each.name} "
        file.write(
            "".join(
                [
                    f"{name}{offset + factor * value:.12g}{stamp}"
                    for value, stamp in zip(values, times, strict=True)
                ]
            )
        )
        count += len(times)
    file.write("# EOF\n")
    return count


def _start(text: Path, blocks: Path, scratch: Path) -> subprocess.Popen[bytes]:
    command = ["promtool", "tsdb", "create-blocks-from", "--quiet"]
    command += [f"--max-block-duration={BLOCK_HOURS}h", "openmetrics", str(text), str(blocks)]
    with (scratch / "promtool.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _wait(running: subprocess.Popen[bytes] | None, scratch: Path) -> None:
    if running is not None and running.wait() != 0:
        raise RuntimeError(f"promtool: {(scratch / 'promtool.log').read_text()}")


__all__ = ["Made", "make_history"]
