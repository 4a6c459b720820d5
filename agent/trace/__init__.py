"""Traces: samples as JSON lines, written by `wattlas run --record`, read by `wattlas replay`."""

from agent.trace.broken import BrokenLine
from agent.trace.lines import Event, format_sample, lines, parse
from agent.trace.recorder import Recorder

__all__ = ["BrokenLine", "Event", "Recorder", "format_sample", "lines", "parse"]
