"""What changes slowly, or need not be known every second, of one NVIDIA board.

Temperatures, clocks, the enforced power limit, time throttled by reason, ECC errors, memory. Each
is one call of 1 to 100 us into the driver; together they would cost more than all of the rest.
"""

from typing import Final

from agent.samples import Figure
from collectors.nvml_call import Calls
from collectors.nvml_fields import (
    ALL_LINKS,
    MEMORY_TEMPERATURE,
    NVLINK_RECEIVED,
    NVLINK_SENT,
    PCIE_RECEIVED,
    PCIE_SENT,
    Batch,
)
from collectors.nvml_library import FUNCTION_NOT_FOUND, throttle_fields

Entry = tuple[Figure, str, float]

MILLI: Final = 1e-3
NANO: Final = 1e-9
MEGA: Final = 1e6
KIBI: Final = 1024.0
_CLOCKS: Final = ((1, "sm"), (2, "memory"))
"""NVML_CLOCK_SM, NVML_CLOCK_MEM."""
_ECC: Final = ((0, "corrected"), (1, "uncorrected"))
"""NVML_MEMORY_ERROR_TYPE_CORRECTED, …_UNCORRECTED."""
_AGGREGATE: Final = 1
"""NVML_AGGREGATE_ECC: over the life of the board, so a new driver does not set it to 0."""
_CORE: Final = 0
"""NVML_TEMPERATURE_GPU."""
_LINKS: Final = {
    (PCIE_SENT, 0): "pcie_sent",
    (PCIE_RECEIVED, 0): "pcie_received",
    (NVLINK_SENT, ALL_LINKS): "nvlink_sent",
    (NVLINK_RECEIVED, ALL_LINKS): "nvlink_received",
}


class Slow:
    """Reads them, for one board."""

    def __init__(self, calls: Calls, *, links: bool) -> None:
        """`links`: read the counters of traffic, too."""
        self._calls = calls
        self._reasons = throttle_fields(calls.library.driver)
        self._links = _LINKS if links else {}
        fields = [(MEMORY_TEMPERATURE, 0), *((field, 0) for field in self._reasons), *self._links]
        self._batch = Batch(fields)

    def read(self) -> list[Entry]:
        """Return what could be read. Raises `BoardLost` and `DriverGone`."""
        return [
            *self._memory(),
            *self._temperature(),
            *self._clocks(),
            *self._limit(),
            *self._fields(),
            *self._ecc(),
        ]

    def _memory(self) -> list[Entry]:
        """Memory in bytes; version 2 does not count what the driver reserves as used."""
        api = self._calls.library.api
        info = self._calls.ask("nvmlDeviceGetMemoryInfo", api.nvmlMemory_v2, about="memory")
        if info is None and "memory" in self._calls.unsupported:
            info = self._calls.ask("nvmlDeviceGetMemoryInfo")
        if info is None:
            return []
        return [
            (Figure.MEMORY_USED, "", float(info.used)),
            (Figure.MEMORY_TOTAL, "", float(info.total)),
        ]

    def _temperature(self) -> list[Entry]:
        """The core's; the newer call first, the older one goes away with CUDA 14."""
        core = self._calls.ask("nvmlDeviceGetTemperatureV", _CORE)
        if core is None and "nvmlDeviceGetTemperatureV" in self._calls.unsupported:
            core = self._calls.ask("nvmlDeviceGetTemperature", _CORE)
        return [] if core is None else [(Figure.TEMPERATURE, "core", float(core))]

    def _clocks(self) -> list[Entry]:
        return [
            (Figure.CLOCK, name, megahertz * MEGA)
            for clock, name in _CLOCKS
            if (
                megahertz := self._calls.ask("nvmlDeviceGetClockInfo", clock, about=f"{name} clock")
            )
            is not None
        ]

    def _limit(self) -> list[Entry]:
        limit = self._calls.ask("nvmlDeviceGetEnforcedPowerLimit")
        return [] if not limit else [(Figure.POWER_LIMIT, "", limit * MILLI)]

    def _ecc(self) -> list[Entry]:
        return [
            (Figure.ECC_ERRORS, name, float(count))
            for kind, name in _ECC
            if (
                count := self._calls.ask(
                    "nvmlDeviceGetTotalEccErrors", kind, _AGGREGATE, about=f"{name} ECC errors"
                )
            )
            is not None
        ]

    def _fields(self) -> list[Entry]:
        calls = self._calls
        if "fields" in calls.unsupported:
            return []
        try:
            values = self._batch.read(calls.library.api, calls.handle)
        except calls.library.errors as error:
            code = calls.library.code(error)
            function = "nvmlDeviceGetFieldValues" if code == FUNCTION_NOT_FOUND else ""
            calls.failed("fields", code, function=function)
            return []
        entries: list[Entry] = []
        for field, value in zip(self._batch.fields, values, strict=True):
            if value.code:
                continue
            if field[0] in self._reasons and value.is_wide:  # 32 bits of ns are 4 s
                seconds = value.number * NANO
                entries.append((Figure.THROTTLED, self._reasons[field[0]], seconds))
            elif field[0] == MEMORY_TEMPERATURE:
                # A board without that sensor may say 0; memory in use is never that cold.
                if value.number > 0:
                    entries.append((Figure.TEMPERATURE, "memory", float(value.number)))
            elif value.is_wide:  # 32 bits of bytes turn over in less than a second
                unit = 1.0 if field[0] in {PCIE_SENT, PCIE_RECEIVED} else KIBI
                entries.append((Figure.LINK_BYTES, self._links[field], value.number * unit))
        return entries
