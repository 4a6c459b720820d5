"""Site meters by SNMP: rack PDUs and UPSes.

One GET for each reading, by OIDs in numbers; what does not change (decimal digits, the number of
phases) is asked once, and again after a failure. SNMPv2c and v3, by pysnmp; v1 has no 64-bit
counters.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import Context
from agent.site.settings import SnmpMeter
from collectors.metering import Metering, MeteringSettings, Part, addressed
from collectors.snmp_access import access_of
from collectors.snmp_cells import Cell
from collectors.snmp_engines import Engines
from collectors.snmp_line import Line
from collectors.snmp_maps import known_maps
from collectors.snmp_plan import Cells, plan_of
from collectors.snmp_reports import (
    Refused,
    Silent,
    what_refusal_says,
    what_silence_means,
    what_status_says,
)

__all__ = ["MeterSnmp", "known_maps"]

PORT: Final = 161
SHARE_OF_TIMEOUT: Final = 0.9
"""Given up this much before the meter's deadline: the message then says what was seen."""


class _Device:
    """What is kept of one meter's device."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.fixed: Cells | None = None


class MeterSnmp(Metering[SnmpMeter]):
    """All meters with `source = "snmp"`."""

    Settings = MeteringSettings
    name: ClassVar[str] = "meter_snmp"
    source: ClassVar[str] = "snmp"
    kind = SnmpMeter

    def __init__(self, settings: MeteringSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._devices = {meter.name: _Device() for meter in self.meters}
        self._engines = Engines()

    def release(self) -> None:
        """Close the sockets."""
        self._engines.close()

    async def poll(self, meter: SnmpMeter) -> Sequence[Part]:
        """Ask one device: its energy in all, its power now. Raises `Transient`."""
        plan = plan_of(meter)
        access = access_of(meter)
        seconds = self.timeout_seconds(meter) * SHARE_OF_TIMEOUT
        device = self._devices[meter.name]
        line = device.line = device.line or Line(*addressed(meter.host, PORT), seconds)
        engine = await self._engines.of(meter.name, access)

        async def get(oids: list[str]) -> Cells:
            """Return one cell for each OID."""
            if not oids:
                return {}
            reply = await line.get(engine, access, oids)
            if failure := what_status_says(line.where, reply, oids):
                raise failure
            return {oid: reply.cells.get(oid, Cell("missing", text="not answered")) for oid in oids}

        fixed, device.fixed = device.fixed, None
        try:
            async with asyncio.timeout(seconds):
                if fixed is None:
                    fixed = await get(plan.once())
                cells = await get(plan.always(fixed))
        except (TimeoutError, Silent):
            failure = what_silence_means(
                meter, seconds, found=line.found, speaks_v3=line.speaks_v3(engine, access)
            )
            line.forget()
            raise failure from None
        except Refused as refused:
            raise what_refusal_says(line.where, refused, access) from None
        device.fixed = fixed
        return plan.parts(fixed, cells)
