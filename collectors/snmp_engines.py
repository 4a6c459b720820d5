"""The engines of a collector: one, and more only where users of the same name have other secrets.

What opens them, importing pysnmp included, is done in a thread: it takes a third of a second.
"""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from agent.collector import Transient
from collectors.snmp_access import Access, User

if TYPE_CHECKING:
    from collectors.snmp_engine import Engine


class Engines:
    """Which engine asks which device."""

    def __init__(self) -> None:
        self._devices: dict[Engine, set[str]] = {}
        self._lock = asyncio.Lock()
        self._making: asyncio.Task[Engine] | None = None

    async def of(self, device: str, access: Access) -> "Engine":
        """Return the engine for a device; pysnmp keeps one user of a name in each.

        Raises `Transient` where pysnmp is not installed.
        """
        async with self._lock:
            engine = next((e for e in self._devices if _fits(e, access)), None)
            if engine is None:
                engine = await self._made()
            if isinstance(access, User):
                engine.users[access.name] = access
            for other, devices in list(self._devices.items()):
                if other is not engine and device in devices:
                    devices.discard(device)
                    if not devices:
                        del self._devices[other]
                        other.close()
            self._devices.setdefault(engine, set()).add(device)
            return engine

    async def _made(self) -> "Engine":
        """Return a new engine; a meter's deadline does not undo the work on it."""
        making = self._making or asyncio.create_task(asyncio.to_thread(_make))
        self._making = making
        try:
            return await asyncio.shield(making)
        finally:
            if making.done():
                self._making = None

    def close(self) -> None:
        """Close all of them."""
        if self._making is not None:
            self._making.cancel()
            self._making = None
        for engine in self._devices:
            engine.close()
        self._devices.clear()


def _fits(engine: "Engine", access: Access) -> bool:
    return not isinstance(access, User) or engine.users.get(access.name, access) == access


def _make() -> "Engine":
    try:
        module = import_module("collectors.snmp_engine")
    except ImportError:
        raise Transient(
            "pysnmp is not installed", "missing", "pip install 'wattlas[site]'"
        ) from None
    made: Engine = module.Engine()
    return made
