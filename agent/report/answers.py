"""What a PromQL engine answers, and what is wrong with it. Pure."""

from collections.abc import Mapping
from math import isfinite
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from agent.report.failure import ReportError

MAY_PASS: Final = frozenset({429, 502, 503, 504})
"""HTTP status of an engine that is busy or coming up."""


class Series(NamedTuple):
    """One series of an answer."""

    labels: Mapping[str, str]
    points: dict[float, float]
    """Unix time to value; what is no number is left out."""


class _Row(msgspec.Struct):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    resultType: str = ""  # noqa: N815 - the API's own name
    result: list[_Row] = []


class Answer(msgspec.Struct):
    """The body of an answer."""

    status: str
    data: _Data | None = None
    errorType: str = ""  # noqa: N815
    error: str = ""
    warnings: list[str] = []
    isPartial: bool = False  # noqa: N815 - VictoriaMetrics' cluster

    @property
    def rows(self) -> list[_Row]:
        """The series as they came."""
        return self.data.result if self.data is not None else []


class Again(Exception):
    """It may work in a moment; the sentence to say if it does not."""


def judge(where: str, status: int, body: bytes, location: str, *, has_token: bool) -> Answer:
    """Return the answer that a body holds. Raises `ReportError`, `Again`.

    `where`: the engine's address for messages. `location`: the header of that name.
    """
    if status in {401, 403}:
        has = "refuses the token" if has_token else "asks for a token"
        raise ReportError(
            f"{where} {has} (HTTP {status}); put the right one into a file and name it"
            " with --token-file"
        )
    if 300 <= status < 400:
        raise ReportError(
            f"{where} sends on to {shown(location)[:200]!r} (HTTP {status}); set"
            " --prometheus to where it sends, if you trust it; none is followed"
        )
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = f"{where} {_what_it_is(status, body)}"
        if status in MAY_PASS:
            raise Again(f"{said}; try again later") from None
        raise ReportError(
            f"{said}; set --prometheus to the address before /api/v1 (Mimir's ends in /prometheus)"
        ) from None
    if answer.status != "success" or answer.data is None:
        said = f"{where} says: {' '.join(answer.error.split())[:300]}"
        said += f" ({answer.errorType or f'HTTP {status}'})"
        if status in MAY_PASS:
            raise Again(f"{said}; try again later")
        raise ReportError(f"{said}; ask for a shorter period if it is a limit")
    if answer.isPartial:
        raise ReportError(
            f"{where} has only part of the data now (isPartial); wait until all of its"
            " storage is back"
        )
    if answer.data.resultType != "matrix":
        raise ReportError(f"{where} answers with a {answer.data.resultType}, not a matrix")
    return answer


def series_of(where: str, answer: Answer) -> list[Series]:
    """Return an answer's series. Raises `ReportError` for a value that is no number."""
    try:
        return [Series(row.metric, _points(row.values)) for row in answer.rows]
    except ValueError as error:
        raise ReportError(f"{where} sends a value that is no number ({error})") from None


def _points(values: list[tuple[float, str]]) -> dict[float, float]:
    points = {}
    for at, text in values:
        value = float(text)
        if isfinite(value):
            points[at] = value
    return points


def _what_it_is(status: int, body: bytes) -> str:
    begin = body[:200].lstrip().lower()
    if begin.startswith((b"<!doctype", b"<html")):
        return f"answers with a web page (HTTP {status}), which is no PromQL engine's API"
    if status >= 400:
        said = body[:120].decode("utf-8", "replace").strip().splitlines()
        return f"answers HTTP {status}" + (f" ({said[0]})" if said else "")
    if begin.startswith(b"{"):
        return "sends JSON that was cut off or is no PromQL engine's"
    return f"answers HTTP {status} with no JSON"


def shown(url: str) -> str:
    """Return scheme, host, port and path of an address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the engine"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
