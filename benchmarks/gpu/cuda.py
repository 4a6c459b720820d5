"""The CUDA driver API, as far as a known load needs it: `libcuda.so.1` of the driver, no package.

Names and numbers by cuda.h (CUDA Driver API reference).
"""

import ctypes
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Final

from gpu.kernels import WARP, Kernel

_MULTIPROCESSORS: Final = 16
_BUS, _DEVICE, _DOMAIN = 33, 34, 50
_MAJOR, _MINOR = 75, 76
_BLOCKING_SYNC: Final = 4
"""CU_CTX_SCHED_BLOCKING_SYNC: wait asleep, so that the host's power is not the waiting."""
BLOCK: Final = 8 * WARP
"""Threads of a block."""
BLOCKS_PER_SM: Final = 4


class NoCuda(Exception):
    """There is no CUDA to use; says why."""


class Cuda:
    """One GPU, through its primary context."""

    def __init__(self, index: int = 0) -> None:
        try:
            self._api = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise NoCuda(
                f"libcuda.so.1, the driver's CUDA library, cannot be loaded ({error})"
            ) from error
        self._call("cuInit", c_uint(0))
        self.count = self._int("cuDeviceGetCount")
        if index >= self.count:
            raise NoCuda("CUDA sees no GPU")
        self._device = self._int("cuDeviceGet", c_int(index))
        self.driver_version = self._int("cuDriverGetVersion")
        self.sms = self._attribute(_MULTIPROCESSORS)
        self.capability = 10 * self._attribute(_MAJOR) + self._attribute(_MINOR)
        if hasattr(self._api, "cuDevicePrimaryCtxSetFlags_v2"):
            self._call("cuDevicePrimaryCtxSetFlags_v2", c_int(self._device), c_uint(_BLOCKING_SYNC))
        context = c_void_p()
        self._call("cuDevicePrimaryCtxRetain", byref(context), c_int(self._device))
        self._call("cuCtxSetCurrent", context)
        self._out = c_uint64()
        self._threads = self.sms * BLOCKS_PER_SM * BLOCK
        self._call("cuMemAlloc_v2", byref(self._out), c_size_t(8 * self._threads))

    @property
    def name(self) -> str:
        """Return the GPU's name."""
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, c_int(256), c_int(self._device))
        return text.value.decode()

    @property
    def uuid(self) -> str:
        """Return the UUID as nvidia-smi prints it."""
        raw = (ctypes.c_ubyte * 16)()
        v2 = hasattr(self._api, "cuDeviceGetUuid_v2")
        self._call("cuDeviceGetUuid_v2" if v2 else "cuDeviceGetUuid", raw, c_int(self._device))
        text = bytes(raw).hex()
        return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    @property
    def bus(self) -> str:
        """Return the PCI address."""
        domain, bus, device = (self._attribute(a) for a in (_DOMAIN, _BUS, _DEVICE))
        return f"{domain:04x}:{bus:02x}:{device:02x}.0"

    def load(self, kernel: Kernel) -> Callable[[int], float]:
        """Return a function that runs so many iterations to their end and returns their FLOP."""
        module, function = c_void_p(), c_void_p()
        text = c_char_p(kernel.ptx.encode() + b"\0")
        self._call("cuModuleLoadDataEx", byref(module), text, c_uint(0), None, None)
        self._call("cuModuleGetFunction", byref(function), module, c_char_p(kernel.name.encode()))
        one = c_uint64(kernel.one)

        def launch(iterations: int) -> float:
            count = c_uint(iterations)
            values = [ctypes.cast(ctypes.pointer(v), c_void_p) for v in (self._out, count, one)]
            parameters = (c_void_p * 3)(*values)
            grid = (c_uint(self.sms * BLOCKS_PER_SM), c_uint(1), c_uint(1))
            block = (c_uint(BLOCK), c_uint(1), c_uint(1))
            self._call("cuLaunchKernel", function, *grid, *block, c_uint(0), None, parameters, None)
            self._call("cuCtxSynchronize")
            return kernel.flop(self._threads, iterations)

        return launch

    def clear(self) -> None:
        """Forget the last results."""
        self._call("cuMemsetD8_v2", self._out, ctypes.c_ubyte(0), c_size_t(8 * self._threads))

    def results(self, kernel: Kernel) -> set[float]:
        """Return the different numbers that the threads have written."""
        kind = ctypes.c_float if kernel.bytes_per_number == 4 else ctypes.c_double
        numbers = (kind * self._threads)()
        self._call("cuMemcpyDtoH_v2", numbers, self._out, c_size_t(ctypes.sizeof(numbers)))
        return set(numbers)

    def _attribute(self, attribute: int) -> int:
        return self._int("cuDeviceGetAttribute", c_int(attribute), c_int(self._device))

    def _int(self, function: str, *arguments: object) -> int:
        value = c_int()
        self._call(function, byref(value), *arguments)
        return value.value

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._api, function)(*arguments)
        if status:
            name = c_char_p()
            self._api.cuGetErrorName(c_int(status), byref(name))
            raise NoCuda(f"{function}: {(name.value or b'?').decode()} ({status})")
