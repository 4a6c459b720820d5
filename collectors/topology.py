"""Which socket each CPU sits in, as sysfs tells it."""

import re
from pathlib import Path
from typing import Final

from collectors.sysfs import names, optional_int

_CPU: Final = re.compile(r"cpu(\d{1,6})")


def packages_of_cpus(sysfs: Path) -> dict[int, int]:
    """Return the socket of each CPU that is online, by CPU number; none if that is not told.

    The topology folder of a CPU is there only while the CPU is online
    (Documentation/admin-guide/cputopology.rst).
    """
    top = sysfs / "devices/system/cpu"
    numbers = sorted(int(match[1]) for name in names(top) if (match := _CPU.fullmatch(name)))
    found: dict[int, int] = {}
    for number in numbers:
        path = top / f"cpu{number}/topology"
        if path.is_dir():
            package = optional_int(sysfs, path / "physical_package_id")
            if package is None:
                return {}
            # Some ARM and VM firmware does not say, which reads as -1: then there is one.
            found[number] = max(package, 0)
    return found
