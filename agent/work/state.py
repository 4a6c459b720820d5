"""What of work must outlive the agent, and how it is shown."""

import msgspec

from agent.quantities import Component
from agent.samples import Method

FlopKey = tuple[Component, str, str, Method]
"""The labels of a total of floating-point operations: component, device, precision, method."""


class WorkKey(msgspec.Struct, frozen=True, array_like=True):
    """The labels of a total of work."""

    workload: str
    unit: str


class CounterKey(msgspec.Struct, frozen=True, array_like=True):
    """One counter of one program."""

    collector: str
    workload: str
    unit: str
    instance: str


class WorkState(msgspec.Struct, frozen=True, array_like=True):
    """The totals, and where each program's counter stood."""

    flop: list[tuple[FlopKey, float]] = []
    work: list[tuple[WorkKey, float]] = []
    counters: list[tuple[CounterKey, float]] = []


class FlopView(msgspec.Struct, frozen=True):
    """Floating-point operations of one device, in one precision, by one method."""

    component: Component
    device: str
    precision: str
    method: Method
    flop: float
    """Since the ledger began."""
    flop_per_second: float | None
    """Over the last minute, as far as its energy is known."""
    flop_per_joule: float | None
    """FLOPS per watt, of the same minute and the same devices."""
    peak_ratio: float | None
    """Share of the dense peak in this precision, of the same minute; None: no peak is known."""


class WorkView(msgspec.Struct, frozen=True):
    """Useful work of one workload."""

    workload: str
    unit: str
    amount: float
    joules_per_unit: float | None
    """Over the last minute, or the last report's time if that was longer."""
