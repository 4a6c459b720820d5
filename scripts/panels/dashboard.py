"""Reads a dashboard file: the values of its variables, its panels, and the data they ask for."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from grammar import Value, interpolate, moment, round_step, seconds, short
from source import Frame, Refused, Source, Span, heatmap_frame, series_frame, table_frame

Panel = dict[str, Any]
ALL = "$__all"


def filtered(found: list[str], pattern: str) -> Iterator[tuple[str, str]]:
    """Yield text and value of each thing found that a variable's regular expression lets through.

    Groups named text and value tell the two apart, the first group otherwise is both.
    """
    if not pattern:
        yield from ((one, one) for one in found if one)
        return
    inner = re.fullmatch(r"/(.*)/\w*", pattern, re.DOTALL)
    wanted = re.compile((inner[1] if inner else pattern).replace("(?<", "(?P<"))
    seen: set[str] = set()
    for one in found:
        matches = list(wanted.finditer(one))
        if not matches:
            continue
        named: dict[str, str] = {}
        for match in matches:
            named |= {name: text for name, text in match.groupdict().items() if text}
        first = matches[0][1] if wanted.groups else one
        value = named.get("value") or named.get("text") or first
        if value and value not in seen:
            seen.add(value)
            yield named.get("text") or value, value


def natural(offered: tuple[str, str]) -> list[tuple[int, str]]:
    """Return a key that sorts host2 before host10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", offered[0])
    ]


@dataclass
class Dashboard:
    """A dashboard with the data source and the time range that it is looked at with."""

    content: dict[str, Any]
    source: Source
    start: float
    end: float
    width: int
    scrape_seconds: float
    values: dict[str, Value] = field(default_factory=dict)
    shown: list[dict[str, str]] = field(default_factory=list)  # variables as the page shows them

    # --- variables ---------------------------------------------------------------------------

    def choose(self, chosen: dict[str, str]) -> None:
        """Give every variable a value: what was chosen, else its default, else the first."""
        self.values |= {
            "__from": f"{self.start * 1000:.0f}",
            "__to": f"{self.end * 1000:.0f}",
            "__dashboard": self.content.get("title", ""),
        }
        for variable in self.content.get("templating", {}).get("list", []):
            name = variable["name"]
            value, text = self.value(variable, chosen.get(name))
            self.values[name] = value
            if variable.get("hide", 0) in {0, 1, "dontHide", "hideLabel"}:
                self.shown.append({"label": variable.get("label") or name, "text": text})
        unknown = set(chosen) - set(self.values)
        if unknown:
            raise Refused(f"the dashboard has no variable {', '.join(sorted(unknown))}")

    def value(self, variable: dict[str, Any], chosen: str | None) -> tuple[Value, str]:
        """Return the value of one variable and the text that stands for it."""
        kind = variable["type"]
        if kind == "datasource":
            return chosen or "prometheus", "Prometheus"
        if kind in {"constant", "textbox"}:
            given = str(variable.get("query", "")) if chosen is None else chosen
            return given, given
        offered = self.options(variable)
        texts = {value: text for text, value in offered}
        many = bool(variable.get("multi") or variable.get("includeAll"))
        current = variable.get("current", {}).get("value")
        picked = chosen.split(",") if chosen is not None else current
        picked = [picked] if isinstance(picked, str) else list(picked or [])
        if variable.get("includeAll") and (not any(picked) or set(picked) & {ALL, "All"}):
            return variable.get("allValue") or list(texts), "All"
        values = dict(offered)
        picked = [values.get(one, one) for one in picked if one]
        if chosen is None and kind == "query":
            picked = [one for one in picked if one in texts]
        picked = picked or [value for _, value in offered[:1]] or [""]
        words = ", ".join(texts.get(one, one) for one in picked) or "None"
        return (picked if many else picked[0]), words

    def options(self, variable: dict[str, Any]) -> list[tuple[str, str]]:
        """Return what a variable offers: texts and values."""
        query = variable.get("query", "")
        if variable["type"] in {"custom", "interval"}:
            listed = [one.strip().split(" : ") for one in str(query).split(",") if one.strip()]
            return [(one[0], one[-1]) for one in listed]
        if variable["type"] != "query":
            return []
        text = query.get("query", "") if isinstance(query, dict) else query
        text = interpolate(text, self.values, "prometheus")
        found = self.source.options(text, Span(self.start, self.end, 60))
        offered = list(filtered(found, variable.get("regex", "")))
        return sorted(offered, key=natural) if variable.get("sort") else offered

    # --- panels ------------------------------------------------------------------------------

    def panels(self, folded: bool) -> Iterator[tuple[Panel, dict[str, Value]]]:
        """Yield every panel with its repetition's variables; folded rows are opened if asked."""
        below = 0  # how far the rows opened so far push down what follows them
        for panel in self.content.get("panels", []):
            moved = copy.deepcopy(panel)
            moved["gridPos"]["y"] += below
            inside = moved.pop("panels", None) or []
            if panel["type"] == "row" and panel.get("collapsed") and folded:
                moved["collapsed"] = False
                yield moved, {}
                for inner in inside:
                    inner["gridPos"]["y"] += below
                    yield from self.repeated(inner)
                top = panel["gridPos"]["y"] + 1
                below += max(
                    (i["gridPos"]["y"] + i["gridPos"]["h"] - top for i in panel["panels"]),
                    default=0,
                )
            else:
                yield from self.repeated(moved)

    def repeated(self, panel: Panel) -> Iterator[tuple[Panel, dict[str, Value]]]:
        """Yield a panel once, or side by side for each value of the variable it repeats over."""
        name = panel.get("repeat")
        value = self.values.get(name or "", [])
        if not name or panel["type"] == "row" or isinstance(value, str) or not value:
            yield panel, {}
            return
        columns = min(len(value), panel.get("maxPerRow", 4))
        width = 24 // columns
        for index, one in enumerate(value):
            twin = copy.deepcopy(panel)
            place = twin["gridPos"]
            if panel.get("repeatDirection", "h") == "h":
                place["x"] = index % columns * width
                place["w"] = width
                place["y"] += index // columns * place["h"]
            else:
                place["y"] += index * place["h"]
            yield twin, {name: [one]}

    # --- data --------------------------------------------------------------------------------

    def span(self, panel: Panel) -> tuple[float, float]:
        """Return a panel's own time range: the dashboard's, unless the panel overrides it."""
        start, end = self.start, self.end
        if panel.get("timeShift"):
            shift = seconds(panel["timeShift"])
            start, end = start - shift, end - shift
        own = panel.get("timeFrom")
        if own:
            start = moment(own if own.startswith("now") else f"now-{own}", end)
        return start, end

    def data(self, panel: Panel, scoped: dict[str, Value]) -> tuple[list[Frame], list[str]]:
        """Return a panel's frames and what went wrong with its queries."""
        frames: list[Frame] = []
        wrong: list[str] = []
        asked = [one for one in panel.get("targets", []) if not one.get("hide")]
        tables = sum(one.get("format") == "table" for one in asked) > 1
        for target in asked:
            if not target.get("expr"):
                wrong.append(f"target {target.get('refId')} has no PromQL expression")
                continue
            try:
                found = self.target(panel, target, scoped, tables)
            except Refused as refused:
                wrong.append(str(refused))
                continue
            if not found:
                wrong.append(f"target {target.get('refId')} returned nothing: {target['expr']}")
            frames += found
        return frames, wrong

    def target(
        self, panel: Panel, target: dict[str, Any], scoped: dict[str, Value], several: bool
    ) -> list[Frame]:
        """Return the frames of one query."""
        start, end = self.span(panel)
        values = self.values | scoped
        pixels = panel["gridPos"]["w"] * self.width / 24
        points = panel.get("maxDataPoints") or max(100, pixels)
        # A minimal step of the panel or the query takes the place of the scrape interval.
        least = interpolate(target.get("interval") or "", values, "text")
        scrape = seconds(least) if least and "$" not in least else self.scrape_seconds
        floor = max(scrape, seconds(panel["interval"]) if panel.get("interval") else 0.0)
        step = max(round_step((end - start) / points), floor, (end - start) / 11000)
        rate = max(step + scrape, 4 * scrape)
        length = end - start
        values |= {
            "__interval": short(step),
            "__interval_ms": f"{step * 1000:.0f}",
            "__rate_interval": short(rate),
            "__range": f"{length:.0f}s",
            "__range_s": f"{length:.0f}",
            "__range_ms": f"{length * 1000:.0f}",
        }
        expression = interpolate(target["expr"], values, "prometheus")
        target = target | {"legendFormat": interpolate(target.get("legendFormat") or "", values)}
        instant = bool(target.get("instant"))
        found = (
            self.source.at(expression, end)
            if instant and not target.get("range")
            else self.source.over(expression, Span(start, end, step))
        )
        if not found:
            return []
        match target.get("format", "time_series"):
            case "table":
                return [table_frame(target, found, several)]
            case "heatmap":
                return [heatmap_frame(target, series, step) for series in found]
            case _:
                return [series_frame(target, series, step) for series in found]
