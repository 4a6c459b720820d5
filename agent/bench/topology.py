"""Which CPUs this process may use, and which of them share a core or a socket."""

import os
from pathlib import Path

SYSFS = Path("/sys")


def usable_cores(sysfs: Path = SYSFS) -> dict[int, tuple[int, int]]:
    """Return, for each CPU of the affinity mask, its socket and the first CPU of its core.

    From `/sys/devices/system/cpu/cpuN/topology` (Documentation/admin-guide/cputopology.rst). What
    the kernel does not say makes every CPU a core of one socket. The load runs on the real CPUs,
    so this does not follow `paths.sysfs`.
    """
    cores: dict[int, tuple[int, int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        topology = sysfs / f"devices/system/cpu/cpu{cpu}/topology"
        try:
            socket = int((topology / "physical_package_id").read_text())
            siblings = (topology / "thread_siblings_list").read_text()
            first = int(siblings.replace("-", ",").split(",")[0])
        except (OSError, ValueError):
            socket, first = 0, cpu
        cores[cpu] = (max(socket, 0), first)
    return cores
