"""NVML itself: whether it can be here, opening it, and what its errors mean.

The library is the driver's own `libnvidia-ml.so.1`, reached through nvidia-ml-py (`pynvml`, 2 MiB),
which is imported only once the library is known to load. Traps, with sources:

- the library can be there without the driver (containers, images with CUDA), and the driver
  without the library (a server install without its utilities): each has its own remedy;
- WSL and many containers have no /proc/driver/nvidia: loading the library is what decides;
- a library that was mapped before the driver was updated answers LIB_RM_VERSION_MISMATCH for
  ever, so after that answer it is unmapped, and the next look takes what is on disk by then;
- NVML keeps /dev/nvidiactl open, which keeps the driver from being unloaded: see
  docs/accelerators.md.
"""

import contextlib
import re
from pathlib import Path
from typing import Any, Final

from agent.collector import Paths, Problem

SONAME: Final = "libnvidia-ml.so.1"
NVIDIA_VENDOR: Final = "10de"

# nvmlReturn_t in nvml.h; here as numbers, so that reading them needs no pynvml.
UNINITIALIZED: Final = 1
INVALID_ARGUMENT: Final = 2
NOT_SUPPORTED: Final = 3
NO_PERMISSION: Final = 4
NOT_FOUND: Final = 6
DRIVER_NOT_LOADED: Final = 9
TIMEOUT: Final = 10
LIBRARY_NOT_FOUND: Final = 12
FUNCTION_NOT_FOUND: Final = 13
GPU_IS_LOST: Final = 15
RESET_REQUIRED: Final = 16
VERSION_MISMATCH: Final = 18
ARGUMENT_VERSION_MISMATCH: Final = 25
DEPRECATED: Final = 26
GPU_NOT_FOUND: Final = 28

DRIVER_GONE: Final = frozenset({UNINITIALIZED, DRIVER_NOT_LOADED, VERSION_MISMATCH})
"""The driver was unloaded or replaced: NVML must be opened anew."""
LOST: Final = frozenset({GPU_IS_LOST, RESET_REQUIRED, GPU_NOT_FOUND})
"""This board does not answer, the others may."""
UNSUPPORTED: Final = frozenset(
    {NOT_SUPPORTED, FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH, DEPRECATED}
)
"""This board or this library will never answer that."""

REMEDY_LIBRARY: Final = (
    f"install the driver's {SONAME}: libnvidia-compute-<version> (Debian and Ubuntu), "
    "nvidia-driver-cuda-libs (RHEL), or the whole driver from nvidia.com; in a container, start it "
    "with --gpus all and NVIDIA_DRIVER_CAPABILITIES=utility"
)
REMEDY_DRIVER: Final = (
    "load the driver: sudo modprobe nvidia, and see sudo dmesg | grep -i nvrm if that fails; "
    "in a container, start it with --gpus all"
)
REMEDY_NOUVEAU: Final = (
    "nouveau drives this card, which gives no power: install NVIDIA's driver and reboot"
)
REMEDY_MISMATCH: Final = (
    "the driver was updated and its old module is still loaded: reboot, or stop what uses the GPUs "
    "(wattlas too), then sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia; "
    "sudo modprobe nvidia"
)


class Missing(Exception):
    """NVML cannot be opened now; `remedy` says what would help, "" where there is no card."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class DriverGone(Exception):
    """The driver went away under an open NVML."""


class BoardLost(Exception):
    """One board does not answer any more."""


class Library:
    """NVML, open. There is one in a process, because pynvml is a module with one state."""

    def __init__(self, api: Any, driver: str, cards: frozenset[str]) -> None:
        self.api = api
        """The pynvml module."""
        self.driver = driver
        self.cards = cards
        """PCI addresses the kernel's driver knew when it was opened."""
        self.errors: tuple[type[Exception], ...] = (api.NVMLError, api.NVMLLibraryMismatchError)
        self.missing: set[str] = set()
        """Functions that this library does not have."""
        self.kept: dict[tuple[int, ...], Any] = {}
        """Requests that all boards share while it is open."""

    def close(self) -> None:
        """Give NVML back; whatever it says to that, it is not used any more."""
        with contextlib.suppress(*self.errors):
            self.api.nvmlShutdown()

    def code(self, error: Exception) -> int:
        """Return the number of what was raised by a call."""
        return int(getattr(error, "value", FUNCTION_NOT_FOUND))

    def problems(self) -> list[Problem]:
        """Return the calls that this library does not have, each once."""
        why = "the driver's library does not have this call; what it tells is left out"
        return [
            Problem(f"NVML {function}", why, "update the NVIDIA driver", "unsupported")
            for function in sorted(self.missing)
        ]

    def text(self, code: int) -> str:
        """Return NVML's own words for an error."""
        try:
            return str(self.api.NVMLError(code))
        except self.errors:
            return f"NVML error {code}"


def open_library(paths: Paths) -> Library:
    """Return NVML, initialised. Raises `Missing`.

    A look that finds nothing costs about 0.2 ms: pynvml is not imported for it.
    """
    import ctypes  # noqa: PLC0415

    try:
        probe = ctypes.CDLL(SONAME)
    except OSError as error:
        raise _no_library(paths, error) from None
    import pynvml as api  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        api.nvmlInit()
    except (api.NVMLError, api.NVMLLibraryMismatchError) as error:
        code = getattr(error, "value", FUNCTION_NOT_FOUND)
        if code == VERSION_MISMATCH:
            _unmap(api)
        raise _not_opened(paths, code, str(error)) from None
    finally:
        _close(probe)  # pynvml has its own hold on it by now
    try:
        driver = api.nvmlSystemGetDriverVersion()
    except api.NVMLError:
        driver = ""
    return Library(api, driver, kernel_cards(paths))


def same(handle: Any, other: Any) -> bool:
    """Tell whether two of NVML's handles are one; pynvml makes a new object for each."""
    import ctypes  # noqa: PLC0415

    return ctypes.cast(handle, ctypes.c_void_p).value == ctypes.cast(other, ctypes.c_void_p).value


def kernel_cards(paths: Paths) -> frozenset[str]:
    """Return the PCI addresses that NVIDIA's kernel driver lists; none where it lists nothing."""
    try:
        return frozenset(p.name for p in (paths.procfs / "driver/nvidia/gpus").iterdir())
    except OSError:
        return frozenset()


def card_on_bus(paths: Paths) -> tuple[str, str] | None:
    """Return address and kernel driver of an NVIDIA GPU on the PCI bus, None without one.

    One read of /proc/bus/pci/devices (kernel: drivers/pci/proc.c, show_device): bus and device,
    vendor and device id, interrupt, 14 numbers, the driver's name. Only NVIDIA's own devices are
    looked at closer.
    """
    try:
        text = (paths.procfs / "bus/pci/devices").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        words = re.match(rf"([0-9a-f]{{2}})([0-9a-f]{{2}})\t{NVIDIA_VENDOR}", line)
        if words is None:
            continue
        place = int(words[2], base=16)
        end = f":{words[1]}:{place >> 3:02x}.{place & 7}"
        for found in (paths.sysfs / "bus/pci/devices").glob(f"*{end}"):
            if _is_display(found):
                driver = line.split()[17:]
                return found.name, driver[0] if driver else ""
    return None


def throttle_fields(driver: str) -> dict[int, str]:
    """Return the field ids of time spent throttled, by what the vendor calls the reason.

    74 to 76 never changed; each is in ns (nvml.h: "Throttling to not exceed currently set power
    limits in ns"). The newer three have moved: nvidia-ml-py 12.575.51 and 13.580.65 put them at
    251 to 253, where 12.570 and, again, 13.580.82 and later have power smoothing; those have them
    at 269 to 271, where the former have power smoothing. NVIDIA's own mock of driver 580.65.06
    pins 251 to 253 for that reason (NVIDIA/k8s-test-infra, pull request 691). A driver in between
    is not asked: a number of something else is worse than none.
    """
    fields = {74: "sw_power_cap", 76: "sync_boost"}
    first = _first_throttle_field(driver)
    if first is None:
        return fields | {75: "thermal"}
    return fields | {
        first: "sw_thermal_slowdown",
        first + 1: "hw_thermal_slowdown",
        first + 2: "hw_power_brake_slowdown",
    }


def _first_throttle_field(driver: str) -> int | None:
    numbers = re.match(r"(\d+)\.(\d+)", driver)
    if numbers is None:
        return None
    version = (int(numbers[1]), int(numbers[2]))
    if version >= (580, 82):
        return 269
    if (575, 51) <= version <= (580, 65):
        return 251
    return None


def _is_display(device: Path) -> bool:
    """Tell GPUs from the sound, USB and switch functions beside them (PCI class 03)."""
    try:
        return (device / "class").read_text(encoding="ascii").startswith("0x03")
    except (OSError, UnicodeDecodeError):
        return False


def _no_library(paths: Paths, error: OSError) -> Missing:
    if SONAME not in str(error) or "No such file" not in str(error):
        return Missing(f"{SONAME} cannot be loaded: {error}", REMEDY_LIBRARY)
    if (paths.procfs / "driver/nvidia").exists():
        return Missing(f"NVIDIA's driver is loaded, but there is no {SONAME}", REMEDY_LIBRARY)
    card = card_on_bus(paths)
    if card is None:
        return Missing(f"no NVIDIA GPU: no {SONAME}, no driver and no card on the PCI bus")
    address, driver = card
    why = f"there is an NVIDIA GPU at {address}, but no {SONAME}"
    return Missing(why, REMEDY_NOUVEAU if driver == "nouveau" else REMEDY_LIBRARY)


def _not_opened(paths: Paths, code: int, text: str) -> Missing:
    if code == VERSION_MISMATCH:
        return Missing("NVML and the loaded NVIDIA driver are of two versions", REMEDY_MISMATCH)
    if code != DRIVER_NOT_LOADED:
        return Missing(f"NVML does not start: {text}", REMEDY_DRIVER)
    card = card_on_bus(paths)
    if card is None:
        return Missing(f"{SONAME} is here, but NVIDIA's driver is not loaded", REMEDY_DRIVER)
    why = f"there is an NVIDIA GPU at {card[0]}, but NVIDIA's driver is not loaded"
    return Missing(why, REMEDY_NOUVEAU if card[1] == "nouveau" else REMEDY_DRIVER)


def _unmap(api: Any) -> None:
    """Unmap the library, so that the next look loads the file that is there then."""
    loaded, api.nvmlLib = api.nvmlLib, None
    # pynvml keeps the addresses of the functions that it has called; they die with the mapping.
    api._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001
    if loaded is not None:
        _close(loaded)


def _close(library: Any) -> None:
    """Let go of a loaded library; ctypes itself never does."""
    import _ctypes  # noqa: PLC0415

    _ctypes.dlclose(library._handle)  # noqa: SLF001
