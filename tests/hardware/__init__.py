"""The simulated machine: sensors as files, with a true power behind them.

    with xeon_2s(tmp_path) as machine:
        machine.write(60.0)  # every file as it is after a minute
        truth = machine.joules("package-0", 0.0, 60.0)

With a `VirtualClock` the time is virtual and shared between processes; `Faults` makes reads fail
from outside the process that reads.
"""

from hardware.clock import VirtualClock
from hardware.presets import PRESETS, cloud_vm, desktop_psys, epyc_2s, grace_2s, xeon_2s, xeon_12s
from hardware.tree import Machine, Spec

__all__ = [
    "PRESETS",
    "Machine",
    "Spec",
    "VirtualClock",
    "cloud_vm",
    "desktop_psys",
    "epyc_2s",
    "grace_2s",
    "xeon_2s",
    "xeon_12s",
]
