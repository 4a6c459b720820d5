"""The way to one device: its address, and a second try where it may have another engine id now."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from collectors.snmp_access import Access, User
from collectors.snmp_cells import Reply
from collectors.snmp_reports import Silent

if TYPE_CHECKING:
    from collectors.snmp_engine import Engine

SHARE_OF_A_TRY: Final = 0.45
"""Share of the deadline after which a request counts as lost: two fit in."""
LANES: Final = 2


class Line:
    """A device's address, until `forget`.

    pysnmp keeps a device's engine id for five minutes, and drops what comes from another one. So a
    device that was replaced seems silent; it is then asked through another socket (`lane`), for
    which pysnmp learns the engine id anew. Two suffice: what the other one knew is old by then.
    """

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._address = host, port
        self._seconds = round(seconds * SHARE_OF_A_TRY, 2)
        self._lane = 0
        self._targets: dict[tuple[int, int], Any] = {}

    @property
    def found(self) -> bool:
        """Whether the name is resolved."""
        return bool(self._targets)

    async def get(self, engine: "Engine", access: Access, oids: Sequence[str]) -> Reply:
        """Ask for OIDs. Raises `Transient`, `Silent`, `Refused`."""
        if self.speaks_v3(engine, access):
            try:
                return await engine.get(await self._target(0), access, oids)
            except Silent:
                self._lane = (self._lane + 1) % LANES
        return await engine.get(await self._target(1), access, oids)

    def speaks_v3(self, engine: "Engine", access: Access) -> bool:
        """Return whether the device has told its engine id."""
        known = (t for (lane, _), t in self._targets.items() if lane == self._lane)
        return isinstance(access, User) and any(engine.knows(target) for target in known)

    def forget(self) -> None:
        """Resolve the name again at the next reading."""
        self._targets.clear()

    async def _target(self, retries: int) -> Any:
        key = self._lane, retries
        if key not in self._targets:
            target_of = import_module("collectors.snmp_engine").target_of
            self._targets[key] = await target_of(*self._address, self._lane, self._seconds, retries)
        return self._targets[key]
