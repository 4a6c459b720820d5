"""Periods of a report, by the calendar of the site."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Period(NamedTuple):
    """A stretch of time."""

    start: float
    """Unix time, included."""
    end: float
    """Unix time, not included."""
    zone: str = "UTC"
    """IANA time zone whose calendar counts."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    @property
    def is_year(self) -> bool:
        """Whether it has 12 consecutive months or more, which unqualified names ask for."""
        zone = ZoneInfo(self.zone)
        start = datetime.fromtimestamp(self.start, zone).replace(tzinfo=None)
        end = datetime.fromtimestamp(self.end, zone).replace(tzinfo=None)
        try:
            year_later = start.replace(year=start.year + 1)
        except ValueError:  # 29 February: its year ends with the next year's last of February
            year_later = start.replace(year=start.year + 1, month=3, day=1)
        return end >= year_later

    @property
    def label(self) -> str:
        """E.g. "2025-03" for a month, "2025-03-05 to 2025-04-01" for others (end not included)."""
        zone = ZoneInfo(self.zone)
        start = datetime.fromtimestamp(self.start, zone)
        if self == month_of(self.start, self.zone):
            return f"{start:%Y-%m}"
        return f"{start:%Y-%m-%d} to {datetime.fromtimestamp(self.end, zone):%Y-%m-%d}"


def month_of(moment: float, zone: str) -> Period:
    """Return the calendar month in which a moment lies."""
    tz = ZoneInfo(zone)
    start = datetime.fromtimestamp(moment, tz).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0, fold=0
    )
    year, month = start.year + start.month // 12, start.month % 12 + 1
    return Period(start.timestamp(), start.replace(year=year, month=month).timestamp(), zone)


def months(period: Period) -> list[Period]:
    """Return the calendar months of a period; the first and the last as far as they lie in it."""
    found: list[Period] = []
    at = period.start
    while at < period.end:
        month = month_of(at, period.zone)
        found.append(Period(at, min(month.end, period.end), period.zone))
        at = month.end
    return found
