"""What is used of pymodbus, which is imported only where a Modbus meter is set."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from agent.collector import Transient


class Client(Protocol):
    """What is used of pymodbus' clients."""

    read_holding_registers: Callable[..., Awaitable[Any]]
    read_input_registers: Callable[..., Awaitable[Any]]

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        ...

    async def connect(self) -> bool:
        """Return whether it could be made."""
        ...

    def close(self) -> None:
        """Close it for good."""
        ...


class Library(NamedTuple):
    """What is used of pymodbus."""

    tcp: Callable[..., Any]
    serial: Callable[..., Any]
    """Its clients, of the form of `Client`."""
    rtu: object
    """Its framer."""
    trouble: type[Exception]


def load() -> Library:
    """Import pymodbus and keep it from logging. Raises `Transient` where it is not installed."""
    try:
        from pymodbus import FramerType  # noqa: PLC0415 - only where a Modbus meter is set
        from pymodbus.client import (  # noqa: PLC0415
            AsyncModbusSerialClient,
            AsyncModbusTcpClient,
        )
        from pymodbus.exceptions import ModbusException  # noqa: PLC0415
    except ImportError:
        raise missing("pymodbus") from None
    for name in ("pymodbus", "pymodbus.logging"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return Library(AsyncModbusTcpClient, AsyncModbusSerialClient, FramerType.RTU, ModbusException)


def missing(library: str) -> Transient:
    """Return that a library is not installed."""
    return Transient(
        f"{library}, which reads Modbus meters, is not installed",
        "settings",
        "pip install 'wattlas[site]'",
    )
