"""Text that `npu-smi info` and `npu-smi info -t power -i N` print, taken apart. Pure.

The table has two rows a chip, under two header rows that name the columns with their units:

    | NPU   Name        | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
    | Chip              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |

Columns are found by their names, never by position: the third cell has two columns in 1.8 and 21.0
and three since 22.0, memory is HBM, DDR or both, and the first cell may also have a device or
physical number. What Huawei's own source of the tool says (npu-smi of 2026, print_card_total_info
and print_card_total_info_with_HBM, show_ascend_chip_power_info):

- 910C (`910_93` there): the second die's power is always "-": the first one's is the module's;
- 310P: the table's power is always "NA" in newer versions; its management controller tells the
  whole card's with `-t power`, as "Power Dissipation(W)";
- 310: the table shows "Rated Power Dissipation(W)", 12.8 W at any load: no measurement;
- 310B: `-t power` has the chip's "NPU Real-time Power(W)" and, of a card, the whole card's;
- "NA" and "-" are unknown; a table of processes follows and a warning may stand at the end;
- what it cannot ask of a chip it prints as 0, so of a chip that says 0 W, or whose health is
  "UNKNOWN" (not started, by Huawei's command reference), nothing is believed. "Warning", "Alarm"
  and "Critical" tell of a fault, and their figures stand.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from collectors.ascend_cards import (
    Card,
    Chip,
    celsius,
    number,
    pci_address,
    ratio,
    size_bytes,
    watts,
)

RATED_ONLY: Final = frozenset({"310"})
"""Chips of which the table shows the rated power."""
NO_POWER: Final = "the tool shows no power"
NOT_STARTED: Final = "the tool shows 0 W or does not know its health: it does not answer"
MOST_WORDS: Final = 300
"""Characters of the tool's own words that a message quotes."""
_COLUMN: Final = re.compile(r"([A-Za-z][A-Za-z-]*)\s*\(([^)]*)\)")
_TOKEN: Final = re.compile(r"(?:[\d.]+|NA|-)\s*/\s*(?:[\d.]+|NA|-)|\S+")
_VERSION: Final = re.compile(r"Version:\s*([^\s|]+)")
_UNITS: Final = {
    "Power": "W",
    "Temp": "C",
    "AICore": "%",
    "Memory-Usage": "MB",
    "HBM-Usage": "MB",
    "Hugepages-Usage": "page",
}


class Table(msgspec.Struct, frozen=True):
    """What `npu-smi info` says."""

    cards: tuple[Card, ...]
    unreadable: tuple[str, ...] = ()
    """Rows that are not of the table's form."""
    words: str = ""
    """Lines outside the table: warnings, and errors instead of a table."""


class _Reader:
    """Goes through the lines."""

    def __init__(self) -> None:
        self.driver = ""
        self.top: list[str] = []
        self.bottom: list[str] = []
        self.chips: dict[str, list[tuple[str, str, Chip]]] = {}
        """NPU ID to each chip's name, power as it stands, and the chip."""
        self.pending: tuple[str, str, Mapping[str, str], bool] | None = None
        """NPU ID, name, values and whether they can be believed, of a chip's first row."""
        self.unreadable: list[str] = []
        self.words: list[str] = []

    def read(self, text: str) -> None:
        """Take all lines up to the table of processes."""
        in_table = True
        for raw in text.splitlines():
            line = raw.strip()
            if line.startswith("|"):
                in_table = in_table and "Process id" not in line
                if in_table:
                    self._row(line)
            elif line.startswith("+"):
                self._drop_pending()
            elif line:
                self.words.append(line)
        self._drop_pending()

    def _row(self, line: str) -> None:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("npu-smi"):
            found = _VERSION.search(line)
            self.driver = found.group(1) if found else ""
        elif len(cells) == 3 and cells[0].startswith("NPU") and cells[1] == "Health":
            self.top = _columns(cells[2])
        elif len(cells) == 3 and cells[0].startswith("Chip") and cells[1] == "Bus-Id":
            self.bottom = _columns(cells[2])
        elif len(cells) != 3 or not line.endswith("|"):
            self._refuse(line)
        elif self.pending is None:
            self._first(line, *cells)
        else:
            self._second(line, *cells)

    def _first(self, line: str, left: str, health: str, right: str) -> None:
        index, _, name = left.partition(" ")
        values = _values(self.top, right)
        if not index.isdecimal() or not name.strip() or values is None:
            self._refuse(line)
        else:
            started = health != "UNKNOWN" and number(values.get("Power", "")) != 0.0
            self.pending = (index, name.strip(), values, started)

    def _second(self, line: str, left: str, bus: str, right: str) -> None:
        assert self.pending is not None
        index, name, top, started = self.pending
        values = _values(self.bottom, right)
        if not left.partition(" ")[0].isdecimal() or values is None:
            self._refuse(line)
            return
        self.pending = None
        used, total = _memory(values)
        chip = Chip(
            bus=pci_address(bus),
            ratio=ratio(number(values.get("AICore", ""))),
            memory_used_bytes=used,
            memory_total_bytes=total,
            core_celsius=celsius(number(top.get("Temp", ""))),
        )
        if not started:
            chip = Chip(bus=chip.bus)
        power = top.get("Power", "") if started else NOT_STARTED
        self.chips.setdefault(index, []).append((name, power, chip))

    def _refuse(self, line: str) -> None:
        self.unreadable.append(line)
        self.pending = None

    def _drop_pending(self) -> None:
        if self.pending is not None:
            index, name, _, _ = self.pending
            self._refuse(f"NPU {index} ({name}) has half of its rows")


def parse_info(text: str) -> Table:
    """Return the cards of a table, and what else was said."""
    reader = _Reader()
    reader.read(text)
    cards = tuple(_card(index, rows, reader.driver) for index, rows in reader.chips.items())
    words = " / ".join(reader.words)
    return Table(cards, tuple(reader.unreadable), words[:MOST_WORDS])


def parse_power(text: str) -> float | None:
    """Return the power of a card from `npu-smi info -t power -i N`, in W; None: it is not told.

    The whole card's, from its controller, where there is one; else that of its only chip. A rated
    power is none. The order of the lines differs between products, so blank lines, which part
    one chip from the next, and the lines' own names decide.
    """
    whole: list[float] = []
    chips: list[float] = []
    for block in _blocks(text):
        power = watts(number(block.get("Power Dissipation(W)", "")))
        real_time = watts(number(block.get("NPU Real-time Power(W)", "")))
        of_controller = block.get("Chip Name", "").lower() == "mcu"
        whole.extend(value for value in (power, real_time if of_controller else None) if value)
        chips.extend(value for value in (None if of_controller else real_time,) if value)
    if len(whole) == 1:
        return whole[0]
    return chips[0] if not whole and len(chips) == 1 else None


def _card(index: str, rows: list[tuple[str, str, Chip]], driver: str) -> Card:
    """Return one card. Two powers on one card are not added: nobody says what each is of."""
    name = rows[0][0]
    told = [value for _, text, _ in rows if (value := watts(number(text))) is not None]
    power: float | None = None
    why = NO_POWER
    if name in RATED_ONLY:
        why = "the tool shows the rated power of this chip, which is no measurement"
    elif len(told) > 1:
        why = "each of its chips shows a power, and it is not known what of"
    elif told:
        power, why = told[0], ""
    elif any(text == NOT_STARTED for _, text, _ in rows):
        why = NOT_STARTED
    chips = tuple(chip for _, _, chip in rows)
    return Card(index, name, chips, power, why, driver)


def _columns(cell: str) -> list[str]:
    """Return the names of columns; "" for one whose unit is not the known one."""
    return [
        name if _UNITS.get(name) == unit.strip() else "" for name, unit in _COLUMN.findall(cell)
    ]


def _values(columns: list[str], cell: str) -> dict[str, str] | None:
    """Return what stands under each column; None if the cell has not as many values."""
    values = _TOKEN.findall(cell)
    if not columns or len(values) != len(columns):
        return None
    return dict(zip(columns, values, strict=True))


def _memory(values: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Return used and total bytes: of the HBM where the chip has one, else of the DDR."""
    for name in ("HBM-Usage", "Memory-Usage"):
        used, _, total = values.get(name, "").partition("/")
        if size := size_bytes(number(total.strip())):
            return size_bytes(number(used.strip())), size
    return None, None


def _blocks(text: str) -> Iterable[dict[str, str]]:
    """Return the `name : value` lines between blank ones."""
    block: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            block[name.strip()] = value.strip()
        elif not line.strip() and block:
            yield block
            block = {}
    yield block
