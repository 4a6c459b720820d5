"""The wanted samples of a metrics page: the Prometheus text format and OpenMetrics.

Lines of metrics that are not wanted are dropped before anything is parsed: a page of an inference
server has thousands of lines of which four are of use. prometheus_client's own parser takes the
labels, once for each set, and every unusual line. Names are given back as they stand on the page:
prometheus_client appends `_total` to what a `# TYPE … counter` line of the text format announces
(its parser.py, build_metric), and dcgm-exporter's counters have no such suffix; so the types of the
text format are dropped too. OpenMetrics' own parser changes no names and checks whole families:
they are kept whole.
"""

import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

MOST_LABELS: Final = 4096
"""Sets of labels that are remembered between pages."""
_FIRST: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?:[ \t]*\{|[ \t]+\S)|#|\{\"[^\"]*\"[ ,}]")
_NAME_ENDS: Final = re.compile(r"[{ \t]")
_ROW: Final = re.compile(
    r"""[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"""
    r"""(\{(?:[^"{}\\]++|"(?:[^"\\]++|\\.)*+")*+\}|)[ \t]*"""
    r"""(?<=[ \t}])([+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|NaN|Inf))[ \t\r]*$"""
)
"""Name, labels and value of a usual line. All others are left to prometheus_client."""
_SUFFIXES: Final = ("_total", "_created", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info")


class PageText:
    """Parses the pages of one program."""

    def __init__(self, wanted: Collection[str]) -> None:
        """Keep the names of wanted samples, exactly as they stand on the page."""
        self._wanted = frozenset(wanted)
        self._labels: dict[str, dict[str, str]] = {}
        """Labels by how they are written."""

    def samples(self, text: str, *, openmetrics: bool) -> "list[Sample]":
        """Return the wanted samples, with values as float. Raises ValueError, saying why.

        Rows with the same labels share one dictionary.
        """
        start = text[:200].lstrip()
        if start and not _FIRST.match(start):
            raise ValueError(f"is no page of metrics; it begins {start[:40]!r}")
        try:
            return self._openmetrics(text) if openmetrics else self._plain(text)
        except Exception as error:  # noqa: BLE001 - that parser raises whatever comes of bad text
            why = str(error)[:120] or type(error).__name__
            raise ValueError(f"is not in the format: {why}") from None

    def _plain(self, text: str) -> "list[Sample]":
        """Return the wanted samples of a page in the text format.

        The rows of one device have the same labels in every metric: prometheus_client's parser,
        which goes through them letter by letter, sees each set of labels once.
        """
        from prometheus_client.samples import Sample  # noqa: PLC0415

        if len(self._labels) > MOST_LABELS:
            self._labels.clear()
        found: list[Sample] = []
        for whole in text.split("\n"):
            line = whole.lstrip(" \t")
            end = _NAME_ENDS.search(line)
            if end is None or line[: end.start()] not in self._wanted:
                continue
            row = _ROW.match(line)
            if row is None:
                found += _parsed(line)
                continue
            name, labels, number = row.groups()
            known = self._labels.get(labels)
            if known is None:
                known = self._labels[labels] = _parsed(f"x{labels} 0")[0].labels if labels else {}
            found.append(Sample(name, known, float(number)))
        return found

    def _openmetrics(self, text: str) -> "list[Sample]":
        """Return the wanted samples of a page of OpenMetrics, whose families stay whole."""
        from prometheus_client.openmetrics.parser import (  # noqa: PLC0415
            text_string_to_metric_families,
        )

        families = self._wanted | {
            name.removesuffix(suffix) for name in self._wanted for suffix in _SUFFIXES
        }
        names = families | {family + suffix for family in families for suffix in _SUFFIXES}
        kept = [line for line in text.splitlines() if line == "# EOF" or _name_of(line) in names]
        parse: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
        return [s for s in _samples(parse("\n".join(kept))) if s.name in self._wanted]


def _name_of(line: str) -> str:
    """Return the metric that a line is about."""
    if line.startswith("# "):
        parts = line.split(" ", 3)
        return parts[2] if len(parts) > 2 else ""
    return line.partition("{")[0].partition(" ")[0]


def _parsed(line: str) -> "list[Sample]":
    """Return what prometheus_client makes of a line of the text format."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    return _samples(text_string_to_metric_families(line))


def _samples(families: "Iterable[Metric]") -> "list[Sample]":
    return [
        sample._replace(value=_number(sample.value))
        for family in families
        for sample in family.samples
    ]


def _number(value: float) -> float:
    """Return a parsed value, which may be an integer of any size, as float."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
