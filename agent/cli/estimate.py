"""`wattlas estimate`: what a server would draw, per component, without any sensor."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from agent.estimate.machine import Activity, ComponentEstimate, Machine
from agent.quantities import Ratio

DEFAULT_UTILIZATION = 0.5
"""For a machine that is only described."""

SAMPLE_SECONDS = 0.5
"""How long this host's own utilisation is watched."""

EPILOG = """\b
Examples:
  wattlas estimate
      this host, at the load it has now
  wattlas estimate --cpu-model "Intel(R) Xeon(R) Platinum 8259CL" --sockets 2
      --memory-gb 384 --utilization 0.3 --json
  wattlas estimate --cpu-model "AMD EPYC 7R13" --cores 4 --memory-gb 16
      a VM with 4 of its 48 cores

Method, sources and limits: docs/estimate.md.
"""


def _parse(
    option: str, text: str | None, *, low: float, high: float, remedy: str, whole: bool = False
) -> float | None:
    """Return the number of an option, None if it was not given; refuse with one sentence."""
    if text is None:
        return None
    try:
        value = float(int(text)) if whole else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # also refuses NaN
        raise click.UsageError(f"{option} {text!r} cannot be used: {remedy}.")
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


@click.command(name="estimate", epilog=EPILOG, short_help="Power of a server without a sensor.")
@click.option("--cpu-model", metavar="NAME", help="CPU, as in /proc/cpuinfo or on the box.")
@click.option("--sockets", metavar="N", help="Sockets. Default: as many as the cores need.")
@click.option(
    "--cores",
    metavar="N",
    help="Physical cores of the host in total. With several sockets, one socket's cores, and "
    "always the thread count, also mean the whole machine; fewer are a VM's share. "
    "Default: all of them.",
)
@click.option(
    "--frequency-mhz",
    metavar="F",
    help="Clock of the busy cores; below the base clock it lowers the power. Default: not known.",
)
@click.option("--memory-gb", metavar="N", help="Memory. Default: 8 GB a core, 4 on a desktop.")
@click.option(
    "--utilization",
    metavar="R",
    help="CPU load, 0 to 1. Default: 0.5; for this host, what it is now.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON, with low, best and high in watts.")
def estimate(
    cpu_model: str | None,
    sockets: str | None,
    cores: str | None,
    frequency_mhz: str | None,
    memory_gb: str | None,
    utilization: str | None,
    as_json: bool,
) -> None:
    """Show what a server draws, per component, by a model: low, best and high in watts.

    Without the options that describe a machine, it is this host. Nothing is measured: these are
    the figures behind the quality `estimated`.
    """
    if cpu_model is not None and not cpu_model.strip():
        raise click.UsageError("--cpu-model is empty: give a name, or leave the option out.")
    socket_count = _whole(
        _parse(
            "--sockets",
            sockets,
            low=1,
            high=64,
            remedy="give a whole number from 1 to 64",
            whole=True,
        )
    )
    core_count = _whole(
        _parse(
            "--cores",
            cores,
            low=1,
            high=65536,
            remedy="give a whole number of physical cores, 1 or more",
            whole=True,
        )
    )
    clock = _parse(
        "--frequency-mhz",
        frequency_mhz,
        low=100,
        high=20000,
        remedy="give megahertz, from 100 to 20000, such as 2500",
    )
    memory = _parse(
        "--memory-gb",
        memory_gb,
        low=0.01,
        high=1e6,
        remedy="give gigabytes above 0, such as 64",
    )
    load = _parse(
        "--utilization",
        utilization,
        low=0,
        high=1,
        remedy="give a share from 0 to 1, such as 0.5 for 50 %",
    )
    described = (cpu_model, socket_count, core_count, clock, memory)
    if all(value is None for value in described):
        machine = _this_host()
        load = _load_now() if load is None else load
    else:
        from agent.estimate.catalog import DEFAULT_CPU_MODEL, describe  # noqa: PLC0415

        machine = describe(
            cpu_model or DEFAULT_CPU_MODEL,
            sockets=socket_count,
            cores=core_count,
            frequency_mhz=clock,
            memory_gb=memory,
        )
        load = DEFAULT_UTILIZATION if load is None else load
        if not machine.part.known and clock is not None:
            clock = None  # it has gone into the part that stands in
    from agent.estimate.model import by_component, evaluate, prepare, total  # noqa: PLC0415

    parts = by_component(evaluate(prepare(machine), Activity(Ratio(load), frequency_mhz=clock)))
    host = total(parts)
    if as_json:
        click.echo(json.dumps(_document(parts, host), indent=2))
    else:
        _print_table(machine, load, parts, host)


def _this_host() -> Machine:
    from collectors.machine import detect  # noqa: PLC0415 - reads this host only when asked

    return detect(Path("/proc"), Path("/sys"))


def _load_now() -> float:
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415

    return min(max(float(psutil.cpu_percent(interval=SAMPLE_SECONDS)) / 100, 0.0), 1.0)


def _watts(part: ComponentEstimate) -> dict[str, float]:
    return {
        "low": round(part.watts_low, 3),
        "best": round(part.watts_best, 3),
        "high": round(part.watts_high, 3),
    }


def _document(parts: Sequence[ComponentEstimate], host: ComponentEstimate) -> dict[str, Any]:
    rows = [
        {"component": part.component.value, "watts": _watts(part), "method": part.method}
        for part in parts
    ]
    # The host is the sum of the figures shown, so that a reader's sum agrees to the last digit.
    summed = {
        bound: round(sum(_watts(part)[bound] for part in parts), 3)
        for bound in ("low", "best", "high")
    }
    return {"components": rows, "host": {"watts": summed, "method": host.method}}


def _print_table(
    machine: Machine, load: float, parts: Sequence[ComponentEstimate], host: ComponentEstimate
) -> None:
    from rich.console import Console  # noqa: PLC0415 - rich stays out of the running agent
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    part = machine.part
    table = Table(title="Estimated power in watts", title_justify="left")
    table.add_column("component")
    for bound in ("low", "best", "high"):
        table.add_column(bound, justify="right")
    table.add_column("method")
    for row in parts:
        table.add_row(
            row.component.value,
            *(f"{watts:.1f}" for watts in _watts(row).values()),
            escape(row.method),
        )
    table.add_section()
    table.add_row("host", *(f"{watts:.1f}" for watts in _watts(host).values()), host.method)
    console = Console()
    known = "" if part.known else ", not in the catalogue: its family's figures"
    console.print(
        f"{escape(part.name)}{known}; {machine.sockets} socket(s) of {part.cores} cores, "
        f"{part.tdp_watts:.0f} W TDP; load {load:.0%}"
        + ("" if machine.cpu_share >= 1 else f"; {machine.cpu_share:.1%} of the host is ours"),
        soft_wrap=True,
        highlight=False,
    )
    console.print(table)
