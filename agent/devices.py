"""The accelerators of one host and what is known of each, whichever collector said it. Pure.

What is known of other parts (a CPU's clock and temperature) is kept here too.
"""

from collections.abc import Mapping, Sequence
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
THROTTLED: Final = "throttled"
ACCELERATORS: Final = frozenset({Component.GPU, Component.ACCELERATOR})
"""Each says what it is, and is shown with that; other parts are shown as they come."""


class AcceleratorView(msgspec.Struct, frozen=True):
    """One accelerator now."""

    about: Accelerator
    figures: Mapping[Slot, float]


class PartView(msgspec.Struct, frozen=True):
    """What is known now of a part that is no accelerator."""

    component: Component
    device: str
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
        self._parts: tuple[PartView, ...] | None = ()
        """None: to be made anew."""
        self._remembered: Sequence[PartView] = ()
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
        self._sweep(now)
        return [
            AcceleratorView(
                about, {slot: v for slot, (v, _) in self._figures.get(scope, {}).items()}
            )
            for scope, about in self._about.items()
        ]

    def parts(self, now: float) -> Sequence[PartView]:
        """Return the other parts with what is known of them at `now`, s of boottime.

        It is made anew when something came or went, not at every tick.
        """
        self._sweep(now)
        if self._parts is None:
            self._parts = tuple(
                PartView(scope.component, scope.device, {slot: v for slot, (v, _) in slots.items()})
                for scope, slots in self._figures.items()
                if slots and scope.component not in ACCELERATORS
            )
        return self._parts

    def remember(self, totals: dict[str, float]) -> None:
        """Write into `totals` what a restart within this boot must not lose: throttling in s."""
        if self._parts is None or self._parts is self._remembered:
            return
        self._remembered = self._parts
        for part in self._parts:
            for (figure, which), value in part.figures.items():
                if figure is Figure.THROTTLED:
                    key = f"{THROTTLED}\t{part.component.value}\t{part.device}\t{which}"
                    totals[key] = value

    def recall(self, totals: dict[str, float], now: float, *, same_boot: bool) -> None:
        """Show that again until it is read, or, after a boot, forget it: it is counted since boot.

        A counter that is away for the first scrape after a restart would have a hole.
        """
        for key in [key for key in totals if key.startswith(THROTTLED + "\t")]:
            if not same_boot:
                del totals[key]
                continue
            _, component, device, which = key.split("\t")
            slots = self._figures.setdefault(Scope(Component(component), device), {})
            slots[Figure.THROTTLED, which] = (totals[key], now)
            self._parts = None

    def _sweep(self, now: float) -> None:
        """Forget what was not renewed for too long."""
        if now - self._swept <= SWEEP_SECONDS:
            return
        self._swept = now
        for scope, slots in self._figures.items():
            for slot in [k for k, (_, at) in slots.items() if now - at > STALE_SECONDS]:
                del slots[slot]
                if scope.component not in ACCELERATORS:
                    self._parts = None

    def _take_figures(self, sample: Figures) -> None:
        scope = Scope(sample.component, sample.device)
        if sample.component not in ACCELERATORS:
            self._parts = None
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
