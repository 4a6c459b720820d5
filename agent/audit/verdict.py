"""What a check of a ledger or an export found, and how it is said. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from agent.audit.body import HOUR_SECONDS

MOST_SHOWN: Final = 5


class Finding(NamedTuple):
    """One thing that is wrong."""

    what: str
    """In plain words."""
    number: int | None = None
    """Of a record of the chain."""
    hour: int | None = None
    """Hours since 1970 UTC."""
    file: str = ""
    """Of an export."""


class Verdict(msgspec.Struct):
    """The outcome of a check."""

    findings: list[Finding] = []
    remarks: list[str] = []
    """What a person should know and what is no fault."""
    facts: dict[str, Any] = {}
    """Counts and the newest record."""

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.findings


def iso_hour(hour: int) -> str:
    """Return an hour since 1970 UTC as ISO 8601 time."""
    return iso(hour * HOUR_SECONDS)


def iso(moment: float) -> str:
    """Return a Unix time as ISO 8601 to the second; times that no calendar has, as a number."""
    try:
        when = datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return f"{moment!r} s"
    return when.strftime("%Y-%m-%dT%H:%M:%SZ" if moment % HOUR_SECONDS else "%Y-%m-%dT%H:%MZ")


def sentence(finding: Finding) -> str:
    """Return a finding with its record, hour and file."""
    where = []
    if finding.file:
        where.append(finding.file)
    if finding.number is not None:
        where.append(f"record {finding.number}")
    if finding.hour is not None:
        where.append(f"hour {iso_hour(finding.hour)}")
    return f"{', '.join(where)}: {finding.what}" if where else finding.what


def grouped(findings: Iterable[Finding]) -> Iterator[tuple[Finding, int]]:
    """Yield findings, those that say the same of many hours once, with how many there are."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.what, finding.file), []).append(finding)
    for group in groups.values():
        if len(group) <= MOST_SHOWN:
            yield from ((one, 1) for one in group)
        else:
            yield group[0], len(group)
