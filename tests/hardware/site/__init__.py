"""A whole simulated data-centre site on one machine: real agents on simulated hardware.

    with SimulatedSite(directory) as site:
        site.wait_for_figures()
        site.host("gz1-r01-n01").throttle()

At least six servers in racks, each a real `wattlas run` on a port of the loopback with a proc and
sys tree, GPUs and a BMC of its own; one more agent reads the facility's meters; all of them ask one
carbon provider. What is true is known at every moment, so what is reported can be compared.
"""

from hardware.site.site import SimulatedSite

__all__ = ["SimulatedSite"]
