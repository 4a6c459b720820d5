"""Hosts over days, as the series that they export or that the first rules record of them."""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import yaml
from unit.dashboards.rule_tests import EVERY, promtool

from dashboards.rules import Group, rules_file
from dashboards.rules.record_efficiency import BY_LOAD, load_steps

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not installed here; scripts/setup --dev does it",
)
IDLE = 0.4
"""Share of a host's full power that it draws when idle."""
FULL_WATTS = 6000.0
UNITS_PER_SECOND = 3000.0
"""At full load."""
LEAST_LOAD = 0.2


def power_watts(load):
    """Return what a host draws: idle, and more in proportion to its load."""
    return FULL_WATTS * (IDLE + (1 - IDLE) * np.asarray(load))


def work_per_joule(load):
    """Return units per joule at a load: 40 % less at a load of 0.3 than at 1."""
    return UNITS_PER_SECOND * np.asarray(load) / power_watts(load)


def labels(host: str, site: str = "gz-1") -> str:
    return f'job="w",instance="{host}:9760",host="{host}",site="{site}",rack="r1"'


def values(numbers: Iterable[float]) -> str:
    """Return numbers as promtool has them; NaN is no sample."""
    return " ".join("_" if np.isnan(n) else f"{n:.6g}" for n in numbers)


@dataclass
class Exported:
    """A host that is scraped every minute."""

    name: str
    load: Callable[[np.ndarray], np.ndarray]
    """Of the minutes."""
    work: dict[tuple[str, str], Callable[[np.ndarray], np.ndarray]]
    """Workload and unit: how much is done, as a share of what the load would allow."""
    absent: Callable[[np.ndarray], np.ndarray] = field(default=lambda m: m < 0)
    """Minutes without a sample."""
    reset: int = 0
    """Minute at which the counters begin anew."""
    report_minutes: int = 1
    """Work is reported so seldom."""

    def series(self, minutes: int, rng: np.random.Generator) -> Iterator[dict[str, str]]:
        """Yield host, load, energy and work."""
        m = np.arange(minutes)
        who = f'job="w",instance="{self.name}:9760"'
        missing = self.absent(m)
        load = self.load(m)

        def line(name: str, numbers: np.ndarray, more: str = "") -> dict[str, str]:
            found = np.where(missing, np.nan, numbers)
            return {"series": f"{name}{{{who}{more}}}", "values": values(found)}

        def counter(per_second: np.ndarray) -> np.ndarray:
            total = np.cumsum(per_second * 60)
            total = total[m // self.report_minutes * self.report_minutes]
            return np.where((m >= self.reset) & (self.reset > 0), total - total[self.reset], total)

        yield line(
            "wattlas_host_info", np.ones(minutes), f',host="{self.name}",site="gz-1",rack="r1"'
        )
        yield line("wattlas_component_utilization_ratio", load, ',component="gpu",device="GPU-1"')
        energy = np.cumsum(power_watts(load) * 60)
        yield line("wattlas_host_energy_joules_total", energy, ',quality="measured"')
        noise = 1 + 0.02 * rng.normal(size=minutes)
        for (workload, unit), share in self.work.items():
            done = UNITS_PER_SECOND * load * share(m) * noise
            yield line("wattlas_work_total", counter(done), f',workload="{workload}",unit="{unit}"')


def by_load(
    host: str, load: np.ndarray, efficiency: np.ndarray, site: str = "gz-1"
) -> Iterator[dict[str, str]]:
    """Yield what the rules record of a host by load: long tests begin there.

    In steps of more than 5 minutes, over which nothing looks back. A rule costs promtool a tenth of
    a millisecond at each step; the 16 before this level would take as long as all that follow.
    """
    for low, high in load_steps(LEAST_LOAD):
        here = (load >= max(low, LEAST_LOAD)) & ((load < high) | (high == 1))
        step = f"{100 * low:.1f}-{100 * high:.1f}"
        yield {
            "series": f'{BY_LOAD}{{{labels(host, site)},workload="llm",unit="tokens",'
            f'load_percent="{step}"}}',
            "values": values(np.where(here, efficiency, np.nan)),
        }


DAY = 144
"""Steps of ten minutes."""
WORKLOADS = ("office", "nights", "jobs", "drifting", "even")


def load_of(kind, days, seed, per_day=DAY):
    """The mean of each step, with a daily and a weekly rhythm."""
    rng = np.random.default_rng(seed)
    day = np.arange(days * per_day) / per_day
    weekend = day % 7 >= 5
    match kind:
        case "office":
            load = 0.45 + 0.3 * np.sin(2 * np.pi * (day - 0.3)) - 0.15 * weekend
        case "nights":  # just above where it is judged at night and at weekends
            busy = (day % 1 > 0.3) & (day % 1 < 0.8) & ~weekend
            load = np.where(busy, 0.55, 0.23) + 0.03 * np.sin(6 * np.pi * day)
        case "jobs":  # of hours, one after the other
            ends = np.cumsum(rng.exponential(per_day / 4, size=20 * days).astype(int) + 2)
            which = np.searchsorted(ends, np.arange(len(day)))
            load = rng.choice([0.02, 0.35, 0.6, 0.93, 0.97], size=20 * days)[which]
        case "drifting":  # each day another
            load = rng.uniform(0.22, 0.9, size=days)[day.astype(int)] + 0.05 * np.sin(
                2 * np.pi * day
            )
        case _:
            load = np.full(len(day), 0.9)
    wander = np.zeros(len(day))
    for step, each in enumerate(rng.normal(0, 0.025, size=len(day) - 1), 1):
        wander[step] = 0.8 * wander[step - 1] + each
    return np.clip(load + wander, 0.01, 1.0)


def efficiency_of(load, seed, noise):
    rng = np.random.default_rng(1000 + seed)
    return work_per_joule(load) * np.exp(noise * rng.normal(size=len(load)))


def rules(*names: str, given: str = "", every: Sequence[Group] = EVERY) -> list[Group]:
    """Return the alerts of these names and all that they build on, down to what is `given`."""
    wanted, before = set(names), 0
    while len(wanted) > before:
        before = len(wanted)
        for group in every:
            for rule in group.rules:
                if rule.name in wanted and rule.name != given:
                    wanted |= set(re.findall(r"[\w:]+", rule.expression))
    kept = (
        Group(
            group.name,
            group.interval,
            tuple(r for r in group.rules if r.name in wanted and r.name != given),
        )
        for group in every
    )
    return [group for group in kept if group.rules]


def firing(*names: str, host: str = ".*") -> str:
    chosen = f'alertname=~"{"|".join(names)}",' if names else ""
    return f'count by (alertname, host) (ALERTS{{{chosen}alertstate="firing",host=~"{host}"}})'


def case(expression: str, time: str, expected: Iterable[tuple[str, float]]) -> dict:
    return {
        "expr": expression,
        "eval_time": time,
        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected],
    }


def fires(time: str, alert: str, hosts: Iterable[str], among: str = ".*") -> dict:
    """Return that just these hosts fire then."""
    found = [(f'{{alertname="{alert}", host="{host}"}}', 1.0) for host in sorted(hosts)]
    return case(firing(alert, host=among), time, found)


def never(alerts: str, time: str, over: str, among: str = ".*") -> dict:
    """Return that these alerts never fired for these hosts."""
    return case(
        f'count_over_time(ALERTS{{alertname=~"{alerts}",alertstate="firing",host=~"{among}"}}'
        f"[{over}:10m])",
        time,
        [],
    )


def check(folder: Path, groups: list[Group], interval: str, step: str, series, cases) -> None:
    """Have promtool evaluate it."""
    (folder / "rules.yml").write_text(rules_file(groups), encoding="utf-8")
    test_file = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": step,
        "group_eval_order": [group.name for group in groups],
        "tests": [
            {"interval": interval, "input_series": list(series), "promql_expr_test": list(cases)}
        ],
    }
    path = folder / "made.test.yml"
    path.write_text(yaml.safe_dump(test_file, sort_keys=False, width=1e9), encoding="utf-8")
    promtool("test", "rules", path)
