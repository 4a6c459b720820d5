"""What a rules file is made of."""

from typing import Final, Literal

import msgspec

Severity = Literal["critical", "warning", "info"]
"""critical: wakes somebody; warning: somebody looks at it today; info: for the record."""

RUNBOOKS: Final = "https://github.com/wattlas/wattlas/blob/main/docs/runbooks/"
"""Where the runbook pages are read; `wattlas rules --runbooks URL` names another place."""


class Record(msgspec.Struct, frozen=True):
    """A recording rule: a series under a shorter name, worked out ahead."""

    name: str
    """level:metric:operations
    (https://prometheus.io/docs/practices/rules/#recording-rules)."""
    expression: str
    about: str
    """What it is and its unit; a comment in the file."""
    labels: dict[str, str] = {}


class Alert(msgspec.Struct, frozen=True):
    """An alerting rule."""

    name: str
    expression: str
    severity: Severity
    summary: str
    """What is wrong, without values: it is the title of a notification."""
    description: str
    """The values, and what to do."""
    runbook: str
    """Page below docs/runbooks/, without .md."""
    for_: str = "0s"
    """For so long it must hold before anybody is told."""
    keep_firing_for: str = ""
    """For so long it stays after it no longer holds; Prometheus 2.42 and later."""
    labels: dict[str, str] = {}


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated one after the other, every `interval`."""

    name: str
    interval: str
    rules: tuple[Record | Alert, ...]
