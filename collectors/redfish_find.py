"""Which of a Redfish service's Systems is this host, and which Chassis' power is its own.

A service may have several Systems: a multi-node chassis, a chassis manager, or an HGX board beside
its server. This host is the one whose UUID is SMBIOS' (DMTF ComputerSystem.UUID is that very value;
some BMCs swap the bytes of its first three fields, as SMBIOS before 2.6 did). Its chassis is one
that links to no other System. The figure of a chassis with several nodes is never taken: it is not
this host's. What feeds a node from a chassis around it (blades, sleds, twins) feeds the other nodes
too, so a node's power supplies do not count there, only the node's own figure.
"""

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent.collector import Absent, Transient
from collectors.redfish_http import Document
from collectors.redfish_login import ROOT, link

Get = Callable[..., Awaitable[Document | None]]
MOST_MEMBERS: Final = 64
"""Of a collection, for the search: a chassis manager has tens of nodes."""
AGAIN_SECONDS: Final = 3600.0
_NODES: Final = frozenset({"Blade", "Card", "Cartridge", "Drawer", "Module", "Sled"})
"""ChassisType of what sits in an enclosure and is fed by it (DMTF Chassis schema)."""
_AROUND_ALL: Final = frozenset({"Cabinet", "Facility", "Pod", "Rack", "RackGroup", "Row", "Zone"})
"""ChassisType of what holds servers without feeding them from supplies of its own."""
_BESIDE: Final = "HGX_"
"""NVIDIA's HGX boards are Systems of their own beside the server's (HGX_Baseboard_0)."""


class Place(NamedTuple):
    """Where this host's power is read."""

    system: str
    """The `@odata.id` of its System."""
    chassis: Document
    shared: bool
    """Whether a chassis around it feeds it."""

    @property
    def path(self) -> str:
        """Return the `@odata.id` of the chassis."""
        return link({"it": self.chassis}, "it")

    @property
    def device(self) -> str:
        """Return the chassis' Id."""
        return identity(self.chassis)


async def find(get: Get, where: str, *, system: str, chassis: str, sysfs: Path) -> Place:
    """Return where this host's power is read.

    `get` returns a document, or None for what is not there where `optional=True`. `system` and
    `chassis` are Ids from the settings, "" where nothing is set. Raises `Absent` (the service has
    no figure for this host alone) and `Transient` (`settings`: which one it is must be said).
    """
    root = await get(ROOT)
    assert root is not None
    ours = await _system(get, where, root, system, sysfs)
    path = link({"it": ours}, "it")
    around = [
        found
        for found in await _around(get, root, ours, chassis)
        if not chassis or _is(found, chassis)
    ]
    if not around:
        named = f"no chassis {chassis!r}" if chassis else f"no chassis for {path}"
        raise Transient(
            f"{where} has {named}", "settings", "set chassis to the Id of the one that is this host"
        )
    own = [found for found in around if len(_systems(found) - {path}) == 0]
    if not own:
        several = max(around, key=lambda found: len(_systems(found)))
        raise Absent(
            f"the chassis {identity(several)!r} of {where} holds {len(_systems(several))} nodes:"
            " its power is not this host's",
            "set chassis to the node's own, if the BMC has one, or use the ipmi collector",
            again_seconds=AGAIN_SECONDS,
        )
    return await _outermost(get, where, path, [found for found in own if _has_power(found)] or own)


def identity(document: Document) -> str:
    """Return a resource's Id, or else the end of its path."""
    named = document.get("Id")
    return (
        named
        if isinstance(named, str) and named
        else link({"it": document}, "it").rpartition("/")[2]
    )


def host_uuid(sysfs: Path) -> uuid.UUID | None:
    """Return SMBIOS' UUID of this machine; None where this user may not read it."""
    try:
        return uuid.UUID((sysfs / "class/dmi/id/product_uuid").read_text().strip())
    except (OSError, ValueError):
        return None


def objects(found: Any) -> list[Document]:
    """Return those members of a list that are objects."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


async def members(get: Get, path: str) -> list[str]:
    """Return the paths of a collection's members, page by page."""
    paths: list[str] = []
    while path and len(paths) < MOST_MEMBERS:
        page = await get(path, optional=True) or {}
        found = [link({"it": one}, "it") for one in objects(page.get("Members"))]
        if not found:
            break
        paths += found
        following = page.get("Members@odata.nextLink")
        path = following if isinstance(following, str) else ""
    return [found for found in paths if found][:MOST_MEMBERS]


# -- inside ---------------------------------------------------------------------------------------


async def _system(get: Get, where: str, root: Document, wanted: str, sysfs: Path) -> Document:
    """Return the System that is this host."""
    paths = await members(get, link(root, "Systems"))
    found = [one for path in paths if (one := await get(path, optional=True)) is not None]
    names = ", ".join(identity(one) for one in found) or "none"
    if wanted:
        for one in found:
            if _is(one, wanted):
                return one
        raise Transient(
            f"{where} has no System {wanted!r}; it has {names}", "settings", "mend system"
        )
    found = [one for one in found if not identity(one).startswith(_BESIDE)] or found
    mine = host_uuid(sysfs)
    theirs = [_uuid(one) for one in found]
    if mine is not None:
        for one, its in zip(found, theirs, strict=True):
            if its is not None and mine in {its, uuid.UUID(bytes=its.bytes_le)}:
                return one
    if not found:
        raise Absent(
            f"{where} has no System", "look whether url is the BMC's", again_seconds=AGAIN_SECONDS
        )
    if len(found) > 1:
        raise Transient(
            f"{where} has several Systems ({names}) and which one is this host cannot be told",
            "settings",
            "set system to the Id of this host, or let this user read"
            " /sys/class/dmi/id/product_uuid (root may)",
        )
    if mine is not None and theirs[0] is not None:
        raise Transient(
            f"{where} is the BMC of another machine: its System {names!r} has the UUID {theirs[0]},"
            f" this host has {mine}",
            "settings",
            f'set url to this host\'s BMC; if it is, set system = "{names}"',
        )
    return found[0]


async def _around(get: Get, root: Document, ours: Document, wanted: str) -> list[Document]:
    """Return the chassis that hold the System: those it links to, else all that link to it."""
    path = link({"it": ours}, "it")
    links = ours.get("Links")
    linked = objects(links.get("Chassis")) if isinstance(links, dict) else []
    named = [link({"it": one}, "it") for one in linked]
    if named and not wanted:
        found = [one for at in named if (one := await get(at, optional=True)) is not None]
        if any(_has_power(one) for one in found):
            return found
    all_of_them = [
        one
        for at in await members(get, link(root, "Chassis"))
        if (one := await get(at, optional=True)) is not None
    ]
    if wanted:
        return all_of_them
    return [one for one in all_of_them if path in _systems(one) or link({"it": one}, "it") in named]


async def _outermost(get: Get, where: str, system: str, own: list[Document]) -> Place:
    """Return the one chassis that is in no other of them; tell whether it is fed from outside."""
    paths = {link({"it": one}, "it") for one in own}
    outer = [one for one in own if link(one, "Links", "ContainedBy") not in paths]
    if len(outer) != 1:
        names = ", ".join(identity(one) for one in outer or own)
        raise Transient(
            f"{where} has several chassis for this host ({names})",
            "settings",
            "set chassis to the Id of the one whose power is this host's",
        )
    chassis = outer[0]
    container = link(chassis, "Links", "ContainedBy")
    shared = chassis.get("ChassisType") in _NODES
    if container and not shared:
        outside = await get(container, optional=True) or {}
        shared = outside.get("ChassisType") not in _AROUND_ALL
    return Place(system, chassis, shared)


def _systems(chassis: Document) -> set[str]:
    """Return the paths of the Systems in a chassis, HGX boards left out."""
    links = chassis.get("Links")
    found = objects(links.get("ComputerSystems")) if isinstance(links, dict) else []
    paths = {link({"it": one}, "it") for one in found} - {""}
    return {path for path in paths if not path.rpartition("/")[2].startswith(_BESIDE)}


def _has_power(chassis: Document) -> bool:
    return any(link(chassis, name) for name in ("EnvironmentMetrics", "PowerSubsystem", "Power"))


def _is(document: Document, wanted: str) -> bool:
    return wanted in {identity(document), link({"it": document}, "it")}


def _uuid(system: Document) -> uuid.UUID | None:
    try:
        found = uuid.UUID(str(system.get("UUID")))
    except ValueError:
        return None
    return found if found.int not in {0, 2**128 - 1} else None
