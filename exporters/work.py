"""The families of work: floating-point operations, useful work, and what they took."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.snapshot import Snapshot


def work_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield what was done, and how efficiently."""
    yield from _flops(snapshot)
    yield from _work(snapshot)


def _flops(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["component", "device", "precision"]
    peak = GaugeMetricFamily(
        "wattlas_peak_flops",
        "Dense peak of a device in FLOP/s at the vendor's boost clock; absent where no published"
        " figure is known.",
        labels=labels,
    )
    for (scope, precision), flop_per_second in snapshot.peaks.items():
        if scope.device != "all":
            peak.add_metric([scope.component.value, scope.device, precision], flop_per_second)
    total = CounterMetricFamily(
        "wattlas_flops",
        "Floating-point operations done. method: application (the program says so), counter"
        " (retired operations), pipe_activity (busy arithmetic units: an upper bound, and the"
        " precision is an assumption).",
        labels=[*labels, "method"],
    )
    per_watt = GaugeMetricFamily(
        "wattlas_flops_per_watt",
        "FLOPS per watt (FLOP per joule) over the last minute, operations and energy of the same"
        " time and the same devices.",
        labels=[*labels, "method"],
    )
    of_peak = GaugeMetricFamily(
        "wattlas_flops_peak_ratio",
        "Achieved FLOP/s over the dense peak of this precision, over the last minute; with method"
        " application it is what is called model FLOPS utilisation (MFU).",
        labels=[*labels, "method"],
    )
    for view in snapshot.flops:
        key = [view.component.value, view.device, view.precision, view.method.value]
        total.add_metric(key, view.flop)
        if view.flop_per_joule is not None:
            per_watt.add_metric(key, view.flop_per_joule)
        if view.peak_ratio is not None:
            of_peak.add_metric(key, view.peak_ratio)
    yield from (peak, total, per_watt, of_peak)


def _work(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["workload", "unit"]
    work = CounterMetricFamily(
        "wattlas_work",
        "Useful work done: reported by programs, or read from their own counters.",
        labels=labels,
    )
    energy = GaugeMetricFamily(
        "wattlas_work_energy_joules_per_unit",
        "Energy per unit of work over the last minute, or over the last report's time if that was"
        " longer: all the energy of the devices that the work names, else of the whole host.",
        labels=labels,
    )
    for view in snapshot.work:
        work.add_metric([view.workload, view.unit], view.amount)
        if view.joules_per_unit is not None:
            energy.add_metric([view.workload, view.unit], view.joules_per_unit)
    yield from (work, energy)
