"""The families of accelerators: `wattlas_gpu_*`, for GPUs and every other kind alike."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.samples import Figure
from agent.snapshot import Snapshot

PREFIX: Final = "wattlas_gpu_"
WHO: Final = ("gpu", "uuid", "name")


class _About(NamedTuple):
    help: str
    label: str = ""
    """What the second label is called; "" where there is none."""


_ABOUT: Final[dict[Figure, _About]] = {
    Figure.MEMORY_USED: _About("Memory of the accelerator in use."),
    Figure.MEMORY_TOTAL: _About("Memory of the accelerator."),
    Figure.TEMPERATURE: _About("Temperature of a part of the accelerator.", "sensor"),
    Figure.CLOCK: _About("Clock that a part of the accelerator runs at now.", "clock"),
    Figure.POWER_LIMIT: _About("Power limit that is enforced now."),
    Figure.THROTTLED: _About("Time for which clocks were held down.", "reason"),
    Figure.ECC_ERRORS: _About("Memory errors since the driver was loaded.", "type"),
    Figure.PIPE_ACTIVE: _About(
        "Share of cycles in which a unit of the accelerator was busy, over the last interval.",
        "pipe",
    ),
    Figure.LINK_BYTES: _About("Bytes that went over a link of the accelerator.", "link"),
    Figure.SLICE_POWER: _About(
        "A slice's part of its board's power by its share of the activity: an attribution, not a"
        " measurement, and never added to anything.",
        "slice",
    ),
}


def accelerator_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield a family for each figure, and what each device is."""
    info = GaugeMetricFamily(
        "wattlas_gpu_info",
        "What an accelerator is; always 1. gpu is its index, uuid the device label of its energy.",
        labels=[*WHO, "component", "vendor", "driver", "bus"],
    )
    made: dict[Figure, CounterMetricFamily | GaugeMetricFamily] = {
        figure: _family(figure, about) for figure, about in _ABOUT.items()
    }
    for view in snapshot.accelerators:
        device = view.about
        who = [device.index, device.device, device.name]
        info.add_metric([*who, device.component.value, device.vendor, device.driver, device.bus], 1)
        for (figure, which), value in view.figures.items():
            made[figure].add_metric([*who, which] if _ABOUT[figure].label else who, value)
    yield info
    yield from made.values()


def _family(figure: Figure, about: _About) -> CounterMetricFamily | GaugeMetricFamily:
    labels = [*WHO, about.label] if about.label else list(WHO)
    if figure.value.endswith("_total"):
        name = PREFIX + figure.value.removesuffix("_total")
        return CounterMetricFamily(name, about.help, labels=labels)
    return GaugeMetricFamily(PREFIX + figure.value, about.help, labels=labels)
