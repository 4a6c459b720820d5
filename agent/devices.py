"""The accelerators of one host and what is known of each, whichever collector said it. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from agent.preference import Preferred
from agent.quantities import Component
from agent.samples import Accelerator, Figure, Figures, Inventory
from agent.work import Scope

STALE_SECONDS: Final = 90.0
"""A figure that was not renewed for so long is unknown; slow ones come every 15 s."""
SWEEP_SECONDS: Final = 10.0

Slot = tuple[Figure, str]


class AcceleratorView(msgspec.Struct, frozen=True):
    """One accelerator now."""

    about: Accelerator
    figures: Mapping[Slot, float]


class Devices:
    """Keeps, of each device, the newest of every figure by the source that is listened to."""

    def __init__(self) -> None:
        self._about: dict[Scope, Accelerator] = {}
        self._figures: dict[Scope, dict[Slot, tuple[float, float]]] = {}
        self._listed: dict[tuple[str, Component], frozenset[str]] = {}
        self._who: Preferred[Scope] = Preferred()
        self._what: Preferred[tuple[Scope, Figure]] = Preferred()
        self._only: dict[Scope, str] = {}
        """The source, where a device has one; "" once there was another."""
        self.changes = 0
        """How often what the devices are has changed."""
        self._swept = float("-inf")
        self.scopes: dict[str, Scope] = {}
        """What a report may call a device: its label, its index, its PCI address."""

    def take(self, sample: Accelerator | Inventory | Figures) -> None:
        """Take what a collector says."""
        match sample:
            case Accelerator():
                scope = Scope(sample.component, sample.device)
                if self._who.listens_to(scope, sample.collector, sample.at):
                    self._about[scope] = sample
                    self._name_all()
            case Inventory():
                self._take_inventory(sample)
            case Figures():
                self._take_figures(sample)

    def views(self, now: float) -> list[AcceleratorView]:
        """Return every accelerator with the figures that are known at `now`, s of boottime."""
        if now - self._swept > SWEEP_SECONDS:
            self._swept = now
            for slots in self._figures.values():
                for slot in [k for k, (_, at) in slots.items() if now - at > STALE_SECONDS]:
                    del slots[slot]
        return [
            AcceleratorView(
                about, {slot: v for slot, (v, _) in self._figures.get(scope, {}).items()}
            )
            for scope, about in self._about.items()
        ]

    def _take_figures(self, sample: Figures) -> None:
        scope = Scope(sample.component, sample.device)
        slots = self._figures.setdefault(scope, {})
        only = self._only.setdefault(scope, sample.collector)
        if only == sample.collector:
            for figure, which, value in sample.values:
                slots[figure, which] = (value, sample.at)
            return
        if only:  # a second source: from now on each figure has a speaker
            self._only[scope] = ""
            for figure, which in slots:
                self._what.listens_to((scope, figure), only, slots[figure, which][1])
        for figure, which, value in sample.values:
            if self._what.listens_to((scope, figure), sample.collector, sample.at):
                slots[figure, which] = (value, sample.at)

    def _take_inventory(self, sample: Inventory) -> None:
        key = (sample.collector, sample.component)
        before = self._listed.get(key, frozenset())
        self._listed[key] = frozenset(sample.devices)
        still = {
            device
            for (_, component), devices in self._listed.items()
            if component == sample.component
            for device in devices
        }
        for device in before - still:
            scope = Scope(sample.component, device)
            self._about.pop(scope, None)
            self._figures.pop(scope, None)
            self._who.forget(scope)
        self._name_all()

    def _name_all(self) -> None:
        self.changes += 1
        self.scopes = {}
        for scope, about in self._about.items():
            for name in (about.index, about.bus, about.device):
                if name:
                    self.scopes.setdefault(name, scope)
