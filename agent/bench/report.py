"""The bench's JSON, its figures for people, and what they are worth. Pure."""

from collections.abc import Sequence
from typing import Any

from agent.bench.plan import ARITHMETIC, PERIOD_SECONDS, TICK_SECONDS, Times
from agent.bench.result import Level, Power, Series, Summary, per_watt, summarise
from agent.quantities import Quality
from agent.snapshot import Snapshot

FORM = 1
"""Of the JSON; goes up when a figure changes its meaning or place."""


def summaries(series: Series) -> tuple[Summary, Summary]:
    """Return the summary by the component's power and by the host's."""
    return (
        summarise([(level.target, level.flops, level.component) for level in series.levels]),
        summarise([(level.target, level.flops, level.host) for level in series.levels]),
    )


def verdict(series: Sequence[Series]) -> str:
    """Say in one sentence how far the figures can be trusted."""
    levels = [level for one in series for level in one.levels]
    powers = [level.component for level in levels]
    if not levels:
        return "nothing was measured"
    known = [power for power in powers if power is not None]
    if not known:
        return "no source of the devices' power: operations were counted, FLOPS per watt is unknown"
    worst = max((power.quality for power in known), key=list(Quality).index)
    if worst is Quality.ESTIMATED:
        return (
            "the energy is estimated by a model: FLOPS per watt of the component is no measurement"
        )
    wide = max((power.uncertainty_ratio or 0.0 for power in known), default=0.0)
    text = f"the component's energy is {worst.value}, ±{wide:.0%}"
    if len(known) < len(powers):
        text += "; at some levels it is unknown"
    hosts = [level.host for level in levels if level.host is not None]
    if any(Quality.ESTIMATED in host.by_quality for host in hosts):
        text += "; the host's contains estimates"
    return text


def document(
    series: Sequence[Series],
    *,
    snapshot: Snapshot,
    times: Times,
    started: str,
    ended: str,
    complete: bool,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return everything as JSON; `docs/bench.md` describes it. Times are ISO 8601, UTC."""
    return {
        "form": FORM,
        "wattlas_version": snapshot.build.version,
        "started": started,
        "ended": ended,
        "complete": complete,
        "verdict": verdict(series),
        "notes": list(notes),
        "host": {
            "host": snapshot.host.host,
            "cpu_model": snapshot.host.cpu_model,
            "python": snapshot.build.python,
        },
        "timing": {
            "level_seconds": times.level,
            "settle_seconds": times.settle,
            "calibration_seconds": times.calibration,
            "period_seconds": PERIOD_SECONDS,
            "tick_seconds": TICK_SECONDS,
        },
        "series": [_series(one) for one in series],
    }


def _series(series: Series) -> dict[str, Any]:
    component, host = summaries(series)
    told = ("library", "library_version", "blas", "blas_version")
    return {
        "device": series.device,
        "devices": list(series.devices),
        "device_name": series.library.get("name"),
        "precision": series.precision,
        "arithmetic": ARITHMETIC[series.precision],
        **{name: series.library.get(name) for name in told},
        "matrix_size": series.matrix_size,
        "flop_per_product": 2 * series.matrix_size**3,
        "processes": series.processes,
        "threads": series.threads or None,
        "calibrated_flops": series.calibrated_flops,
        "levels": [_level(level, series) for level in series.levels],
        "summary": {"component": _summary(component), "host": _summary(host)},
    }


def _level(level: Level, series: Series) -> dict[str, Any]:
    idle = next((one for one in series.levels if one.target == 0.0), None)
    return {
        "target_load": level.target,
        "achieved_load": level.flops / series.calibrated_flops,
        "window": {
            "since_boottime_seconds": level.since,
            "until_boottime_seconds": level.until,
            "seconds": level.seconds,
        },
        "flop": level.flop,
        "flops": level.flops,
        "component": _power(level.component, level.flops, idle.component if idle else None),
        "host": _power(level.host, level.flops, idle.host if idle else None),
        "by_device": [
            {
                "device": device,
                "flop": flop,
                "flops": flop / level.seconds,
                "power_watts": watts,
                "flops_per_watt": flop / level.seconds / watts if watts and flop else None,
            }
            for device, (flop, watts) in level.by_device.items()
        ],
        "parts": [
            {
                "component": component,
                "device": device,
                "source": source,
                "quality": quality,
                "power_watts": watts,
            }
            for (component, device, source, quality), watts in sorted(level.parts.items())
        ],
    }


def _power(power: Power | None, flops: float, idle: Power | None) -> dict[str, Any] | None:
    if power is None:
        return None
    seconds = power.until - power.since
    return {
        "power_watts": power.watts,
        "energy_joules": power.watts * seconds,
        "quality": power.quality.value,
        "power_watts_by_quality": {q.value: watts for q, watts in power.by_quality.items()},
        "uncertainty_ratio": power.uncertainty_ratio,
        "gap_seconds": power.gap_seconds,
        "flops_per_watt": per_watt(flops, power),
        "idle_power_ratio": idle.watts / power.watts if idle and power.watts > 0 else None,
    }


def _summary(summary: Summary) -> dict[str, float | None]:
    return {
        "peak_flops_per_watt": summary.peak_flops_per_watt,
        "overall_flops_per_watt": summary.overall_flops_per_watt,
        "idle_power_ratio": summary.idle_ratio,
        "energy_proportionality": summary.proportionality,
    }
