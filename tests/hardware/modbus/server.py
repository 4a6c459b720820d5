"""A gateway with Modbus meters behind it, on loopback TCP or on a pair of pseudo-terminals.

It runs in a thread with an event loop of its own, so that the code under test may have another.
"""

import asyncio
import os
import select
import socket
import threading
import tty
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer

from hardware.modbus.unit import Unit

WAIT_SECONDS = 20.0
Framing = Literal["tcp", "rtu", "serial"]


class Gateway:
    """Use as `with Gateway(units) as gateway:`."""

    def __init__(self, *units: Unit, framing: Framing = "tcp") -> None:
        self.units: Sequence[Unit] = units
        self.framing = framing
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modbus", daemon=True)
        self._server: ModbusTcpServer | ModbusSerialServer | None = None
        self._holder = bound(0)
        self.port: int = self._holder.getsockname()[1]
        self.wires: Wires | None = Wires() if framing == "serial" else None
        self.connections = 0
        """How many were made so far."""
        self.open = 0

    @property
    def host(self) -> str:
        """Address and port, as in the settings."""
        return f"127.0.0.1:{self.port}"

    @property
    def serial(self) -> str:
        """The agent's end of the serial line."""
        assert self.wires is not None
        return self.wires.ends[0]

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()
        self._holder.close()
        if self.wires is not None:
            self.wires.close()

    def start(self) -> None:
        """Listen, on the same port as ever."""
        if self._server is None:
            self._run(self._start())

    def stop(self) -> None:
        """Hang up on everybody; connections are refused, the port stays ours."""
        if self._server is not None:
            self._run(self._stop())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _start(self) -> None:
        devices = [unit.device() for unit in self.units]
        hooks: dict[str, Any] = {"trace_packet": self._packet, "trace_connect": self._connect}
        if self.wires is not None:
            self._server = ModbusSerialServer(
                devices, framer=FramerType.RTU, port=self.wires.ends[1], parity="N", **hooks
            )
        else:
            self._holder.close()
            framer = FramerType.RTU if self.framing == "rtu" else FramerType.SOCKET
            address = ("127.0.0.1", self.port)
            self._server = ModbusTcpServer(devices, framer=framer, address=address, **hooks)
        await self._server.serve_forever(background=True)

    async def _stop(self) -> None:
        assert self._server is not None
        await self._server.shutdown()
        self._server = None
        if self.wires is None:
            self._holder = bound(self.port)

    def _connect(self, is_made: bool) -> None:
        self.connections += is_made
        self.open += 1 if is_made else -1

    def _packet(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            return data
        at = 6 if self.framing == "tcp" else 0
        unit = next((unit for unit in self.units if unit.number == data[at]), None)
        match unit.fault if unit is not None else "":
            case "silent":
                return b""
            case "half":
                return data[: len(data) // 2]
            case "garbage":
                return b"HTTP/1.1 400 Bad Request\r\n\r\n"
            case _:
                return data


class Wires:
    """Two pseudo-terminals, joined back to back: what goes in at one comes out at the other."""

    def __init__(self) -> None:
        pairs = [os.openpty() for _ in range(2)]
        self._masters = [master for master, _ in pairs]
        self._slaves = [slave for _, slave in pairs]
        for slave in self._slaves:
            tty.setraw(slave)
        self.ends = [os.ttyname(slave) for slave in self._slaves]
        self._stop, self._stopped = os.pipe()
        self.cut = False
        """Nothing gets through."""
        self.noise = b""
        """Bytes put before each that go to the agent."""
        self._thread = threading.Thread(target=self._carry, name="wires", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the line away."""
        os.write(self._stopped, b".")
        self._thread.join(WAIT_SECONDS)
        for descriptor in (*self._masters, *self._slaves, self._stop, self._stopped):
            os.close(descriptor)

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([*self._masters, self._stop], [], [])
            if self._stop in ready:
                return
            for master in ready:
                data = os.read(master, 4096)
                index = self._masters.index(master)
                if not self.cut:
                    os.write(self._masters[1 - index], (self.noise if index else b"") + data)


def bound(port: int) -> socket.socket:
    """Return a socket that has a loopback port but does not listen: connections are refused."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    return found
