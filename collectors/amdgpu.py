"""AMD GPUs through the amdgpu driver's sysfs: energy or power, utilisation, memory, clocks.

Meanings: drivers/gpu/drm/amd/pm/amdgpu_pm.c (doc: hwmon, gpu_busy_percent, gpu_metrics, unique_id)
as printed in Documentation/gpu/amdgpu/thermal.rst. In this order:

1. energy: `gpu_metrics`' accumulator on MI200, MI300 and MI350 (`collectors/amdgpu_metrics.py`);
2. power: `power1_average` ("average power used by the SoC", uW; most cards up to MI200 and Navi),
   else `power1_input` ("instantaneous power", uW; MI300 has only this, smu_v13_0_6_ppt.c).

Traps, with sources:

- a MI250 or MI250X is two dies (GCDs), two PCI devices. The first reports the power and energy of
  both, the second 0 or nothing: "Valid power data is available only from primary die"
  (aldebaran_ppt.c); rocm-smi prints "N/A (Secondary die)". So the second has no energy of its own,
  which is not 0, and no gap;
- on an APU both powers "include the CPU": RAPL or the package sensor has it already, so it is
  shown and not counted, unless `count_apu` says that nothing else does. An APU has a voltage
  `vddnb` ("only APUs other than gc 9,4,3 have vddnb"), or a table of format 2 or 3, or is a MI300A;
- 0 W is no answer of a card that is awake, but what firmware without the sensor says;
- `power1_average` may be there and answer EINVAL (lm-sensors #144, Raven);
- EPERM means that the GPU is being reset, not that a permission is missing;
- polling once a second keeps a card awake that would fall asleep by itself (pm_runtime's
  autosuspend, 5 s in amdgpu_drv.c). On a host whose cards sleep (`power/control` is `auto`), set a
  longer `interval_seconds`;
- throttling: firmware counts residencies (1.6 and later) in cycles of an undocumented length,
  and older tables have flags of the moment: neither is seconds, so none are given.

The label is the UUID as rocminfo prints it and ROCR_VISIBLE_DEVICES takes it: `GPU-` and
`unique_id`. (amd-smi builds another UUID of the same id, differently from release to release.)
The index counts in the order of PCI addresses, as rocm-smi and amd-smi do (rocm_smi_main.cc).

AMD's library is asked only where `gpu_metrics` is newer than what is known here
(`collectors/amdgpu_smi.py`): on bare metal it reads the same file.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from agent.collector import CollectorSettings, Context
from agent.quantities import Component, Joules, Seconds, Watts
from agent.samples import EnergyCounter, PowerReading, Sample
from collectors.amdgpu_metrics import (
    APU_FORMATS,
    JOULES_PER_COUNT,
    MI200_IDS,
    MI300_FIRMWARE,
    Metrics,
    NotUnderstood,
    parse,
)
from collectors.amdgpu_sensors import chip_gauges, device_gauges, label, power_sensor
from collectors.amdgpu_smi import Smi
from collectors.drm import Card
from collectors.drm_boards import Board, is_unsupported
from collectors.drm_collector import DrmCollector, DrmSettings
from collectors.sysfs import (
    Attribute,
    Unreadable,
    close_all,
    optional_int,
    optional_text,
)

MAX_WATTS: Final = Watts(10_000.0)
"""More than any board draws."""
MI300A_ID: Final = "74a0"
"""pci.ids: Aqua Vanjaram [Instinct MI300A]."""


class AmdgpuSettings(DrmSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.amdgpu]`."""

    count_apu: bool = False
    """Count the power of an APU, which includes its CPU: only where neither RAPL nor another
    sensor of the package does (look at `wattlas check`)."""
    use_amdsmi: bool = True
    """Load AMD's amdsmi library, where it is installed, for cards whose energy counter is in a
    form that is not known here; it is not loaded otherwise."""


class AmdBoard(Board):
    """One GPU, or one of the two dies of a MI250."""

    collector: ClassVar[str] = "amdgpu"
    vendor: ClassVar[str] = "AMD"

    def __init__(self, root: Path, card: Card, smi: Smi | None, *, count_apu: bool) -> None:
        super().__init__(root, card)
        self._smi = smi
        self._asks_smi = False
        self.device = label(root, card)
        self._name = optional_text(root, card.device / "product_name") or card.pci_id
        version = optional_text(root, root / "module/amdgpu/version")
        self._driver = f"amdgpu {version}" if version else "amdgpu"
        self._is_mi200 = card.device_id in MI200_IDS
        self._count_apu = count_apu
        chip = card.chip("amdgpu")
        self._is_apu = card.device_id == MI300A_ID or (
            chip is not None and optional_text(root, chip.path / "in1_label") == "vddnb"
        )
        self._metrics = Attribute(root, card.device / "gpu_metrics")
        self._has_metrics = True
        self._has_counter = False
        self._sensor = self._power = power_sensor(root, chip)
        if (busy := card.device / "gpu_busy_percent").exists():
            self.busy = Attribute(root, busy)
        self.gauges = (*device_gauges(self), *(chip_gauges(self, chip) if chip else ()))

    @property
    def name(self) -> str:
        """What the card's own memory (FRU) says, which only server cards have; else PCI id."""
        return self._name

    @property
    def driver(self) -> str:
        """The driver; AMD's own package of it has a version."""
        return self._driver

    def look_again(self) -> None:
        """Look again for an energy counter: another driver may have been loaded."""
        super().look_again()
        self._has_metrics = True
        self._power = self._sensor

    def energy(self, boottime: Callable[[], Seconds]) -> Sample | None:
        """Return the energy counter, else the power. Raises `Unreadable`."""
        if self._asks_smi and (sample := self._from_library(boottime)):
            return sample
        if self._has_metrics:
            before = boottime()
            metrics = self._table()
            at = Seconds((before + boottime()) / 2)
            if metrics is not None and metrics.format in APU_FORMATS:
                self._is_apu = True
            counts = metrics.counts if metrics is not None and self._knows_unit(metrics) else None
            if counts:
                self._has_counter = True
                return self._counter(at, Joules(counts * JOULES_PER_COUNT))
            if counts == 0 and self._is_mi200:
                return None  # the second die: the first counts for both
            if metrics is not None and metrics.is_newer and not self._has_counter:
                self._asks_smi = True
                if sample := self._from_library(boottime):
                    return sample
            if self._has_counter:
                # Not the power instead: the counter will tell of this time once it is back.
                raise Unreadable(self._metrics.path, "has no energy this time", "garbage")
            self._has_metrics = False  # no counter: do not ask at each reading
        return self._power_now(boottime)

    def close(self) -> None:
        """Close the files."""
        super().close()
        close_all(file for file in (self._metrics, self._sensor) if file)

    def _counter(self, at: Seconds, joules: Joules) -> EnergyCounter:
        return EnergyCounter(
            collector=self.collector,
            component=Component.GPU,
            device=self.device,
            at=at,
            joules=joules,
            counted=self._counts,
        )

    def _from_library(self, boottime: Callable[[], Seconds]) -> EnergyCounter | None:
        """Return what AMD's library says, None if it says nothing. Raises `Unreadable`."""
        before = boottime()
        joules = self._smi.joules(self.card.address) if self._smi is not None else None
        if joules is None:
            self._asks_smi = False
            return None
        self._has_counter = True
        return self._counter(Seconds((before + boottime()) / 2), joules)

    @property
    def _counts(self) -> bool:
        return self._count_apu or not self._is_apu

    def _table(self) -> Metrics | None:
        """Return the metrics, None if the card has none. Raises `Unreadable`."""
        try:
            return parse(self._metrics.read_bytes())
        except NotUnderstood as error:
            raise Unreadable(self._metrics.path, str(error), "garbage") from None
        except Unreadable as error:
            if is_unsupported(error) or (error.reason == "gone" and self.card.device.exists()):
                return None
            raise

    def _knows_unit(self, metrics: Metrics) -> bool:
        """Tell whether the counter's unit is documented for this card."""
        match metrics.format, metrics.content:
            case 1, 3:
                return self._is_mi200
            case 1, 9:
                return self._firmware in MI300_FIRMWARE
            case _:
                return True

    @cached_property
    def _firmware(self) -> tuple[int | None, ...]:
        """The version of the power firmware (MP1), as amdgpu's ip_discovery lists it."""
        path = self.card.device / "ip_discovery/die/0/MP1/0"
        return tuple(optional_int(self.root, path / p) for p in ("major", "minor", "revision"))

    def _power_now(self, boottime: Callable[[], Seconds]) -> Sample | None:
        may_be_silent = self._is_mi200 or self._is_apu  # newer drivers hide a second die's
        before = boottime()
        try:
            watts = self._power.read_unsigned() / 1e6 if self._power is not None else 0.0
        except Unreadable as error:
            if not is_unsupported(error):
                raise
            self._power, watts = None, 0.0
        at = Seconds((before + boottime()) / 2)
        if watts == 0 and may_be_silent:
            return None
        if self._power is None:
            why = "the driver shows no power of this card"
            raise Unreadable(self.card.device / "hwmon", why, "unsupported")
        if watts == 0 or watts > MAX_WATTS:
            why = f"says {watts:g} W, which no card that is awake draws"
            raise Unreadable(self._power.path, why, "garbage")
        return PowerReading(
            collector=self.collector,
            component=Component.GPU,
            device=self.device,
            at=at,
            watts=Watts(watts),
            counted=self._counts,
        )


class Amdgpu(DrmCollector):
    """The boards that the amdgpu driver has."""

    Settings: ClassVar[type[CollectorSettings]] = AmdgpuSettings
    settings: AmdgpuSettings
    source: ClassVar[str] = "amdgpu"
    drivers: ClassVar[tuple[str, ...]] = ("amdgpu",)
    nothing: ClassVar[str] = "no card of the amdgpu driver"

    def __init__(self, settings: AmdgpuSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._smi = Smi() if settings.use_amdsmi else None

    def board(self, card: Card) -> AmdBoard:
        """Return the board of a card. Raises `Unreadable` while its UUID cannot be told."""
        if self._smi is not None:
            self._smi.look_again()
        return AmdBoard(self._root, card, self._smi, count_apu=self.settings.count_apu)

    def close(self) -> None:
        """End the thread, close the files and give AMD's library back."""
        super().close()
        if self._smi is not None:
            self._smi.close()
