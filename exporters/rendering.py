"""Metric families as text, byte for byte what prometheus_client makes of them, but faster.

prometheus_client spends 15 us on a series, nearly all of it on its name and labels, which are the
same at every scrape. Here each family's text is made by prometheus_client once and kept without
the values, for as long as the family has the same series; then only values are formatted, by its
own function. Anything this cannot be sure of (timestamps, exemplars) it leaves to the library.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Encoder = Callable[[Collector], bytes]
_number: Callable[[float], str] = floatToGoString


class _Family:
    """What prometheus_client calls a collector, of one family or none."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


class _Kept(NamedTuple):
    """One family's text without its values."""

    about: tuple[str, str, str]
    series: list[tuple[str, dict[str, str]]]
    lines: list[str]
    """What stands before each value; the first begins with HELP and TYPE."""


class Rendering:
    """One format's renderer. Keeps each family's text from one page to the next."""

    def __init__(self, encode: Encoder) -> None:
        self._encode = encode
        self._end = self._text()
        """What a page of no family consists of: OpenMetrics' `# EOF`."""
        self._kept: dict[str, _Kept] = {}

    def render(self, families: Iterable[Metric]) -> bytes:
        """Return the page of these families."""
        parts: list[str] = []
        for family in families:
            about = (family.type, family.unit, family.documentation)
            series = [(sample.name, sample.labels) for sample in family.samples]
            kept = self._kept.get(family.name)
            if kept is None or kept.series != series or kept.about != about:
                text = self._text(family).removesuffix(self._end)
                lines = _without_values(text, family)
                if lines is None:
                    parts.append(text)
                    self._kept.pop(family.name, None)
                    continue
                kept = self._kept[family.name] = _Kept(about, series, lines)
            for line, sample in zip(kept.lines, family.samples, strict=True):
                parts += (line, _number(sample.value), "\n")
        parts.append(self._end)
        return "".join(parts).encode()

    def _text(self, *families: Metric) -> str:
        return self._encode(_Family(*families)).decode()


def _without_values(text: str, family: Metric) -> list[str] | None:
    """Cut the value off each line; None where the text is not one line a sample, in order."""
    if not text.endswith("\n"):
        return None
    head = ""
    lines: list[str] = []
    samples = iter(family.samples)
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            head += line + "\n"
            continue
        sample = next(samples, None)
        if sample is None:
            return None
        value = " " + _number(sample.value)
        if not line.endswith(value) or sample.timestamp is not None or sample.exemplar is not None:
            return None
        lines.append(head + line[: len(line) - len(value) + 1])
        head = ""
    return None if head or next(samples, None) is not None else lines
