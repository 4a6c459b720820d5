"""What a PromQL expression asks for, and dashboards' queries with their variables filled in."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import promql_parser

RATE_INTERVAL = "1m23s"
"""Stands for $__rate_interval, and is told from any window that was written out."""
_FILLED = {
    "$__rate_interval": RATE_INTERVAL,
    "$__interval": "1m",
    "$__range_s": "3600",
    "$__range": "1h",
}
RATES = {"rate", "irate", "increase", "resets", "delta", "changes"}


@dataclass(frozen=True)
class Selector:
    """One selector of an expression."""

    name: str
    matchers: dict[str, tuple[str, str]]
    """Label to operator and value."""
    range_seconds: float | None
    """Of a range selector."""
    inside: tuple[str, ...]
    """Functions and aggregations around it, the outermost first."""


def filled(expression: str) -> str:
    """Return a dashboard's expression with Grafana's own variables filled in."""
    for name, value in _FILLED.items():
        expression = expression.replace(name, value)
    return expression


def selectors(expression: str) -> Iterator[Selector]:
    """Yield every selector; raises ValueError for what is no PromQL."""
    yield from _selectors(promql_parser.parse(filled(expression)), ())


def _selectors(node: Any, inside: tuple[str, ...], seconds: float | None = None):
    match type(node).__name__:
        case "VectorSelector":
            found = {
                m.name: (str(m.op).rsplit(".", 1)[-1], m.value) for m in node.matchers.matchers
            }
            yield Selector(node.name or "", found, seconds, inside)
        case "MatrixSelector":
            yield from _selectors(node.vector_selector, inside, node.range.total_seconds())
        case "SubqueryExpr" | "UnaryExpr" | "ParenExpr":
            yield from _selectors(node.expr, inside)
        case "Call":
            for argument in node.args:
                yield from _selectors(argument, (*inside, node.func.name))
        case "AggregateExpr":
            yield from _selectors(node.expr, (*inside, str(node.op)))
            if node.param is not None:
                yield from _selectors(node.param, inside)
        case "BinaryExpr":
            yield from _selectors(node.lhs, inside)
            yield from _selectors(node.rhs, inside)
        case "NumberLiteral" | "StringLiteral":
            return
        case other:
            raise TypeError(f"a kind of expression that nobody told us about: {other}")


def boards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by name, as they are installed."""
    folder = resources.files("dashboards") / "grafana"
    return {
        f.name.removesuffix(".json"): json.loads(f.read_text(encoding="utf-8"))
        for f in sorted(folder.iterdir(), key=lambda f: f.name)
        if f.name.endswith(".json")
    }


def panels(board: dict[str, Any], *, rows: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every panel of a dashboard, those in folded rows too."""
    for panel in board["panels"]:
        if panel["type"] != "row" or rows:
            yield panel
        yield from panel.get("panels", ())


def variable_query(variable: dict[str, Any]) -> tuple[str, str]:
    """Return the expression that a query variable asks for, and the label ("" for a result)."""
    text = variable["query"]["query"]
    if match := re.fullmatch(r"label_values\((.*),\s*(\w+)\)", text, re.DOTALL):
        return match[1], match[2]
    match = re.fullmatch(r"query_result\((.*)\)", text, re.DOTALL)
    assert match, text
    return match[1], ""
