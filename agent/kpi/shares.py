"""Shares of the data centre's energy: renewable (REF), reused (ERF); and the cooling's CER."""

from agent.kpi.checked import above_zero, not_below_zero


def ref(renewable_joules: float, total_joules: float) -> float:
    """Return REF = E_REN / E_DC, 1 at most. Raises ValueError.

    ISO/IEC 30134-3:2016 with amendment 1, EN 50600-4-3. Renewable is what the data centre owns the
    attributes of and has cancelled: certificates, PPAs, its own generation if it has not sold
    them. What goes beyond the need of the data centre does not count: "REF shall have a maximum
    value of 1,00" (EN 50600-4-3).
    """
    renewable = not_below_zero("E_REN", renewable_joules)
    return min(1.0, renewable / above_zero("E_DC", total_joules))


def erf(reused_joules: float, total_joules: float) -> float:
    """Return ERF = E_reuse / E_DC, 0 to 1. Raises ValueError, also where it is above 1.

    ISO/IEC 30134-6:2021, EN 50600-4-6. Reused is what is handed over to somebody outside the data
    centre; heat that the data centre uses itself is already in its lower PUE.
    """
    ratio = not_below_zero("E_reuse", reused_joules) / above_zero("E_DC", total_joules)
    if ratio > 1:
        raise ValueError(
            f"E_reuse is {ratio:.2f} times E_DC, and more than was taken in cannot be handed over"
        )
    return ratio


def cer(removed_heat_joules: float, cooling_joules: float) -> float:
    """Return CER = Q_removed / E_cooling, heat over electricity. Raises ValueError.

    ISO/IEC 30134-7:2023, EN 50600-4-7; cooling that is driven by electricity only, not by heat.
    """
    heat = not_below_zero("Q_removed", removed_heat_joules)
    return heat / above_zero("E_cooling", cooling_joules)
