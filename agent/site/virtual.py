"""Virtual meters, taken apart into the real ones that they are sums and differences of."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from agent.site.cells import Cell, Term
from agent.site.settings import Meter, SiteSettings, VirtualMeter
from agent.site.words import TEMPERATURE_ROLES, WATER_ROLES, Quantity


class VirtualError(ValueError):
    """A virtual meter that names an unknown meter, or itself by a detour: one sentence."""


def factors(names: Iterable[str], meters: Mapping[str, Meter]) -> dict[str, float]:
    """Return how often each real meter enters the sum of the named ones; what cancels is left out.

    Raises `VirtualError`.
    """
    found: dict[str, float] = {}
    for name in names:
        _add(name, 1.0, meters, (), found)
    return {name: factor for name, factor in found.items() if factor}


def terms(
    names: Iterable[str], meters: Mapping[str, Meter], cells: Mapping[str, Sequence[Cell]]
) -> list[Term]:
    """Return the sum of the named meters in terms of real ones' cells.

    One that has no cells is a term without: no time is known of the sum.
    """
    return [Term(cells.get(name, ()), factor) for name, factor in factors(names, meters).items()]


def water_meters(site: SiteSettings) -> frozenset[str]:
    """Return the real meters that measure water: by their role, or a virtual one's they are in.

    A virtual meter that is not right is passed over.
    """
    meters = {meter.name: meter for meter in site.meter}
    found: set[str] = set()
    for meter in site.meter:
        if meter.role in WATER_ROLES:
            with contextlib.suppress(VirtualError):
                found |= factors([meter.name], meters).keys()
    return frozenset(found)


def quantities(site: SiteSettings) -> dict[str, Quantity]:
    """Return what each of a site's meters measures, by name."""
    water = water_meters(site)
    found: dict[str, Quantity] = {}
    for meter in site.meter:
        if meter.role in TEMPERATURE_ROLES:
            found[meter.name] = Quantity.TEMPERATURE
        else:
            found[meter.name] = Quantity.WATER if meter.name in water else Quantity.ENERGY
    return found


def _add(
    name: str,
    factor: float,
    meters: Mapping[str, Meter],
    above: tuple[str, ...],
    found: dict[str, float],
) -> None:
    meter = meters.get(name)
    if meter is None:
        raise VirtualError(f"there is no meter named {name!r}")
    if name in above:
        raise VirtualError(
            f"{' → '.join((*above, name))}: a virtual meter cannot be part of itself"
        )
    if not isinstance(meter, VirtualMeter):
        found[name] = found.get(name, 0.0) + factor
        return
    for part in meter.add:
        _add(part, factor, meters, (*above, name), found)
    for part in meter.subtract:
        _add(part, -factor, meters, (*above, name), found)
