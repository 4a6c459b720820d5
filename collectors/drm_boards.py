"""A graphics card as its driver's sysfs files show it: what AMD's and Intel's have in common.

A board is read attribute by attribute through kept-open descriptors (`collectors/sysfs.py`). Its
energy or power is a sample of its own; what else can be read goes into one `Figures`, and what
cannot is left out of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from agent.collector import Problem
from agent.quantities import Component, Ratio, Seconds
from agent.samples import Accelerator, Figure, Figures, Sample, Utilization
from collectors.drm import ASLEEP, Card, runtime_status
from collectors.sysfs import Attribute, Unreadable, close_all

REMEDY_PERMISSION: Final = (
    "the drivers let everybody read these sensors (mode 0444): look in /etc/udev/rules.d and "
    "/etc/tmpfiles.d for the rule that forbids it, or reboot after removing it"
)
_UNSUPPORTED: Final = ("(EINVAL)", "(ENOTSUP)", "(EOPNOTSUPP)", "(ENOSYS)")
"""A file is there, but the chip has no such sensor: it will not come back by itself."""


class Scale(NamedTuple):
    """From a driver's unit to the base unit: multiply, divide; both whole, so nothing is lost."""

    up: int
    down: int


AS_IS: Final = Scale(1, 1)
"""Bytes, hertz."""
MILLI: Final = Scale(1, 1000)
"""Millidegrees Celsius."""
MICRO: Final = Scale(1, 1_000_000)
"""Microwatts, microjoules."""
MEGA: Final = Scale(1_000_000, 1)
"""Megahertz."""


class Gauge(NamedTuple):
    """One attribute that is a figure."""

    figure: Figure
    label: str
    """What the figure's second label says."""
    attribute: Attribute
    scale: Scale
    zero_is_unknown: bool
    """0 means that the driver cannot tell: a limit that is off, a clock that is gated."""


class Board:
    """One card. A subclass says what its sensors are and mean."""

    collector: ClassVar[str]
    vendor: ClassVar[str]

    def __init__(self, root: Path, card: Card) -> None:
        self.root = root
        self.card = card
        self.device = card.address
        """Its label. A subclass that knows its UUID says so."""
        self.number: int | None = None
        """As the vendor's tool numbers it; None: in the order of PCI addresses."""
        self.problem: Problem | None = None
        """The first thing that went wrong at the last reading."""
        self.is_gone = False
        """Whether the driver has let go of it since the last look."""
        self.gauges: tuple[Gauge, ...] = ()
        self.busy: Attribute | None = None
        """The utilisation in %."""
        self._status: Attribute | None = runtime_status(root, card)
        self._unsupported: set[Attribute] = set()

    @property
    def name(self) -> str:
        """What the board is, exactly as the driver says it; else its PCI id."""
        return self.card.pci_id

    @property
    def driver(self) -> str:
        """The driver, with its version where it has one of its own."""
        return self.card.driver

    def about(self, place: int) -> Accelerator:
        """Return what the device is; `place` counts boards in the order of PCI addresses."""
        return Accelerator(
            collector=self.collector,
            component=Component.GPU,
            device=self.device,
            at=Seconds(0.0),
            index=str(place if self.number is None else self.number),
            name=self.name,
            vendor=self.vendor,
            driver=self.driver,
            bus=self.card.address,
        )

    def energy(self, boottime: Callable[[], Seconds]) -> Sample | None:
        """Return the counter or the power, None if the board has none. Raises `Unreadable`."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Try again what was not supported: called at each look for boards."""
        self._unsupported.clear()

    def read(self, boottime: Callable[[], Seconds]) -> list[Sample]:
        """Return this reading's samples; sets `problem`. A sleeping board is left asleep."""
        self.problem = None
        self.is_gone = False
        if self._sleeps():
            why = "the card sleeps (power/runtime_status); reading its sensors would wake it"
            self.problem = Problem(self.device, why, reason="asleep")
            return []
        samples: list[Sample] = []
        try:
            if energy := self.energy(boottime):
                samples.append(energy)
        except Unreadable as error:
            self._complain(error)
        if self.busy is not None and (percent := self._read(self.busy)) is not None:
            samples += self._utilization(percent, boottime())
        values: list[tuple[Figure, str, float]] = []
        for figure, label, attribute, scale, zero_is_unknown in self.gauges:
            value = self._read(attribute)
            if value is not None and (value or not zero_is_unknown):
                values.append((figure, label, value * scale.up / scale.down))
        if values:
            samples.append(
                Figures(
                    collector=self.collector,
                    component=Component.GPU,
                    device=self.device,
                    at=boottime(),
                    values=_each_once(values),
                )
            )
        return samples

    def close(self) -> None:
        """Close the files."""
        close_all(gauge.attribute for gauge in self.gauges)
        close_all(file for file in (self._status, self.busy) if file)

    def gauge(
        self, figure: Figure, label: str, path: Path, scale: Scale, *, zero_is_unknown: bool
    ) -> list[Gauge]:
        """Return an attribute of this board as a figure, none if there is no such file."""
        if not path.exists():
            return []
        return [Gauge(figure, label, Attribute(self.root, path), scale, zero_is_unknown)]

    def _sleeps(self) -> bool:
        if self._status is None:
            return False
        try:
            return self._status.read_text() in ASLEEP
        except Unreadable as error:
            if error.reason == "gone":
                self._status = None  # a kernel without runtime power management, or no card
            return False

    def _read(self, attribute: Attribute) -> int | None:
        if attribute in self._unsupported:
            return None
        try:
            return attribute.read_int()
        except Unreadable as error:
            if is_unsupported(error):
                self._unsupported.add(attribute)
            else:
                self._complain(error)
            return None

    def _utilization(self, percent: int, at: Seconds) -> list[Sample]:
        if not 0 <= percent <= 100 and self.busy is not None:
            why = f"says {percent} %, which no utilisation is"
            self._complain(Unreadable(self.busy.path, why, "garbage"))
            return []
        return [
            Utilization(
                collector=self.collector,
                component=Component.GPU,
                device=self.device,
                at=at,
                ratio=Ratio(percent / 100),
            )
        ]

    def _complain(self, error: Unreadable) -> None:
        if error.reason == "gone":
            self.is_gone = True
        if self.problem is None:
            self.problem = explained(self.device, error)


def _each_once(
    values: list[tuple[Figure, str, float]],
) -> tuple[tuple[Figure, str, float], ...]:
    """Return each figure once: of several tiles the fastest clock, of several limits the first."""
    best: dict[tuple[Figure, str], float] = {}
    for figure, label, value in values:
        before = best.setdefault((figure, label), value)
        if value > before and figure is not Figure.POWER_LIMIT:
            best[figure, label] = value
    return tuple((figure, label, value) for (figure, label), value in best.items())


def is_unsupported(error: Unreadable) -> bool:
    """Tell an attribute that its chip does not have from one that failed this time."""
    return error.why.endswith(_UNSUPPORTED)


def explained(device: str, error: Unreadable) -> Problem:
    """Return the problem of a board that an unreadable attribute is.

    amdgpu answers EPERM while it resets or suspends a GPU (amdgpu_pm.c, amdgpu_in_reset): that is
    no missing permission, which would be EACCES at the opening.
    """
    if error.why.endswith("(EPERM)"):
        why = f"{error.path}: the driver answers EPERM: the GPU is being reset or suspended"
        return Problem(device, why, reason="busy")
    return error.problem(device, REMEDY_PERMISSION if error.reason == "permission" else "")
