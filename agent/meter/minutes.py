"""How energy and gaps are shared among the minutes of the ledger."""

from typing import Final

import msgspec

MINUTE: Final = 60
HOUR: Final = 60
"""In minutes."""
LONG_SECONDS: Final = 86400.0
"""What lasts longer is posted to each hour's first minute: a month's gap would be 43,000 rows."""
OpenMinutes = dict[int, dict[int, list[float]]]
"""Minute to stream to joules, seconds, gap seconds."""


class Posting(msgspec.Struct, frozen=True):
    """What one stream adds to one minute of the ledger."""

    minute: int
    """Minutes since 1970 UTC."""
    stream: int
    joules: float
    seconds: float
    gap_seconds: float


def spread(
    minutes: OpenMinutes,
    stream: int,
    begin: float,
    end: float,
    seconds: float,
    joules: float | None,
) -> None:
    """Share an interval (Unix time) of `seconds` among the minutes it touches.

    No `joules`: it is a gap. The parts add up to the whole but for rounding.
    """
    long = end - begin > LONG_SECONDS
    while True:
        minute = int(begin // MINUTE)
        edge = float((minute - minute % HOUR + HOUR if long else minute + 1) * MINUTE)
        row = _row(minutes, minute, stream)
        part = 1.0 if edge >= end else (edge - begin) / (end - begin)
        if joules is None:
            row[2] += seconds * part
        else:
            row[0] += joules * part
            row[1] += seconds * part
            joules -= joules * part
        if edge >= end:
            return
        seconds -= seconds * part
        begin = edge


def close(minutes: OpenMinutes, current: int) -> list[Posting]:
    """Take out the postings of every minute but the current one."""
    return [
        Posting(minute, stream, *amounts)
        for minute in sorted(minute for minute in minutes if minute != current)
        for stream, amounts in sorted(minutes.pop(minute).items())
    ]


def _row(minutes: OpenMinutes, minute: int, stream: int) -> list[float]:
    rows = minutes.get(minute)
    if rows is None:
        rows = minutes[minute] = {}
    row = rows.get(stream)
    if row is None:
        row = rows[stream] = [0.0, 0.0, 0.0]
    return row
