"""The vocabulary of emissions."""

from agent.quantities import Word


class Basis(Word):
    """How Scope 2 is counted (GHG Protocol Scope 2 Guidance, 2015, ch. 4)."""

    LOCATION = "location"
    """By the grid that delivers."""
    MARKET = "market"
    """By contracts: certificates, PPAs, the supplier's factor, else the residual mix."""
    MARGINAL = "marginal"
    """What one kWh more would emit: for choosing when to run, never for Scope 2."""


class Factor(Word):
    """What of a kWh's emissions an intensity has in it."""

    DIRECT = "direct"
    """Of generation alone: what Scope 2 asks for."""
    LIFECYCLE = "lifecycle"
    """With building the plants and bringing the fuel (Scope 3, category 3)."""


class Scope(Word):
    """Of the GHG Protocol."""

    SCOPE_1 = "1"
    SCOPE_2 = "2"
    SCOPE_3 = "3"


class Stage(Word):
    """The six links of a machine's life."""

    PROCUREMENT = "procurement"
    DESIGN = "design"
    MANUFACTURING = "manufacturing"
    PACKAGING_TRANSPORT = "packaging_transport"
    OPERATION = "operation"
    RECYCLING = "recycling"


class Origin(Word):
    """How a value of an intensity was obtained, best first."""

    MEASURED = "measured"
    """Of the past, from what was generated."""
    ESTIMATED = "estimated"
    """The provider's own estimate of the past."""
    FORECAST = "forecast"
    AVERAGE = "average"
    """A yearly figure: static factors."""
