"""One Modbus meter: its registers, the true power behind them, and what is wrong with it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from hardware.power import Power

Fault = Literal["", "silent", "half", "garbage"]
"""silent: no answer; half: half of the frame; garbage: other bytes."""
FORMATS = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "int64": ">q",
    "float32": ">f",
    "float64": ">d",
}
FUNCTION = {"holding": 3, "input": 4}


def words_of(kind: str, value: float, *, little: bool = False) -> list[int]:
    """Return a number as 16-bit words, the high one first unless `little`."""
    whole = kind.startswith(("int", "uint"))
    raw = struct.pack(FORMATS[kind], round(value) if whole else value)
    words = list(struct.unpack(f">{len(raw) // 2}H", raw))
    return words[::-1] if little else words


@dataclass
class Unit:
    """Set its registers before the server starts; their values may change at any time."""

    number: int
    fault: Fault = ""
    exception: int = 0
    """Modbus exception code that it answers with."""
    exceptions: dict[int, int] = field(default_factory=dict)
    """The same, for single addresses."""
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """Function, address and count of every question."""
    _tables: dict[tuple[int, int], Callable[[], list[int]]] = field(default_factory=dict)

    def put(self, address: int, words: list[int] | str, table: str = "holding") -> None:
        """Set registers, as numbers or in hex ("0000 04D2")."""
        if isinstance(words, str):
            raw = bytes.fromhex(words)
            words = list(struct.unpack(f">{len(raw) // 2}H", raw))
        fixed = words
        self._tables[FUNCTION[table], address] = lambda: fixed

    def live(
        self,
        address: int,
        kind: str,
        value: Callable[[], float],
        table: str = "holding",
        *,
        little: bool = False,
    ) -> None:
        """Have a register that says what `value` does whenever it is asked."""
        self._tables[FUNCTION[table], address] = lambda: words_of(kind, value(), little=little)

    def meter(self, power: Power, now: Callable[[], float]) -> None:
        """Have a PM5000's total (Wh) and power (kW) of a script of true power."""
        self.live(3203, "int64", lambda: power.joules(now()) // 3600)
        self.live(3059, "float32", lambda: power.watts(now()) / 1000)

    def device(self) -> SimDevice:
        """Return it as pymodbus' simulator has it."""
        blocks: dict[int, list[SimData]] = {3: [], 4: []}
        for (function, address), words in sorted(self._tables.items()):
            blocks[function].append(SimData(address, values=words(), datatype=DataType.REGISTERS))
        for block in blocks.values():
            if not block:
                block.append(SimData(65535, values=[0], datatype=DataType.REGISTERS))
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        return SimDevice(
            self.number, simdata=(bits, list(bits), blocks[3], blocks[4]), action=self._act
        )

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        _set: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        self.asked.append((function, address, count))
        code = self.exceptions.get(address, self.exception)
        if code:
            return ExcCodes(code)
        for (of, first), words in self._tables.items():
            if of == function and address <= first < address + count:
                now = words()
                registers[first - start : first - start + len(now)] = now
        return None
