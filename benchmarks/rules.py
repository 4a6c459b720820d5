"""What the rules cost a Prometheus: made-up hosts by the thousand, evaluated in real time.

usage: benchmarks/rules.py [--hosts N] [--gpus N] [--minutes N] [--json FILE]

Fills a Prometheus with what the hosts export (75 minutes back and some ahead, one sample a minute)
and with four weeks of what the rules have recorded for their baselines, lets it evaluate the rules
as `wattlas rules` prints them, and says how long each group took, as a share of its interval. Needs
Debian's prometheus and Wattlas in the environment of this Python. Takes minutes to fill.
"""

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import msgspec
from engines import Fleet, Prometheus
from engines.prometheus import BLOCK_SECONDS

from agent.alerts import all_limits
from dashboards.rules import groups, rules_file
from dashboards.rules.record_efficiency import OFF, RELATIVE_28D, THIRTY_MINUTES

BACK_SECONDS = 75 * 60
STEP = 60.0
DAY = 86400.0
HALF_HOUR = 1800.0
LOAD_STEP = "76-87"
"""The step of load of the made-up hosts, whose GPUs are busy for 71 to 79 %: hosts whose load is
just now in another step cost the same, as what is kept of this one is read all the same."""
SELDOM = "3m"
"""How often groups are evaluated here that otherwise are every ten minutes or less often, so that
each is seen several times; their share is of their own interval."""
CONFIG = """global: {evaluation_interval: 1m}
rule_files: [rules.yml]
storage: {tsdb: {out_of_order_time_window: 2h}}
"""
"""The hosts' data reach beyond now, so what rules record is older than the newest sample."""
LIMITS = {
    "energy_budget_kwh_per_month": 1e6,
    "carbon_budget_kilograms_per_month": 1e5,
    "electricity_price_per_kwh": 0.2,
}


def say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


STARTED = time.monotonic()


def recorded(fleet: Fleet) -> Iterator[tuple[str, str, float]]:
    """Names and labels of what baselines are made of, and a value."""
    for n in range(fleet.hosts):
        host = f'job="{fleet.job}",instance="host-{n}:9760",host="host-{n}"'
        host += f',site="site-{n % fleet.sites}",rack="r{n // 20}"'
        flops = 'component="gpu",precision="fp16_tensor",method="pipe_activity"'
        for work, usual in (
            ('workload="llama-70b",unit="generated_tokens"', 0.165),
            ('workload="train",unit="steps"', 0.00037),
            (f'{flops},workload="flops",unit="flop"', 5.4e11),
        ):
            yield THIRTY_MINUTES, f'{host},{work},load_percent="{LOAD_STEP}"', usual
            yield RELATIVE_28D, f"{host},{work}", 1.0
            yield OFF, f"{host},{work}", 0.01


def history(fleet: Fleet, folder: Path, end: float) -> Iterator[Path]:
    """Write one file for each block of four weeks; yield it, and remove it afterwards."""
    series = sorted(recorded(fleet))
    first = (end - 28 * DAY) // BLOCK_SECONDS * BLOCK_SECONDS
    page = folder / "history.txt"
    for start in itertools.takewhile(lambda t: t < end, itertools.count(first, BLOCK_SECONDS)):
        count = int(BLOCK_SECONDS / HALF_HOUR)
        times = [t for n in range(count) if (t := start + n * HALF_HOUR) < end]
        with page.open("w") as file:
            for name, lines in itertools.groupby(series, key=lambda one: one[0]):
                file.write(f"# TYPE {name} unknown\n")
                for _, labels, usual in lines:
                    head = f"{name}{{{labels}}}"
                    file.writelines(
                        f"{head} {usual * (1 + 0.02 * ((t // 300) % 5 - 2)):.6g} {t:.0f}\n"
                        for t in times
                    )
            file.write("# EOF\n")
        yield page
    page.unlink(missing_ok=True)


def watched(prometheus: Prometheus, minutes: float) -> dict[str, list[float]]:
    """Return how long each evaluation of each group took, s."""
    found: dict[str, dict[str, float]] = {}
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        time.sleep(5)
        for group in prometheus.get("rules")["groups"]:
            bad = [r for r in group["rules"] if r["health"] == "err"]
            if bad:
                sys.exit(f"{group['name']}: {bad[0]['name']}: {bad[0].get('lastError')}")
            if group["evaluationTime"]:
                found.setdefault(group["name"], {})[group["lastEvaluation"]] = group[
                    "evaluationTime"
                ]
    return {name: list(times.values()) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=12.0, help="how long to evaluate")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if shutil.which("prometheus") is None:
        sys.exit("there is no prometheus here; scripts/setup --dev installs it")
    fleet = Fleet(asked.hosts, asked.gpus)
    every = list(groups(all_limits(LIMITS)))
    intervals = {g.name: 60.0 * float(g.interval.removesuffix("m")) for g in every}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prometheus = Prometheus(folder, CONFIG)
        often = [
            msgspec.structs.replace(g, interval=SELDOM) if intervals[g.name] > 300 else g
            for g in every
        ]
        (folder / "rules.yml").write_text(rules_file(often))
        say("filling four weeks of baselines")
        prometheus.fill(history(fleet, folder, time.time() - BACK_SECONDS))
        say("writing what the hosts export")
        # filling takes a while, so the data begin at its end as far as that can be guessed
        now = time.time() + 0.1 * asked.hosts
        raw = folder / "raw.txt"
        samples = fleet.openmetrics(
            raw, now - BACK_SECONDS, now + 60 * asked.minutes + 0.2 * asked.hosts, STEP
        )
        series = sum(1 for _ in fleet.lines())
        say(f"filling {samples:,} samples of {series:,} series")
        prometheus.fill([raw])
        raw.unlink()
        say(f"evaluating for {asked.minutes:g} minutes")
        with prometheus:
            took = watched(prometheus, asked.minutes)
            counts = prometheus.at('count({__name__=~".+:wattlas_.+:.+"})', time.time())
    rows = []
    for group in every:
        seconds = sorted(took.get(group.name, ()))
        if seconds:
            middle = seconds[len(seconds) // 2]
            rows.append(
                {
                    "group": group.name,
                    "rules": len(group.rules),
                    "interval_seconds": intervals[group.name],
                    "evaluations": len(seconds),
                    "median_seconds": middle,
                    "longest_seconds": seconds[-1],
                    "share": seconds[-1] / intervals[group.name],
                }
            )
    result = {
        "hosts": asked.hosts,
        "gpus": asked.gpus,
        "series": series,
        "recorded": int(next(iter(counts.values()), 0)),
        "groups": rows,
        "share_of_all": sum(r["median_seconds"] / r["interval_seconds"] for r in rows),
    }
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2))
    print(f"{asked.hosts} hosts x {asked.gpus} GPUs: {series:,} series,", end=" ")
    print(f"{result['recorded']:,} recorded\n")
    print("| group | rules | interval | median | longest | longest / interval |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['group']} | {row['rules']} | {row['interval_seconds']:.0f} s"
            f" | {row['median_seconds']:.3f} s | {row['longest_seconds']:.3f} s"
            f" | {100 * row['share']:.2f} % |"
        )
    print(f"\nAll groups together: {100 * result['share_of_all']:.1f} % of one evaluator's time")


if __name__ == "__main__":
    main()
