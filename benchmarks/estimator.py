"""How wrong the estimator is, beside CodeCarbon's, on recorded power-against-load profiles.

    python benchmarks/estimator.py [--markdown] [--profiles FOLDER]

Three columns: `shipped` is the model as it is (these very machines shaped its constants);
`held out` relearns the constants that come from measurements without the machine under test;
`CodeCarbon` is TDP x (0.1 + 0.9 load^3), its own code where codecarbon is installed.
"""

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import msgspec

from agent.estimate.catalog import describe
from agent.estimate.machine import Activity, Machine
from agent.estimate.model import ALL_CORE_TURBO_SHARE, evaluate, load_shape, prepare
from agent.quantities import Component, Ratio

PROFILES = Path(__file__).parent / "profiles"

NANOMETRES = {
    "cascadelake-sp": 14,
    "skylake-sp": 14,
    "haswell-ep": 22,
    "ivybridge-client": 22,
    "zen1-threadripper": 14,
    "zen4c-siena": 5,
}
KIN = {
    "cascadelake-sp": "Intel, hardware-managed clock",
    "skylake-sp": "Intel, hardware-managed clock",
    "haswell-ep": "Intel, governor-managed clock",
    "ivybridge-client": "Intel, governor-managed clock",
    "zen1-threadripper": "AMD Zen",
    "zen4c-siena": "AMD Zen",
}
TWINS = {"cascadelake-sp": "skylake-sp"}  # one core design, one process
CURVES = (0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0)


class Point(NamedTuple):
    load: float
    watts: float


class Profile(NamedTuple):
    name: str
    machine: Machine
    codecarbon_watts: float
    cpu: list[Point]
    dram: list[Point]


def load_profiles(folder: Path) -> list[Profile]:
    points: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for file in sorted(folder.glob("*.csv")):
        if file.name == "machines.csv":
            continue
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                points[row["machine"], row["component"]].append(
                    Point(float(row["load"]), float(row["watts"]))
                )
    with (folder / "machines.csv").open(encoding="utf-8", newline="") as stream:
        return [
            Profile(
                row["machine"],
                describe(
                    row["cpu_model"],
                    sockets=int(row["sockets"]),
                    cores=int(row["cores"]),
                    frequency_mhz=float(row["frequency_mhz"]),
                    memory_gb=float(row["memory_gb"]) if row["memory_gb"] else None,
                ),
                float(row["codecarbon_tdp_watts"]),
                points[row["machine"], "cpu"],
                points[row["machine"], "dram"],
            )
            for row in csv.DictReader(stream)
        ]


def predict(machine: Machine, component: Component, load: float) -> tuple[float, float, float]:
    # The recordings' nominal clock is no news about the moment, so it is not passed on.
    low = best = high = 0.0
    for part in evaluate(prepare(machine), Activity(Ratio(load))):
        if part.component is component:
            low, best, high = (
                low + part.watts_low,
                best + part.watts_best,
                high + part.watts_high,
            )
    return low, best, high


def codecarbon_curve() -> tuple[Callable[[float, float], float], str]:
    """CodeCarbon's own method where it is installed, else the same formula."""
    try:
        from codecarbon.external import hardware  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return (lambda tdp, load: tdp * (0.1 + 0.9 * load**3)), "its formula, re-implemented"

    class Meter:
        load = 0.0

        def percent(self) -> float:
            return self.load * 100

    def run(tdp: float, load: float) -> float:
        cpu = hardware.CPU.__new__(hardware.CPU)
        meter = Meter()
        meter.load = load
        cpu._tdp, cpu._tracking_mode, cpu._cpu_load_meter = tdp, "machine", meter  # noqa: SLF001
        return float(cpu._get_power_from_cpu_load().W)  # noqa: SLF001

    try:
        if not math.isclose(run(100.0, 0.5), 21.25, rel_tol=0.2):
            raise ValueError
    except Exception:  # noqa: BLE001 - its private parts may have moved
        return (lambda tdp, load: tdp * (0.1 + 0.9 * load**3)), "its formula, re-implemented"
    return run, "its own code"


def _clock_ghz(machine: Machine) -> float:
    part = machine.part
    return (part.base_mhz + ALL_CORE_TURBO_SHARE * (part.turbo_mhz - part.base_mhz)) / 1000


def _arch(profile: Profile) -> str:
    name = profile.machine.part.microarchitecture.name
    return TWINS.get(name, name)


def _measured_idle(profile: Profile) -> float:
    return fmean(p.watts for p in profile.cpu if p.load <= 0.05) / profile.machine.sockets


def _measured_core(profile: Profile) -> float:
    full = fmean(p.watts for p in profile.cpu if p.load >= 0.95) / profile.machine.sockets
    part = profile.machine.part
    return (full - _measured_idle(profile)) / part.cores / _clock_ghz(profile.machine) ** 2


def relearn(train: list[Profile], target: Profile) -> Machine:
    """The target's machine with constants that only the other machines' recordings give.

    Idle and core power: the mean of the same microarchitecture, else of its kin as a share of TDP
    (idle) or by process node, log-log over all machines (core). Curve: best on its kin.
    """
    arch = target.machine.part.microarchitecture
    same = [p for p in train if _arch(p) == _arch(target)]
    kin = [p for p in train if KIN[_arch(p)] == KIN[_arch(target)]] or train
    if same:
        idle = fmean(_measured_idle(p) for p in same)
        core = fmean(_measured_core(p) for p in same)
    else:
        idle = target.machine.part.tdp_watts * median(
            _measured_idle(p) / p.machine.part.tdp_watts for p in kin
        )
        xs = [math.log(NANOMETRES[_arch(p)]) for p in train]
        ys = [math.log(_measured_core(p)) for p in train]
        mx, my = fmean(xs), fmean(ys)
        slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum(
            (x - mx) ** 2 for x in xs
        )
        core = math.exp(my + slope * (math.log(NANOMETRES[_arch(target)]) - mx))

    def misfit(curve: float) -> float:
        return fmean(
            fmean(
                abs(
                    _measured_idle(p)
                    + (_full(p) - _measured_idle(p)) * load_shape(point.load, curve)
                    - point.watts / p.machine.sockets
                )
                for point in p.cpu
            )
            / _full(p)
            for p in kin
        )

    curve = min(CURVES, key=misfit)
    learnt = msgspec.structs.replace(
        arch,
        idle_socket_watts=idle,
        idle_core_watts=0.0,
        core_watts_per_ghz2=core,
        curve=curve,
    )
    part = msgspec.structs.replace(target.machine.part, microarchitecture=learnt)
    return msgspec.structs.replace(target.machine, part=part)


def _full(profile: Profile) -> float:
    return fmean(p.watts for p in profile.cpu if p.load >= 0.95) / profile.machine.sockets


class Row(NamedTuple):
    name: str
    mean_watts: float
    shipped: float
    held_out: float
    codecarbon: float
    inside: float
    """Share of the points between low and high, as shipped."""


def _mae(points: Iterable[Point], model: Callable[[float], float]) -> float:
    return fmean(abs(model(p.load) - p.watts) for p in points)


def compare(profiles: list[Profile]) -> tuple[list[Row], str]:
    curve, how = codecarbon_curve()
    rows = []
    for profile in profiles:
        held_out = relearn([p for p in profiles if p is not profile], profile)
        within = [
            low <= point.watts <= high
            for point in profile.cpu
            for low, _, high in [predict(profile.machine, Component.CPU, point.load)]
        ]
        rows.append(
            Row(
                profile.name,
                fmean(p.watts for p in profile.cpu),
                _mae(
                    profile.cpu,
                    lambda load, m=profile.machine: predict(m, Component.CPU, load)[1],
                ),
                _mae(profile.cpu, lambda load, m=held_out: predict(m, Component.CPU, load)[1]),
                _mae(
                    profile.cpu,
                    lambda load, tdp=profile.codecarbon_watts: curve(tdp, load),
                ),
                fmean(within),
            )
        )
    return rows, how


def _line(cells: list[str], markdown: bool) -> str:
    if markdown:
        return "| " + " | ".join(cells) + " |"
    return f"{cells[0]:22s}" + "".join(f"{cell:>18s}" for cell in cells[1:])


def report(rows: list[Row], dram: list[tuple[str, float, float]], how: str, markdown: bool) -> str:
    head = ["machine", "mean watts", "shipped", "held out", "CodeCarbon", "inside bounds"]
    lines = [_line(head, markdown)]
    if markdown:
        lines.append("|---" * len(head) + "|")
    for row in rows:
        errors = [f"{e:.1f} W, {e / row.mean_watts:.0%}" for e in row[2:5]]
        lines.append(
            _line([row.name, f"{row.mean_watts:.0f}", *errors, f"{row.inside:.0%}"], markdown)
        )
    overall = ["mean of machines", f"{fmean(r.mean_watts for r in rows):.0f}"]
    for index in (2, 3, 4):
        watts = fmean(r[index] for r in rows)
        share = fmean(r[index] / r.mean_watts for r in rows)
        overall.append(f"{watts:.1f} W, {share:.0%}")
    lines.append(_line([*overall, f"{fmean(r.inside for r in rows):.0%}"], markdown))
    watts = fmean(r.held_out for r in rows) / fmean(r.codecarbon for r in rows)
    share = fmean(r.held_out / r.mean_watts for r in rows) / fmean(
        r.codecarbon / r.mean_watts for r in rows
    )
    lines += [
        "",
        f"Held out over CodeCarbon: {watts:.2f} in watts, {share:.2f} in relative error.",
        f"CodeCarbon: {how}.",
    ]
    for name, mean_watts, error in dram:
        lines.append(
            f"{'- ' if markdown else ''}DRAM {name}: {error:.1f} W of {mean_watts:.0f} W in mean"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--profiles", type=Path, default=PROFILES)
    options = parser.parse_args()
    profiles = load_profiles(options.profiles)
    rows, how = compare(profiles)
    dram = [
        (
            p.name,
            fmean(point.watts for point in p.dram),
            _mae(p.dram, lambda load, m=p.machine: predict(m, Component.DRAM, load)[1]),
        )
        for p in profiles
        if p.dram
    ]
    print(report(rows, dram, how, options.markdown))


if __name__ == "__main__":
    main()
