"""Lines of samples that are no energy: what an accelerator is and does, and work done.

A line has the sample's own fields, with `t` for its time and `kind` for its type:
{"t": 5.0, "kind": "flop", "collector": "perf", "component": "cpu", "device": "all", "since": 4.0,
 "flop": 2.1e9, "precision": "fp64", "method": "counter"}
"""

import math
from typing import Any, Final

import msgspec

from agent.quantities import Seconds
from agent.samples import (
    Accelerator,
    Figures,
    FlopCount,
    GridValues,
    Inventory,
    MeterCounter,
    MeterRate,
    MeterRecords,
    MeterTemperature,
    WorkCounter,
    WorkDone,
)
from agent.trace.broken import BrokenLine

Other = (
    Accelerator
    | Inventory
    | Figures
    | FlopCount
    | WorkDone
    | WorkCounter
    | MeterCounter
    | MeterRate
    | MeterTemperature
    | MeterRecords
    | GridValues
)

OTHER_KINDS: Final[dict[str, type[Other]]] = {
    "accelerator": Accelerator,
    "inventory": Inventory,
    "figures": Figures,
    "flop": FlopCount,
    "work": WorkDone,
    "work_counter": WorkCounter,
    "meter_counter": MeterCounter,
    "meter_rate": MeterRate,
    "meter_temperature": MeterTemperature,
    "meter_records": MeterRecords,
    "grid": GridValues,
}
_KIND_OF: Final = {cls: kind for kind, cls in OTHER_KINDS.items()}
_encode = msgspec.json.Encoder().encode


def parse_other(kind: str, line: bytes) -> Other:
    """Read one line. Raises `BrokenLine`."""
    try:
        fields: dict[str, Any] = msgspec.json.decode(line)
        fields["at"] = fields.pop("t")
        sample = msgspec.convert(fields, OTHER_KINDS[kind])
    except msgspec.MsgspecError as error:
        raise BrokenLine(str(error)) from None
    for name, value in _amounts(sample):
        if not 0 <= value < 1e30:
            raise BrokenLine(f"the {name} {value!r} is out of range")
    if isinstance(sample, FlopCount) and sample.since >= sample.at:
        raise BrokenLine(f"since {sample.since!r} is not before the time {sample.at!r}")
    return sample


def format_other(sample: Other, t: float) -> bytes:
    """Write one sample as a line, with its newline."""
    fields = msgspec.to_builtins(sample)
    moved = t - fields.pop("at")
    if fields.get("since") is not None:
        fields["since"] = Seconds(round(fields["since"] + moved, 6))
    said = {name: value for name, value in fields.items() if value is not None}
    return _encode({"t": t, "kind": _KIND_OF[type(sample)], **said}) + b"\n"


def _amounts(sample: Other) -> list[tuple[str, float]]:
    match sample:
        case FlopCount():
            return [("flop", sample.flop)]
        case WorkDone():
            return [("amount", sample.amount), ("flop", sample.flop or 0.0)]
        case WorkCounter():
            return [("total", sample.total), ("flop_per_unit", sample.flop_per_unit or 0.0)]
        case Figures():
            return [
                (figure.value, value) for figure, _, value in sample.values if not _is_cold(value)
            ]
        case MeterCounter():
            return [("total", sample.total), ("wraps_at", sample.wraps_at or 0.0)]
        case MeterRate():
            return [("per_second", sample.per_second)]
        case MeterTemperature():
            return [] if _is_cold(sample.celsius) else [("celsius", sample.celsius)]
        case GridValues():
            return [("grams_per_kwh", value.grams_per_kwh) for value in sample.values]
        case MeterRecords():
            return [("amount", record.amount) for record in sample.records]
        case Accelerator() | Inventory():
            return []


def _is_cold(value: float) -> bool:
    """A temperature may be below 0 °C; nothing else is."""
    return math.isfinite(value) and -273.15 < value < 0
