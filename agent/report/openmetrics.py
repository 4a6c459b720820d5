"""The ledger's history as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.

Format: OpenMetrics 1.0, "Text format": families one after the other, a series' samples together and
in the order of time, timestamps in seconds, `# EOF` at the end.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from agent.ledger.reading import LedgerReader
from agent.report.failure import ReportError
from agent.report.openmetrics_counter import Counter, Family, samples
from agent.report.openmetrics_rows import Row, copy, rows
from agent.report.openmetrics_series import find
from agent.site.settings import SiteSettings

_NAME: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


class Written(NamedTuple):
    """What came of it."""

    series: int
    samples: int
    first: int | None
    """Unix time of the earliest sample; None: there is none."""
    last: int | None
    left_out: list[str]
    """What the ledger cannot tell of the past, and why: one sentence each."""


def write_openmetrics(
    state_dir: Path,
    start: float,
    end: float,
    output: TextIO,
    *,
    site: SiteSettings | None = None,
    site_name: str = "",
    labels: Mapping[str, str] | None = None,
) -> Written:
    """Write the counters' history from `start` to `end`, Unix time, both included.

    `site` and `site_name` say what the site's meters are; without, they are left out. `labels` go
    onto every series, such as job and instance. Raises `LedgerError`, `ReportError`, OSError.
    """
    more = dict(labels or {})
    _check(more)
    reader = LedgerReader.open(state_dir)
    with contextlib.closing(reader):
        found = find(copy(reader, start), site or SiteSettings(), site_name)
        book = _Book(reader, start, end, more, output)
        for family in found.families:
            book.write(family)
    output.write("# EOF\n")
    return Written(book.series, book.samples, book.first, book.last, found.left_out)


def _check(labels: Mapping[str, str]) -> None:
    """Raise `ReportError` for labels that nobody can read, or that are the counters' own."""
    own = {"component", "device", "source", "quality", "site", "meter", "role"}
    own |= {"workload", "unit", "scope", "basis", "stage"}
    for name in labels:
        if not _NAME.fullmatch(name) or name.startswith("__"):
            raise ReportError(
                f"{name!r} is no name of a label: letters, digits and _, no digit at the beginning",
                status=2,
            )
        if name in own:
            raise ReportError(f"{name!r} is a label that the counters have themselves", status=2)


class _Book:
    """Writes family after family, and counts."""

    def __init__(
        self,
        reader: LedgerReader,
        start: float,
        end: float,
        labels: Mapping[str, str],
        output: TextIO,
    ) -> None:
        self._reader = reader
        self._start = start
        self._end = end
        self._labels = tuple(labels.items())
        self._output = output
        self.series = self.samples = 0
        self.first: int | None = None
        self.last: int | None = None

    def write(self, family: Family) -> None:
        """Write one family, if it has a sample in the period."""
        said = False
        for counter in family.counters:
            pairs = (*counter.labels, *self._labels)
            text = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
            head = f"{family.name}_total{{{text}}} " if text else f"{family.name}_total "
            several = self._samples(counter)
            first = next(several, None)
            if first is None:
                continue
            if not said:
                said = True
                self._say(family)
            self.series += 1
            self._put(head, *first)
            for at, value in several:
                self._put(head, at, value)

    def _samples(self, counter: Counter) -> Iterator[tuple[int, float]]:
        keys = list(counter.ends)

        def again() -> Iterator[Row]:
            return rows(self._reader, keys)

        return samples(counter, again, self._start, self._end)

    def _say(self, family: Family) -> None:
        write = self._output.write
        write(f"# HELP {family.name} {_escaped(family.about)}\n# TYPE {family.name} counter\n")
        if family.unit:
            write(f"# UNIT {family.name} {family.unit}\n")

    def _put(self, head: str, at: int, value: float) -> None:
        self._output.write(f"{head}{value!r} {at}\n")
        self.samples += 1
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
