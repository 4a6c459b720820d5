"""A stand-in for NVIDIA's libnvidia-ml.so.1 that the real `pynvml` loads; see README.md."""

from hardware.nvml.boards import (
    MODELS,
    Board,
    Slice,
    a100,
    b200,
    gh200,
    h100,
    h200,
    p40,
    rtx4090,
    v100,
)
from hardware.nvml.build import build, compile_into
from hardware.nvml.layout import FUNCTIONS, Quantity
from hardware.nvml.rules import Rule
from hardware.nvml.standin import (
    DRIVER_NOT_LOADED,
    GPU_IS_LOST,
    LIB_RM_VERSION_MISMATCH,
    NO_PERMISSION,
    NOT_SUPPORTED,
    UNINITIALIZED,
    UNKNOWN,
    Standin,
)

__all__ = [
    "DRIVER_NOT_LOADED",
    "FUNCTIONS",
    "GPU_IS_LOST",
    "LIB_RM_VERSION_MISMATCH",
    "MODELS",
    "NOT_SUPPORTED",
    "NO_PERMISSION",
    "UNINITIALIZED",
    "UNKNOWN",
    "Board",
    "Quantity",
    "Rule",
    "Slice",
    "Standin",
    "a100",
    "b200",
    "build",
    "compile_into",
    "gh200",
    "h100",
    "h200",
    "p40",
    "rtx4090",
    "v100",
]
