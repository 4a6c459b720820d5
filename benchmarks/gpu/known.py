"""Levels of a load whose operations are known: GPM's activity, and the counter, against them."""

from collections.abc import Sequence
from typing import Any

from agent.bench.child import Child
from agent.bench.plan import Device, times
from agent.bench.result import Level, per_watt
from agent.bench.run import Bench
from agent.bench.watch import Watch
from agent.collector import Found
from agent.samples import EnergyCounter, Figure, Figures, FlopCount, PowerReading, Sample
from agent.settings import Settings
from gpu.poll import Poll, counter_watts, mean_watts


class KnownBench(Bench):
    """`wattlas bench` with another load, on the first GPU alone."""

    async def open(self, device: Device, names: Sequence[str], children: list[Child]) -> None:
        """Start the one child."""
        del device
        child = Child("GPU 0", module="gpu.load")
        children.append(child)
        await child.open("gpu", names)
        alone = child.described["devices"] == 1
        child.described["label"] = self.label(child.described, alone=alone)


class Known:
    """The run, and what was heard of the collector meanwhile."""

    def __init__(self, settings: Settings, found: Found, seconds: float, tell: Any) -> None:
        self._settings = settings
        self._found = found
        self._times = times(seconds)
        self._tell = tell
        self.samples: list[Sample] = []

    async def run(self, api: Any, handle: Any, precisions: Sequence[str]) -> dict[str, Any]:
        """Return everything about the levels. Raises `BenchError`."""
        async with Watch(self._settings, self._found, self.samples.append) as watch:
            await watch.until(watch.now() + 1.0)
            bench = KnownBench(watch, self._times, lambda what, s: self._tell(f"{what}, {s:.0f} s"))
            with Poll(api, handle) as poll:
                await bench.run("gpu", precisions, None)
        return {
            "skipped": bench.skipped,
            "notes": bench.notes,
            "series": [
                {
                    "precision": series.precision,
                    "device": series.devices[0] if series.devices else None,
                    "name": series.library["name"],
                    "sms": series.library["sms"],
                    "iterations_per_launch": series.matrix_size,
                    "calibrated_flops": series.calibrated_flops,
                    "levels": [
                        self._level(level, series.precision, series.calibrated_flops, poll)
                        for level in series.levels
                    ],
                }
                for series in bench.series
            ],
        }

    def _level(self, level: Level, precision: str, full: float, poll: Poll) -> dict[str, Any]:
        since, until = level.since, level.until
        seen = self._pipe_activity(since, until)
        instant, average = (
            mean_watts(points, since, until) for points in (poll.instant, poll.average)
        )
        counter = counter_watts(poll.joules, since, until)
        return {
            "target_load": level.target,
            "achieved_load": level.flops / full,
            "seconds": level.seconds,
            "flop": level.flop,
            "flops": level.flops,
            "pipe_activity_flops": seen,
            "pipe_activity_over_known": seen[precision] / level.flops
            if level.flop and precision in seen
            else None,
            "pipe_active_ratio": self._mean_figure(Figure.PIPE_ACTIVE, since, until),
            "sm_hertz": self._mean_figure(Figure.CLOCK, since, until).get("sm"),
            "meter_watts": level.component.watts if level.component else None,
            "flops_per_watt": per_watt(level.flops, level.component),
            "counter_watts": counter,
            "instant_watts": instant,
            "average_watts": average,
            "counter_over_instant": counter / instant if counter and instant else None,
            "counter_over_average": counter / average if counter and average else None,
            "collector_counter_over_power": self._cross_check(since, until),
        }

    def _pipe_activity(self, since: float, until: float) -> dict[str, float]:
        """Return FLOP/s by precision from the collector's counts; those across an edge in part."""
        sums: dict[str, float] = {}
        known: dict[str, float] = {}
        for sample in self.samples:
            if not isinstance(sample, FlopCount):
                continue
            inside = min(sample.at, until) - max(sample.since, since)
            if inside > 0:
                share = sample.flop * inside / (sample.at - sample.since)
                sums[sample.precision] = sums.get(sample.precision, 0.0) + share
                known[sample.precision] = known.get(sample.precision, 0.0) + inside
        return {name: flop / known[name] for name, flop in sums.items()}

    def _mean_figure(self, figure: Figure, since: float, until: float) -> dict[str, float]:
        values: dict[str, list[float]] = {}
        for sample in self.samples:
            if isinstance(sample, Figures) and since < sample.at <= until:
                for which, label, value in sample.values:
                    if which is figure:
                        values.setdefault(label, []).append(value)
        return {label: sum(found) / len(found) for label, found in values.items()}

    def _cross_check(self, since: float, until: float) -> float | None:
        """Return the collector's own energy counter over its own power, integrated."""
        counter = [(s.at, float(s.joules)) for s in self.samples if isinstance(s, EnergyCounter)]
        power = [(s.at, float(s.watts)) for s in self.samples if isinstance(s, PowerReading)]
        first, second = counter_watts(counter, since, until), mean_watts(power, since, until)
        return first / second if first and second else None
