"""perf_event_open(2) without a library: groups of counters on one CPU, for all processes.

Layouts from include/uapi/linux/perf_event.h: the first 64 bytes of `struct perf_event_attr`
(PERF_ATTR_SIZE_VER0, which every kernel takes), and what a read of a group's leader returns.
"""

import errno
import os
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

_ATTRIBUTES: Final = struct.Struct("<IIQQQQQIIQ")
"""type, size, config, sample_period, sample_type, read_format, flags, wakeup, bp_type, config1."""
_READ_FORMAT: Final = 1 | 2 | 8
"""PERF_FORMAT_TOTAL_TIME_ENABLED | _RUNNING | _GROUP."""
_FLAG_CLOEXEC: Final = 8
_ALL_PROCESSES: Final = -1
_NUMBERS: Final = {"x86_64": 298}
"""Of the system call, by machine (arch/x86/entry/syscalls/syscall_64.tbl)."""


class Reading(NamedTuple):
    """What the counters of a group said at one moment."""

    enabled_ns: int
    """Time since they were switched on, in nanoseconds."""
    running_ns: int
    """Part of it in which they really counted: less, where counters were shared in turn."""
    values: tuple[int, ...]


class Counters:
    """A group of events on one CPU. Making one raises OSError as the kernel says it."""

    __slots__ = ("_descriptors", "_layout")

    def __init__(self, pmu_type: int, configs: Sequence[int], cpu: int) -> None:
        self._descriptors: list[int] = []
        self._layout = struct.Struct(f"<{3 + len(configs)}Q")
        try:
            for config in configs:
                leader = self._descriptors[0] if self._descriptors else -1
                self._descriptors.append(perf_event_open(pmu_type, config, cpu, leader))
        except OSError:
            self.close()
            raise

    def read(self) -> Reading | None:
        """Return the counts, None if the kernel has none to give. Raises OSError."""
        data = os.read(self._descriptors[0], self._layout.size)
        if len(data) != self._layout.size:
            return None
        _, enabled, running, *values = self._layout.unpack(data)
        return Reading(enabled, running, tuple(values))

    def close(self) -> None:
        """Stop counting."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def perf_event_open(pmu_type: int, config: int, cpu: int, leader: int = -1) -> int:
    """Return a descriptor that counts one event of all processes on a CPU. Raises OSError.

    User and kernel mode, and guests: whatever drew the energy.
    """
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    attributes = _ATTRIBUTES.pack(
        pmu_type, _ATTRIBUTES.size, config, 0, 0, _READ_FORMAT, 0, 0, 0, 0
    )
    return _system_call()(number, attributes, cpu, leader)


@cache
def _system_call() -> Callable[[int, bytes, int, int], int]:
    import ctypes  # noqa: PLC0415 - memory that hosts without this collector save

    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long

    def call(number: int, attributes: bytes, cpu: int, leader: int) -> int:
        descriptor = int(
            function(
                ctypes.c_long(number),
                ctypes.c_char_p(attributes),
                ctypes.c_int(_ALL_PROCESSES),
                ctypes.c_int(cpu),
                ctypes.c_int(leader),
                ctypes.c_ulong(_FLAG_CLOEXEC),
            )
        )
        if descriptor < 0:
            number_of_error = ctypes.get_errno()
            raise OSError(number_of_error, os.strerror(number_of_error))
        return descriptor

    return call
