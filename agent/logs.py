"""Logs to stderr, one line an event; under systemd with the journal's level prefix, no time."""

import logging
import os
import sys
from typing import Any

import structlog

_PRIORITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def configure(level: str = "info") -> None:
    """Set up structlog for this process."""
    journal = "JOURNAL_STREAM" in os.environ
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
    ]
    if journal:
        processors.append(_journal_line)
    else:
        processors.append(structlog.processors.TimeStamper(fmt="iso", utc=False))
        processors.append(_plain_line)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _fields(event: dict[str, Any]) -> str:
    return "".join(f" {key}={_quoted(value)}" for key, value in event.items())


def _quoted(value: object) -> str:
    text = str(value)
    if text and not any(c in text for c in ' "=\n'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _plain_line(_logger: object, _method: str, event: dict[str, Any]) -> str:
    stamp, level = event.pop("timestamp"), event.pop("level")
    name, trace = event.pop("event"), event.pop("exception", "")
    return f"{stamp} {level} {name}{_fields(event)}" + (f"\n{trace}" if trace else "")


def _journal_line(_logger: object, _method: str, event: dict[str, Any]) -> str:
    level, name = event.pop("level"), event.pop("event")
    trace = event.pop("exception", "")
    line = f"{name}{_fields(event)}" + (f"\n{trace}" if trace else "")
    return "\n".join(f"<{_PRIORITY.get(level, 6)}>{part}" for part in line.splitlines())
