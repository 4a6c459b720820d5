"""The vocabulary of a site's meters."""

from agent.quantities import Word


class Role(Word):
    """What a meter is for. One that only a virtual meter uses has none."""

    TOTAL = "total"
    """What the data centre takes in: each utility feed, and fuel and cooling that are bought."""
    IT = "it"
    """What the IT equipment takes: at the PDUs' outputs (category 2) or its own inputs (3)."""
    UPS = "ups"
    """UPS output: IT energy of category 1."""
    COOLING = "cooling"
    """Electricity for cooling: chillers, pumps, towers, air handlers."""
    LIGHTING = "lighting"
    GENERATION = "generation"
    """Made on the site and used in the data centre (PV, gensets): part of its energy."""
    RENEWABLE = "renewable"
    """Renewable energy whose attributes the data centre owns: certificates, PPAs."""
    REUSED_HEAT = "reused_heat"
    """Heat at the hand-over to somebody outside the data centre."""
    REMOVED_HEAT = "removed_heat"
    """Heat that the cooling takes out of the data centre."""
    WATER_IN = "water_in"
    WATER_OUT = "water_out"
    """Water that is given back, at the quality of its source."""
    OUTSIDE_TEMPERATURE = "outside_temperature"
    """Dry-bulb temperature of the air outside; shown beside the KPIs and in none of them."""
    SUPPLY_AIR_TEMPERATURE = "supply_air_temperature"
    """Temperature of the air that goes into the IT equipment; in no KPI."""
    NONE = "none"


class Quantity(Word):
    """What a meter measures, and the base unit in which we keep it."""

    ENERGY = "energy"
    """J: electrical, thermal, or of fuel by its calorific value."""
    WATER = "water"
    """Litres."""
    TEMPERATURE = "temperature"
    """Degrees Celsius: a state and not an amount, so it is never summed or integrated."""


WATER_ROLES = frozenset({Role.WATER_IN, Role.WATER_OUT})
HEAT_ROLES = frozenset({Role.REUSED_HEAT, Role.REMOVED_HEAT})
TEMPERATURE_ROLES = frozenset({Role.OUTSIDE_TEMPERATURE, Role.SUPPLY_AIR_TEMPERATURE})
"""Thermometers: no amount passes through them."""
