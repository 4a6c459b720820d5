"""A board's power shared out to its MIG slices: an attribution, never counted.

No sensor sees a slice. With P the board's power, S its compute slices (7 on A100 and H100, 4 on
A30), s_i those of slice i, and a_i the share of cycles in which the SMs of its GPU instance were
busy (GPM, Hopper and later):

    slice i gets  P_idle * s_i / S  +  (P - P_idle) * a_i s_i / sum over j of a_j s_j

P_idle is the lowest power of the board since the agent started: what it takes when nobody works,
once there was such a moment. Where one of the slices has no a_i (A100 has no GPM), each gets
P * s_i / S. What nobody has is left out: the idle power of compute slices that are not given out,
and all above idle when no slice worked. So the parts never exceed the board.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from agent.quantities import Seconds
from agent.samples import Figure
from collectors.nvml_call import Calls
from collectors.nvml_gpm import SM, Gpm
from collectors.nvml_library import DRIVER_GONE, LOST
from collectors.nvml_slow import Entry

ENABLED: Final = 1
"""NVML_DEVICE_MIG_ENABLE."""


class Slice(NamedTuple):
    """One MIG device."""

    uuid: str
    instance: int
    """The GPU instance it belongs to."""
    compute_slices: int


class Slices:
    """The slices of one board."""

    def __init__(self, calls: Calls, clock: Callable[[], Seconds], *, gpm: bool) -> None:
        self._calls = calls
        self._clock = clock
        self._gpm = gpm
        self._slices: tuple[Slice, ...] = ()
        self._total = 0
        self._activity: dict[int, Gpm] = {}
        self._idle_watts = float("inf")

    def look(self) -> None:
        """Find the slices that there are now. Raises `BoardLost` and `DriverGone`."""
        mode = self._calls.ask("nvmlDeviceGetMigMode")
        most = self._calls.ask("nvmlDeviceGetMaxMigDeviceCount") if mode else None
        if not mode or mode[0] != ENABLED or not most:
            self.free()
            self._slices = ()
            return
        found = (self._slice(place) for place in range(most))
        self._slices = tuple(slice_ for slice_ in found if slice_ is not None)
        self._total = max(most, sum(slice_.compute_slices for slice_ in self._slices))
        instances = {slice_.instance for slice_ in self._slices}
        for gone in self._activity.keys() - instances:
            self._activity.pop(gone).free()
        if self._gpm:
            for new in instances - self._activity.keys():
                self._activity[new] = Gpm(self._calls.library, self._clock, [SM], new)

    def read(self, watts: float | None) -> list[Entry]:
        """Return each slice's part of the board's power. Raises `BoardLost` and `DriverGone`."""
        if not self._slices:
            return []
        busy = {instance: self._busy(gpm) for instance, gpm in self._activity.items()}
        if watts is None:
            return []
        self._idle_watts = min(self._idle_watts, watts)
        parts = attribute(
            watts,
            self._idle_watts,
            self._total,
            [(s.compute_slices, busy.get(s.instance)) for s in self._slices],
        )
        return [
            (Figure.SLICE_POWER, slice_.uuid, part)
            for slice_, part in zip(self._slices, parts, strict=True)
        ]

    def free(self) -> None:
        """Give the buffers back, before NVML is closed."""
        while self._activity:
            self._activity.popitem()[1].free()

    def _busy(self, gpm: Gpm) -> float | None:
        if not gpm.supported:
            return None
        try:
            activity = gpm.read(self._calls.handle)
        except self._calls.library.errors as error:
            code = self._calls.library.code(error)
            if code in LOST or code in DRIVER_GONE:
                self._calls.failed("GPM of a slice", code)
            return None
        return None if activity is None else activity.pipes.get("sm")

    def _slice(self, place: int) -> Slice | None:
        """Return the slice at a place, None if the place is empty."""
        library = self._calls.library
        api: Any = library.api
        try:
            handle = api.nvmlDeviceGetMigDeviceHandleByIndex(self._calls.handle, place)
            return Slice(
                api.nvmlDeviceGetUUID(handle),
                api.nvmlDeviceGetGpuInstanceId(handle),
                api.nvmlDeviceGetAttributes_v2(handle).computeInstanceSliceCount,
            )
        except library.errors as error:
            code = library.code(error)
            if code in LOST or code in DRIVER_GONE:
                self._calls.failed("MIG", code)
            return None


def attribute(
    watts: float, idle_watts: float, total: int, slices: Sequence[tuple[int, float | None]]
) -> list[float]:
    """Return W by slice; `slices` are pairs of compute slices and activity (0 to 1)."""
    known = [(size, busy) for size, busy in slices if busy is not None]
    if len(known) < len(slices):
        return [watts * size / total for size, _ in slices]
    idle = min(idle_watts, watts)
    work = sum(size * busy for size, busy in known)
    return [
        idle * size / total + ((watts - idle) * size * busy / work if work > 0.0 else 0.0)
        for size, busy in known
    ]
