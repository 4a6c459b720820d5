"""The metrics of the contract, made from one snapshot. Nothing is computed here."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.quantities import Component, Quality
from agent.snapshot import Snapshot
from exporters.accelerators import accelerator_families
from exporters.carbon import carbon_families
from exporters.host import host_families
from exporters.parts import part_families
from exporters.remote_families import remote_families
from exporters.site import site_families
from exporters.work import work_families

_BEST_FIRST: Final = {quality: place for place, quality in enumerate(Quality)}


class SnapshotCollector:
    """What prometheus_client calls a collector: an iterable of metric families."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield every family that has something to say."""
        return (family for family in families(self._snapshot) if family.samples)


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield every family, those without samples too: the reference is made from this."""
    yield from _info(snapshot)
    yield from _components(snapshot)
    yield from part_families(snapshot)
    yield from host_families(snapshot)
    yield from accelerator_families(snapshot)
    yield from work_families(snapshot)
    yield from site_families(snapshot)
    yield from carbon_families(snapshot)
    yield from _collectors(snapshot)
    yield from _agent(snapshot)
    yield from remote_families(snapshot)


def _info(snapshot: Snapshot) -> Iterator[Metric]:
    build, host = snapshot.build, snapshot.host
    family = GaugeMetricFamily(
        "wattlas_build_info",
        "What program this is; always 1.",
        labels=["version", "revision", "python"],
    )
    family.add_metric([build.version, build.revision, build.python], 1)
    yield family
    family = GaugeMetricFamily(
        "wattlas_host_info",
        "What the host is; always 1. machine_id is a keyed hash of the host's machine id.",
        labels=["host", "site", "rack", "grid_zone", "cpu_model", "machine_id"],
    )
    family.add_metric(
        [host.host, host.site, host.rack, host.grid_zone, host.cpu_model, host.machine_id], 1
    )
    yield family


def _components(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["component", "device", "source", "quality"]
    energy = CounterMetricFamily(
        "wattlas_component_energy_joules",
        "Energy of a part of the host, each joule counted once. quality: measured by a hardware"
        " energy counter, integrated from a power sensor, or estimated by a model.",
        labels=labels,
    )
    power = GaugeMetricFamily(
        "wattlas_component_power_watts",
        "Power of a part of the host over the last interval, from the source that counts now.",
        labels=labels,
    )
    cross_check = GaugeMetricFamily(
        "wattlas_crosscheck_power_watts",
        "Power by a second source of the same part, or of the whole server (component host): a"
        " second opinion that is not counted.",
        labels=labels[:3],
    )
    gaps = CounterMetricFamily(
        "wattlas_energy_gap_seconds",
        "Time for which a source gave no energy. Nothing is made up for it.",
        labels=labels[:3],
    )
    second: dict[tuple[str, str, str], float] = {}
    gap: dict[tuple[str, str, str], float] = {}
    for stream in sorted(snapshot.streams, key=lambda s: _BEST_FIRST[s.identity.quality]):
        who = stream.identity
        # A source that has both a counter and a sensor of a device is one series where quality
        # is no label: the counter's power, and the longer gap, as a counter may not fall.
        key = (who.component.value, who.device, who.source)
        is_part = who.component != Component.HOST
        if is_part and (stream.joules or not stream.cross_check):
            energy.add_metric([*key, who.quality.value], stream.joules)
            gap[key] = max(stream.gap_seconds, gap.get(key, 0.0))
        if stream.watts is None:
            continue
        if is_part and stream.counts_now:
            power.add_metric([*key, who.quality.value], stream.watts)
        elif stream.cross_check:
            second.setdefault(key, stream.watts)
    for key, watts in second.items():
        cross_check.add_metric(key, watts)
    ratio = GaugeMetricFamily(
        "wattlas_crosscheck_energy_ratio",
        "Energy by a device's counter over its own power sensor's integral, in the last whole"
        " minute; 1 is agreement.",
        labels=labels[:3],
    )
    for (source, component, device), value in snapshot.cross_checks.items():
        ratio.add_metric([component, device, source], value)
    for key, seconds in gap.items():
        gaps.add_metric(key, seconds)
    yield from (energy, power, cross_check, ratio, gaps)
    utilization = GaugeMetricFamily(
        "wattlas_component_utilization_ratio",
        "Share of a part's capacity in use, 0 to 1; device all is the whole host.",
        labels=labels[:2],
    )
    for sample in snapshot.utilization:
        utilization.add_metric([sample.component.value, sample.device], sample.ratio)
    yield utilization


def _collectors(snapshot: Snapshot) -> Iterator[Metric]:
    resets = CounterMetricFamily(
        "wattlas_counter_resets",
        "How often an energy counter started anew. reason: boot, reset (it fell), jump (it rose"
        " by more than the device can draw).",
        labels=["collector", "reason"],
    )
    for (collector, reason), count in sorted(snapshot.resets.items()):
        resets.add_metric([collector, reason], count)
    up = GaugeMetricFamily(
        "wattlas_collector_up",
        "Whether a collector's last reading succeeded; absent when there is nothing to read.",
        labels=["collector"],
    )
    duration = GaugeMetricFamily(
        "wattlas_collector_duration_seconds",
        "How long a collector's last reading took.",
        labels=["collector"],
    )
    failures = CounterMetricFamily(
        "wattlas_collector_failures",
        "Failed readings, of a whole collector or of one of its sources.",
        labels=["collector", "reason"],
    )
    for status in snapshot.collectors:
        if status.up is not None:
            up.add_metric([status.name], float(status.up))
        if status.duration_seconds is not None:
            duration.add_metric([status.name], status.duration_seconds)
        for reason, count in sorted(status.failures.items()):
            failures.add_metric([status.name, reason], count)
    yield from (resets, up, duration, failures)


def _agent(snapshot: Snapshot) -> Iterator[Metric]:
    agent, ledger = snapshot.agent, snapshot.ledger
    yield _single(
        CounterMetricFamily("wattlas_agent_cpu_seconds", "CPU time of the agent itself."),
        agent.cpu_seconds,
    )
    yield _single(
        GaugeMetricFamily("wattlas_agent_resident_bytes", "Resident memory of the agent itself."),
        agent.resident_bytes,
    )
    yield _single(
        GaugeMetricFamily(
            "wattlas_agent_start_time_seconds",
            "When the agent was started, Unix time. Its totals go on after a restart, so this is"
            " where one shows.",
        ),
        agent.started,
    )
    yield _single(
        CounterMetricFamily(
            "wattlas_agent_energy_joules",
            "Energy of the agent itself, an estimate: its share of busy CPU time of the CPU's"
            " energy.",
        ),
        agent.joules,
    )
    yield _single(
        GaugeMetricFamily("wattlas_tick_late_seconds", "How late the last tick was."),
        snapshot.late_seconds,
    )
    yield _single(
        CounterMetricFamily("wattlas_ticks_skipped", "Ticks left out because the one before ran."),
        snapshot.skipped_ticks,
    )
    if ledger is None:
        return
    yield _single(
        GaugeMetricFamily("wattlas_ledger_up", "Whether the ledger can be written."),
        float(ledger.up),
    )
    yield _single(
        CounterMetricFamily("wattlas_ledger_failures", "Failed writes of the ledger."),
        ledger.failures,
    )
    yield _single(
        GaugeMetricFamily("wattlas_ledger_size_bytes", "Size of the ledger with its log."),
        ledger.size_bytes,
    )
    yield _single(
        GaugeMetricFamily(
            "wattlas_ledger_unsaved_postings",
            "Minutes of detail that wait for the disk; totals are exported all the same.",
        ),
        ledger.unsaved,
    )
    yield _single(
        CounterMetricFamily(
            "wattlas_ledger_records",
            "Records of the ledger's chain of sealed hours. It never goes back: where it does,"
            " somebody cut the chain, or the ledger is a new one.",
        ),
        ledger.records,
    )


def _single(family: CounterMetricFamily | GaugeMetricFamily, value: float | None) -> Metric:
    if value is not None:
        family.add_metric([], value)
    return family
