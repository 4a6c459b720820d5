"""Values in a JSON document: JSON Pointer (RFC 6901), numbers, and whether a source is alive.

A number may also stand as text ("231.4"), as some gateways write it; text with anything else in it
("231.4 W", "231,4") is refused: what else it says, we would have to guess.
"""

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agent.collector import Transient

if TYPE_CHECKING:
    from collectors.fetching import Answer, Fetcher

MOST_BYTES: Final = 1024 * 1024
"""A longer document is refused: what meters and PromQL servers answer has a few kB."""
STILL_INTERVALS: Final = 3
"""A time stamp that has not moved for more than so many intervals is that of a hung source."""
_INDEX: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_ESCAPE: Final = re.compile(r"~(?![01])")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SHOWN: Final = 60
"""Letters of a foreign text that a message shows."""


class NotThere(LookupError):
    """A pointer leads nowhere; the message says where it ends."""


def tokens_of(pointer: str) -> tuple[str, ...]:
    """Return the reference tokens of a JSON Pointer (RFC 6901, sections 3 and 4).

    Raises ValueError, which says what is wrong.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError(f'{pointer!r} is no JSON Pointer: it begins with "/", e.g. "/power"')
    if _ESCAPE.search(pointer):
        raise ValueError(f'{pointer!r} is no JSON Pointer: "~" is written "~0" (and "/" "~1")')
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/"))


def look_up(document: Any, pointer: str) -> Any:
    """Return the value that a JSON Pointer names. Raises `NotThere` and ValueError."""
    value = document
    passed = ""
    for token in tokens_of(pointer):
        here = f"below {passed!r}" if passed else "at the top"
        if isinstance(value, dict):
            if token not in value:
                keys = ", ".join(map(repr, list(value)[:8])) or "nothing"
                raise NotThere(f"{here} there is no {token!r}, but {keys[:200]}")
            value = value[token]
        elif isinstance(value, list):
            if not _INDEX.fullmatch(token) or int(token[:9]) >= len(value):
                raise NotThere(f"{here} is a list of {len(value)}, which has no item {token!r}")
            value = value[int(token)]
        else:
            raise NotThere(f"{here} is {shown(value)}, which has no {token!r} in it")
        passed += "/" + token.replace("~", "~0").replace("/", "~1")
    return value


def number_of(value: Any) -> float:
    """Return a JSON number, or a text that is nothing but one. Raises ValueError, saying why."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is {shown(value)}, not a number")  # noqa: TRY004 - of the document
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError(f"is {shown(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("is a number beyond all measure")
    return number


def moment_of(value: Any) -> str:
    """Return a time stamp, ISO 8601 or a number (Unix time), as text to compare it by.

    Raises ValueError, saying why.
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip())
            return (moment if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
        except (ValueError, OverflowError):
            raise ValueError(f"is {shown(value)}, not a time with its date") from None
    return repr(number_of(value))


def shown(value: Any) -> str:
    """Return a foreign value as a message may show it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"the text {value[:_SHOWN]!r}{'…' * (len(value) > _SHOWN)}"
        case _:
            return str(value)[:_SHOWN]


def document_of(answer: "Answer", fetcher: "Fetcher", log_in: str) -> Any:
    """Return an answer's JSON. `log_in`: the keys that say who asks. Raises `Transient`."""
    body = answer.body
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        why = str(error)
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise fetcher.garbage("sends nothing")
    if start.startswith(b"<"):
        raise Transient(
            f"{fetcher.where} sends a web page, perhaps its log-in, not JSON",
            "garbage",
            f"look at url with curl; if it wants a log-in, set {log_in}",
        )
    if start != body and body.startswith(b"\xef\xbb\xbf"):  # a BOM, which RFC 8259 lets us ignore
        return document_of(answer._replace(body=body[3:]), fetcher, log_in)
    raise fetcher.garbage(f"sends no whole JSON ({why[:120]})")


class Liveness:
    """Whether a source's own time stamp moves."""

    def __init__(self) -> None:
        self._moment: str | None = None
        self._since = 0.0

    def look(self, moment: str, now: float, interval_seconds: float, where: str) -> None:
        """Take a time stamp, seen at `now` (monotonic). Raises `Transient` if it stands still."""
        if moment != self._moment:
            self._moment, self._since = moment, now
            return
        still = now - self._since
        if still > STILL_INTERVALS * interval_seconds:
            raise Transient(
                f"{where}: its time has stood still at {moment} for {still:.0f} s",
                "stale",
                "look whether the source hangs; if it just takes its values less often, set"
                " interval_seconds to how often it does",
            )
