"""Recording rules worked out one layer after the other, at once instead of over real time."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from unit.dashboards.promql import selectors

from dashboards.rules import Record
from engines.promql import Labels

Rows = Mapping[Labels, list[tuple[float, float]]]


def layers(records: list[Record]) -> Iterator[list[Record]]:
    """Yield records such that each needs only what was yielded before."""
    needs = {
        r.name: {
            s.name for same in records if same.name == r.name for s in selectors(same.expression)
        }
        for r in records
    }
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
