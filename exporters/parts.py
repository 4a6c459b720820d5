"""The families of parts that are no accelerators, beside their energy: clocks, heat, throttling."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.samples import Figure
from agent.snapshot import Snapshot


def part_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield every family, those without samples too."""
    clock = GaugeMetricFamily(
        "wattlas_component_clock_hertz",
        "Clock of a CPU: the mean of some of its cores, at most 16 of the server. Measured on x86,"
        " elsewhere mostly what was last asked for.",
        labels=["component", "device"],
    )
    temperature = GaugeMetricFamily(
        "wattlas_component_temperature_celsius",
        "Temperature of a CPU. sensor: package (Intel), tdie or tctl (AMD; tctl is what the fans"
        " are controlled by, and no physical temperature before Zen).",
        labels=["component", "device", "sensor"],
    )
    throttled = CounterMetricFamily(
        "wattlas_component_throttled_seconds",
        "Time since boot for which a CPU was held down. reason: thermal (Intel). A throttling is"
        " added when it is over.",
        labels=["component", "device", "reason"],
    )
    for part in snapshot.parts:
        who = [part.component.value, part.device]
        for (figure, which), value in part.figures.items():
            match figure:
                case Figure.CLOCK:
                    clock.add_metric(who, value)
                case Figure.TEMPERATURE:
                    temperature.add_metric([*who, which], value)
                case Figure.THROTTLED:
                    throttled.add_metric([*who, which], value)
                case _:
                    pass
    yield from (clock, temperature, throttled)
