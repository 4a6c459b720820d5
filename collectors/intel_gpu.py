"""Intel's discrete GPUs through the hwmon chips of the i915 and xe drivers.

Sources: drivers/gpu/drm/i915/i915_hwmon.c, drivers/gpu/drm/xe/xe_hwmon.c and
Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon, -xe-hwmon.

- i915: `energy1_input` of the chip `i915` is the card. Chips `i915_gtN` are its tiles (two on Data
  Center GPU Max): inside it, not read;
- xe: `energy1_input` (label `card`) is the card, `energy2_input` (`pkg`) the GPU package inside
  it. The card counts; the package only where there is no card counter, as on Arc A, Flex and Max
  (xe_hwmon_get_reg gives them the second channel alone; on Max it is the register called
  PLATFORM_ENERGY_STATUS). i915 reads that same package register on Arc A and Flex. Whether it
  includes memory and regulators is not documented: the wall may see more;
- a counter that says 0 is a register that is not there: the driver starts with its content;
- the register has 32 bits of 2^-14 J (typically), so it turns after 262144 J: 4.36 minutes at
  1000 W. The drivers extend it to 63 bits, but only when somebody reads: leave this collector's
  interval below 4 minutes, or a turn is lost unseen. Each turn costs one unit (61 uJ);
- integrated GPUs have no hwmon chip (IS_DGFX) and are left out: RAPL's package contains them;
- `power1_max` (PL1, sustained) or, on newer cards, `power1_cap` (PL2) is the limit; 0 is off;
- act_freq is 0 while a tile is gated: unknown. Of several tiles, the fastest is shown;
- utilisation and memory use are not in sysfs, and throttle reasons are states of the moment, not
  seconds: none is given;
- polling once a second keeps a card awake that would fall asleep by itself; see `amdgpu`.

The label is the PCI address: these drivers tell no UUID. Nor do they tell a name, so the name is
the PCI id, e.g. `8086:0bd5`. The index is the N of /dev/dri/cardN, as intel_gpu_top numbers cards.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from agent.collector import CollectorSettings
from agent.quantities import Component, Joules, Seconds
from agent.samples import EnergyCounter, Figure, Sample
from collectors.drm import Card, Chip
from collectors.drm_boards import MEGA, MICRO, MILLI, Board, Gauge
from collectors.drm_collector import DrmCollector, DrmSettings
from collectors.sysfs import Attribute, Unreadable, close_all, names, optional_text

_TEMPERATURES: Final = {"pkg": "core", "vram": "memory"}
_LIMITS: Final = ("power1_max", "power1_cap", "power2_max", "power2_cap")
"""The card's before its package's, sustained before burst."""
_TILE: Final = re.compile(r"tile\d{1,3}")
_GT: Final = re.compile(r"gt\d{1,3}")
_TEMPERATURE: Final = re.compile(r"temp(\d{1,2})_input")


class IntelGpuSettings(DrmSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.intel_gpu]`."""


class IntelBoard(Board):
    """One discrete card, however many tiles it has."""

    collector: ClassVar[str] = "intel_gpu"
    vendor: ClassVar[str] = "Intel"

    def __init__(self, root: Path, card: Card, chip: Chip) -> None:
        super().__init__(root, card)
        self._counters = [
            Attribute(root, chip.path / file)
            for file in ("energy1_input", "energy2_input")
            if file in chip.files
        ]
        self._counter: Attribute | None = None
        self.number = card.number
        self.gauges = (*self._temperatures(chip), *self._clocks(), *self._limits(chip))

    def energy(self, boottime: Callable[[], Seconds]) -> Sample | None:
        """Return the card's energy counter. Raises `Unreadable`."""
        if self._counter is None:
            self._counter = self._choose()
        before = boottime()
        microjoules = self._counter.read_unsigned()
        at = Seconds((before + boottime()) / 2)
        if microjoules == 0:
            raise Unreadable(self._counter.path, "says 0 J: the counter is not there", "garbage")
        return EnergyCounter(
            collector=self.collector,
            component=Component.GPU,
            device=self.device,
            at=at,
            joules=Joules(microjoules / 1e6),
        )

    def close(self) -> None:
        """Close the files."""
        super().close()
        close_all(self._counters)

    def _choose(self) -> Attribute:
        """Return the counter of the card, else that of the package. Raises `Unreadable`."""
        for counter in self._counters:
            if counter.read_unsigned():
                return counter
        if not self._counters:
            why = "the driver shows no energy of this card"
            raise Unreadable(self.card.device / "hwmon", why, "unsupported")
        raise Unreadable(self._counters[0].path, "says 0 J: the counter is not there", "garbage")

    def _temperatures(self, chip: Chip) -> list[Gauge]:
        gauges: list[Gauge] = []
        for file in sorted(chip.files):
            if match := _TEMPERATURE.fullmatch(file):
                said = optional_text(self.root, chip.path / f"temp{match[1]}_label") or "pkg"
                if sensor := _TEMPERATURES.get(said):
                    path = chip.path / file
                    gauges += self.gauge(
                        Figure.TEMPERATURE, sensor, path, MILLI, zero_is_unknown=True
                    )
        return gauges

    def _clocks(self) -> list[Gauge]:
        """Return the clocks of the tiles' render engines, in MHz.

        xe: device/tileN/gtM/freq0/act_freq (xe_gt_freq.c); a tile's first GT is its main one, a
        second is media. i915: cardN/gt/gtM/rps_act_freq_mhz (intel_gt_sysfs_pm.c).
        """
        paths = [
            self.card.path / "gt" / gt / "rps_act_freq_mhz"
            for gt in _matching(self.card.path / "gt", _GT)
        ]
        for tile in _matching(self.card.device, _TILE):
            gts = _matching(self.card.device / tile, _GT)
            paths += [self.card.device / tile / gt / "freq0/act_freq" for gt in gts[:1]]
        return [
            gauge
            for path in paths
            for gauge in self.gauge(Figure.CLOCK, "sm", path, MEGA, zero_is_unknown=True)
        ]

    def _limits(self, chip: Chip) -> list[Gauge]:
        """Return the limits, best first: of those that are on, the first is shown."""
        return [
            gauge
            for file in _LIMITS
            for gauge in self.gauge(
                Figure.POWER_LIMIT, "", chip.path / file, MICRO, zero_is_unknown=True
            )
        ]


class IntelGpu(DrmCollector):
    """The discrete cards that the i915 or the xe driver has."""

    Settings: ClassVar[type[CollectorSettings]] = IntelGpuSettings
    settings: IntelGpuSettings
    source: ClassVar[str] = "intel_gpu"
    drivers: ClassVar[tuple[str, ...]] = ("i915", "xe")
    nothing: ClassVar[str] = (
        "no discrete card of the i915 or xe driver (an integrated GPU is in RAPL)"
    )

    def board(self, card: Card) -> IntelBoard | None:
        """Return the board of a card; an integrated GPU has no chip and is none."""
        chip = card.chip(card.driver)
        return IntelBoard(self._root, card, chip) if chip else None


def _matching(path: Path, pattern: re.Pattern[str]) -> list[str]:
    """Return the names in a directory that match, none if it cannot be read."""
    try:
        found = [name for name in names(path) if pattern.fullmatch(name)]
    except Unreadable:
        return []
    return sorted(found, key=lambda name: int(re.sub(r"\D", "", name)))
