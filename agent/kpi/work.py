"""Useful work for each kWh."""

from agent.kpi.checked import JOULES_PER_KWH, above_zero, not_below_zero


def dcep(work: float, total_joules: float) -> float:
    """Return DCeP = useful work / E_DC, units of work per kWh. Raises ValueError.

    The Green Grid, and the global taskforce "Harmonizing Global Metrics for Data Center Energy
    Efficiency" (March 2014). What is useful the operator says; different units are not added.
    """
    return not_below_zero("the work", work) / (above_zero("E_DC", total_joules) / JOULES_PER_KWH)


def work_per_it_energy(work: float, it_joules: float) -> float:
    """Return units of work per kWh of IT energy: DCeP without the building. Raises ValueError."""
    return not_below_zero("the work", work) / (above_zero("E_IT", it_joules) / JOULES_PER_KWH)
