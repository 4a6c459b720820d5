"""Recording rules worked out one layer after the other, at once instead of over real time."""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from dashboards.rules import Group, Record
from engines.prometheus import BLOCK_SECONDS, Prometheus
from engines.promql import Labels

_NAME = re.compile(r"[a-zA-Z_:][\w:]*")
Rows = Mapping[Labels, list[tuple[float, float]]]


def layers(records: list[Record]) -> Iterator[list[Record]]:
    """Yield records such that each needs only what was yielded before."""
    names = {r.name for r in records}
    needs: dict[str, set[str]] = {name: set() for name in names}
    for record in records:
        needs[record.name] |= names & set(_NAME.findall(record.expression))
    known: set[str] = set()
    left = set(needs)
    while left:
        ready = {name for name in left if not (needs[name] & left) - known - {name}}
        if not ready:
            raise ValueError(f"these need each other: {sorted(left)}")
        yield [r for r in records if r.name in ready]
        known |= ready
        left -= ready


def write(path: Path, series: list[tuple[str, Labels, list[tuple[float, float]]]]) -> None:
    """Write series as OpenMetrics."""
    with path.open("w") as file:
        ordered = sorted(series, key=lambda one: one[0])
        for name, group in groupby(ordered, key=lambda one: one[0]):
            file.write(f"# TYPE {name} unknown\n")
            for _, labels, rows in group:
                file.writelines(f"{head(name, labels)} {v!r} {t:.3f}\n" for t, v in rows)
        file.write("# EOF\n")


def head(name: str, labels: Labels) -> str:
    """Return a series as it is written."""
    return name + "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}"


SELDOM_SECONDS = {"10m": 600.0, "30m": 1800.0}
"""Steps of groups that are evaluated seldom: of some the samples are counted."""


def record_past(
    storage: Path, every: list[Group], start: float, end: float, step: float, scratch: Path
) -> int:
    """Put into a storage what the rules would have recorded; return how many samples.

    Prometheus evaluates rules from now on only. Here each layer is asked for over the past with
    range queries, and made into blocks, before the next layer is. No Prometheus may be running on
    the storage. `start` and `end` are Unix times; `step` seconds are at most 240, as a series is
    looked for five minutes back.
    """
    intervals = {id(r): g.interval for g in every for r in g.rules}
    records = [r for g in every for r in g.rules if isinstance(r, Record)]
    prometheus = Prometheus(scratch, storage=storage)
    count = 0
    for layer in layers(records):
        series: list[tuple[str, Labels, list[tuple[float, float]]]] = []
        with prometheus:
            for rule in layer:
                every_seconds = SELDOM_SECONDS.get(intervals[id(rule)], step)
                found = prometheus.over(rule.expression, start, end, every_seconds)
                for labels, rows in found.items():
                    marked = tuple(sorted((dict(labels) | rule.labels).items()))
                    series.append((rule.name, marked, rows))
        for page in _pages(series, scratch):
            prometheus.fill([page])
            page.unlink()
        count += sum(len(rows) for _, _, rows in series)
    return count


def _pages(
    series: list[tuple[str, Labels, list[tuple[float, float]]]], scratch: Path
) -> Iterator[Path]:
    by_file: dict[float, list[tuple[str, Labels, list[tuple[float, float]]]]] = {}
    for name, labels, rows in series:
        for number, part in groupby(rows, key=lambda row: row[0] // BLOCK_SECONDS):
            by_file.setdefault(number, []).append((name, labels, list(part)))
    for number in sorted(by_file):
        page = scratch / f"recorded-{number:.0f}.txt"
        write(page, by_file[number])
        yield page
