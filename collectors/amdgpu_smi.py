"""Energy counters through AMD's own library, for cards that are newer than our tables.

The Python package `amdsmi` comes with ROCm (or from PyPI) and loads `libamd_smi.so`. It is imported
only when a card's `gpu_metrics` has a revision that `collectors/amdgpu_metrics.py` does not know:
of the older ones the library knows no more than the file says, and it gives consumer cards the same
unit as server cards, which nothing documents.

`amdsmi_get_energy_count` returns a counter and its resolution in uJ, 15.3: a rounded 2^-16 J
(15.259 uJ, kgd_pp_interface.h), so the exact one is taken for it. The import prints to stdout where
the library is missing, and then fails with a KeyError: neither may reach the user.
"""

import contextlib
import io
from typing import Any, Final

from agent.quantities import Joules
from collectors.amdgpu_metrics import JOULES_PER_COUNT
from collectors.sysfs import Unreadable

ROUNDED_MICROJOULES: Final = 15.3
"""What the library calls 15.259 uJ."""


class Smi:
    """AMD's library, opened once it is first asked for anything."""

    def __init__(self) -> None:
        self._library: Any = None
        self._handles: dict[str, Any] | None = None

    def joules(self, address: str) -> Joules | None:
        """Return the energy counter of the card at a PCI address, in J.

        None where there is no library or it does not know the card. Raises `Unreadable` where it
        does and the counter cannot be read this time.
        """
        handle = self._cards().get(address)
        if handle is None:
            return None
        try:
            count = self._library.amdsmi_get_energy_count(handle)
        except Exception as error:  # noqa: BLE001 - its exceptions are known only once it is loaded
            if _is_unsupported(self._library, error):
                return None
            raise Unreadable(f"amdsmi {address}", _text(error), "io") from None
        resolution = float(count["counter_resolution"])
        if abs(resolution - ROUNDED_MICROJOULES) < 0.05:
            resolution = JOULES_PER_COUNT * 1e6
        counts = int(count["energy_accumulator"])
        if counts <= 0 or counts >= 2**64 - 1 or not 0 < resolution < 1e6:
            raise Unreadable(f"amdsmi {address}", "gives no energy this time", "garbage")
        return Joules(counts * resolution / 1e6)

    def look_again(self) -> None:
        """Ask anew which cards there are, at the next `joules`: one has come."""
        if self._library is not None:
            self.close()

    def close(self) -> None:
        """Give the library back."""
        library, self._library, self._handles = self._library, None, None
        if library is not None:
            with contextlib.suppress(Exception):
                library.amdsmi_shut_down()

    def _cards(self) -> dict[str, Any]:
        if self._handles is None:
            try:
                self._library, self._handles = _open()
            except Exception:  # noqa: BLE001 - somebody else's code: ImportError, KeyError, its own
                self._handles = {}
        return self._handles


def _open() -> tuple[Any, dict[str, Any]]:
    with contextlib.redirect_stdout(io.StringIO()):
        import amdsmi  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415

        amdsmi.amdsmi_init(amdsmi.AmdSmiInitFlags.INIT_AMD_GPUS)
        handles = {
            str(amdsmi.amdsmi_get_gpu_device_bdf(handle)).lower(): handle
            for handle in amdsmi.amdsmi_get_processor_handles()
        }
    return amdsmi, handles


def _is_unsupported(library: Any, error: Exception) -> bool:
    code = getattr(error, "err_code", None)
    return code is not None and code == library.amdsmi_wrapper.AMDSMI_STATUS_NOT_SUPPORTED


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
