"""`[[site.meter]] source = "modbus"`: meters by Modbus TCP and RTU.

Meters behind one gateway or on one serial line share a connection and are asked one after another;
each has its deadline from when it is its turn. One that does not answer keeps the others waiting,
so it is then left alone for some rounds: it never takes more than a fifth of the line's time.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import ClassVar, Final, NamedTuple

from agent.collector import Context, Transient
from agent.samples import MeterRate, MeterTemperature
from agent.site.settings import ModbusMeter
from agent.worker import Worker
from collectors.metering import MAX_PER_SECOND, Metering, MeteringSettings, Part, Value
from collectors.modbus_frames import Question
from collectors.modbus_library import Library, load
from collectors.modbus_line import Line
from collectors.modbus_maps import known_maps, maps
from collectors.modbus_numbers import count_of, wraps_at
from collectors.modbus_sense import Reading, Sense, sensible
from collectors.modbus_trouble import Refused, silence, unreachable

SHARE: Final = 0.9
"""Share of a meter's deadline after which we give up by ourselves, with a better message."""
REST: Final = 4.0
"""A unit that kept a shared line waiting is left alone for so many times as long."""
FUNCTIONS: Final = {"holding": 3, "input": 4}


class _Rest(NamedTuple):
    """A meter that is left alone."""

    until: float
    why: Transient


class MeterModbus(Metering[ModbusMeter]):
    """All Modbus meters."""

    name: ClassVar[str] = "meter_modbus"
    source: ClassVar[str] = "modbus"
    kind = ModbusMeter

    def __init__(self, settings: MeteringSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._lines: dict[str, Line | Transient] = {}
        self._senses: dict[str, Sense] = {}
        self._resting: dict[str, _Rest] = {}
        self._library: Library | None = None
        self._loading: asyncio.Future[Library] | None = None
        lines: dict[tuple[object, ...], Line] = {}
        for meter in self.meters:
            try:
                self._lines[meter.name] = _line(meter, lines)
            except Transient as wrong:
                self._lines[meter.name] = wrong

    def turn(self, meter: ModbusMeter) -> AbstractAsyncContextManager[object]:
        """Hold the meter's line."""
        line = self._lines[meter.name]
        return line.lock if isinstance(line, Line) else nullcontext()

    async def poll(self, meter: ModbusMeter) -> Sequence[Part]:
        """Read the meter's registers."""
        line = self._lines[meter.name]
        if isinstance(line, Transient):
            raise line
        wanted = _wanted(meter)
        library = await self._pymodbus()
        clock = asyncio.get_running_loop().time
        began = clock()
        resting = self._resting.get(meter.name)
        if resting is not None and began < resting.until:
            raise resting.why
        readings: list[Reading] = []
        parts: list[Part] = []
        try:
            for reading in wanted:
                try:
                    words = await self._registers(library, line, meter, reading, began)
                    readings.append(reading._replace(words=words))
                except Refused as refused:
                    parts.append(refused)
        except Transient as failure:
            if line.is_shared:
                now = clock()
                self._resting[meter.name] = _Rest(now + REST * (now - began), failure)
            if not readings:
                raise
            parts.append(failure)
        return [*self._judge(meter, readings), *parts]

    def release(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            if isinstance(line, Line):
                line.close()

    # -- inside -------------------------------------------------------------------------------

    async def _registers(
        self, library: Library, line: Line, meter: ModbusMeter, reading: Reading, began: float
    ) -> tuple[int, ...]:
        register, seconds = reading.register, self.timeout_seconds(meter)
        asked = Question(0, meter.unit_id, FUNCTIONS[register.table], count_of(register))
        try:
            return await line.read(library, asked, register.address, began + SHARE * seconds)
        except TimeoutError:
            if not line.has_asked:
                raise unreachable(line.where, seconds) from None
            came, is_rtu = line.came, line.is_rtu
            raise silence(asked, line.where, seconds, came, is_rtu=is_rtu) from None

    def _judge(self, meter: ModbusMeter, readings: Sequence[Reading]) -> list[Part]:
        """Return what the readings say, and what is wrong with them."""
        values: list[tuple[Reading, float]] = []
        parts: list[Part] = []

        def amount(reading: Reading, number: float) -> float:
            sample = self.sample(meter, Value(number, reading.register.unit))
            if isinstance(sample, MeterTemperature):
                return sample.celsius
            return sample.per_second if isinstance(sample, MeterRate) else sample.total

        for reading in readings:
            try:
                values.append((reading, sensible(reading, amount)))
            except Transient as wrong:
                parts.append(wrong)
        rates = [amount(reading, value) for reading, value in values if reading.what == "power"]
        for reading, value in values:
            if reading.what == "energy":
                sense = self._senses.get(meter.name)
                if sense is None:
                    most = meter.max_per_second or max(MAX_PER_SECOND.values())
                    sense = self._senses[meter.name] = Sense(amount, most)
                at, rate = self.context.clock.boottime(), rates[0] if rates else None
                try:
                    notice = sense.total(reading, value, at, rate)
                except Transient as wrong:
                    parts.append(wrong)
                    continue
                if notice is not None:
                    parts.append(notice)
            unit = reading.register.unit
            parts.append(Value(value, unit, wraps_at(reading.register)))
        return parts

    async def _pymodbus(self) -> Library:
        """Return pymodbus, imported in a thread at the first use: it takes a tick and more."""
        if self._library is None:
            if self._loading is None:
                worker = Worker("pymodbus")
                self._loading = worker.submit(load)
                worker.stop()
            try:
                self._library = await asyncio.shield(self._loading)
            except Transient:
                self._loading = None
                raise
        return self._library


def _line(meter: ModbusMeter, lines: dict[tuple[object, ...], Line]) -> Line:
    """Return the line of a meter, shared where another has it already. Raises `Transient`."""
    if not (meter.host or meter.serial):
        raise Transient(
            "nothing says where the meter is",
            "settings",
            'set host = "10.0.0.5:502" (Modbus TCP) or serial = "/dev/ttyUSB0" (RTU)',
        )
    line = Line(meter)
    first = lines.setdefault(line.key, line)
    if first is not line:
        if key := first.differs(meter):
            raise Transient(
                f"{key} is not what another meter on {line.where} has",
                "settings",
                f"give all meters on that line the same {key}",
            )
        first.is_shared = True
    return first


def _wanted(meter: ModbusMeter) -> list[Reading]:
    """Return the registers that are to be read. Raises `Transient`."""
    energy, power, absent = meter.energy, meter.power, ""
    if meter.map:
        found = maps().get(meter.map)
        if found is None:
            raise Transient(
                f"map {meter.map!r} is not known", "settings", f"known: {', '.join(known_maps())}"
            )
        energy, power, absent = found.energy, found.power, found.absent
    pairs = (("energy", energy), ("power", power), ("temperature", meter.temperature))
    wanted = [Reading(what, register, (), absent) for what, register in pairs if register]
    if not wanted:
        raise Transient("no register is named", "settings", "give map, or energy, power or both")
    return wanted
