"""What a Redfish service knows of a server's power, and which of its figures is the wall's.

Three figures, by their DMTF schemas:

- `EnvironmentMetrics.PowerWatts.Reading` of the chassis (schema EnvironmentMetrics): the power that
  the chassis consumes; the successor of PowerControl (OCP issue HWMgmt-OCP-Profiles #179);
- the input power of every power supply: `PowerSupplyMetrics.InputPowerWatts.Reading` (schema
  PowerSupplyMetrics), older `Power.PowerSupplies[].PowerInputWatts`, summed;
- `Power.PowerControl[].PowerConsumedWatts` (schema Power): what the chassis consumes.

Only the supplies' input is the wall by definition; what "the chassis consumes" is left to the
vendor. In records of real machines it is the supplies' input: Dell R750 614 W to 612.5 W, Lenovo
SR670 V2 708 W to 706 W (cholcombe973/libredfish, tests/mockups). But a list of supplies can be
wrong too: Dell's older firmware gives the rating as PowerInputWatts (900 W beside a consumption of
429 W and Range1MaxInputPowerWatts 900: influxdata/telegraf, redfish testdata and issue 9575), and
a supply that does not answer would make the sum too low. So all are read once and compared:

1. EnvironmentMetrics, where the supplies confirm it within 5 %: one request, none can be missed;
2. the supplies' input, where all that are on answer, unless the chassis' figure contradicts it;
3. the chassis' figure alone: EnvironmentMetrics, else PowerControl. With the supplies' sum below it
   or more than a third above it, they are not this chassis' input (ratings, or one is missing).

`LastPowerOutputWatts` and `PowerOutputWatts` are on the other side of the supply: never used.
0 W, null and strings are no values; a supply without input voltage may say 0.

How old a value is, few vendors say: HPE iLO collects "every 10 seconds" (iLO 4 user guide, Power
Meter), IBM's OpenBMC averages supplies' input over 30 s (InputPowerHistoryItems). Accuracy: Intel
S5500WB TPS 3.8.4 asks of supplies 5 % above 20 % of their load, 15 % below.
"""

import re
from collections.abc import Iterable
from enum import Enum
from math import isfinite
from typing import Any, Final, NamedTuple

from collectors.redfish_find import Get, Place, members, objects
from collectors.redfish_http import Document
from collectors.redfish_login import link

AGREE: Final = 0.05
"""The chassis' figure is the supplies' input if they differ by no more than this."""
LOSS: Final = 1 / 3
"""The most that supplies can take beyond what they give: 75 % efficiency, at very light load."""
IDLE_WATTS: Final = 40.0
"""What a supply of a few kilowatts may take without giving anything, its fan included."""
_OFF: Final = frozenset(
    {"Absent", "Disabled", "StandbyOffline", "StandbySpare", "UnavailableOffline"}
)
_LOST: Final = "LossOfInput"
_WHOLE: Final = re.compile(r"(?i)\b(system|server|chassis|node)\b(?! *sub)")


class Source(Enum):
    """Where the figure comes from."""

    ENVIRONMENT = "EnvironmentMetrics"
    SUPPLY_METRICS = "the power supplies' InputPowerWatts"
    SUPPLIES = "the power supplies' PowerInputWatts"
    CONTROL = "PowerControl"


class Supply(NamedTuple):
    """One power supply."""

    state: str
    watts: float | None
    unplugged: bool
    """It has no input voltage: 0 W is true."""


class Choice(NamedTuple):
    """The figure that is the wall's, and why the others are not."""

    source: Source
    watts: float
    note: str
    """What contradicts it; "" if nothing does."""


def watts(found: Any) -> float | None:
    """Return a power in W; None for what is no power: null, a string, 0, a negative number."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if isfinite(found) and found > 0 else None


def environment(document: Document | None) -> float | None:
    """Return what EnvironmentMetrics says, in W."""
    return _reading(document, "PowerWatts")


def control(document: Document | None, place: Place) -> float | None:
    """Return what PowerControl says of the whole chassis, in W.

    Of several entries (Lenovo: server, CPU and memory; Cray: node and accelerators) the one that is
    related to the System or the Chassis, else whose context is the Chassis, else by its name.
    """
    entries = [
        one
        for one in objects((document or {}).get("PowerControl"))
        if _state(one) not in _OFF and "PowerConsumedWatts" in one
    ]
    if len(entries) > 1:
        whole = {place.system, place.path}
        for picked in (
            [one for one in entries if whole & _related(one)],
            [one for one in entries if one.get("PhysicalContext") == "Chassis"],
            [one for one in entries if _WHOLE.search(str(one.get("Name")))],
        ):
            if len(picked) == 1:
                entries = picked
                break
    return watts(entries[0]["PowerConsumedWatts"]) if len(entries) == 1 else None


def old_supplies(document: Document | None) -> float | None:
    """Return the sum of PowerInputWatts of an older Power resource, in W; None if one is a rating.

    More than the supply can give, or half as much again as it gives now, is no measured input.
    """
    found: list[Supply] = []
    for one in objects((document or {}).get("PowerSupplies")):
        taken, given = watts(one.get("PowerInputWatts")), watts(one.get("PowerOutputWatts"))
        ranges = [watts(of.get("OutputWattage")) for of in objects(one.get("InputRanges"))]
        most = watts(one.get("PowerCapacityWatts")) or max(
            (of or 0.0 for of in ranges), default=0.0
        )
        if taken is not None and (
            (most and taken > most) or (given and taken > (1.0 + LOSS) * given + IDLE_WATTS)
        ):
            return None
        unplugged = one.get("PowerInputWatts") == 0 and one.get("LineInputVoltage") == 0
        found.append(Supply(_state(one), taken, unplugged))
    return total(found)


def total(supplies: Iterable[Supply]) -> float | None:
    """Return what all supplies together take in, in W; None unless each that is on answers."""
    inputs = 0.0
    for supply in supplies:
        if supply.watts is not None:
            inputs += supply.watts
        elif supply.state not in _OFF and not supply.unplugged:
            return None
    return inputs or None


def decide(
    chassis: tuple[Source, float] | None, supplies: tuple[Source, float] | None
) -> Choice | None:
    """Return the figure to take, from the chassis' and from the supplies'; None without any."""
    if supplies is None:
        return Choice(*chassis, "") if chassis else None
    if chassis is None:
        return Choice(*supplies, "")
    consumed, inputs = chassis[1], supplies[1]
    if abs(inputs - consumed) <= AGREE * inputs:
        return Choice(*(chassis if chassis[0] is Source.ENVIRONMENT else supplies), "")
    if consumed < inputs <= consumed * (1 + LOSS):
        return Choice(*supplies, "")
    note = (
        f"the power supplies add up to {inputs:g} W, but the chassis consumes {consumed:g} W:"
        f" {chassis[0].value} is taken"
    )
    return Choice(*chassis, note)


class Meter:
    """Reads one chassis."""

    def __init__(self, place: Place) -> None:
        """Keep where it is read; no I/O."""
        self._place = place
        self._collection = ""
        self._supplies: list[str] = []
        """Paths of all power supplies."""
        self._metrics: list[tuple[str, bool]] = []
        """Paths of the metrics of those that count, and whether each had no input at that look."""

    async def choose(self, get: Get) -> Choice | None:
        """Read all figures there are and return the one to take. Raises what `get` raises."""
        chassis: tuple[Source, float] | None = None
        supplies: tuple[Source, float] | None = None
        alone = not self._place.shared
        if (found := environment(await self._own(get, "EnvironmentMetrics"))) is not None:
            chassis = Source.ENVIRONMENT, found
        if alone and (found := await self._look_at_supplies(get)) is not None:
            supplies = Source.SUPPLY_METRICS, found
        if chassis is None or (alone and supplies is None):
            power = await self._own(get, "Power")
            if chassis is None and (found := control(power, self._place)) is not None:
                chassis = Source.CONTROL, found
            if alone and supplies is None and (found := old_supplies(power)) is not None:
                supplies = Source.SUPPLIES, found
        return decide(chassis, supplies)

    async def read(self, get: Get, source: Source) -> float | None:
        """Return that figure now, in W; None where it has gone. Raises what `get` raises."""
        match source:
            case Source.ENVIRONMENT:
                return environment(await self._own(get, "EnvironmentMetrics"))
            case Source.CONTROL:
                return control(await self._own(get, "Power"), self._place)
            case Source.SUPPLIES:
                return old_supplies(await self._own(get, "Power"))
            case Source.SUPPLY_METRICS:
                if await members(get, self._collection) != self._supplies:
                    return None
                return total(
                    [
                        _supply({}, await get(path, optional=True), dead=dead)
                        for path, dead in self._metrics
                    ]
                )

    async def _look_at_supplies(self, get: Get) -> float | None:
        """Look at every supply, keep those that count, and return what they take in."""
        subsystem = await self._own(get, "PowerSubsystem") or {}
        self._collection = link(subsystem, "PowerSupplies")
        self._supplies, self._metrics = await members(get, self._collection), []
        found: list[Supply] = []
        for path in self._supplies:
            document = await get(path, optional=True) or {}
            at = link(document, "Metrics")
            metrics = await get(at, optional=True) if at else None
            supply = _supply(document, metrics, dead=document.get("LineInputStatus") == _LOST)
            found.append(supply)
            if supply.watts is not None or supply.state not in _OFF:
                self._metrics.append((at, supply.unplugged))
        return total(found)

    async def _own(self, get: Get, name: str) -> Document | None:
        path = link(self._place.chassis, name)
        return await get(path, optional=True) if path else None


def _supply(document: Document, metrics: Document | None, *, dead: bool) -> Supply:
    """Return one supply; `dead`: it is known to have no input."""
    power, voltage = (metrics or {}).get("InputPowerWatts"), (metrics or {}).get("InputVoltage")
    dead = dead or (isinstance(voltage, dict) and voltage.get("Reading") == 0)
    zero = isinstance(power, dict) and power.get("Reading") == 0
    return Supply(_state(document), _reading(metrics, "InputPowerWatts"), dead and zero)


def _reading(document: Document | None, name: str) -> float | None:
    found = (document or {}).get(name)
    return watts(found.get("Reading")) if isinstance(found, dict) else None


def _state(document: Document) -> str:
    status = document.get("Status")
    return str(status.get("State") or "") if isinstance(status, dict) else ""


def _related(entry: Document) -> set[str]:
    found = {link({"it": one}, "it") for one in objects(entry.get("RelatedItem"))}
    return {path.rstrip("/") for path in found}
