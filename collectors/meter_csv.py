"""Invoices and certificates as CSV files: site meters that somebody else has read.

    [[site.meter]]
    name = "bill-a"
    source = "csv"
    role = "total"
    file = "/etc/wattlas/bill-a.csv"    # start,end,value,unit

A file is looked at every minute and read when it has changed (time, size or inode). All its usable
rows are given then; which of them count, and what became of the others, the core keeps. A row that
cannot be used is left out and said. What a file may look like: `agent/site/table.py`; task page:
docs/meters.md.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import (
    Absent,
    BlockingCollector,
    CollectorSettings,
    Context,
    Problem,
    Transient,
)
from agent.samples import MeterRecords, Sample
from agent.site.records import resolve
from agent.site.settings import CsvMeter
from agent.site.table import RowError, Table
from collectors.meter_files import Stamp, read_file, stamp_of, table_of

NAME: Final = "meter_csv"
NAMED_ROWS: Final = 5
"""Bad rows of a file that are named; the others are counted."""


class MeterCsvSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.meter_csv]`; the files themselves are in `[[site.meter]]`."""

    interval_seconds: float | None = 60.0
    """Seconds between looks whether a file has changed."""
    timeout_seconds: float = 30.0
    """Reading that takes longer counts as failed: a disk that hangs."""


class _File:
    """One meter's file, and what is known of it."""

    def __init__(self, meter: CsvMeter) -> None:
        self.meter = meter
        self.read: Stamp | None = None
        """What it was like when it was read."""
        self.half: Stamp | None = None
        """What it was like when its last line seemed to be half-written."""
        self.failure: Transient | None = None
        self.problem: Problem | None = None
        """What is wrong with the rows that were read."""


class MeterCsv(BlockingCollector):
    """All meters with `source = "csv"`."""

    Settings: ClassVar[type[CollectorSettings]] = MeterCsvSettings

    def __init__(self, settings: MeterCsvSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._files = [_File(meter) for meter in context.site.meter if isinstance(meter, CsvMeter)]

    def read(self) -> Sequence[Sample]:
        """Return all rows of the files that have changed.

        Raises `Absent` where no file is set, `Transient` when none can be read.
        """
        if not self._files:
            raise Absent(
                'no meter with source = "csv" is set',
                'describe it in [[site.meter]], with source = "csv" and file',
            )
        samples = [sample for file in self._files if (sample := self._look(file)) is not None]
        failures = [file.failure for file in self._files if file.failure is not None]
        if len(failures) == len(self._files):
            raise failures[0]
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the files that cannot be read, and the rows that cannot be used."""
        found: list[Problem] = []
        for file in self._files:
            failure = file.failure
            if failure is not None:
                name = file.meter.name
                found.append(Problem(name, failure.why, failure.remedy, failure.reason))
            elif file.problem is not None:
                found.append(file.problem)
        return found

    def _look(self, file: _File) -> MeterRecords | None:
        """Return the rows of a file if it has changed since it was read."""
        meter = file.meter
        try:
            file.failure = None
            if stamp_of(meter.file) == file.read:
                return None
            text, stamp = read_file(meter.file)
            table = table_of(text, meter, self.context.site)
            if _is_half_written(text, table) and stamp != file.half:
                file.half = stamp
                raise Transient(
                    f"{meter.file}: its last line is not whole, as if it were being written",
                    "half",
                    "it is read again; if that is all, end or delete that line",
                )
        except Transient as failure:
            file.failure = failure
            return None
        file.read = stamp
        file.problem = _problem(meter, table)
        return MeterRecords(NAME, meter.name, self.context.clock.boottime(), table.records)


def _is_half_written(text: str, table: Table) -> bool:
    """Tell whether the last line has no end and cannot be used."""
    if text.endswith(("\n", "\r")) or not table.errors:
        return False
    last = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    return table.errors[-1].row == last


def _problem(meter: CsvMeter, table: Table) -> Problem | None:
    """Say what of a file cannot be used, or else what may not mean what it says."""
    clashes = [
        RowError(
            refused.record.row,
            f"it overlaps line {refused.other.row} in part, and what of either falls in there"
            " nobody knows",
            "a correction has the same start and end as what it corrects, or encloses it whole",
        )
        for refused in resolve(table.records).refused
    ]
    left_out = sorted([*table.errors, *clashes])
    told = left_out or sorted(table.remarks)
    if not told:
        return None
    lines = [f"line {error.row}: {error.why}" for error in told[:NAMED_ROWS]]
    if len(told) > NAMED_ROWS:
        lines.append(f"and {len(told) - NAMED_ROWS} more, up to line {told[-1].row}")
    count = f"{len(left_out)} {'lines are' if len(left_out) > 1 else 'line is'} left out: "
    why = f"{meter.file}: {count if left_out else ''}{'; '.join(lines)}"
    remedy = f"line {told[0].row}: {told[0].remedy}"
    return Problem(meter.name, why, remedy, "garbage" if left_out else "doubtful")
