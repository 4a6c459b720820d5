"""Floating-point rates from the activity of an accelerator's arithmetic units.

FLOP/s = Σ over pipes of active ratio x SMs x dense FLOP per clock per SM x actual SM clock. A fused
multiply-add is two operations. What comes out is an upper bound: a pipe that is busy need not be
full, and the tensor pipe does not say in which precision it works.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Final

import msgspec

PRECISIONS: Final[Mapping[str, str]] = {
    "fp64": "fp64",
    "fp32": "fp32",
    "fp16": "fp16",
    "tensor_fp64": "fp64_tensor",
    "tensor_fp16": "fp16_tensor",
}
"""Pipe, as `Figure.PIPE_ACTIVE` names it, to the precision label of what it does."""

_OTHER_TENSOR: Final = ("tensor_fp64", "tensor_int8")


class Pipes(msgspec.Struct, frozen=True):
    """The arithmetic units of one accelerator."""

    sms: int
    """Streaming multiprocessors that are enabled (AMD: compute units, Intel: Xe cores)."""
    flop_per_clock: Mapping[str, float]
    """By pipe: what one SM can do in one clock, dense."""


def flop_rates(pipes: Pipes, active: Mapping[str, float], sm_hertz: float) -> dict[str, float]:
    """Return FLOP/s by precision label.

    `active` maps a pipe's name to the share of cycles in which it was busy, 0 to 1; `sm_hertz` is
    the clock that the SMs really had. A pipe that is missing, not a number or outside 0 to 1, or
    of which the device's rate is not known, is left out: unknown is not zero.

    Where the source tells only that any tensor pipe was busy (`tensor`), all of it that is not
    known to be FP64 or integer is taken for FP16 at full rate. For TF32 that says twice too much,
    for FP8 half of what it was.
    """
    if not (isfinite(sm_hertz) and sm_hertz > 0):
        return {}
    clocks = pipes.sms * sm_hertz
    rates: dict[str, float] = {}
    for pipe, precision in PRECISIONS.items():
        rate = pipes.flop_per_clock.get(pipe)
        ratio = _ratio(active, pipe)
        if ratio is None and pipe == "tensor_fp16":
            ratio = _assumed_fp16(active)
        if rate is not None and ratio is not None:
            rates[precision] = ratio * clocks * rate
    return rates


def _assumed_fp16(active: Mapping[str, float]) -> float | None:
    """Return the part of the tensor activity that may have been FP16."""
    tensor = _ratio(active, "tensor")
    if tensor is None:
        return None
    return max(tensor - sum(_ratio(active, pipe) or 0.0 for pipe in _OTHER_TENSOR), 0.0)


def _ratio(active: Mapping[str, float], pipe: str) -> float | None:
    value = active.get(pipe)
    return value if value is not None and 0.0 <= value <= 1.0 else None
