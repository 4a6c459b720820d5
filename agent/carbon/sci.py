"""Emissions per unit of work: the SCI and its relatives. Pure."""

from typing import Final

from agent.carbon.operational import Total
from agent.carbon.words import Basis
from agent.kpi.checked import above_zero, not_below_zero

YEAR_SECONDS: Final = 365 * 86400.0
"""The SCI specification's year: 4 years are 4*365*24 hours."""
TERA: Final = 1e12


def sci(
    energy_kwh: float, grams_per_kwh: float, embodied_grams: float, functional_units: float
) -> float:
    """Return SCI = ((E * I) + M) per R, gCO2e per functional unit. Raises ValueError.

    ISO/IEC 21031:2024, the same as the SCI specification v1.1, "Methodology summary". E takes in
    what is reserved and idle, and the data centre's own use (x PUE); I is location-based.
    """
    operational = not_below_zero("E", energy_kwh) * not_below_zero("I", grams_per_kwh)
    return (operational + not_below_zero("M", embodied_grams)) / above_zero("R", functional_units)


def sci_of(total: Total, embodied_grams: float, functional_units: float) -> float:
    """Return the SCI of energy that was counted by its own time. Raises ValueError.

    Refuses market-based totals: certificates and contracts do not lower an SCI (SCI specification
    v1.1, "Region-specific carbon intensity" and "Exclusions"). E * I is the sum over time, which a
    mean of I would get wrong where the load follows the sun. Energy of unknown intensity would be
    taken for free, so there must be none.
    """
    if total.basis is Basis.MARKET:
        raise ValueError("an SCI is location-based: certificates and contracts do not count")
    if total.grams is None or total.known_kwh < total.kwh * (1 - 1e-9):
        raise ValueError("some of the energy has no known intensity, and unknown is not zero")
    emitted = total.grams + not_below_zero("M", embodied_grams)
    return emitted / above_zero("R", functional_units)


def embodied_share(
    embodied_grams: float,
    reserved_seconds: float,
    lifespan_seconds: float,
    reserved: float = 1.0,
    available: float = 1.0,
) -> float:
    """Return M = TE * (TiR / EL) * (RR / ToR), g. Raises ValueError.

    SCI specification v1.1, "Embodied emissions": 1000 kg, four years, one hour: "around 28 g".
    `reserved` of `available`: cores, memory, or whatever the machine is shared by.
    """
    time_share = not_below_zero("TiR", reserved_seconds) / above_zero("EL", lifespan_seconds)
    resource_share = not_below_zero("RR", reserved) / above_zero("ToR", available)
    return not_below_zero("TE", embodied_grams) * time_share * resource_share


def grams_per_it_kwh(grams: float, it_kwh: float) -> float:
    """Return gCO2e per kWh that the IT took. Raises ValueError.

    With operational emissions alone it is CUE x 1000 (ISO/IEC 30134-8); with all stages it is not.
    """
    return not_below_zero("the emissions", grams) / above_zero("E_IT", it_kwh)


def grams_per_teraflop(grams: float, floating_point_operations: float) -> float:
    """Return gCO2e per 10^12 floating-point operations that were done. Raises ValueError."""
    return not_below_zero("the emissions", grams) / above_zero(
        "the work", floating_point_operations / TERA
    )


def grams_per_thousand(grams: float, units: float) -> float:
    """Return gCO2e per thousand tokens, requests … Raises ValueError."""
    return not_below_zero("the emissions", grams) / above_zero("the work", units / 1000.0)


def ceps(life_cycle_kilograms: float, operations_per_second: float) -> float:
    """Return CEPS, 算力碳效: kg CO2e per TFLOPS of computing power. Raises ValueError.

    CO2e of a period, or of the whole life, over computing power at one named precision. The term
    is CAICT's and ODCC's; the primary text was not read, so call it by its formula in reports.
    """
    return not_below_zero("the emissions", life_cycle_kilograms) / above_zero(
        "the computing power", operations_per_second / TERA
    )
