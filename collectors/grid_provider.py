"""What a provider of a grid's carbon intensity is, and what several of them need."""

from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final, Protocol, TypeVar

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis, Origin
from agent.collector import Problem, Transient

T = TypeVar("T")
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
DENIED_SECONDS: Final = 900.0
"""A key that was refused is not shown again for so long."""
MOST_GRAMS_PER_KWH: Final = 5000.0
"""More is no intensity of a grid: the worst coal plants emit about 1500 g/kWh."""


class Trouble(Transient):
    """A provider did not answer, or not with an intensity.

    `wait_seconds`: not before then again; None: back off as the chain does.
    """

    def __init__(
        self,
        why: str,
        reason: str = "io",
        remedy: str = "",
        *,
        wait_seconds: float | None = None,
    ) -> None:
        super().__init__(why, reason, remedy)
        self.wait_seconds = wait_seconds


class Provider(Protocol):
    """One source of intensities. Making one does no I/O."""

    name: str
    basis: Basis
    settles: frozenset[Origin]
    """Values of these origins stand; others are asked for again until they come."""
    reach_seconds: float
    """So far back it can be asked."""
    asks_for: str
    """Zone, factor and address: what was kept of an earlier run counts only if it is the same."""

    async def fetch(self, start: float, end: float) -> list[Intensity]:
        """Return what it has between two Unix times, and forecasts after them.

        Raises `Trouble`, and `Transient` where nobody answers. Returns nothing where it says that
        it has nothing.
        """
        ...

    def problems(self) -> list[Problem]:
        """Return what of the last `fetch` failed although it gave values."""
        ...


def parse_time(text: str, where: str) -> float:
    """Return the Unix time of an ISO 8601 time with its offset. Raises `Trouble`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise garbage(where, f"names a time as {text[:40]!r}")
    return moment.timestamp()


def utc(moment: float) -> str:
    """Return a Unix time as ISO 8601 in UTC, to the minute, as all these APIs take it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")


def decode(body: bytes, kind: type[T], where: str) -> T:
    """Return a JSON document as the type that it should have. Raises `Trouble`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise garbage(where, f"does not answer as documented ({str(error)[:120]})") from None


def plausible(grams_per_kwh: float, where: str) -> float:
    """Return an intensity that can be one. Raises `Trouble`."""
    if not isfinite(grams_per_kwh) or not 0 <= grams_per_kwh <= MOST_GRAMS_PER_KWH:
        raise garbage(where, f"gives {grams_per_kwh} g/kWh, which is no intensity of a grid")
    return grams_per_kwh


def garbage(where: str, what: str) -> Trouble:
    """Return that it sends something else than it should."""
    return Trouble(f"{where} {what}", "garbage", "look whether url is the address of that API")


def not_set(key: str, what: str) -> Trouble:
    """Return that the settings lack something."""
    return Trouble(f"{what} is not set", "settings", f"set {key}", wait_seconds=DENIED_SECONDS)


def chunks(start: float, end: float, most_seconds: float) -> list[tuple[float, float]]:
    """Return a time cut into pieces of at most so many seconds."""
    pieces: list[tuple[float, float]] = []
    while start < end:
        pieces.append((start, min(end, start + most_seconds)))
        start = pieces[-1][1]
    return pieces


def as_problem(name: str, error: Transient) -> Problem:
    """Return a trouble as `wattlas check` shows it."""
    return Problem(name, error.why, error.remedy, error.reason)


def fingerprint(*parts: Any) -> str:
    """Return what was asked for, as one line; no part may be a secret."""
    return " ".join(str(part) for part in parts)
