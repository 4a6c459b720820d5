"""Traces: recorded samples as JSON lines, the form of every bug report.

Contract form, time in seconds, values in base units:
{"t": 0.0, "collector": "rapl", "component": "cpu", "device": "package-0", "kind": "energy",
 "value": 262100.0, "wraps_at": 262143.32885}
Keys beyond the contract's are optional and say what a sample carries besides.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import msgspec

from agent.quantities import Component, Joules, Quality, Ratio, Seconds, Watts
from agent.samples import EnergyCounter, PowerReading, Sample, Utilization
from agent.trace.broken import BrokenLine
from agent.trace.others import OTHER_KINDS, format_other, parse_other

Kind = Literal[
    "energy",
    "power",
    "utilization",
    "restart",
    "boot",
    "accelerator",
    "inventory",
    "figures",
    "flop",
    "work",
    "work_counter",
    "meter_counter",
    "meter_rate",
    "meter_temperature",
    "meter_records",
    "grid",
]
ESTIMATORS: Final = frozenset({"estimate"})
"""Collectors whose power is a model's when a line does not say its quality."""

MAX_SECONDS: Final = 1e11
"""Three thousand years: Unix time in seconds fits, in milliseconds it does not."""


class Event(StrEnum):
    """What happened to the agent or the host."""

    RESTART = "restart"
    BOOT = "boot"


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line. A key that is not known here is passed over: traces outlive versions."""

    t: float
    kind: Kind
    collector: str = ""
    component: Component | None = None
    device: str = ""
    value: float | None = None
    wraps_at: float | None = None
    max_watts: float | None = None
    quality: Quality | None = None
    low: float | None = None
    high: float | None = None
    counted: bool = True
    accuracy: float | None = None
    calibration: float = 1.0


_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


def parse(line: bytes) -> tuple[float, Sample | Event]:
    """Read one line. Returns its time and what it says. Raises `BrokenLine`."""
    try:
        raw = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenLine(str(error)) from None
    t = raw.t
    if not -MAX_SECONDS < t < MAX_SECONDS:
        raise BrokenLine(f"the time {t!r} is out of range")
    if raw.kind in {"restart", "boot"}:
        return t, Event(raw.kind)
    if raw.kind in OTHER_KINDS:
        return t, parse_other(raw.kind, line)
    if raw.component is None or not raw.collector or not raw.device or raw.value is None:
        missing = [
            key
            for key in ("collector", "component", "device", "value")
            if getattr(raw, key) in (None, "")
        ]
        raise BrokenLine(f"a sample needs {', '.join(missing)}")
    value = raw.value
    if not 0 <= value < 1e18:
        raise BrokenLine(f"the value {value!r} is out of range")
    at = Seconds(t)
    if raw.kind == "energy":
        return t, _energy(raw, raw.component, at, value)
    if raw.kind == "power":
        return t, _power(raw, raw.component, at, value)
    if value > 1:
        raise BrokenLine(f"a utilisation of {value!r} is above 1")
    return t, Utilization(raw.collector, raw.component, raw.device, at, Ratio(value))


def _energy(raw: Line, component: Component, at: Seconds, value: float) -> EnergyCounter:
    if raw.wraps_at is not None and not value <= raw.wraps_at:
        raise BrokenLine(f"the value {value!r} is above wraps_at {raw.wraps_at!r}")
    return EnergyCounter(
        raw.collector,
        component,
        raw.device,
        at,
        Joules(value),
        None if raw.wraps_at is None else Joules(raw.wraps_at),
        None if raw.max_watts is None else Watts(raw.max_watts),
        raw.counted,
        Ratio(0.05 if raw.accuracy is None else raw.accuracy),
        raw.calibration,
    )


def _power(raw: Line, component: Component, at: Seconds, value: float) -> PowerReading:
    guess = Quality.ESTIMATED if raw.collector in ESTIMATORS else Quality.INTEGRATED
    if raw.quality == Quality.MEASURED:
        raise BrokenLine("power is integrated or estimated; only an energy counter is measured")
    return PowerReading(
        raw.collector,
        component,
        raw.device,
        at,
        Watts(value),
        raw.quality or guess,
        None if raw.low is None else Watts(raw.low),
        None if raw.high is None else Watts(raw.high),
        raw.counted,
        Ratio(0.10 if raw.accuracy is None else raw.accuracy),
    )


def format_sample(sample: Sample, t: float) -> bytes:
    """Write one sample as a line, with its newline."""
    match sample:
        case EnergyCounter():
            line = Line(
                t,
                "energy",
                sample.collector,
                sample.component,
                sample.device,
                sample.joules,
                wraps_at=sample.wraps_at,
                max_watts=sample.max_watts,
                counted=sample.counted,
                accuracy=sample.accuracy,
                calibration=sample.calibration,
            )
        case PowerReading():
            line = Line(
                t,
                "power",
                sample.collector,
                sample.component,
                sample.device,
                sample.watts,
                quality=sample.quality,
                low=sample.low_watts,
                high=sample.high_watts,
                counted=sample.counted,
                accuracy=sample.accuracy,
            )
        case Utilization():
            line = Line(
                t, "utilization", sample.collector, sample.component, sample.device, sample.ratio
            )
        case _:
            return format_other(sample, t)
    return _encode(line) + b"\n"


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered lines of a trace that are not blank."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.isspace():
                yield number, line
