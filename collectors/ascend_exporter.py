"""Cards from the page of Huawei's npu-exporter (Ascend/mind-cluster, component/npu-exporter).

Metrics, units and labels as its documentation and source have them, v3 to v7 and 26.x:

- `npu_chip_info_power` in W, `_utilization` (AI Core) in %, `_temperature` in °C,
  `_hbm_used_memory`, `_used_memory` (DDR) and their totals in MB, `_aicore_current_freq` in MHz,
  `_hbm_ecc_total_{single,double}_bit_error_cnt`;
- labels `id` (physical number of the chip) always, `model_name` and `pcie_bus_info` since v5;
  `model_name` is "name-type-version" (GetNpuName), "910B3-Ascend-V1": its first part is what
  npu-smi shows. Namespace, pod and container come and go with the chip's user and are ignored;
- on a 310P with virtual NPUs the chip's series are repeated for each: one counts;
- each sample has the time at which it was read from the driver, every 5 s by default.

Power, so that no watt is counted twice (collectPower in collector_for_npu.go):

- 310P: every chip shows the power of the whole card, from its controller;
- 910C ("Ascend910"; card k has the chips 2k and 2k+1, print_npu_hccs_topo in npu-smi's source):
  npu-smi shows the first die's as the module's and hides the second's, so that is not added;
- 310: a rated value, no measurement;
- any other card of which `machine_card_nums` and `machine_npu_nums` say that it has several chips:
  nobody says what each chip's power is of, so it has none.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from collectors.ascend_cards import Card, Chip, celsius, pci_address, ratio, size_bytes, watts
from collectors.ascend_smi import RATED_ONLY

if TYPE_CHECKING:
    from prometheus_client.samples import Sample as PageSample

DEFAULT_URL: Final = "http://127.0.0.1:8082/metrics"
"""Its default port; it binds to one address, a pod's in Kubernetes."""
POWER: Final = "npu_chip_info_power"
UTILIZATION: Final = "npu_chip_info_utilization"
NAME: Final = "npu_chip_info_name"
SERIAL: Final = "npu_chip_info_serial_number"
NODE: Final = "node_base_info"
_OF_CHIP: Final = frozenset(
    {
        POWER,
        UTILIZATION,
        NAME,
        SERIAL,
        "npu_chip_info_temperature",
        "npu_chip_info_hbm_temperature",
        "npu_chip_info_hbm_used_memory",
        "npu_chip_info_hbm_total_memory",
        "npu_chip_info_used_memory",
        "npu_chip_info_total_memory",
        "npu_chip_info_aicore_current_freq",
        "npu_chip_info_hbm_ecc_total_single_bit_error_cnt",
        "npu_chip_info_hbm_ecc_total_double_bit_error_cnt",
    }
)
CARDS: Final = "machine_card_nums"
CHIPS: Final = "machine_npu_nums"
WANTED: Final = _OF_CHIP | {NODE, CARDS, CHIPS}
TWO_DIES: Final = re.compile(r"Ascend910(_93\w*)?|910_93\w*|(Ascend)?910C")
"""Names of the 910C; npu-smi up to 26.0 shows "Ascend910", the driver's sources call it 910_93."""
_MODEL: Final = re.compile(r"(.+)-[^-]*-[^-]*")
_HERTZ: Final = 1e6
_MOST_ERRORS: Final = 2.0**32 - 1
"""All ones stands for "not known" in the driver's interface."""


class Seen(msgspec.Struct):
    """One chip on the page."""

    number: int
    """`id`."""
    name: str = ""
    bus: str = ""
    serial: str = ""
    values: dict[str, float] = {}
    newest: float = 0.0
    """Latest time of its samples, s since 1970; 0: the page has none."""


def cards_of(samples: Iterable["PageSample"]) -> tuple[list[Card], dict[str, float]]:
    """Return the cards, and when each was read (label to s since 1970; 0: not told)."""
    chips: dict[int, Seen] = {}
    driver = ""
    machine: dict[str, float] = {}
    for sample in samples:
        number = sample.labels.get("id", "")
        if sample.name == NODE:
            driver = sample.labels.get("driverVersion", "")
        elif sample.name in {CARDS, CHIPS}:
            machine[sample.name] = sample.value
        if sample.name not in _OF_CHIP or not number.isdecimal():
            continue
        chip = chips.setdefault(int(number), Seen(int(number)))
        chip.name = chip.name or _name(sample.labels)
        chip.bus = chip.bus or pci_address(sample.labels.get("pcie_bus_info", ""))
        chip.serial = chip.serial or sample.labels.get("serial_number", "")
        if math.isfinite(sample.value):
            chip.values[sample.name] = sample.value
        if sample.timestamp is not None:
            chip.newest = max(chip.newest, float(sample.timestamp))
    per_card = _chips_per_card(machine)
    groups: dict[str, list[Seen]] = {}
    for _, chip in sorted(chips.items()):
        groups.setdefault(_card_key(chip, per_card), []).append(chip)
    cards = []
    read_at: dict[str, float] = {}
    for group in groups.values():
        card = _card(group, per_card, driver)
        cards.append(card)
        read_at.setdefault(card.device, max(chip.newest for chip in group))
    return cards, read_at


def _name(labels: Mapping[str, str]) -> str:
    model = labels.get("model_name") or labels.get("name", "")
    parts = _MODEL.fullmatch(model)
    return parts.group(1) if parts else model


def _chips_per_card(machine: Mapping[str, float]) -> int:
    """Return how many chips a card has if all have as many, else 1."""
    cards, chips = machine.get(CARDS, 0.0), machine.get(CHIPS, 0.0)
    return int(chips / cards) if cards >= 1.0 and chips % cards == 0.0 else 1


def _card_key(chip: Seen, per_card: int) -> str:
    """Return what the chips of one card have in common."""
    if chip.name.startswith("310"):
        if chip.serial not in {"", "NA"}:
            return f"serial {chip.serial}"
    elif TWO_DIES.fullmatch(chip.name):
        return f"dies {chip.number // 2}"
    elif per_card > 1:
        return f"card {chip.number // per_card}"
    return f"bus {chip.bus}" if chip.bus else f"chip {chip.number}"


def _card(group: list[Seen], per_card: int, driver: str) -> Card:
    first = group[0]
    index = first.number
    if TWO_DIES.fullmatch(first.name):
        index //= 2
    elif not first.name.startswith("310"):
        index //= per_card
    power, why = _power(group, per_card)
    chips = tuple(_chip(chip) for chip in group)
    return Card(str(index), first.name, chips, power, why, driver)


def _power(group: list[Seen], per_card: int) -> tuple[float | None, str]:
    """Return the power of a card in W, or why there is none."""
    first = group[0]
    told = group[:1]
    if first.name in RATED_ONLY:
        return None, "the exporter shows the rated power of this chip, which is no measurement"
    if TWO_DIES.fullmatch(first.name):
        if first.number % 2:
            return None, "the exporter does not show the first die, whose power is the module's"
    elif first.name.startswith("310"):
        told = group
    elif len(group) > 1 or per_card > 1:
        return None, "its card has several chips, and it is not known what each one's power is of"
    for chip in told:
        power = watts(chip.values.get(POWER))
        if power is not None:
            return power, ""
    value = first.values.get(POWER)
    return (
        None,
        "the exporter shows no power" if value is None else f"the exporter says {value:g} W",
    )


def _chip(chip: Seen) -> Chip:
    values = chip.values
    # A chip with HBM may have DDR too, for its control processor (910A).
    kind = "hbm_" if values.get("npu_chip_info_hbm_total_memory", 0.0) > 0.0 else ""
    total = size_bytes(values.get(f"npu_chip_info_{kind}total_memory"))
    hertz = values.get("npu_chip_info_aicore_current_freq", 0.0)
    return Chip(
        bus=chip.bus,
        ratio=ratio(values.get(UTILIZATION)),
        memory_used_bytes=(
            size_bytes(values.get(f"npu_chip_info_{kind}used_memory")) if total else None
        ),
        memory_total_bytes=total or None,
        core_celsius=celsius(values.get("npu_chip_info_temperature")),
        memory_celsius=celsius(values.get("npu_chip_info_hbm_temperature")) if kind else None,
        clock_hertz=hertz * _HERTZ if 0.0 < hertz < 1e5 else None,
        corrected_errors=_errors(values.get("npu_chip_info_hbm_ecc_total_single_bit_error_cnt")),
        uncorrected_errors=_errors(values.get("npu_chip_info_hbm_ecc_total_double_bit_error_cnt")),
    )


def _errors(count: float | None) -> float | None:
    return count if count is not None and 0.0 <= count < _MOST_ERRORS else None
