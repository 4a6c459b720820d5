"""A BMC: Debian's `ipmi_sim`, to which the real IPMI tools talk over loopback.

    with Bmc(tmp_path, [Analog(1, "Pwr Consumption", 42, watts_per_count=4)]) as bmc:
        bmc.says(power(164.0))      # DCMI, from now on
        settings = bmc.settings(tool="ipmitool")

ipmi_sim has no DCMI; `dcmi.c` adds it.
"""

from hardware.ipmi.bmc import Bmc, NoSimulator
from hardware.ipmi.records import Analog, Supply, power

__all__ = ["Analog", "Bmc", "NoSimulator", "Supply", "power"]
