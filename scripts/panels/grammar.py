"""Grafana's small languages, as far as a dashboard file uses them: durations, time expressions,
variables in text. They follow Grafana's documentation ("Dashboard variables: variable syntax",
"Global variables", "Time range controls")."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

UNITS_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "M": 2592000.0,
    "y": 31536000.0,
}
# The steps that Grafana rounds a query's interval to (rangeutil.roundInterval), in seconds.
STEPS_SECONDS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800]
STEPS_SECONDS += [21600, 43200, 86400, 604800, 2592000, 31536000]
VARIABLE = re.compile(
    r"\$(?P<plain>\w+)"
    r"|\[\[(?P<old>\w+)(?::(?P<old_form>\w+))?\]\]"
    r"|\$\{(?P<braced>\w+)(?::(?P<form>[^}]+))?\}"
)
SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}]")

Value = str | list[str]


def seconds(text: str) -> float:
    """Return the length of "5m", "1h30m" or "90" (seconds) in seconds."""
    if re.fullmatch(r"[\d.]+", text):
        return float(text)
    parts = re.findall(r"([\d.]+)(ms|[smhdwMy])", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 5m or 1h")
    return sum(float(number) * UNITS_SECONDS[unit] for number, unit in parts)


def floor(moment: datetime, unit: str) -> datetime:
    """Return the begin of the minute, hour, day, week, month or year that a moment lies in."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "m":
            return moment.replace(second=0, microsecond=0)
        case "h":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "d":
            return day
        case "w":
            return day - timedelta(days=day.weekday())
        case "M":
            return day.replace(day=1)
        case "y":
            return day.replace(month=1, day=1)
        case _:
            raise ValueError(f"{unit!r} is no unit of time")


def moment(text: str, now: float) -> float:
    """Return the Unix time of "now-6h", "now/M", a Unix time in seconds, or an ISO time."""
    expression = re.fullmatch(r"now(?:-([\d.]+\w+))?(?:/(\w))?", text)
    if expression:
        at = now - (seconds(expression[1]) if expression[1] else 0.0)
        if expression[2]:
            at = floor(datetime.fromtimestamp(at, UTC), expression[2]).timestamp()
        return at
    if re.fullmatch(r"[\d.]+", text):
        return float(text)
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def short(length: float) -> str:
    """Return a length in seconds as PromQL writes it, in the largest unit that divides it."""
    for unit in ("d", "h", "m", "s"):
        size = UNITS_SECONDS[unit]
        if length >= size and length % size == 0:
            return f"{length / size:.0f}{unit}"
    return f"{length * 1000:.0f}ms"


def round_step(length: float) -> float:
    """Return a length in seconds rounded as Grafana rounds the interval of a query."""
    if length < 1:
        return max(0.001, round(length, 3))
    for lower, upper in pairwise(STEPS_SECONDS):
        if length < (lower + upper) / 2:
            return float(lower)
    return float(STEPS_SECONDS[-1])


def written(value: Value, form: str) -> str:
    """Return a variable's value in one of the formats of ${name:format}."""
    many = [value] if isinstance(value, str) else value
    match form:
        case "prometheus" if isinstance(value, str):
            return value.replace("\\", "\\\\").replace('"', '\\"')
        case "prometheus" | "regex":
            escaped = [SPECIAL.sub(lambda found: "\\" + found[0], one) for one in many]
            if form == "prometheus":  # the PromQL string takes one level of escapes itself
                escaped = [one.replace("\\", "\\\\") for one in escaped]
            return escaped[0] if len(escaped) == 1 else "(" + "|".join(escaped) + ")"
        case "pipe":
            return "|".join(many)
        case "text" | "csv":
            return (" + " if form == "text" else ",").join(many)
        case "queryparam":
            return "&".join(many)
        case _:
            return many[0] if len(many) == 1 else "{" + ",".join(many) + "}"


def interpolate(text: str, values: Mapping[str, Value], default: str = "text") -> str:
    """Return a text with its variables replaced; names that are not known stay as they are."""

    def one(found: re.Match[str]) -> str:
        name = found["plain"] or found["old"] or found["braced"]
        if name not in values:
            return found[0]
        return written(values[name], found["form"] or found["old_form"] or default)

    return VARIABLE.sub(one, text)
