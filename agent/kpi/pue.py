"""Power usage effectiveness and its family: PUE, DCiE, partial and mixed-use PUE, ITUE, TUE.

All are ratios of energies over one period, in J; a mean of ratios is none of them.
"""

from typing import Literal

from agent.kpi.checked import above_zero, not_below_zero

ItCategory = Literal[1, 2, 3]
"""Where IT energy is measured: 1 UPS output, 2 PDU output, 3 input of the IT equipment."""


def pue(total_joules: float, it_joules: float) -> float:
    """Return PUE = E_DC / E_IT. Raises ValueError.

    ISO/IEC 30134-2:2026 (ed. 2), the same as EN 50600-4-2 and The Green Grid's white paper 49.
    By definition not below 1; one that is comes from meters that contradict each other and is
    returned all the same, for the caller to say so.
    """
    return not_below_zero("E_DC", total_joules) / above_zero("E_IT", it_joules)


def dcie(total_joules: float, it_joules: float) -> float:
    """Return DCiE = E_IT / E_DC = 1 / PUE, as a ratio (The Green Grid). Raises ValueError."""
    return not_below_zero("E_IT", it_joules) / above_zero("E_DC", total_joules)


def ppue(infrastructure_joules: float, it_joules: float) -> float:
    """Return the partial PUE of a part of the site, (E_sub + E_IT) / E_IT. Raises ValueError.

    ISO/IEC 30134-2:2026, clause 9 (derivatives). It leaves out what serves that part from outside,
    so partial PUEs of all parts do not make up the site's PUE.
    """
    return (not_below_zero("E_sub", infrastructure_joules) + it_joules) / above_zero(
        "E_IT", it_joules
    )


def mpue(in_boundary_joules: float, it_joules: float) -> float:
    """Return the PUE of a data centre in a building with other uses. Raises ValueError.

    ISO/IEC 30134-2:2026, definition 3.1.7. The first energy is that within the data centre's own
    boundary, never the whole building's.
    """
    return pue(in_boundary_joules, it_joules)


def itue(wall_joules: float, compute_joules: float) -> float:
    """Return ITUE = E_IT / E_compute: what the servers take over what their parts that compute do.

    A PUE "inside" the IT: fans, power supplies and voltage regulators are its overhead.
    Patterson et al., "TUE, a new energy-efficiency metric applied at ORNL's Jaguar", ISC 2013.
    Raises ValueError.
    """
    return not_below_zero("E_wall", wall_joules) / above_zero("E_compute", compute_joules)


def tue(itue_ratio: float, pue_ratio: float) -> float:
    """Return TUE = ITUE x PUE, of the same period (Patterson et al., ISC 2013).

    It stands for E_DC / E_compute if both see the same IT equipment at the same point, its own
    inputs: PUE is of category 3.
    """
    return itue_ratio * pue_ratio


def pue_name(category: ItCategory, *, is_year: bool, mixed_use: bool) -> str:
    """Return what a PUE must be called: "PUE2", "iPUE2", "mPUE2", "imPUE2".

    i, interim: a period under 12 consecutive months; m: mixed use (ISO/IEC 30134-2:2026, clauses
    3.1.7 and 9). The order of both letters together is ours.
    """
    return f"{'' if is_year else 'i'}{'m' if mixed_use else ''}PUE{category}"
