"""From when to when a report is. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo

from agent.kpi.period import Period
from agent.quarters import QUARTER_SECONDS
from agent.report.failure import ReportError
from agent.site.moments import moment_of

FINE_DAYS = 40
HOUR_SECONDS = 3600.0
_REMEDY = "write 2026-01-31, 2026-01-31T13:00, or 2026-01-31T13:00+01:00"


def period_of(begin: str, end: str, zone: str, now: float) -> Period:
    """Return the period from `begin` to `end`, which is not included.

    Dates are in `zone`, an IANA name. "" for `end`: the last midnight there before `now`, Unix
    time; for `begin`: a year before the end. Raises `ReportError`.
    """
    tz = ZoneInfo(zone)
    until = _moment("--to", end, tz) if end else _midnight(now, tz).timestamp()
    if begin:
        since = _moment("--from", begin, tz)
    else:
        since = _year_before(datetime.fromtimestamp(until, tz)).timestamp()
    if until <= since:
        raise ReportError(
            f"the period ends ({show(until, zone)}) before it begins ({show(since, zone)});"
            " --to is not included, so a day is --from that day --to the next",
            status=2,
        )
    return Period(since, until, zone)


def step_of(period: Period) -> float:
    """Return the length of the steps in which a period is worked out, in s.

    Quarters of an hour; hours where it is long and begins and ends at one.
    """
    is_long = period.seconds > FINE_DAYS * 86400
    if is_long and period.start % HOUR_SECONDS == 0 == period.end % HOUR_SECONDS:
        return HOUR_SECONDS
    return QUARTER_SECONDS


def show(moment: float, zone: str) -> str:
    """Return a moment for people: "2026-01-31", with the time where it is not midnight."""
    local = datetime.fromtimestamp(moment, ZoneInfo(zone))
    return (
        f"{local:%Y-%m-%d}" if (local.hour, local.minute) == (0, 0) else f"{local:%Y-%m-%d %H:%M}"
    )


def iso(moment: float, zone: str) -> str:
    """Return a moment for programs, ISO 8601 with the site's offset."""
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat(timespec="seconds")


def _year_before(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year - 1, day=28)


def _midnight(moment: float, tz: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment, tz).replace(hour=0, minute=0, second=0, microsecond=0)


def _moment(option: str, text: str, tz: ZoneInfo) -> float:
    try:
        at = moment_of(text, tz).at
    except ValueError as error:
        raise ReportError(f"{option}: {error}; {_REMEDY}", status=2) from None
    if at % QUARTER_SECONDS:
        raise ReportError(
            f"{option} {text}: figures are kept by quarter of an hour; write a time that is one,"
            " e.g. 13:15",
            status=2,
        )
    return at
