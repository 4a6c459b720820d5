"""Reads ENTSO-E's GL_MarketDocument of actual generation per type (A75).

IEC 62325-451-6. A series with `inBiddingZone_Domain` is generation, one with only
`outBiddingZone_Domain` is what storage and plants consumed. `curveType` A03: a point stands until
the next one, the last to the end of its period; A01: each point stands for its own step alone.
A document type declaration is refused, so there are no entities to expand.
"""

import re
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from collectors.grid_provider import Trouble, garbage, parse_time

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_RESOLUTION: Final = re.compile(r"PT(?:(\d{1,3})H)?(?:(\d{1,4})M)?")
_MOST_STEPS: Final = 100_000
_NO_DATA: Final = "999"


class Generation(NamedTuple):
    """What plants of one type gave for a time."""

    kind: str
    """psrType, e.g. "B04"."""
    start: float
    end: float
    megawatts: float


def read_generation(body: bytes, where: str) -> list[Generation]:
    """Return all generation in a document; nothing where it says that it has no data.

    Raises `Trouble`.
    """
    root = _parse(body, where)
    match _name(root):
        case "GL_MarketDocument":
            return [
                value
                for series in _children(root, "TimeSeries")
                if _is_generation(series)
                for value in _series(series, where)
            ]
        case "Acknowledgement_MarketDocument":
            reason = _child(root, "Reason")
            text = _text(reason, "text")[:200]
            if _text(reason, "code") == _NO_DATA and text.startswith("No matching data"):
                return []
            raise Trouble(f"{where} refuses: {text or 'no reason given'}", "http")
        case other:
            raise garbage(where, f"sends a {other[:40]}, not a GL_MarketDocument")


def _parse(body: bytes, where: str) -> "Element":
    from xml.etree import ElementTree as ET  # noqa: PLC0415

    # A DTD could be written in UTF-16, where the bytes would not match: only UTF-8 passes.
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise garbage(where, "is not in UTF-8") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise garbage(where, "has a document type declaration, which is not read")
    try:
        # S314: without a DTD there are no entities, and thus neither expansion nor outside files.
        return ET.fromstring(text)  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise garbage(where, f"is no XML ({error})") from None


def _is_generation(series: "Element") -> bool:
    consumes = _child(series, "outBiddingZone_Domain.mRID") is not None
    return not consumes or _child(series, "inBiddingZone_Domain.mRID") is not None


def _series(series: "Element", where: str) -> list[Generation]:
    kind = _text(_child(series, "MktPSRType"), "psrType")
    unit = _text(series, "quantity_Measure_Unit.name")
    if unit and unit != "MAW":
        raise garbage(where, f"gives {unit[:20]}, not MAW")
    repeats = _text(series, "curveType") == "A03"
    values: list[Generation] = []
    for period in _children(series, "Period"):
        values += _period(period, kind, repeats, where)
    return values


def _period(period: "Element", kind: str, repeats: bool, where: str) -> list[Generation]:
    interval = _child(period, "timeInterval")
    start = parse_time(_text(interval, "start"), where)
    end = parse_time(_text(interval, "end"), where)
    step = _step(_text(period, "resolution"), where)
    if not 0 < (end - start) / step <= _MOST_STEPS:
        raise garbage(where, "has a period without a length that can be")
    points: list[tuple[int, float]] = []
    for point in _children(period, "Point"):
        try:
            position, megawatts = int(_text(point, "position")), float(_text(point, "quantity"))
        except ValueError:
            raise garbage(where, "has a point without position or quantity") from None
        if not isfinite(megawatts) or not 1 <= position <= _MOST_STEPS:
            raise garbage(where, "has a point that cannot be")
        points.append((position, megawatts))
    points.sort()
    values: list[Generation] = []
    for index, (position, megawatts) in enumerate(points):
        following = position + 1
        if repeats:
            last = index + 1 == len(points)
            following = round((end - start) / step) + 1 if last else points[index + 1][0]
        values += [
            Generation(kind, start + (at - 1) * step, start + at * step, megawatts)
            for at in range(position, following)
            if start + at * step <= end
        ]
    return values


def _step(resolution: str, where: str) -> float:
    match = _RESOLUTION.fullmatch(resolution)
    hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0)
    if not hours and not minutes:
        raise garbage(where, f"has a resolution of {resolution[:20]!r}")
    return hours * 3600.0 + minutes * 60.0


def _name(element: "Element") -> str:
    """Return a tag without its namespace, whose version changes."""
    return element.tag.rpartition("}")[2]


def _children(element: "Element", name: str) -> list["Element"]:
    return [child for child in element if _name(child) == name]


def _child(element: "Element | None", name: str) -> "Element | None":
    return next(iter(_children(element, name)), None) if element is not None else None


def _text(element: "Element | None", name: str) -> str:
    child = _child(element, name)
    return (child.text or "").strip() if child is not None else ""
