"""What the simulated machine's own tests share."""

from hardware.fixtures import fault_library

__all__ = ["fault_library"]
