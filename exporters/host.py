"""The families of the whole server: its energy and power, its wall meters, and what ITUE says."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.quantities import Component
from agent.snapshot import Snapshot


def host_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the host's figure, then what measures it at the wall."""
    yield from _host(snapshot)
    yield from _wall(snapshot)
    yield from _wall_and_parts(snapshot)


def _host(snapshot: Snapshot) -> Iterator[Metric]:
    energy = CounterMetricFamily(
        "wattlas_host_energy_joules",
        "Energy of the host by quality; the sum over quality is the whole server: what its wall"
        " meter has at each moment, else the sum of its parts.",
        labels=["quality"],
    )
    for quality, joules in snapshot.host_joules.items():
        energy.add_metric([quality.value], joules)
    power = GaugeMetricFamily(
        "wattlas_host_power_watts",
        "Power of the host by quality and source; the sum is the whole server: its wall meter's,"
        " else the sum of its parts. Absent while neither is known.",
        labels=["quality", "source"],
    )
    for (quality, source), watts in snapshot.host_power.shares.items():
        power.add_metric([quality.value, source], watts)
    uncertainty = GaugeMetricFamily(
        "wattlas_host_power_uncertainty_ratio",
        "Half-width of the uncertainty of the host's power, as a share of it: an upper bound.",
    )
    if snapshot.host_power.uncertainty_ratio is not None:
        uncertainty.add_metric([], snapshot.host_power.uncertainty_ratio)
    gap = CounterMetricFamily(
        "wattlas_host_energy_gap_seconds",
        "Time for which neither a wall meter nor every part of the host had a figure.",
    )
    gap.add_metric([], snapshot.host_gap_seconds)
    yield from (energy, power, uncertainty, gap)


def _wall(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["device", "source", "quality"]
    energy = CounterMetricFamily(
        "wattlas_wall_energy_joules",
        "Energy of the whole server by a meter of it, counted while no better one had it. It has"
        " the parts in it: never add it to them.",
        labels=labels,
    )
    power = GaugeMetricFamily(
        "wattlas_wall_power_watts",
        "Power of the whole server by the meter that counts now; a source with a meter for each"
        " supply is shown while all of them have a figure.",
        labels=labels,
    )
    gaps = CounterMetricFamily(
        "wattlas_wall_gap_seconds",
        "Time for which a meter of the whole server gave no energy.",
        labels=labels[:2],
    )
    gap: dict[tuple[str, str], float] = {}
    for stream in snapshot.streams:
        who = stream.identity
        if who.component != Component.HOST:
            continue
        key = (who.device, who.source)
        if stream.joules or not stream.cross_check:
            energy.add_metric([*key, who.quality.value], stream.joules)
            gap[key] = max(stream.gap_seconds, gap.get(key, 0.0))
        if stream.counts_now and stream.watts is not None:
            power.add_metric([*key, who.quality.value], stream.watts)
    for key, seconds in gap.items():
        gaps.add_metric(key, seconds)
    yield from (energy, power, gaps)


def _wall_and_parts(snapshot: Snapshot) -> Iterator[Metric]:
    unattributed = CounterMetricFamily(
        "wattlas_host_unattributed_joules",
        "Energy of the server that none of its parts had, over all minutes in which the wall had"
        " more than they: fans, regulators, losses of the supplies, what nobody measures.",
    )
    excess = CounterMetricFamily(
        "wattlas_host_parts_excess_joules",
        "Energy that the parts had more than the server, over all minutes in which they had."
        " Wall = parts while the wall had a figure + unattributed - this.",
    )
    exceed = GaugeMetricFamily(
        "wattlas_host_parts_exceed_wall",
        "Whether in the last whole minute the parts had more than the wall, by more than the"
        " half-widths of both uncertainties together: a sensor is wrong, or counted twice.",
    )
    itue = GaugeMetricFamily(
        "wattlas_host_itue_ratio",
        "ITUE of this server over the last whole minute: energy at the wall over that of CPU,"
        " memory, accelerators, storage and network. quality: the worst of those.",
        labels=["quality"],
    )
    walled = snapshot.walled
    if walled is not None:
        unattributed.add_metric([], walled.unattributed_joules)
        excess.add_metric([], walled.excess_joules)
        if walled.parts_exceed_wall is not None:
            exceed.add_metric([], float(walled.parts_exceed_wall))
        if walled.itue is not None:
            ratio, quality = walled.itue
            itue.add_metric([quality.value], ratio)
    yield from (unattributed, excess, exceed, itue)
