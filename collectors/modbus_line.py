"""A connection to Modbus meters: a gateway's TCP port or a serial line, shared by its meters.

pymodbus does the talking. It is told not to reconnect, not to retry and not to time out by itself:
deadlines are the meter's, and after one has passed the connection is closed, so that an answer that
comes too late is not taken for the next.
"""

import asyncio
import inspect
import termios
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agent.collector import Transient
from agent.site.settings import ModbusMeter
from collectors.metering import addressed
from collectors.modbus_frames import Garbage, Question, find_rtu, find_tcp, question
from collectors.modbus_library import Client, Library, missing
from collectors.modbus_trouble import (
    no_such_settings,
    refusal,
    why_no_serial,
    why_no_tcp,
)

PORT: Final = 502
NEVER: Final = 1e5
"""pymodbus' own limit, in s: longer than any meter's."""


class Lost(Exception):
    """The other end hung up."""


class Ear:
    """Listens to one connection, for the one answer that is waited for."""

    def __init__(self, *, is_rtu: bool) -> None:
        self._find = find_rtu if is_rtu else find_tcp
        self._is_rtu = is_rtu
        self._asked: Question | None = None
        self.came = b""
        """What has come since the question."""
        self.trouble: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Why no answer will come any more."""

    def packet(self, sending: bool, data: bytes) -> bytes:
        """Let a question pass, and of what comes its answer alone; `data` is all that came."""
        if sending:
            self._asked, self.came = question(data, rtu=self._is_rtu), b""
            return data
        self.came = data
        if self._asked is None:
            return b""
        try:
            answer = self._find(data, self._asked)
        except Garbage as garbage:
            self._give_up(garbage)
            return b""
        if answer is not None:
            self._asked = None  # a second answer would be one too many
        return answer or b""

    def connection(self, is_made: bool) -> None:
        """Hear that the other end hung up."""
        if not is_made:
            self._give_up(Lost())

    def _give_up(self, why: Exception) -> None:
        if not self.trouble.done():
            self.trouble.set_result(why)


class Line:
    """One connection. Whoever reads holds its `lock`."""

    def __init__(self, meter: ModbusMeter) -> None:
        """Keep what the first of its meters says; no I/O. Raises `Transient` for settings."""
        self.lock = asyncio.Lock()
        self.is_shared = False
        """By several meters."""
        self.has_asked = False
        """In the last `read`: it was connected."""
        self._meter = meter
        self.is_rtu = bool(meter.serial) or meter.framing == "rtu"
        self._host, self._port = ("", 0) if meter.serial else addressed(meter.host, PORT)
        self.where = meter.serial or f"{self._host}:{self._port}"
        # 3.5 characters of 11 bits between frames, 1.75 ms at least: MODBUS over Serial Line
        # V1.02, 2.5.1.1
        self._pause_seconds = max(0.00175, 3.5 * 11 / meter.baud) if meter.serial else 0.0
        self._client: Client | None = None
        self._ear: Ear | None = None
        self._unit_word = "device_id"

    @property
    def key(self) -> tuple[object, ...]:
        """What tells lines apart."""
        return (bool(self._meter.serial), self.where)

    def differs(self, meter: ModbusMeter) -> str:
        """Return the key in which a meter of the same line contradicts the first, "" if none."""
        keys = ("baud", "parity", "stop_bits") if meter.serial else ("framing",)
        return next((k for k in keys if getattr(meter, k) != getattr(self._meter, k)), "")

    async def read(
        self, library: Library, what: Question, address: int, deadline: float
    ) -> tuple[int, ...]:
        """Return registers of a unit. `deadline` is of the event loop's clock.

        Raises `Transient`, `Refused` where the meter answers but refuses this, and TimeoutError.
        """
        self.has_asked = False
        is_old = await self._connect(library, deadline)
        try:
            return await self._ask(library, what, address, deadline)
        except Lost:
            if not is_old:
                raise self._hung_up() from None
        # The other end has closed a connection that was idle for long: it is opened anew, once.
        await self._connect(library, deadline)
        try:
            return await self._ask(library, what, address, deadline)
        except Lost:
            raise self._hung_up() from None

    @property
    def came(self) -> bytes:
        """What came since the last question, be it no answer."""
        return self._ear.came if self._ear is not None else b""

    def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    # -- inside -------------------------------------------------------------------------------

    async def _connect(self, library: Library, deadline: float) -> bool:
        """Connect; return whether there was a connection already."""
        if self._client is not None and self._client.connected:
            return True
        self.close()
        self._ear = Ear(is_rtu=self.is_rtu)
        client = self._make(library, self._ear)
        words = inspect.signature(client.read_holding_registers).parameters
        self._unit_word = "device_id" if "device_id" in words else "slave"  # before 3.10
        try:
            is_made = await self._open(client, deadline)
        except termios.error as error:
            raise no_such_settings(self.where, str(error.args[-1])) from None
        if not is_made:
            if self._meter.serial:
                raise why_no_serial(self._meter.serial)
            raise await why_no_tcp(self._host, self._port)
        self._client = client
        return False

    async def _open(self, client: Client, deadline: float) -> bool:
        """Open a connection; what comes of it too late is closed again. Raises TimeoutError."""
        task = asyncio.ensure_future(client.connect())
        is_made = False
        try:
            await asyncio.wait({task}, timeout=_left(deadline))
            if not task.done():
                raise TimeoutError
            is_made = task.result()
        finally:
            if not is_made:
                task.add_done_callback(_want_nothing)
                task.add_done_callback(lambda _: client.close())
                if not self._meter.serial:  # a serial line would stay open; it opens at once
                    task.cancel()
        return is_made

    def _make(self, library: Library, ear: Ear) -> Client:
        meter = self._meter
        common: dict[str, Any] = {
            "timeout": NEVER,
            "retries": 0,
            "reconnect_delay": 0,
            "trace_packet": ear.packet,
            "trace_connect": ear.connection,
        }
        if not meter.serial:
            if self.is_rtu:
                common["framer"] = library.rtu
            client: Client = library.tcp(self._host, port=self._port, **common)
            return client
        serial: dict[str, Any] = {
            "baudrate": meter.baud,
            "parity": meter.parity[0].upper(),
            "stopbits": meter.stop_bits,
        }
        try:
            client = library.serial(meter.serial, **serial, **common)
        except RuntimeError:
            raise missing("pyserial") from None
        return client

    async def _ask(
        self, library: Library, what: Question, address: int, deadline: float
    ) -> tuple[int, ...]:
        client, ear = self._client, self._ear
        assert client is not None
        assert ear is not None
        self.has_asked = True
        if self._pause_seconds:
            await asyncio.sleep(self._pause_seconds)
        method = (
            client.read_holding_registers if what.function == 3 else client.read_input_registers
        )
        units = {self._unit_word: what.unit}
        call = asyncio.ensure_future(_call(lambda: method(address, count=what.registers, **units)))
        answer: Any = None
        try:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait({call, ear.trouble}, timeout=_left(deadline), return_when=first)
            if call.done():
                answer = _result(call, library)
            elif ear.trouble.done():
                raise ear.trouble.result()
            else:
                raise TimeoutError
        except Garbage as garbage:
            raise Transient(f"{self.where}: {garbage}", "garbage", _GARBAGE) from None
        finally:
            call.add_done_callback(_want_nothing)
            call.cancel()
            if answer is None:
                self.close()
        if answer.isError():
            raise refusal(answer.exception_code, what, address, self.where)
        return tuple(answer.registers)

    def _hung_up(self) -> Transient:
        half = " in the middle of its answer" if self.came else ""
        return Transient(f"{self.where} hung up{half}", "io", _HUNG_UP)


_GARBAGE: Final = "look at host, port and framing: another service or a raw serial server is there"
_HUNG_UP: Final = (
    "look whether it is restarting, or has more connections than it can take, or whether another"
    " program holds the serial line"
)


async def _call(function: Callable[[], Awaitable[Any]]) -> Any:
    """Await a call that may raise at once."""
    return await function()


def _result(call: "asyncio.Task[Any]", library: Library) -> Any:
    """Return what came of a question. Raises `Lost`."""
    try:
        return call.result()
    except (library.trouble, OSError) as error:
        raise Lost from error


def _left(deadline: float) -> float:
    """Return the seconds until a deadline of the event loop's clock."""
    return max(0.0, deadline - asyncio.get_running_loop().time())


def _want_nothing(task: "asyncio.Task[Any]") -> None:
    """Look at what came of a task, so that asyncio does not complain that nobody did.

    It is not awaited: pymodbus makes an error of its own of a cancellation, up to 3.9.
    """
    if not task.cancelled():
        task.exception()
