"""`[lifecycle]`: what the manufacturer says, since when, and for how long."""

from datetime import date
from typing import Literal

import msgspec

from agent.carbon.words import Stage
from agent.quantities import Component

EMBODIED: tuple[Stage, ...] = tuple(stage for stage in Stage if stage is not Stage.OPERATION)
"""The stages that are settled before or after the machine runs."""
PARTS: tuple[Component, ...] = tuple(part for part in Component if part is not Component.HOST)


class Asset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[lifecycle.asset]]`: a machine or a part of it with a footprint of its own."""

    name: str
    """E.g. "server", "gpu-3", "hall-1"."""
    kind: Literal["server", "part", "building", "cooling"] = "server"
    """server: replaces all that is detected; part: replaces what is detected of that component."""
    component: str = ""
    """Of a part: cpu, dram, gpu, storage, psu or platform (motherboard, case, assembly), as they
    are detected; "": it is an addition."""
    kilograms: dict[str, float] = {}
    """kg CO2e by stage: { manufacturing = 1313.0, packaging_transport = 40.0 }. A part without
    any keeps the figures that are detected and gives them its dates."""
    low_ratio: float = 0.7
    """The lower bound over the figure."""
    high_ratio: float = 1.3
    """The upper bound over the figure."""
    credit_kilograms: float = 0.0
    """Avoided by recycling; shown apart, never taken off."""
    source: str = ""
    """Where the figures are from; shown in reports."""
    in_service: date | None = None
    """Since when it runs; unset: lifecycle.in_service."""
    lifetime_years: float | None = None
    """Planned; unset: lifecycle.lifetime_years."""
    ended: date | None = None
    """When it was taken out. A part that is out replaces nothing that is detected."""
    share: float = 1.0
    """What of it is this host's: of a building, its rated power over the building's."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant; msgspec adds where it stands."""
        what = f'asset "{self.name}"'
        words = ", ".join(EMBODIED)
        for stage, kilograms in self.kilograms.items():
            if stage == Stage.OPERATION:
                raise ValueError(f"{what}: operation is measured; leave it out of kilograms")
            if stage not in EMBODIED:
                raise ValueError(f'{what}: "{stage}" is no stage; there are {words}')
            if not 0 <= kilograms < float("inf"):
                raise ValueError(
                    f"{what}: {stage} must be 0 kg or more, not {kilograms:g}; what recycling "
                    "avoids is credit_kilograms"
                )
        if not 0 <= self.low_ratio <= 1 <= self.high_ratio < float("inf"):
            raise ValueError(f"{what}: low_ratio must be 0 to 1 and high_ratio 1 or more")
        if not 0 < self.share <= 1:
            raise ValueError(f"{what}: share must be more than 0 and at most 1, not {self.share:g}")
        if not 0 <= self.credit_kilograms < float("inf"):
            raise ValueError(f"{what}: credit_kilograms must be 0 or more")
        _check_years(what, self.lifetime_years)
        if self.component and self.kind != "part":
            raise ValueError(f'{what}: component goes with kind = "part"')
        if self.component and self.component not in PARTS:
            raise ValueError(
                f'{what}: "{self.component}" is no component; there are {", ".join(PARTS)}'
            )
        if not self.kilograms and (not self.component or self.ended):
            raise ValueError(f"{what}: kilograms are missing, e.g. {{ manufacturing = 1313.0 }}")

    @property
    def dates_only(self) -> bool:
        """Whether it says only since when, and for how long, what is detected runs."""
        return not self.kilograms


class LifecycleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[lifecycle]`: the machine's life beside its operation."""

    in_service: date | None = None
    """Since when this machine runs, e.g. 2025-03-01; unset: its emissions by time are unknown."""
    lifetime_years: float = 5.0
    """How long it is planned to run, in years of 365 days."""
    detect: bool = True
    """Reckon what no asset says from the parts that are found, with published formulas."""
    asset: tuple[Asset, ...] = ()
    """Footprints that are known."""

    def __post_init__(self) -> None:
        """Refuse a life of no length, two assets of one name and two servers."""
        _check_years("lifecycle", self.lifetime_years)
        names = [asset.name for asset in self.asset]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two assets are called "{name}"')
        if sum(asset.kind == "server" for asset in self.asset) > 1:
            raise ValueError(
                'more than one asset of kind "server": this agent is on one; what was added to '
                'it is kind = "part"'
            )
        dated = [asset.component for asset in self.asset if asset.dates_only]
        for component in dated:
            if dated.count(component) > 1:
                raise ValueError(f"two assets give dates to {component}; give them kilograms")
        for asset in self.asset:
            first = asset.in_service or self.in_service
            if first and asset.ended and asset.ended < first:
                raise ValueError(
                    f'asset "{asset.name}" ended {asset.ended}, before it began, {first}; '
                    "if it is older than the server, give its own in_service"
                )


def _check_years(what: str, years: float | None) -> None:
    if years is not None and not 0 < years <= 100:
        raise ValueError(f"{what}: lifetime_years must be more than 0 and at most 100")
