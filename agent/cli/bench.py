"""`wattlas bench`."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
import msgspec

from agent.bench.child import BenchError, Unable
from agent.bench.plan import (
    PRECISIONS,
    SIZES,
    TICK_SECONDS,
    Device,
    Times,
    precisions,
    times,
)
from agent.bench.report import document, summaries, verdict
from agent.bench.result import Level, Power, Series, Summary, per_watt
from agent.bench.run import Bench, run
from agent.bench.watch import Watch
from agent.cli.common import (
    Failure,
    config_option,
    json_option,
    load_settings,
    print_json,
    print_table,
    watts,
)
from agent.collector import Found
from agent.quantities import Quality
from agent.settings import Settings
from agent.snapshot import Snapshot

ALL_PRECISIONS = tuple(dict.fromkeys([*PRECISIONS["cpu"], *PRECISIONS["gpu"]]))
NO_NUMPY = (
    "numpy is not installed in wattlas' environment, and the CPU's load needs it:"
    f" {sys.executable} -m pip install numpy (where pipx keeps wattlas: pipx inject wattlas numpy)"
)
NO_GPU_LIBRARY = "install CuPy or PyTorch into wattlas' environment, or give --device cpu"


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


@click.command()
@config_option
@json_option
@click.option(
    "--output",
    metavar="FILE",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Write the report there.",
)
@click.option(
    "--seconds",
    metavar="N",
    type=click.FloatRange(1.0, 3600.0),
    default=10.0,
    show_default=True,
    help="Measured at each of the five levels.",
)
@click.option(
    "--precision",
    "asked",
    multiple=True,
    type=click.Choice(ALL_PRECISIONS),
    help="May be given several times; default fp64 and fp32, on a GPU fp16, too.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "gpu", "all"]),
    default="all",
    show_default=True,
    help="all: the CPU, and GPUs where there are some.",
)
@click.option(
    "--size",
    metavar="N",
    type=click.IntRange(16, SIZES[-1]),
    help="Matrices of N x N; default: as large as a product of 25 ms allows.",
)
def bench(
    config: Path | None,
    as_json: bool,
    output: TextIO | None,
    seconds: float,
    asked: tuple[str, ...],
    device: str,
    size: int | None,
) -> None:
    """Measure this host's own FLOPS per watt at idle, 25, 50, 75 and 100 % load.

    The load is a matrix product: numpy's BLAS on the CPU, CuPy or PyTorch on GPUs. Whatever else
    the host does is in its energy, so run it on a quiet host. Takes about a minute for each
    precision.

    \b
    Examples:
      wattlas bench
      wattlas bench --device gpu --precision fp16 --seconds 30
      wattlas bench --json --output bench.json
    """
    from agent import logs  # noqa: PLC0415

    logs.configure("error")
    chosen: dict[str, tuple[Device, ...]] = {"cpu": ("cpu",), "gpu": ("gpu",), "all": ()}
    for kind in chosen[device]:
        if not precisions(kind, asked):
            raise click.UsageError(f"--device {kind} does not know {', '.join(asked)}")
    settings, found = load_settings(config)
    job = Job(settings, found, times(seconds))
    asyncio.run(job.run(chosen[device], asked, size))
    with redirect_stdout(output) if output else nullcontext():
        if as_json:
            print_json(job.document())
        elif any(series.levels for series in job.series):
            _print(job)
    if job.failure is not None:
        raise job.failure


class Job:
    """One run of the command: what it found, also when it was broken off."""

    def __init__(self, settings: Settings, found: Found, durations: Times) -> None:
        agent = msgspec.structs.replace(settings.agent, interval_seconds=TICK_SECONDS)
        self._settings = replace(settings, agent=agent)
        self._found = found
        self.times = durations
        self.series: Sequence[Series] = ()
        self.notes: list[str] = []
        self.failure: Failure | None = None
        self.snapshot: Snapshot | None = None
        self._started = _utc()
        self._ended = self._started

    async def run(self, devices: Sequence[Device], asked: Sequence[str], size: int | None) -> None:
        """Run the bench until it is done, fails, or is stopped."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, task.cancel, signum)
        show = Progress()
        async with Watch(self._settings, self._found) as watch:
            work = Bench(watch, self.times, show.tell)
            try:
                await run(watch, work, devices, asked, size)
            except asyncio.CancelledError as error:
                signum = error.args[0] if error.args else signal.SIGINT
                self.failure = Failure("stopped before it was complete", 128 + signum)
            except BenchError as error:
                self.failure = Failure(_remedied(error))
            show.clear()
            self.series = work.series
            self.notes = [f"not done: {_with_remedy(what)}" for what in work.skipped] + work.notes
            self.snapshot = watch.snapshot()
            self._ended = _utc()

    def document(self) -> dict[str, object]:
        """Return the report as JSON."""
        assert self.snapshot is not None
        return document(
            self.series,
            snapshot=self.snapshot,
            times=self.times,
            started=self._started,
            ended=self._ended,
            complete=self.failure is None,
            notes=self.notes,
        )


class Progress:
    """What is being done, on one line of stderr, for people on a terminal."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()

    def tell(self, what: str, seconds: float) -> None:
        """Show it."""
        if self._shows:
            left = f", {seconds:.0f} s" if seconds else ""
            click.echo(f"\r\033[K{what}{left}", err=True, nl=False)

    def clear(self) -> None:
        """Leave the line empty."""
        if self._shows:
            click.echo("\r\033[K", err=True, nl=False)


def _utc() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")


def _remedied(error: BenchError) -> str:
    return _with_remedy(str(error)) if isinstance(error, Unable) else str(error)


def _with_remedy(sentence: str) -> str:
    """Add what would help to a sentence about a missing library."""
    if "numpy is not installed" in sentence:
        return NO_NUMPY
    if "cupy" in sentence.lower() and "torch" in sentence.lower():
        return f"{sentence}; {NO_GPU_LIBRARY}"
    return sentence


def _print(job: Job) -> None:
    for series in job.series:
        if series.levels:
            _print_series(series)
    for note in job.notes:
        click.echo(note)
    click.echo(verdict(job.series))


def _print_series(series: Series) -> None:
    library = series.library
    blas = " ".join(str(library[key]) for key in ("blas", "blas_version") if library.get(key))
    threads = f", {series.threads} threads" if series.threads else ""
    where = (
        f"{len(series.devices) or series.processes} x {library['name']}"
        if (series.device == "gpu")
        else "CPU"
    )
    title = (
        f"{where}, {series.precision}: {library['library']} {library['library_version']}"
        f" ({blas}){threads}, matrices {series.matrix_size} x {series.matrix_size}"
    )
    idle = next((level for level in series.levels if level.target == 0.0), None)
    rows = [_row(level, series, idle) for level in series.levels]
    what = "CPU" if series.device == "cpu" else "GPU"
    columns = ["target", "load", "GFLOP/s", f"{what} W", "±", "host W"]
    columns += [f"per W {what}", "per W host", "idle share"]
    print_table(title, columns, rows, right=tuple(range(len(columns))))
    component, host = summaries(series)
    click.echo(_summary_line(what, component))
    click.echo(_summary_line("host", host))
    if any("~" in cell for row in rows for cell in row):
        click.echo("~ contains energy that is estimated by a model")
    click.echo("")


def _row(level: Level, series: Series, idle: Level | None) -> list[str]:
    power, host = level.component, level.host
    ratio = power.uncertainty_ratio if power else None
    return [
        f"{level.target:.0%}" if level.target else "idle",
        f"{level.flops / series.calibrated_flops:.1%}",
        f"{level.flops / 1e9:,.1f}",
        _mark(power, watts(power.watts if power else None)),
        f"{ratio:.0%}" if ratio is not None else "",
        _mark(host, watts(host.watts if host else None)),
        _mark(power, _giga(per_watt(level.flops, power))),
        _mark(host, _giga(per_watt(level.flops, host))),
        _share(idle.component if idle else None, power),
    ]


def _mark(power: Power | None, text: str) -> str:
    """Mark what rests on a model."""
    return f"~{text}" if power and Quality.ESTIMATED in power.by_quality and text != "–" else text


def _share(idle: Power | None, power: Power | None) -> str:
    if idle is None or power is None or power.watts <= 0:
        return "–"
    return f"{idle.watts / power.watts:.0%}"


def _giga(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e9:,.3f}"


def _summary_line(what: str, summary: Summary) -> str:
    def text(value: float | None, form: str) -> str:
        return "unknown" if value is None else format(value, form)

    return (
        f"{what}: best {_giga(summary.peak_flops_per_watt)} GFLOPS/W,"
        f" over all levels {_giga(summary.overall_flops_per_watt)};"
        f" idle power {text(summary.idle_ratio, '.0%')} of full,"
        f" proportionality {text(summary.proportionality, '.2f')}"
    )
