"""The Markdown of benchmarks/real_gpu.py."""

from collections.abc import Sequence
from typing import Any


def markdown(found: dict[str, Any]) -> str:
    """Return the report."""
    parts = [
        f"# What a real GPU answered\n\n{found['started']}, Wattlas {found['wattlas']}.",
        _machine(found["machine"]),
        *(_idle(found["idle"]) if found.get("idle") else []),
        *(_known(found["known"]) if found.get("known") else []),
        *(_bench(found["bench"]) if found.get("bench") else []),
    ]
    if found["notes"]:
        parts.append("## Not done, or doubtful\n\n" + "\n".join(f"- {n}" for n in found["notes"]))
    return "\n\n".join(parts) + "\n"


def _machine(machine: dict[str, Any]) -> str:
    rows = [
        [
            board["index"],
            board["name"],
            board["persistence_mode"],
            board["power_limit_milliwatts"],
            board["cuda_cores"],
        ]
        for board in machine["boards"]
    ]
    head = ["index", "name", "persistence mode", "power limit, mW", "CUDA cores by NVML"]
    return (
        f"## Machine\n\nDriver {machine['driver']}, kernel {machine['kernel']},"
        f" Python {machine['python']}.\n\n{_table(head, rows)}"
    )


def _idle(idle: dict[str, Any]) -> list[str]:
    cost = idle.get("cost") or {}
    parts = ["## What the collector costs, and what it does to an idle card"]
    if cost:
        rows = [
            [name, *(f"{cost[name][kind] * 1e3:.3f}" for kind in ("median", "mean", "max"))]
            for name in (
                "own_python_cpu_seconds",
                "in_nvml_cpu_seconds",
                "in_nvml_wall_seconds",
                "cpu_seconds",
                "wall_seconds",
            )
        ]
        parts.append(
            f"{cost['ticks']} ticks at 1 Hz, {cost['nvml_calls']['mean']:.1f} calls and"
            f" {cost['samples']['mean']:.1f} samples each; {cost['note']}. First tick, which opens"
            f" NVML: {cost['first_tick_wall_seconds']:.2f} s.\n\n"
            + _table(["per tick, ms", "median", "mean", "max"], rows)
        )
    rows = [
        [
            row["collector"],
            f"{row['seconds']:.1f}",
            _number(row.get("counter_watts"), 2),
            _number(row.get("buffer_watts"), 2),
            row.get("buffer_samples", row.get("buffer", "")),
        ]
        for row in idle["phases"]
    ]
    head = ["collector", "s", "W by counter", "W by driver's buffer", "samples"]
    parts.append(_table(head, rows))
    parts += [
        f"By {name.split('_')[0]}: {by['on']:.2f} W on, {by['off']:.2f} W off, difference"
        f" {by['difference']:+.2f} W; phases without it differ by {by['spread_of_off']:.2f} W."
        for name, by in idle["by"].items()
    ]
    return parts


def _known(known: dict[str, Any]) -> list[str]:
    parts = [
        (
            "## A known load\n\nKernels whose operations are known by construction"
            " (`benchmarks/gpu/kernels.py`). `activity` is what Wattlas makes of GPM's activity;"
            " `counter / instant` compares the energy counter with power read 20 times a second,"
            " `counter / collector` with the power that the collector would integrate."
        )
    ]
    head = ["load", "achieved", "GFLOP/s", "activity GFLOP/s", "activity / known", "SM MHz", "W"]
    head += ["GFLOPS/W", "counter / instant", "counter / 1 s mean", "counter / collector"]
    for series in known["series"]:
        precision = series["precision"]
        rows = [
            [
                f"{level['target_load']:.0%}" if level["target_load"] else "idle",
                f"{level['achieved_load']:.1%}",
                _number(level["flops"], 1, 1e9),
                _number(level["pipe_activity_flops"].get(precision), 1, 1e9),
                _number(level["pipe_activity_over_known"], 4),
                _number(level["sm_hertz"], 0, 1e6),
                _number(level["meter_watts"], 1),
                _number(level["flops_per_watt"], 2, 1e9),
                _number(level["counter_over_instant"], 4),
                _number(level["counter_over_average"], 4),
                _number(level["collector_counter_over_power"], 4),
            ]
            for level in series["levels"]
        ]
        parts.append(f"### {precision}, {series['name']}\n\n{_table(head, rows)}")
    return parts


def _bench(bench: dict[str, Any]) -> list[str]:
    parts = [f"## `wattlas bench`\n\n{bench['verdict']}."]
    head = ["target", "achieved", "GFLOP/s", "GPU W", "host W", "GFLOPS/W GPU", "GFLOPS/W host"]
    for series in bench["series"]:
        rows = []
        for level in series["levels"]:
            gpu, host = level["component"] or {}, level["host"] or {}
            rows.append(
                [
                    f"{level['target_load']:.0%}",
                    f"{level['achieved_load']:.1%}",
                    _number(level["flops"], 1, 1e9),
                    _number(gpu.get("power_watts"), 1),
                    _number(host.get("power_watts"), 1),
                    _number(gpu.get("flops_per_watt"), 2, 1e9),
                    _number(host.get("flops_per_watt"), 2, 1e9),
                ]
            )
        summary = series["summary"]["component"]
        parts.append(
            f"### {series['precision']}, {series['library']} {series['library_version']},"
            f" {series['matrix_size']} x {series['matrix_size']}\n\n{_table(head, rows)}\n\n"
            f"Idle power {_number(summary['idle_power_ratio'], 3)} of full, proportionality"
            f" {_number(summary['energy_proportionality'], 3)}."
        )
    return parts


def _number(value: float | None, digits: int, unit: float = 1.0) -> str:
    return "–" if value is None else f"{value / unit:,.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
