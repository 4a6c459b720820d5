"""Groups of rules as the text of a rules file: YAML that a person can read and compare."""

import json
import textwrap
from collections.abc import Iterable, Iterator

from dashboards.rules.model import RUNBOOKS, Alert, Group, Record

_WIDTH = 92
_NO_STRINGS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
"""Words that YAML 1.1 takes for something else."""


def rules_file(groups: Iterable[Group], header: str = "", runbooks: str = RUNBOOKS) -> str:
    """Return the text of a rules file. `runbooks` is the address below which runbooks are."""
    lines = [*_comment(header, ""), "groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", f"    interval: {group.interval}", "    rules:"]
        for rule in group.rules:
            lines += _record(rule) if isinstance(rule, Record) else _alert(rule, runbooks)
        lines.append("")
    return "\n".join(lines)


def _record(rule: Record) -> Iterator[str]:
    yield from _comment(rule.about, "      ")
    yield f"      - record: {rule.name}"
    yield from _expression(rule.expression)
    yield from _mapping("labels", rule.labels)


def _alert(rule: Alert, runbooks: str) -> Iterator[str]:
    yield f"      - alert: {rule.name}"
    yield from _expression(rule.expression)
    if rule.for_ != "0s":
        yield f"        for: {rule.for_}"
    if rule.keep_firing_for:
        yield f"        keep_firing_for: {rule.keep_firing_for}"
    yield from _mapping("labels", {"severity": rule.severity, **rule.labels})
    yield from _mapping(
        "annotations",
        {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{runbooks.rstrip('/')}/{rule.runbook}.md",
        },
    )


def _comment(text: str, indent: str) -> Iterator[str]:
    for paragraph in text.strip().splitlines():
        for line in textwrap.wrap(paragraph, _WIDTH - len(indent)):
            yield f"{indent}# {line}"


def _expression(expression: str) -> Iterator[str]:
    lines = textwrap.dedent(expression).strip().splitlines()
    if len(lines) == 1:
        yield f"        expr: {_scalar(lines[0])}"
        return
    yield "        expr: |"
    for line in lines:
        yield f"          {line}".rstrip()


def _mapping(name: str, values: dict[str, str]) -> Iterator[str]:
    if values:
        yield f"        {name}:"
        for key, value in values.items():
            yield f"          {key}: {_scalar(value)}"


def _scalar(text: str) -> str:
    """Return a string as a YAML scalar; JSON's quoted strings are YAML's."""
    plain = text.isidentifier() and text.lower() not in _NO_STRINGS
    return text if plain else json.dumps(text, ensure_ascii=False)
