"""A site's meters by what they are for, as sums of real meters."""

from collections.abc import Iterable, Mapping, Sequence

from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.fleet import AGENTS, Fleet
from agent.kpi.pue import ItCategory
from agent.kpi.quantity import Sum
from agent.site.cells import Cell, Term
from agent.site.settings import Meter, SiteSettings
from agent.site.virtual import factors
from agent.site.words import Role


class Inputs:
    """What a site's meters, and the agents, say about one quantity each.

    Every sum raises ValueError, one sentence, where it cannot be made.
    """

    def __init__(
        self, site: SiteSettings, cells: Mapping[str, Sequence[Cell]], fleet: Fleet | None = None
    ) -> None:
        """`cells` are by the names of real meters."""
        self.site = site
        self.fleet = fleet or Fleet()
        self._cells = cells
        self._meters = {meter.name: meter for meter in site.meter}

    def of(self, *roles: Role) -> list[Meter]:
        """Return the meters with one of these roles."""
        return [meter for meter in self.site.meter if meter.role in roles]

    def sum(self, name: str, scaled: Iterable[tuple[Meter, float]], *, unit: str = "kWh") -> Sum:
        """Return the sum of meters, each times its number; virtual ones are taken apart."""
        found: dict[str, float] = {}
        counted: dict[str, str] = {}
        for meter, scale in scaled:
            for real, factor in factors([meter.name], self._meters).items():
                if factor > 0 and real in counted:
                    raise ValueError(
                        f"{real} is counted twice in {name}, by {counted[real]} and by {meter.name}"
                    )
                if factor > 0:
                    counted[real] = meter.name
                found[real] = found.get(real, 0.0) + factor * scale
        terms = [Term(self._cells.get(real, ()), factor) for real, factor in found.items()]
        per_unit = JOULES_PER_KWH if unit == "kWh" else 1.0
        return Sum(name, unit, terms, tuple(found), per_unit)

    def role(self, name: str, *roles: Role, unit: str = "kWh") -> Sum:
        """Return the sum of all meters with one of these roles; there must be one."""
        meters = self.of(*roles)
        if not meters:
            raise ValueError(f"no meter has the role {' or '.join(role.value for role in roles)}")
        return self.sum(name, ((meter, 1.0) for meter in meters), unit=unit)

    def total(self) -> Sum:
        """Return E_DC: what the data centre takes in, and what it makes itself and uses.

        With its own generation in it, PV on the roof does not lower PUE: a plant whose output is
        metered counts like a supplier (EN 50600-4-2, 5.2).
        """
        meters = self.of(Role.TOTAL, Role.GENERATION)
        if not any(meter.role is Role.TOTAL for meter in meters):
            raise ValueError("no meter has the role total")
        return self.sum("E_DC", ((m, m.weight if m.role is Role.TOTAL else 1.0) for m in meters))

    def carbon(self) -> Sum:
        """Return the CO2 of E_DC, kg. All meters of E_DC must have a factor; 0 is one."""
        meters = self.of(Role.TOTAL, Role.GENERATION)
        lacking = [m.name for m in meters if m.carbon_kilograms_per_kwh is None]
        if lacking or not meters:
            raise ValueError(
                f"carbon_kilograms_per_kwh is not set for {', '.join(lacking) or 'any meter'}"
            )
        scaled = ((m, (m.carbon_kilograms_per_kwh or 0.0) / JOULES_PER_KWH) for m in meters)
        return self.sum("CO2", scaled, unit="kg")

    def renewable(self) -> Sum:
        """Return E_REN: certificates and the like, and own generation that is renewable."""
        return self.sum("E_REN", ((meter, 1.0) for meter in self.renewable_meters()))

    def renewable_meters(self) -> list[Meter]:
        """Return the meters of E_REN."""
        return [
            m
            for m in self.of(Role.RENEWABLE, Role.GENERATION)
            if m.role is Role.RENEWABLE or m.renewable
        ]

    def fresh_water(self) -> Sum:
        """Return the fresh water that came in, litres; meters of other water must be known, too."""
        scaled = ((meter, float(meter.freshwater)) for meter in self.of(Role.WATER_IN))
        return self.sum("W_fresh", scaled, unit="l")

    def categories(self) -> list[ItCategory]:
        """Return the categories of IT energy that are measured, the EU's first choice first.

        Delegated Regulation (EU) 2024/1364: at the UPS output, else at the PDU.
        """
        found = {_category(meter) for meter in self.of(Role.IT, Role.UPS)}
        if not found and self.fleet.it:
            return [3]
        return sorted(found)

    def it(self, category: ItCategory) -> Sum:
        """Return E_IT as that category's meters say; of category 3 as the agents do, without any.

        The agents step in only where the site has no IT meter at all.
        """
        meters = [m for m in self.of(Role.IT, Role.UPS) if _category(m) == category]
        if meters:
            return self.sum("E_IT", ((meter, 1.0) for meter in meters))
        if category == 3 and self.is_by_agents:
            return self.agents()
        raise ValueError(f"no meter measures IT energy of category {category}")

    @property
    def is_by_agents(self) -> bool:
        """Whether IT energy is the sum of the agents, for want of any IT meter."""
        return bool(self.fleet.it) and not self.of(Role.IT, Role.UPS)

    def agents(self) -> Sum:
        """Return E_IT as the agents on the servers say."""
        return Sum("E_IT", "kWh", (Term(self.fleet.it),), (AGENTS,))


def _category(meter: Meter) -> ItCategory:
    return 1 if meter.role is Role.UPS else meter.category or 2
