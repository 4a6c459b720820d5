"""The families of remote write itself: what was sent, what waits, what was given up."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.snapshot import Snapshot


def remote_families(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield every family, those without samples too."""
    up = GaugeMetricFamily(
        "wattlas_remote_write_up",
        "Whether the receiver of remote write answered the last request; absent before the first.",
    )
    samples = CounterMetricFamily(
        "wattlas_remote_write_samples",
        "Samples that the receiver has taken. This and the next two go on after a restart.",
    )
    failed = CounterMetricFamily(
        "wattlas_remote_write_failed_samples",
        "Samples that were given up. reason: refused (by the receiver, for good), repeated (refused"
        " after an answer was lost: most likely it has them), too_old (max_age_hours), queue_full"
        " (max_queue_megabytes), clock (it was set back), damaged (in the ledger).",
        labels=["reason"],
    )
    retries = CounterMetricFamily(
        "wattlas_remote_write_retries",
        "Requests that had to be sent again: no answer, or one that says later.",
    )
    waiting = GaugeMetricFamily("wattlas_remote_write_queue_samples", "Samples that wait.")
    size = GaugeMetricFamily(
        "wattlas_remote_write_queue_bytes", "Bytes of the ledger that waiting samples take."
    )
    oldest = GaugeMetricFamily(
        "wattlas_remote_write_queue_oldest_seconds",
        "Age of the oldest sample that waits; 0 while none does.",
    )
    view = snapshot.remote
    if view is not None:
        if view.up is not None:
            up.add_metric([], float(view.up))
        samples.add_metric([], view.samples)
        for reason, count in view.failed.items():
            failed.add_metric([reason], count)
        retries.add_metric([], view.retries)
        waiting.add_metric([], view.queue_samples)
        size.add_metric([], view.queue_bytes)
        oldest.add_metric([], view.queue_oldest_seconds)
    yield from (up, samples, failed, retries, waiting, size, oldest)
