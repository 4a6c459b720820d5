"""Asks Prometheus as Grafana's data source does and makes Grafana's data frames of the answers."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

Frame = dict[str, Any]


class Refused(Exception):
    """Prometheus cannot be reached or did not like a query; the sentence says which."""


@dataclass(frozen=True)
class Span:
    """A time range in Unix seconds and the step of a range query in seconds."""

    start: float
    end: float
    step: float


@dataclass(frozen=True)
class Source:
    """A Prometheus, or whatever else speaks its HTTP API."""

    url: str

    def ask(self, path: str, parameters: dict[str, Any]) -> Any:
        """Return the `data` of an answer of /api/v1/PATH."""
        query = urllib.parse.urlencode(parameters, doseq=True)
        address = f"{self.url.rstrip('/')}/api/v1/{path}?{query}"
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise Refused(f"{parameters}: {said[:400]}") from error
        except urllib.error.URLError as error:
            raise Refused(f"{self.url} does not answer: {error.reason}") from error

    def at(self, expression: str, time: float) -> list[dict[str, Any]]:
        """Return the series of an instant query as Prometheus gives them."""
        data = self.ask("query", {"query": expression, "time": time})
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        return list(data["result"])

    def over(self, expression: str, span: Span) -> list[dict[str, Any]]:
        """Return the series of a range query; begin and end lie on multiples of the step."""
        start = span.start // span.step * span.step
        asked = {"query": expression, "start": start, "end": span.end, "step": span.step}
        return list(self.ask("query_range", asked)["result"])

    def options(self, query: str, span: Span) -> list[str]:
        """Return what a dashboard's query variable offers."""
        query = query.strip()
        match: dict[str, Any] = {"start": span.start, "end": span.end}
        if query == "label_names()":
            return sorted(self.ask("labels", match))
        if found := re.fullmatch(r"label_values\((?:(.+),)?\s*(\w+)\s*\)", query, re.DOTALL):
            if found[1]:
                match |= {"match[]": found[1].strip()}
            return list(self.ask(f"label/{found[2]}/values", match))
        if found := re.fullmatch(r"metrics\((.*)\)", query):
            names = self.ask("label/__name__/values", match)
            return [name for name in names if re.search(found[1], name)]
        if found := re.fullmatch(r"query_result\((.*)\)", query, re.DOTALL):
            return [as_text(series) for series in self.at(found[1], span.end)]
        raise Refused(f"a variable asks {query!r}, which is no query of variables")


def as_text(series: dict[str, Any]) -> str:
    """Return a series of an instant query as query_result() prints it."""
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(series["metric"].items()))
    time, value = series["value"]
    return f"{{{labels}}} {value} {time * 1000:.0f}"


def legend(template: str, labels: dict[str, str]) -> str:
    """Return the name of a series: its legend with {{label}} replaced, else its labels."""
    if not template:
        name = labels.get("__name__", "")
        rest = ", ".join(f'{key}="{labels[key]}"' for key in sorted(labels) if key != "__name__")
        return f"{name}{{{rest}}}" if rest or not name else name
    return re.sub(r"{{\s*(.+?)\s*}}", lambda found: labels.get(found[1], ""), template)


def series_frame(target: dict[str, Any], series: dict[str, Any], step: float) -> Frame:
    """Return one series as a frame of a time and a value field, with gaps where it had none."""
    labels = series["metric"]
    points = series["values"] if "values" in series else [series["value"]]
    shown = legend(target.get("legendFormat", ""), labels)
    own = {name: value for name, value in labels.items() if name != "__name__"}
    # Grafana's time series panel breaks a line where more than `interval` lies between points.
    time = {"name": "Time", "type": "time", "config": {"interval": step * 1000}}
    value = {"name": "Value", "type": "number", "labels": own, "config": {}}
    if target.get("legendFormat") != "__auto":  # there Grafana makes the name of what differs
        value["config"] = {"displayNameFromDS": shown}
    return {
        "refId": target.get("refId", "A"),
        "name": shown,
        "meta": {"type": "timeseries-multi"},
        "fields": [
            time | {"values": [at * 1000 for at, _ in points]},
            value | {"values": [float(number) for _, number in points]},
        ],
    }


def heatmap_frame(target: dict[str, Any], series: dict[str, Any], step: float) -> Frame:
    """Return one row of a heat map: as a time series, named by its legend or its bucket."""
    if target.get("legendFormat") in {None, "", "__auto"} and "le" in series["metric"]:
        target = target | {"legendFormat": "{{le}}"}
    return series_frame(target, series, step)


def table_frame(target: dict[str, Any], found: list[dict[str, Any]], several: bool) -> Frame:
    """Return all series of one query as one table: time, a column per label, the value."""
    names = sorted({name for series in found for name in series["metric"]})
    rows = [
        (series["metric"], at, float(number))
        for series in found
        for at, number in (series["values"] if "values" in series else [series["value"]])
    ]
    letter = target.get("refId", "A")
    columns: list[dict[str, Any]] = [
        {"name": "Time", "type": "time", "config": {}, "values": [at * 1000 for _, at, _ in rows]}
    ]
    for name in names:
        values = [labels.get(name, "") for labels, _, _ in rows]
        columns.append({"name": name, "type": "string", "config": {}, "values": values})
    value = f"Value #{letter}" if several else "Value"
    numbers = [number for _, _, number in rows]
    columns.append({"name": value, "type": "number", "config": {}, "values": numbers})
    return {"refId": letter, "meta": {}, "fields": columns}
