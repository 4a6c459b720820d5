"""Ascend NPUs as cards: one device for each, with the figures of its chips put together. Pure.

A card ("NPU" in npu-smi's tables, with an "NPU ID") has one chip, or two that share one power
figure: the two dies of the Ascend 910C, and the two chips of an Atlas 300I Duo (310P3). Its power
belongs to the card and cannot be split, so the card is the device: energy, utilisation and memory
then have one scope, and no chip's power is counted twice or credited to its neighbour.

The label is the PCI address of the card's first chip, in lower case as the kernel writes it:
npu-smi and npu-exporter both print it, it is stable, and npu-smi's table does not print the
`vdie_id` that npu-exporter has. The two chips of a Duo even have the same address (npu-smi 24.1
to 25.5, vllm-project/vllm-ascend issues). A system on chip without PCI (Atlas 200, "NA") is
`npu-N`, after its NPU ID.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from agent.collector import Problem
from agent.quantities import Component, Ratio, Seconds, Watts
from agent.samples import Accelerator, Figure, Figures, PowerReading, Sample, Utilization

COLLECTOR: Final = "ascend"
VENDOR: Final = "huawei"
MEBIBYTE: Final = 1024.0 * 1024.0
"""What the tools call MB: 65536 for the 64 GiB of a 910B (DCMI API, `dcmi_hbm_info`)."""
_BUS: Final = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]")
_MOST_WATTS: Final = 10_000.0
_COLDEST_CELSIUS: Final = -60.0
_HOTTEST_CELSIUS: Final = 200.0
_MOST_MEGABYTES: Final = 1e8


class Chip(msgspec.Struct, frozen=True):
    """What is known of one chip now; None: it was not told."""

    bus: str = ""
    """PCI address, "0000:c1:00.0"; "": none."""
    ratio: float | None = None
    """Share of time in which AI Cores were busy, 0 to 1."""
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    core_celsius: float | None = None
    memory_celsius: float | None = None
    clock_hertz: float | None = None
    """Of the AI Cores."""
    corrected_errors: float | None = None
    uncorrected_errors: float | None = None
    """ECC errors of the HBM over its life."""


class Card(msgspec.Struct, frozen=True):
    """One card: what a device is here."""

    index: str
    """NPU ID."""
    name: str
    """Of its chips, as the driver says it: "910B3", "310P3", "Ascend910" (a 910C)."""
    chips: tuple[Chip, ...]
    watts: float | None = None
    why_no_watts: str = ""
    driver: str = ""

    @property
    def device(self) -> str:
        """Label: PCI address of the first chip, else `npu-N`."""
        return self.chips[0].bus or f"npu-{self.index}"


def pci_address(text: str) -> str:
    """Return a PCI address as the kernel writes it; "" for what is none ("NA")."""
    lower = text.strip().lower()
    return lower if _BUS.fullmatch(lower) else ""


def watts(value: float | None) -> float | None:
    """Return a power that can be true, in W. 0 W is none: a chip that answers draws something."""
    return value if value is not None and 0.0 < value < _MOST_WATTS else None


def ratio(percent: float | None) -> float | None:
    """Return a share from %, None where it cannot be one."""
    return percent / 100.0 if percent is not None and 0.0 <= percent <= 100.0 else None


def celsius(value: float | None) -> float | None:
    """Return a temperature that can be true, in °C."""
    if value is None or not _COLDEST_CELSIUS < value < _HOTTEST_CELSIUS:
        return None
    return value


def size_bytes(megabytes: float | None) -> float | None:
    """Return bytes from what the tools call MB; None where it cannot be true."""
    if megabytes is None or not 0.0 <= megabytes < _MOST_MEGABYTES:
        return None
    return megabytes * MEBIBYTE


def number(text: str) -> float | None:
    """Return a decimal number; None for "NA", "-" and all else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def with_own_labels(cards: Iterable[Card]) -> list[Card]:
    """Return the cards so that no two have one label: of a second one the address is dropped."""
    seen: set[str] = set()
    result = []
    for card in cards:
        own = card
        if card.device in seen:
            first = msgspec.structs.replace(card.chips[0], bus="")
            own = msgspec.structs.replace(card, chips=(first, *card.chips[1:]))
        if own.device not in seen:
            seen.add(own.device)
            result.append(own)
    return result


def about(card: Card, at: Seconds) -> Accelerator:
    """Return what the device is."""
    return Accelerator(
        collector=COLLECTOR,
        component=Component.ACCELERATOR,
        device=card.device,
        at=at,
        index=card.index,
        name=card.name,
        vendor=VENDOR,
        driver=card.driver,
        bus=card.chips[0].bus,
    )


def readings(card: Card, at: Seconds) -> list[Sample]:
    """Return power, utilisation and figures of a card, leaving out what is not known.

    Of several chips: utilisation and clock are the mean, temperatures the highest, memory and
    errors the sum, and each only where all chips told it (a temperature: where one did).
    """
    samples: list[Sample] = []
    component = Component.ACCELERATOR
    if card.watts is not None:
        samples.append(PowerReading(COLLECTOR, component, card.device, at, Watts(card.watts)))
    busy = _of_all(card, lambda chip: chip.ratio)
    if busy:
        share = Ratio(sum(busy) / len(busy))
        samples.append(Utilization(COLLECTOR, component, card.device, at, share))
    values = tuple(_figures(card))
    if values:
        samples.append(Figures(COLLECTOR, component, card.device, at, values))
    return samples


def problem(card: Card) -> Problem | None:
    """Return why a card has no power, if it has none."""
    if card.watts is not None:
        return None
    return Problem(
        what=card.device,
        why=card.why_no_watts or f"NPU {card.index} tells no power",
        reason="no_power",
    )


def _figures(card: Card) -> Iterable[tuple[Figure, str, float]]:
    used = _of_all(card, lambda chip: chip.memory_used_bytes)
    total = _of_all(card, lambda chip: chip.memory_total_bytes)
    if used:
        yield Figure.MEMORY_USED, "", sum(used)
    if total:
        yield Figure.MEMORY_TOTAL, "", sum(total)
    core = [chip.core_celsius for chip in card.chips if chip.core_celsius is not None]
    memory = [chip.memory_celsius for chip in card.chips if chip.memory_celsius is not None]
    if core:
        yield Figure.TEMPERATURE, "core", max(core)
    if memory:
        yield Figure.TEMPERATURE, "memory", max(memory)
    clock = _of_all(card, lambda chip: chip.clock_hertz)
    if clock:
        # "sm" is the name that the compute clock of every vendor's accelerators has here.
        yield Figure.CLOCK, "sm", sum(clock) / len(clock)
    corrected = _of_all(card, lambda chip: chip.corrected_errors)
    uncorrected = _of_all(card, lambda chip: chip.uncorrected_errors)
    if corrected:
        yield Figure.ECC_ERRORS, "corrected", sum(corrected)
    if uncorrected:
        yield Figure.ECC_ERRORS, "uncorrected", sum(uncorrected)


def _of_all(card: Card, get: Callable[[Chip], float | None]) -> list[float]:
    """Return a value of every chip; nothing if one of them did not tell it."""
    told = [value for chip in card.chips if (value := get(chip)) is not None]
    return told if len(told) == len(card.chips) else []
