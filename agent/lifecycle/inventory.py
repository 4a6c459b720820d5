"""From what is found and what the settings say to parts with footprints. Pure but for our own CSV.

What an asset of the settings says goes first: kind server replaces all that is detected, kind part
what is detected of its component, or gives it dates of its own. All others are added.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime, time, tzinfo
from typing import TypeVar

import msgspec

from agent.carbon.words import Stage
from agent.lifecycle import components
from agent.lifecycle.catalog import board, cpu_dies, published_of
from agent.lifecycle.hardware import Chassis, Detected, Drive
from agent.lifecycle.settings import EMBODIED, Asset, LifecycleSettings
from agent.lifecycle.span import Footprint, Span, merged, total

HOUR_SECONDS = 3600.0
YEAR_SECONDS = 365 * 24 * HOUR_SECONDS
"""8,760 hours, as in the worked example of SCI (four years are 35,040 h)."""

_Thing = TypeVar("_Thing", bound=Hashable)

_BOAVIZTA = "Boavizta's component formulas (UBA Texte 94/2021)"
_GPU = "Boavizta's GPU formula, range by published results of H100"
_ASSUMED_PSUS = 2


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Something with a footprint and a life of its own; several alike are one part."""

    asset: str
    """Its label, unlike any other's: cpu, gpu-2, hall-1."""
    component: str
    """cpu, dram, gpu, storage, psu or platform; server, building or cooling for a whole."""
    model: str
    count: float
    kilograms: Footprint
    """kg CO2e of all of them, this host's share; a stage that is not known is not there."""
    source: str
    notes: tuple[str, ...] = ()
    """What was assumed."""
    in_service: float | None = None
    """Seconds since 1970 UTC; None: not known, so neither is what falls into a period."""
    lifetime_seconds: float
    """Planned."""
    ended: float | None = None
    """When it was taken out."""
    share: float = 1.0
    """Already in kilograms."""
    credit_kilograms: float = 0.0
    """This host's share of what recycling avoids; in no other figure."""

    @property
    def whole(self) -> Span:
        """All stages that are known, kg CO2e."""
        return total(self.kilograms.values())


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a host, and what is not known of it."""

    parts: tuple[Part, ...]
    missing: tuple[str, ...] = ()
    """What there is or should be and has no figure: a sentence each, with what helps."""

    @property
    def kilograms(self) -> Footprint:
        """Sum of all parts by stage."""
        return merged(part.kilograms for part in self.parts)

    @property
    def credit_kilograms(self) -> float:
        """What recycling avoids; never taken off."""
        return sum(part.credit_kilograms for part in self.parts)

    def unknown(self) -> dict[Stage, tuple[str, ...]]:
        """Return for each embodied stage the assets that have no figure for it."""
        return {
            stage: tuple(part.asset for part in self.parts if stage not in part.kilograms)
            for stage in EMBODIED
        }


class _Found(msgspec.Struct, frozen=True):
    """A detected part before it has a label and a life."""

    component: str
    model: str
    count: float
    each: Footprint
    source: str
    notes: tuple[str, ...] = ()


def assemble(
    settings: LifecycleSettings,
    detected: Detected | None,
    accelerators: Sequence[str],
    zone: tzinfo,
) -> Inventory:
    """Return the inventory of this host.

    detected: None where nothing looked. accelerators: the name of each, as its driver says it, one
    entry a device. zone: whose midnights the dates of the settings are.
    """
    server = any(asset.kind == "server" for asset in settings.asset)
    given = {
        asset.component
        for asset in settings.asset
        if asset.kind == "part" and not asset.ended and not asset.dates_only
    } - {""}
    found: list[_Found] = []
    missing: list[str] = []
    if settings.detect and not server:
        _hardware(detected, given, found, missing)
        if detected is None or not detected.virtual:
            _accelerators(accelerators, given, found, missing)
    elif not server and not settings.asset:
        missing.append("nothing: lifecycle.detect is off and no [[lifecycle.asset]] says anything")
    lives = _Lives(settings, zone)
    said = [asset for asset in settings.asset if not asset.dates_only]
    taken = {asset.name for asset in said}
    own = tuple(lives.part(asset) for asset in said)
    parts = tuple(lives.found(part, label) for part, label in _labelled(found, taken))
    return Inventory(parts=parts + own, missing=tuple(missing))


class _Lives:
    """Gives parts their dates."""

    def __init__(self, settings: LifecycleSettings, zone: tzinfo) -> None:
        self._settings = settings
        self._zone = zone
        self._dates = {asset.component: asset for asset in settings.asset if asset.dates_only}

    def _midnight(self, day: date | None) -> float | None:
        return None if day is None else datetime.combine(day, time(), self._zone).timestamp()

    def found(self, part: _Found, label: str) -> Part:
        own = self._dates.get(part.component)
        first = (own and own.in_service) or self._settings.in_service
        years = (own and own.lifetime_years) or self._settings.lifetime_years
        return Part(
            asset=label,
            component=part.component,
            model=part.model,
            count=part.count,
            kilograms={stage: span.times(part.count) for stage, span in part.each.items()},
            source=part.source,
            notes=part.notes,
            in_service=self._midnight(first),
            lifetime_seconds=years * YEAR_SECONDS,
        )

    def part(self, asset: Asset) -> Part:
        years = asset.lifetime_years or self._settings.lifetime_years
        return Part(
            asset=asset.name,
            component=asset.component or ("platform" if asset.kind == "part" else asset.kind),
            model="",
            count=1,
            kilograms={
                Stage(stage): Span(
                    kilograms * asset.low_ratio, kilograms, kilograms * asset.high_ratio
                ).times(asset.share)
                for stage, kilograms in asset.kilograms.items()
            },
            source=asset.source or "settings",
            in_service=self._midnight(asset.in_service or self._settings.in_service),
            lifetime_seconds=years * YEAR_SECONDS,
            ended=self._midnight(asset.ended),
            share=asset.share,
            credit_kilograms=asset.credit_kilograms * asset.share,
        )


def _labelled(found: Iterable[_Found], taken: set[str]) -> Iterable[tuple[_Found, str]]:
    """Call the first gpu gpu, the second gpu-2; names that the settings use are not used again."""
    used = set(taken)
    for part in found:
        label, number = part.component, 1
        while label in used:
            number += 1
            label = f"{part.component}-{number}"
        used.add(label)
        yield part, label


def _hardware(
    detected: Detected | None, given: set[str], found: list[_Found], missing: list[str]
) -> None:
    if detected is None:
        missing.append("the server: what it is made of was not looked at")
        return
    if detected.virtual:
        missing.append(
            "the hardware: this is a virtual machine, its hardware is the host's. Give what the "
            'host weighs as an [[lifecycle.asset]] of kind "server", with your share of it.'
        )
        return
    if "cpu" not in given:
        _cpus(detected, found, missing)
    if "dram" not in given:
        _modules(detected, found, missing)
    if "storage" not in given:
        _drives(detected.drives, found, missing)
    if "psu" not in given:
        _power(detected, found)
    if "platform" not in given:
        _platform(detected, found)


def _cpus(detected: Detected, found: list[_Found], missing: list[str]) -> None:
    dies = cpu_dies(detected.architecture, detected.cores)
    if not detected.sockets or not (dies or detected.cores):
        missing.append(
            "the CPUs: neither their model nor their cores are known. "
            'Give them as an asset: kind = "part", component = "cpu".'
        )
        return
    if dies:
        each, notes = components.cpu(dies[0]), (f"dies of {sum(dies[0]):g} mm2: {dies[1]}",)
    else:
        each = components.cpu_unknown(detected.cores)
        notes = (f"die area is not known; assumed from {detected.cores} cores",)
    found.append(_Found("cpu", detected.cpu_model, detected.sockets, each, _BOAVIZTA, notes))


def _modules(detected: Detected, found: list[_Found], missing: list[str]) -> None:
    if not detected.modules:
        missing.append("the memory: its modules are not known")
        return
    notes = ("modules are assumed from the total that the kernel sees",)
    for module, count in _alike(detected.modules):
        model = f"{module.gigabytes:g} GB {module.kind or 'of unknown kind'}"
        each = components.memory(module.gigabytes, module.kind)
        said = notes if detected.modules_assumed else ()
        found.append(_Found("dram", model, count, each, _BOAVIZTA, said))


def _drives(drives: tuple[Drive, ...] | None, found: list[_Found], missing: list[str]) -> None:
    if drives is None:
        missing.append("the drives: the kernel shows none, nor that there are none")
        return
    for (kind, gigabytes), count in _alike((d.kind, round(d.gigabytes)) for d in drives):
        each = components.hdd() if kind == "hdd" else components.ssd(gigabytes)
        found.append(_Found("storage", f"{gigabytes} GB {kind}", count, each, _BOAVIZTA))


def _power(detected: Detected, found: list[_Found]) -> None:
    count = detected.power_supplies
    notes = () if count else (f"{_ASSUMED_PSUS} are assumed",)
    each = components.psu()
    found.append(_Found("psu", "power supply", count or _ASSUMED_PSUS, each, _BOAVIZTA, notes))


def _platform(detected: Detected, found: list[_Found]) -> None:
    each = merged((components.motherboard(), components.case(detected.chassis), _ASSEMBLY))
    known = detected.chassis in {Chassis.RACK, Chassis.BLADE}
    notes = () if known else ("the case is taken for a rack server's",)
    model = f"motherboard, case, assembly{': ' if detected.product else ''}{detected.product}"
    found.append(_Found("platform", model, 1, each, _BOAVIZTA, notes))


_ASSEMBLY = components.assembly()


def _accelerators(
    names: Iterable[str], given: set[str], found: list[_Found], missing: list[str]
) -> None:
    if given & {"gpu", "accelerator"}:
        return
    for name, count in _alike(names):
        known, pcf = board(name), published_of(name)
        if known:
            each, source, notes = components.gpu(known[0]), _GPU, (f"card: {known[1]}",)
        elif pcf:
            each = components.gpu_from_pcf(pcf.made_kilograms / pcf.devices)
            source = f"{pcf.product}: {pcf.source}, {pcf.year}"
            notes = (f"one of {pcf.devices}: {pcf.what}",)
        else:
            missing.append(
                f"{count} x {name}: nothing is published of it that is listed here. "
                'Give it as an asset: kind = "part", component = "gpu".'
            )
            continue
        found.append(_Found("gpu", name, count, each, source, notes))


def _alike(things: Iterable[_Thing]) -> list[tuple[_Thing, int]]:
    """Count what is equal, in the order in which it comes."""
    return list(Counter(things).items())
