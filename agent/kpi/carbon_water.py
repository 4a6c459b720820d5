"""Carbon and water for each kWh of IT energy: CUE and WUE."""

from agent.kpi.checked import JOULES_PER_KWH, above_zero, not_below_zero


def cue(carbon_kilograms: float, it_joules: float) -> float:
    """Return CUE, kg of CO2 of the data centre's energy per kWh of IT energy. Raises ValueError.

    ISO/IEC 30134-8:2022, EN 50600-4-8: the use phase only. With one source of energy it is
    PUE x that source's kg/kWh (The Green Grid, white paper 32).
    """
    carbon = not_below_zero("the CO2", carbon_kilograms)
    return carbon / (above_zero("E_IT", it_joules) / JOULES_PER_KWH)


def wue(water_liters: float, it_joules: float) -> float:
    """Return WUE, litres of water per kWh of IT energy, the same as m3/MWh. Raises ValueError.

    ISO/IEC 30134-9:2022, EN 50600-4-9. Which water depends on the definition; see `definitions`.
    """
    water = not_below_zero("the water", water_liters)
    return water / (above_zero("E_IT", it_joules) / JOULES_PER_KWH)


def water_consumed(in_liters: float, out_liters: float) -> float:
    """Return the litres that were not given back: WUE category 2 (ISO/IEC 30134-9:2022)."""
    return in_liters - out_liters
