"""PromQL over HTTP, as every engine answers it."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

Labels = tuple[tuple[str, str], ...]
"""Sorted, without __name__."""
Answer = dict[Labels, float]
"""Value by labels."""
ASK_SECONDS = 120.0


class PromQL:
    """An engine's API below `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: object) -> Any:
        """Ask and return the data. Raises ValueError with what the engine says is wrong."""
        body = urllib.parse.urlencode({k: str(v) for k, v in parameters.items()}).encode()
        try:
            with urllib.request.urlopen(
                f"{self.url}/api/v1/{path}", body or None, timeout=ASK_SECONDS
            ) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(
                f"{error.read().decode(errors='replace')[:500]}: {parameters}"
            ) from None

    def at(self, expression: str, moment: float) -> Answer:
        """Return an instant query's vector at a moment; a scalar has no labels."""
        data = self.get("query", query=expression, time=f"{moment:.3f}")
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return {_labels(row): float(row["value"][1]) for row in data["result"]}

    def over(
        self, expression: str, start: float, end: float, step: float
    ) -> dict[Labels, list[tuple[float, float]]]:
        """Return a range query's matrix: Unix time and value."""
        data = self.get("query_range", query=expression, start=start, end=end, step=step)
        return {
            _labels(row): [(float(t), float(v)) for t, v in row["values"]] for row in data["result"]
        }


def _labels(row: dict[str, Any]) -> Labels:
    return tuple(sorted((k, v) for k, v in row["metric"].items() if k != "__name__"))


def apart(one: Answer, other: Answer) -> tuple[float, str]:
    """Return by which share two answers differ at most, and where; infinity for other labels."""
    if one.keys() != other.keys():
        odd = next(iter(one.keys() ^ other.keys()))
        return math.inf, f"{len(one)} and {len(other)} series; only one has {dict(odd)}"
    worst, where = 0.0, ""
    for labels, value in one.items():
        scale = max(abs(value), abs(other[labels]))
        share = abs(value - other[labels]) / scale if scale > 0 else 0.0
        if share > worst:
            worst, where = share, f"{dict(labels)}: {value:g} and {other[labels]:g}"
    return worst, where
