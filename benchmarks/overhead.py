"""What Wattlas costs, side by side with Debian's node_exporter, on this host, in one run.

    python benchmarks/overhead.py [--quick] [--seconds 60] [--pairs 4] [--json FILE] [--markdown]

Run it with the Python of Wattlas' environment. It starts everything itself: 300 sleeping
processes, half a core of load, `wattlas run` on a simulated two-socket server's sensors and this
host's own /proc, and node_exporter three times. Nothing is left behind. benchmarks/README.md says
what each figure is and how it is taken.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cost import commands, host, measure, report

LATENCY_SERIES = 500
CROWD_SERIES = 5000
GPUS = "8xH100"


class Options(argparse.Namespace):
    """The command line."""

    seconds: float
    pairs: int
    every: float
    scrapes: int
    processes: int
    cores: float
    busy_seconds: float
    starts: int
    day: float
    quick: bool
    markdown: bool
    json: Path | None
    directory: Path | None


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; --quick only sets other defaults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="half a minute: does it run, are figures sane")
    add("--seconds", type=float, help="length of one turn of the CPU run (60)")
    add("--pairs", type=int, help="pairs of turns, A B B A … (4)")
    add("--every", type=float, help="seconds between scrapes (15)")
    add("--scrapes", type=int, help="scrapes for the latency, one a second (300)")
    add("--processes", type=int, help="extra sleeping processes (300)")
    add("--cores", type=float, help="cores of load, by duty cycle (0.5)")
    add("--busy-seconds", type=float, help="seconds with every core busy (60)")
    add("--starts", type=int, help="starts and reads whose median is taken (5)")
    add("--day", type=float, help="share of a day that is replayed (1)")
    add("--json", type=Path, metavar="FILE", help="also write every figure there")
    add("--markdown", action="store_true", help="the table alone, for docs/performance.md")
    add("--directory", type=Path, help="work below this directory; its disk holds the ledger")
    usual = {"seconds": 60.0, "pairs": 4, "every": 15.0, "scrapes": 300, "processes": 300}
    usual |= {"cores": 0.5, "busy_seconds": 60.0, "starts": 5, "day": 1.0}
    quick = {"seconds": 3.0, "pairs": 1, "every": 1.5, "scrapes": 4, "processes": 50}
    quick |= {"cores": 0.5, "busy_seconds": 2.0, "starts": 1, "day": 0.005}
    given = parser.parse_args(arguments, Options())
    for name, value in (quick if given.quick else usual).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def say(text: str) -> None:
    """Tell the one who waits."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def run(o: Options, directory: Path) -> dict[str, Any]:
    """Measure everything; returns plain figures."""
    result: dict[str, Any] = {"pairs": o.pairs, "every": o.every, "whole_day": o.day >= 1}
    facts = host.facts()
    facts["load before"] = f"{os.getloadavg()[0]:.2f}"
    with contextlib.ExitStack() as stack:
        sysfs = stack.enter_context(host.simulated_sysfs(directory / "machine"))
        stack.enter_context(host.load(o.processes, o.cores))
        _side_by_side(o, directory, sysfs, result)
        say("starts and reads")
        result["start"] = commands.first_and_later_starts(directory / "start", sysfs, o.starts)
        result["read"] = commands.read_seconds(directory / "read", sysfs, o.starts)
        result["absent"] = commands.absent(directory / "nothing", 20)._asdict()
        facts["processes"] = str(host.processes())
        facts["load at the end"] = f"{os.getloadavg()[0]:.2f}"
    say("replay")
    result["replay"] = commands.replay(directory / "replay", o.day)._asdict()
    result["facts"] = facts
    return result


def _side_by_side(o: Options, directory: Path, sysfs: Path, result: dict[str, Any]) -> None:
    """Run everything that scrapes running programs."""
    with contextlib.ExitStack() as stack:

        def started(program: host.Program) -> host.Program:
            stack.callback(program.stop)
            program.wait_until_scraped()
            return program

        agent = started(host.wattlas(directory / "agent", sysfs))
        peers = [started(peer) for peer in host.peers()]
        time.sleep(min(o.every, 5.0))  # starting is over
        at_start, written, began = agent.memory(), agent.written_bytes(), time.perf_counter()
        cpu = measure.cpu(
            agent, peers, seconds=o.seconds, pairs=o.pairs, every=o.every, say=say
        )  # fmt: skip
        result["cpu"] = {name: figure._asdict() for name, figure in cpu.items()}
        theirs = cpu[report.DEFAULT].each if peers else [float("nan")] * o.pairs
        ratios = [a / b for a, b in zip(cpu[agent.name].each, theirs, strict=True)]
        result["cpu_ratio"] = measure.spread(ratios)
        result["memory_at_start"], result["memory"] = at_start._asdict(), agent.memory()._asdict()
        result["peer_memory"] = {p.name: p.memory()._asdict() for p in peers}
        a_day = commands.DAY_SECONDS / (time.perf_counter() - began) / 1e6
        result["written_mb_per_day"] = (agent.written_bytes() - written) * a_day
        result["own_energy_share"] = measure.own_energy(agent).share
        many = started(host.wattlas(directory / "many", sysfs, series=LATENCY_SERIES))
        taken = measure.latency([agent, many, *peers], count=o.scrapes, say=say)
        result["latency"] = {name: figure._asdict() for name, figure in taken.items()}
        busy = measure.late_ticks(
            agent, seconds=o.busy_seconds, cores=os.cpu_count() or 1, say=say
        )  # fmt: skip
        result["late"] = busy._asdict()
    with contextlib.ExitStack() as stack:
        result["gpus"] = _with_gpus(o, directory, sysfs, started)
    with contextlib.ExitStack() as stack:
        crowded = started(host.wattlas(directory / "crowd", sysfs, series=CROWD_SERIES))
        time.sleep(2.0)
        rounds = max(3, o.scrapes // 10)
        result["crowd"] = measure.crowd(crowded, scrapers=50, rounds=rounds, say=say)._asdict()


def _with_gpus(
    o: Options, directory: Path, sysfs: Path, started: Callable[[host.Program], host.Program]
) -> dict[str, Any]:
    """Measure an agent that also reads eight GPUs, beside node_exporter, which reads none."""
    agent = started(host.wattlas_with_gpus(directory / "gpus", sysfs, GPUS))
    peers = [started(peer) for peer in host.peers()[:1]]
    time.sleep(min(o.every, 5.0))
    driver, began = host.inside_driver_seconds(directory / "gpus"), time.perf_counter()
    cpu = measure.cpu(agent, peers, seconds=o.seconds, pairs=o.pairs, every=o.every, say=say)
    elapsed = time.perf_counter() - began
    driver = host.inside_driver_seconds(directory / "gpus") - driver
    theirs = cpu[report.DEFAULT].each if peers else [float("nan")] * o.pairs
    ours = cpu[agent.name]
    page = agent.connection.get().text()
    return {
        "boards": GPUS,
        "scraped": ours.scraped,
        "driver": 100 * driver / elapsed,
        "ratio": measure.spread([a / b for a, b in zip(ours.each, theirs, strict=True)]),
        "peer": cpu[report.DEFAULT].scraped if peers else None,
        "memory": agent.memory()._asdict(),
        "series": sum(not line.startswith("#") for line in page.splitlines()),
    }


def main() -> None:
    """Measure, print, and write what was asked for."""
    o = options()
    if not host.NODE_EXPORTER:
        say("node_exporter is not installed: no ratios (apt-get install prometheus-node-exporter)")
    with tempfile.TemporaryDirectory(prefix="wattlas-cost-", dir=o.directory) as directory:
        result = run(o, Path(directory))
    result["rows"] = [row._asdict() for row in report.rows(result)]
    print(report.table(result))
    if not o.markdown:
        missed = [row.what for row in report.rows(result) if row.met is False]
        met = sum(row.met is True for row in report.rows(result))
        print(f"\n{met} targets met, {len(missed)} missed" + "".join(f"\n  {m}" for m in missed))
    if o.json:
        o.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
