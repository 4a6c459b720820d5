"""The accelerator catalogue: what a device can do at best, by the exact name its driver gives it.

Devices: peaks.csv. Their chips' arithmetic units: chips.csv. Both name the source of each row, and
are read once, when first asked.

Names match whole or not at all: "NVIDIA GB200" holds "B200", an H200 NVL has other clocks than an
H200, an "NVIDIA A100-SXM-64GB" has 124 SMs where other A100s have 108, and a MIG slice, a vGPU or
an engineering sample is none of them. A name that is not listed has no peak and no rates.
"""

import csv
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from agent.flops.pipes import PRECISIONS, Pipes

_TERA: Final = 1e12
_SUFFIX: Final = "_tflops"


class Entry(msgspec.Struct, frozen=True):
    """One row of the catalogue."""

    sku: str
    peaks: dict[str, float]
    """Dense FLOP/s by precision label, at the vendor's boost clock."""
    pipes: Pipes | None
    """None where the vendor's documents do not say enough."""
    cores: int | None
    """CUDA cores: SMs x FP32 lanes of an SM."""


def pipes_of(name: str) -> Pipes | None:
    """Return the arithmetic units of the device with that name, None if it is not known."""
    entry = entries().get(name)
    return entry.pipes if entry else None


def peaks_of(name: str) -> dict[str, float]:
    """Return dense peak FLOP/s by precision label; empty if the device is not known."""
    entry = entries().get(name)
    return dict(entry.peaks) if entry else {}


def cores_of(name: str) -> int | None:
    """Return the CUDA cores that the device with that name has, None if not known.

    `nvmlDeviceGetNumGpuCores` must say the same: another number means a variant that this
    catalogue does not describe.
    """
    entry = entries().get(name)
    return entry.cores if entry else None


@lru_cache(maxsize=1)
def entries() -> dict[str, Entry]:
    """Return all devices by name."""
    chips = {row["chip"]: row for row in _rows("chips.csv")}
    found: dict[str, Entry] = {}
    for row in _rows("peaks.csv"):
        chip = chips.get(row["chip"])
        sms = int(row["sms"]) if row["sms"] else None
        lanes = chip["cores_per_sm"] if chip else ""
        entry = Entry(
            sku=row["sku"],
            peaks={
                column.removesuffix(_SUFFIX): float(value) * _TERA
                for column, value in row.items()
                if column.endswith(_SUFFIX) and value
            },
            pipes=Pipes(sms, _rates(chip)) if sms and chip else None,
            cores=sms * int(lanes) if sms and lanes else None,
        )
        for name in row["names"].split("|"):
            found[name] = entry
    return found


def _rates(chip: dict[str, str]) -> dict[str, float]:
    """Return FLOP per clock per SM by pipe."""
    return {pipe: float(chip[pipe]) for pipe in PRECISIONS if chip[pipe]}


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (files("agent.flops") / name).open(encoding="utf-8") as stream:
        yield from csv.DictReader(stream)
