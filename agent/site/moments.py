"""Dates and times of invoices as moments: ISO 8601, with an offset or in the site's zone.

A local time that comes twice (clocks put back) is taken as the first; one that never comes (clocks
put forward) is refused. A date alone is the day's first moment, which is not midnight where clocks
are put forward at midnight.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Beyond these a year was mistyped."""
_MIDNIGHT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ]24(:?00)(:?00(?:\.0+)?)?(.*)", re.ASCII)
"""24:00 ends a day in ISO 8601-1:2019/Amd 1; Python knows it only from 3.14 on."""


class Moment(NamedTuple):
    """A moment, and what of it was said."""

    at: float
    """Unix time."""
    day: date | None
    """The date, where nothing else was said."""
    is_first_of_two: bool
    """It was said without offset and comes twice."""


def moment_of(text: str, zone: ZoneInfo) -> Moment:
    """Return the moment that a text says. Raises ValueError, saying why not."""
    text = text.strip()
    if len(text) == 10:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            pass
        else:
            return Moment(_unix(datetime(day.year, day.month, day.day, tzinfo=zone)), day, False)
    try:
        local = _parsed(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no date") from None
    if local.tzinfo is not None:
        return Moment(_unix(local), None, False)
    first = local.replace(tzinfo=zone, fold=0)
    at = _unix(first)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise ValueError(f"{text[:40]!r} never is in {zone.key}: clocks are put forward over it")
    return Moment(at, None, first.utcoffset() != first.replace(fold=1).utcoffset())


def _parsed(text: str) -> datetime:
    if len(text) < 10:
        raise ValueError(text)
    end_of_day = _MIDNIGHT.fullmatch(text)
    if end_of_day is None:
        return datetime.fromisoformat(text)
    day, minute, second, offset = end_of_day.groups()
    return datetime.fromisoformat(f"{day}T00{minute}{second or ''}{offset}") + timedelta(days=1)


def _unix(moment: datetime) -> float:
    """Return Unix time. Raises ValueError for a year that cannot be meant."""
    try:
        if EARLIEST <= moment < LATEST:
            return moment.timestamp()
    except OverflowError:
        pass
    raise ValueError(f"the year {moment.year} cannot be meant")
