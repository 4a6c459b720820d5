"""Energy and power of one NVIDIA board.

What counts, and why (Z. Yang, K. Adamek, W. Armour, "Part-time Power Measurements: nvidia-smi's
Lack of Attention", arXiv 2312.02741):

- Volta and later: the energy counter (mJ since the driver was loaded). It refreshes about every
  100 ms, which shifts at most that much energy from one interval into the next, and it goes on
  counting while nobody looks.
- Beside it a power reading of the same board, which the meter integrates, compares with the counter
  and falls back on. On Ampere and later, GA100 apart, that is the driver's average over one second
  (field 185): at one reading a second it has seen all of the time. The instant value (field 186)
  has not: on A100 and H100 the sensor sees 25 ms of every 100 ms.
- A100 and A30 (GA100), Turing and Volta have no average: the instant value, with twice the
  uncertainty.
- Pascal and older have no counter: there every power sample the driver has buffered is taken, not
  only one a second (`collectors/nvml_buffer.py`).

The paper finds a gain error of up to about 5 % that is stable for one card: `calibration` is the
factor that an external meter found, for energy and power alike. NVIDIA's own promise is ±5 %
(nvmlDeviceGetPowerUsage). A Grace module's power (scope 1: processor, memory and GPU together)
contains the board and what RAPL or hwmon say of the processor, so it never counts.
"""

from typing import Any, Final

from agent.clock import Clock
from agent.quantities import Component, Joules, Ratio, Seconds, Watts
from agent.samples import EnergyCounter, PowerReading
from collectors.nvml_buffer import Buffer
from collectors.nvml_call import Calls
from collectors.nvml_fields import (
    ENERGY,
    GPU,
    MODULE,
    POWER_AVERAGE,
    POWER_INSTANT,
    Batch,
)
from collectors.nvml_library import (
    DRIVER_GONE,
    FUNCTION_NOT_FOUND,
    INVALID_ARGUMENT,
    LOST,
    UNSUPPORTED,
    BoardLost,
)

MILLI: Final = 1e-3
ACCURACY: Final = Ratio(0.05)
INSTANT_ACCURACY: Final = Ratio(0.10)
HIGHEST_WATTS: Final = 20_000.0
"""No module draws that much; 0xffffffff mW, which drivers give for "unknown", is 4.3 MW."""
MOST_MILLIJOULES: Final = 1 << 63
"""NVML_VALUE_NOT_AVAILABLE is -1, in 64 bits."""
_FIELDS: Final = (
    (ENERGY, GPU),
    (POWER_AVERAGE, GPU),
    (POWER_INSTANT, GPU),
    (POWER_AVERAGE, MODULE),
    (POWER_INSTANT, MODULE),
)
_NAMES: Final = {
    ENERGY: "energy",
    POWER_AVERAGE: "power averaged over 1 s",
    POWER_INSTANT: "instant power",
}
_NEVER: Final = UNSUPPORTED | {INVALID_ARGUMENT}
"""What a driver answers to a field or scope that it does not know."""
_BY_CALL: Final = "nvmlDeviceGetTotalEnergyConsumption"


class Power:
    """Reads them, for one board."""

    def __init__(self, calls: Calls, clock: Clock, device: str, calibration: float) -> None:
        self._calls = calls
        self._clock = clock
        self._device = device
        self.module = f"module-{device}"
        """The label of the Grace module that the board is part of, if it is."""
        self._calibration = calibration
        self._batch = Batch(_FIELDS)
        self._is_learnt = False
        self._buffer: Buffer | None = None
        self.watts: float | None = None
        """The board's power at the last reading."""
        self.has_module = False
        limits = calls.ask("nvmlDeviceGetPowerManagementLimitConstraints")
        self._max_watts = Watts(limits[1] * MILLI) if limits and limits[1] else None

    def read(self) -> list[EnergyCounter | PowerReading]:
        """Return what could be read. Raises `BoardLost` and `DriverGone`."""
        before = self._clock.boottime()
        values = self._values()
        at = Seconds((before + self._clock.boottime()) / 2)
        samples: list[EnergyCounter | PowerReading] = []
        millijoules = values.get((ENERGY, GPU))
        if millijoules is None:
            millijoules, at = self._energy_by_call(at)
        if millijoules is not None and millijoules < MOST_MILLIJOULES:
            samples.append(self._energy(at, millijoules))
        watts, accuracy = self._power(values)
        self.watts = watts
        if self._buffer is not None:
            samples += [self._reading(*r, INSTANT_ACCURACY) for r in self._buffer.read(at, watts)]
        elif watts is not None:
            samples.append(self._reading(at, watts, accuracy))
        module = _watts(values.get((POWER_AVERAGE, MODULE), values.get((POWER_INSTANT, MODULE))))
        if module is not None:
            self.has_module = True
            samples.append(self._module(at, module))
        return samples

    @property
    def is_blind(self) -> bool:
        """Whether the board gives neither energy nor power, as a virtual GPU does."""
        return (
            self._is_learnt
            and not self._batch.fields
            and {_BY_CALL, "nvmlDeviceGetPowerUsage"} <= self._calls.unsupported
        )

    def _values(self) -> dict[tuple[int, int], int]:
        """Return the fields that have a value, by field id and scope."""
        calls = self._calls
        library = calls.library
        try:
            answers = self._batch.read(library.api, calls.handle)
        except library.errors as error:
            code = library.code(error)
            if code == INVALID_ARGUMENT:
                raise BoardLost("its handle is not valid any more") from None
            missing = code == FUNCTION_NOT_FOUND
            calls.failed("fields", code, function="nvmlDeviceGetFieldValues" if missing else "")
            if code in UNSUPPORTED:
                self._batch, self._is_learnt = Batch(()), True
            return {}
        values: dict[tuple[int, int], int] = {}
        never = set()
        for field, answer in zip(self._batch.fields, answers, strict=True):
            if answer.code == 0:
                values[field] = answer.number
            elif answer.code in DRIVER_GONE or answer.code in LOST:
                calls.failed(_NAMES[field[0]], answer.code)
            elif answer.code in _NEVER and not self._is_learnt:
                never.add(field)
            elif field[1] == GPU:
                calls.troubles[_NAMES[field[0]]] = answer.code
        if never:
            self._batch = Batch([field for field in self._batch.fields if field not in never])
        self._is_learnt = True
        return values

    def _energy_by_call(self, at: Seconds) -> tuple[int | None, Seconds]:
        """Ask the call that there was before the field; set up the buffer if that has none too."""
        if self._buffer is not None or (ENERGY, GPU) in self._batch.fields:
            return None, at
        before = self._clock.boottime()
        millijoules = self._calls.ask(_BY_CALL)
        if millijoules is not None:
            return int(millijoules), Seconds((before + self._clock.boottime()) / 2)
        if _BY_CALL in self._calls.unsupported and self._is_learnt:
            self._buffer = Buffer(self._calls, self._clock)
        return None, at

    def _power(self, values: dict[tuple[int, int], int]) -> tuple[float | None, Ratio]:
        average = _watts(values.get((POWER_AVERAGE, GPU)))
        if average is not None:
            return average, ACCURACY
        instant = _watts(values.get((POWER_INSTANT, GPU)))
        if instant is None and (POWER_INSTANT, GPU) not in self._batch.fields:
            instant = _watts(self._calls.ask("nvmlDeviceGetPowerUsage"))
        return instant, INSTANT_ACCURACY

    def _energy(self, at: Seconds, millijoules: int) -> EnergyCounter:
        return EnergyCounter(
            collector="nvml",
            component=Component.GPU,
            device=self._device,
            at=at,
            joules=Joules(millijoules * MILLI),
            max_watts=self._max_watts,
            accuracy=ACCURACY,
            calibration=self._calibration,
        )

    def _reading(self, at: Seconds, watts: float, accuracy: Ratio) -> PowerReading:
        return PowerReading(
            collector="nvml",
            component=Component.GPU,
            device=self._device,
            at=at,
            watts=Watts(watts * self._calibration),
            accuracy=accuracy,
        )

    def _module(self, at: Seconds, watts: float) -> PowerReading:
        return PowerReading(
            collector="nvml",
            component=Component.PLATFORM,
            device=self.module,
            at=at,
            watts=Watts(watts),
            counted=False,
            accuracy=ACCURACY,
        )


def _watts(milliwatts: Any) -> float | None:
    """Return W, None for what no board that answers can draw."""
    if milliwatts is None:
        return None
    watts = milliwatts * MILLI
    return watts if 0.0 < watts < HIGHEST_WATTS else None
