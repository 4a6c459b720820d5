"""What collectors return: frozen samples in base units, each with its own timestamp.

Energy and power become joules (`agent/meter`), floating-point operations and units of work become
totals and efficiency (`agent/work`), and the rest is shown as it is.

`at` is seconds of CLOCK_BOOTTIME: it never steps and runs on through suspend, so the distance
between two samples of one boot is real time, whatever the wall clock did.
"""

import msgspec

from agent.carbon.intensity import Intensity
from agent.quantities import Component, Joules, Quality, Ratio, Seconds, Watts, Word


class EnergyCounter(msgspec.Struct, frozen=True, gc=False):
    """One reading of a hardware energy counter."""

    collector: str
    component: Component
    device: str
    at: Seconds
    joules: Joules
    wraps_at: Joules | None = None
    """The modulus: the counter runs from 0 to just below this. None: it does not wrap."""
    max_watts: Watts | None = None
    """The most this device can draw for long. Tells a wrap from a reset; None: not known."""
    counted: bool = True
    """False: a second opinion (psys beside package), shown but never added."""
    accuracy: Ratio = Ratio(0.05)
    """Half-width of the uncertainty, as a share of the value."""
    calibration: float = 1.0
    """Energy is the rise of the counter times this: the gain that an external meter found."""

    @property
    def quality(self) -> Quality:
        """Counters are what `measured` means."""
        return Quality.MEASURED


class PowerReading(msgspec.Struct, frozen=True, gc=False):
    """One reading of a power sensor, or one value of a model."""

    collector: str
    component: Component
    device: str
    at: Seconds
    watts: Watts
    quality: Quality = Quality.INTEGRATED
    low_watts: Watts | None = None
    high_watts: Watts | None = None
    """Bounds; both or neither. Without them, `accuracy` holds."""
    counted: bool = True
    accuracy: Ratio = Ratio(0.10)


class Utilization(msgspec.Struct, frozen=True, gc=False):
    """Share of a device's capacity in use, 0 to 1, over the time since the previous sample."""

    collector: str
    component: Component
    device: str
    at: Seconds
    ratio: Ratio


class Figure(Word):
    """What else is known of an accelerator; each is the metric `wattlas_gpu_<value>`.

    In brackets: what the second label tells apart. Of other parts three are known, as
    `wattlas_component_<value>`: temperature, clock and throttling.
    """

    MEMORY_USED = "memory_used_bytes"
    MEMORY_TOTAL = "memory_total_bytes"
    TEMPERATURE = "temperature_celsius"
    """[sensor: core, memory, hotspot; of a CPU package, tdie, tctl]"""
    CLOCK = "clock_hertz"
    """Actual clocks, not maxima. [clock: sm, memory]"""
    POWER_LIMIT = "power_limit_watts"
    """The limit that is enforced now."""
    THROTTLED = "throttled_seconds_total"
    """Time for which clocks were held down. [reason: as the vendor names it, lower case]"""
    ECC_ERRORS = "ecc_errors_total"
    """[type: corrected, uncorrected]"""
    PIPE_ACTIVE = "pipe_active_ratio"
    """Share of cycles in which a unit was busy. [pipe: sm, occupancy, tensor, fp64, …, dram]"""
    LINK_BYTES = "link_bytes_total"
    """[link: pcie_received, pcie_sent, nvlink_received, nvlink_sent]"""
    SLICE_POWER = "slice_attributed_watts"
    """A slice's part of its board's power: an attribution, never counted. [slice: its UUID]"""


class Accelerator(msgspec.Struct, frozen=True, gc=False):
    """What a device is. Send it at the first reading and again when it has changed."""

    collector: str
    component: Component
    device: str
    """Its label everywhere: the UUID where it has one, else its PCI address."""
    at: Seconds
    index: str
    """As the vendor's own tool numbers it."""
    name: str
    """Exactly as the driver says it: the peaks table matches on this."""
    vendor: str = ""
    driver: str = ""
    bus: str = ""
    """PCI address, `0000:17:00.0`."""


class Inventory(msgspec.Struct, frozen=True, gc=False):
    """All devices that a source has now, also those that do not answer.

    One that it had before and that is not listed was taken away on purpose: its energy so far
    stays, and its silence is no gap.
    """

    collector: str
    component: Component
    devices: tuple[str, ...]
    at: Seconds


class Figures(msgspec.Struct, frozen=True, gc=False):
    """Some figures of one accelerator, or of a CPU. Those not read this time are left out."""

    collector: str
    component: Component
    device: str
    at: Seconds
    values: tuple[tuple[Figure, str, float], ...]
    """Which figure, what its second label says ("" where it has none), value in base units."""


class Method(Word):
    """How a number of floating-point operations was obtained, best first."""

    APPLICATION = "application"
    """The program that did them says so."""
    COUNTER = "counter"
    """A hardware counter of retired operations."""
    PIPE_ACTIVITY = "pipe_activity"
    """Busy share of the arithmetic units x what they could have done: an upper bound."""


class FlopCount(msgspec.Struct, frozen=True, gc=False):
    """Floating-point operations of a device between two moments. A fused multiply-add is two."""

    collector: str
    component: Component
    device: str
    """The label its energy has; `all`: all devices of the component together."""
    since: Seconds
    at: Seconds
    flop: float
    precision: str
    """fp64, fp32, fp16, fp64_tensor, fp16_tensor, …: an assumption where hardware mixes several."""
    method: Method


class WorkDone(msgspec.Struct, frozen=True, gc=False):
    """Units of useful work that a program says it has done since it last said so."""

    collector: str
    workload: str
    unit: str
    """tokens, requests, samples, steps …"""
    at: Seconds
    amount: float
    device: str = ""
    """Whose energy it took: an accelerator's label, `gpu`, `accelerator` or `cpu` for all of a
    kind, "" for the whole host."""
    flop: float | None = None
    """Floating-point operations it took (`method="application"`)."""
    precision: str = ""
    """Of those operations; "" where it was not said."""
    since: Seconds | None = None
    """When it was begun; None: at the report before."""


class WorkCounter(msgspec.Struct, frozen=True, gc=False):
    """One reading of a program's own counter of work, which starts anew with the program."""

    collector: str
    workload: str
    unit: str
    instance: str
    """Tells apart several programs that do the same workload."""
    at: Seconds
    total: float
    device: str = ""
    """As in `WorkDone`."""
    flop_per_unit: float | None = None
    precision: str = ""


class MeterCounter(msgspec.Struct, frozen=True, gc=False):
    """One reading of a site meter's register: J or litres, whichever its role has."""

    collector: str
    meter: str
    """Its name in the settings."""
    at: Seconds
    total: float
    wraps_at: float | None = None
    """The register runs from 0 to just below this. None: it does not roll over."""
    max_per_second: float | None = None
    """The most that can flow, in W or l/s."""


class MeterRate(msgspec.Struct, frozen=True, gc=False):
    """One reading of what flows through a site meter now, in W or l/s."""

    collector: str
    meter: str
    at: Seconds
    per_second: float


class MeterTemperature(msgspec.Struct, frozen=True, gc=False):
    """One reading of a site's thermometer, in degrees Celsius."""

    collector: str
    meter: str
    at: Seconds
    celsius: float


class MeterRecord(msgspec.Struct, frozen=True, gc=False):
    """One row of an invoice or certificate: so much between two moments."""

    start: float
    """Unix time, included."""
    end: float
    """Unix time, not included."""
    amount: float
    """J or litres."""
    row: int
    """Line of the file: of two rows for the same time the later counts."""


class MeterRecords(msgspec.Struct, frozen=True, gc=False):
    """All rows of one meter's file as it is now."""

    collector: str
    meter: str
    at: Seconds
    records: tuple[MeterRecord, ...]


class GridValues(msgspec.Struct, frozen=True, gc=False):
    """What providers say of the grid's carbon intensity: values that are new, changed, or late."""

    collector: str
    at: Seconds
    values: tuple[Intensity, ...]


Energy = EnergyCounter | PowerReading
Work = FlopCount | WorkDone | WorkCounter
SiteReading = MeterCounter | MeterRate | MeterTemperature | MeterRecords
Sample = Energy | Utilization | Accelerator | Inventory | Figures | Work | SiteReading | GridValues
