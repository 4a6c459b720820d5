"""`wattlas measure`."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import click
import msgspec

from agent.carbon.live import Now
from agent.carbon.words import Basis
from agent.cli.common import (
    Failure,
    config_option,
    joules,
    json_option,
    load_settings,
    print_json,
    print_table,
    watts,
)
from agent.cli.measure_host import host_between
from agent.collector import Found
from agent.kpi.checked import JOULES_PER_KWH
from agent.quantities import Component
from agent.settings import Settings
from agent.snapshot import Snapshot

SAMPLE_SECONDS = 0.25
SHORTEST_SECONDS = 0.1
"""Power over less than this says more about the counter's refresh than about the host."""
WARM_UP_SECONDS = 0.25
"""Utilisation is a difference: without this the first estimate would have none."""


class Measured(msgspec.Struct, frozen=True):
    """What the host drew while a command ran."""

    exit_status: int
    duration_seconds: float
    joules: dict[str, float]
    components: dict[tuple[str, str, str, str], float]
    gap_seconds: float
    mean_watts: float | None
    peak_watts: float | None
    uncertainty_ratio: float | None
    by_wall: bool
    """The host's energy is a meter's of the whole; else it is the sum of the components."""
    intensity: Now | None
    """Of the grid where the host is; None: not known."""


@click.command(context_settings={"ignore_unknown_options": True})
@config_option
@json_option
@click.option(
    "--output",
    metavar="FILE",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Write the report there and not after CMD's own output.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD …")
def measure(
    config: Path | None, as_json: bool, output: TextIO | None, command: tuple[str, ...]
) -> int:
    """Run CMD and print the energy of the whole host while it ran.

    Whatever else the host does meanwhile is in the figure. Exits with CMD's own status.

    \b
    Examples:
      wattlas measure -- make -j8
      wattlas measure --json --output energy.json -- python3 train.py
    """
    from agent import logs  # noqa: PLC0415

    logs.configure("error")
    settings, found = load_settings(config)
    settings = _sampled_faster(settings)
    result = asyncio.run(_measure(settings, found, command))
    with redirect_stdout(output) if output else nullcontext():
        if as_json:
            print_json(document(result))
        else:
            _print(result)
    return result.exit_status


def _sampled_faster(settings: Settings) -> Settings:
    from dataclasses import replace  # noqa: PLC0415

    interval = min(SAMPLE_SECONDS, settings.agent.interval_seconds)
    agent = msgspec.structs.replace(settings.agent, interval_seconds=interval)
    return replace(settings, agent=agent)


async def _measure(settings: Settings, found: Found, command: tuple[str, ...]) -> Measured:
    from agent.session import Session  # noqa: PLC0415

    async with Session(settings, found) as session:
        await session.sample(WARM_UP_SECONDS, 3)
        before = session.app.snapshot()
        started = ticked = time.monotonic()
        process = await _start(command)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, _forward, process, signum)
        seen = [before]
        waiting = asyncio.ensure_future(process.wait())
        due = started
        while not waiting.done():
            due = max(due + settings.agent.interval_seconds, time.monotonic())
            await asyncio.wait([waiting], timeout=due - time.monotonic())
            if waiting.done():
                break
            await session.app.tick()
            ticked = time.monotonic()
            seen.append(session.app.snapshot())
        duration = time.monotonic() - started
        last_seconds = time.monotonic() - ticked
        await session.app.tick()
        after = session.app.snapshot()
        if last_seconds >= SHORTEST_SECONDS or len(seen) == 1:
            seen.append(after)
    return _difference(before, after, waiting.result(), duration, seen)


async def _start(command: tuple[str, ...]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(*command)
    except FileNotFoundError as error:
        raise Failure(f"{command[0]}: there is no such command; check its name", 127) from error
    except OSError as error:
        raise Failure(f"{command[0]}: cannot be run ({error.strerror})", 126) from error


def _forward(process: asyncio.subprocess.Process, signum: int) -> None:
    if process.returncode is None:
        os.kill(process.pid, signum)


def _difference(
    before: Snapshot, after: Snapshot, status: int, duration: float, seen: Sequence[Snapshot]
) -> Measured:
    """Return what came between; `seen` are the pictures of it, `before` the first."""
    host = host_between(before, after, duration, seen)
    by_quality, powers = host.joules, host.powers
    earlier = {s.identity: s.joules for s in before.streams}
    components = {
        (i.component.value, i.device, i.source, i.quality.value): s.joules - earlier.get(i, 0.0)
        for s in after.streams
        if s.joules > earlier.get(i := s.identity, 0.0) and i.component != Component.HOST
    }
    for key, joules_of_rest in host.rest.items():
        components[key] = components.get(key, 0.0) + joules_of_rest
    seconds = max(_counted_seconds(after) - _counted_seconds(before), 0.0)
    if not seconds and by_quality:  # there is nothing but a meter of the whole
        seconds = duration
    total = sum(by_quality.values())
    return Measured(
        exit_status=status if status >= 0 else 128 - status,
        duration_seconds=duration,
        joules=by_quality,
        components=components,
        gap_seconds=after.host_gap_seconds - before.host_gap_seconds,
        mean_watts=total / seconds if seconds > 0 else None,
        peak_watts=max((sum(p.shares.values()) for p in powers if p.shares), default=None),
        uncertainty_ratio=max(
            (p.uncertainty_ratio for p in powers if p.uncertainty_ratio is not None), default=None
        ),
        by_wall=host.by_wall,
        intensity=_location(after),
    )


def _location(snapshot: Snapshot) -> Now | None:
    known = snapshot.carbon.now if snapshot.carbon is not None else ()
    return next((now for now in known if now.basis is Basis.LOCATION), None)


def _counted_seconds(snapshot: Snapshot) -> float:
    """Return the longest time for which a part's energy was counted, s."""
    return max(
        (s.seconds for s in snapshot.streams if s.identity.component != Component.HOST),
        default=0.0,
    )


def document(result: Measured) -> dict[str, Any]:
    """Return the measurement as JSON."""
    return {
        "exit_status": result.exit_status,
        "duration_seconds": result.duration_seconds,
        "energy_joules": {
            "total": sum(result.joules.values()) if result.joules else None,
            **{q: result.joules.get(q, 0.0) for q in ("measured", "integrated", "estimated")},
        },
        "mean_power_watts": result.mean_watts,
        "peak_power_watts": result.peak_watts,
        "uncertainty_ratio": result.uncertainty_ratio,
        "gap_seconds": result.gap_seconds,
        "by_wall": result.by_wall,
        **_carbon_document(result),
        "components": [
            {"component": c, "device": d, "source": s, "quality": q, "energy_joules": j}
            for (c, d, s, q), j in sorted(result.components.items())
        ],
    }


def _grams(result: Measured) -> float | None:
    """Return what the energy emitted by the grid's location, g."""
    if result.intensity is None or not result.joules:
        return None
    return sum(result.joules.values()) / JOULES_PER_KWH * result.intensity.grams_per_kwh


def _carbon_document(result: Measured) -> dict[str, Any]:
    now = result.intensity
    if now is None:
        return {"co2e_grams": None, "co2e_why": NO_CARBON}
    return {
        "co2e_grams": _grams(result),
        "co2e_basis": now.basis.value,
        "co2e_factor": now.factor.value,
        "intensity_grams_per_kwh": now.grams_per_kwh,
        "intensity_source": now.source,
    }


NO_CARBON = "unknown: no carbon intensity is known for host.grid_zone"


def _co2e(result: Measured) -> str:
    grams, now = _grams(result), result.intensity
    if grams is None or now is None:
        return NO_CARBON
    shown = f"{grams:,.3g} g" if grams < 1e6 else f"{grams / 1000:,.1f} kg"
    return f"{shown} ({now.grams_per_kwh:g} g/kWh: {now.source})"


def _print(result: Measured) -> None:
    rows = [
        [component, device, joules(energy), quality, source]
        for (component, device, source, quality), energy in sorted(result.components.items())
    ]
    total = sum(result.joules.values()) if result.joules else None
    ratio = result.uncertainty_ratio
    band = f" ±{ratio:.0%}" if ratio is not None else ""
    shares = [
        f"{energy / total:.0%} {quality}"
        for quality, energy in result.joules.items()
        if total and energy
    ]
    how = "wall" if result.by_wall else "sum"
    rows.append(["host", how, f"{joules(total)}{band}", " + ".join(shares) or "unknown", ""])
    print_table("", ["part", "device", "energy", "quality", "source"], rows, right=(2,))
    click.echo(
        f"{result.duration_seconds:.2f} s, mean {watts(result.mean_watts)} W,"
        f" peak {watts(result.peak_watts)} W; CO2e {_co2e(result)}"
    )
    if result.gap_seconds > 0.5:
        click.echo(f"no figure for {result.gap_seconds:.1f} s of it: the energy is a lower bound")
