"""`wattlas read`."""

import asyncio
from pathlib import Path
from typing import Any

import click

from agent.cli.common import (
    Failure,
    config_option,
    json_option,
    load_settings,
    print_json,
    print_table,
    watts,
)
from agent.meter import StreamView
from agent.quantities import Component
from agent.snapshot import Snapshot

SAMPLING_SECONDS = 1.0


@click.command()
@config_option
@json_option
def read(config: Path | None, as_json: bool) -> None:
    """Read every source once, over one second, and print what the host draws.

    Needs no running agent and leaves a running one alone.

    \b
    Examples:
      wattlas read
      wattlas read --json | jq .host.power_watts
    """
    from agent import logs  # noqa: PLC0415
    from agent.session import Session  # noqa: PLC0415

    logs.configure("error")
    settings, found = load_settings(config)

    async def sample() -> Snapshot:
        async with Session(settings, found) as session:
            await session.sample(SAMPLING_SECONDS, 3)
            return session.app.snapshot()

    snapshot = asyncio.run(sample())
    if as_json:
        print_json(document(snapshot))
    else:
        _print(snapshot)
    if not snapshot.host_power.shares and all(s.watts is None for s in snapshot.streams):
        raise Failure("no source gave a figure; `wattlas check` says what is missing and why")


def document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the reading as JSON."""
    shares = snapshot.host_power.shares
    return {
        "host": {
            "power_watts": sum(shares.values()) if shares else None,
            "uncertainty_ratio": snapshot.host_power.uncertainty_ratio,
            "shares": [
                {"quality": quality.value, "source": source, "power_watts": power}
                for (quality, source), power in shares.items()
            ],
        },
        "components": [
            {"component": s.identity.component.value, **_stream(s)}
            for s in snapshot.streams
            if s.identity.component != Component.HOST
        ],
        "wall": [_stream(s) for s in snapshot.streams if s.identity.component == Component.HOST],
        "accelerators": [
            {
                "component": view.about.component.value,
                "device": view.about.device,
                "index": view.about.index,
                "name": view.about.name,
                "figures": {
                    f"{figure.value} {which}".rstrip(): value
                    for (figure, which), value in view.figures.items()
                },
            }
            for view in snapshot.accelerators
        ],
        "flops": [
            {
                "component": view.component.value,
                "device": view.device,
                "precision": view.precision,
                "method": view.method.value,
                "flop_per_second": view.flop_per_second,
                "flop_per_joule": view.flop_per_joule,
                "peak_ratio": view.peak_ratio,
            }
            for view in snapshot.flops
        ],
        "utilization": [
            {"component": u.component.value, "device": u.device, "ratio": u.ratio}
            for u in snapshot.utilization
        ],
        "collectors": [
            {"collector": c.name, "up": c.up, "why": c.why or None, "remedy": c.remedy or None}
            for c in snapshot.collectors
        ],
    }


def _stream(stream: StreamView) -> dict[str, Any]:
    return {
        "device": stream.identity.device,
        "source": stream.identity.source,
        "quality": stream.identity.quality.value,
        "power_watts": stream.watts,
        "half_width_watts": stream.half_width_watts,
        "counted": stream.counts_now,
    }


def _print(snapshot: Snapshot) -> None:
    walled = any(s.counts_now and s.identity.component == Component.HOST for s in snapshot.streams)
    load = {(u.component, u.device): f"{u.ratio:.0%}" for u in snapshot.utilization}
    rows = [
        [
            "wall" if s.identity.component == Component.HOST else s.identity.component.value,
            s.identity.device,
            watts(s.watts),
            f"±{s.half_width_watts:,.1f}" if s.watts is not None else "",
            s.identity.quality.value,
            s.identity.source,
            load.get((s.identity.component, s.identity.device), ""),
            "" if s.counts_now else "second opinion" if s.cross_check else "no figure",
        ]
        for s in sorted(
            snapshot.streams,
            key=lambda s: (
                not s.counts_now,
                s.identity.component == Component.HOST,
                s.identity.component,
                s.identity.device,
            ),
        )
    ]
    shares = snapshot.host_power.shares
    total = sum(shares.values()) if shares else None
    ratio = snapshot.host_power.uncertainty_ratio
    qualities = " + ".join(
        f"{sum(p for (q, _), p in shares.items() if q == quality) / total:.0%} {quality.value}"
        for quality in dict.fromkeys(q for q, _ in shares)
        if total
    )
    rows.append(
        [
            "host",
            "wall" if walled else "sum",
            watts(total),
            f"±{total * ratio:,.1f}" if total is not None and ratio is not None else "",
            qualities or "unknown",
            "",
            "",
            "",
        ]
    )
    columns = ["part", "device", "watts", "±", "quality", "source", "load", ""]
    print_table("", columns, rows, right=(2, 3, 6))
    if snapshot.accelerators:
        _print_accelerators(snapshot)
    _print_flops(snapshot)
    for status in snapshot.collectors:
        if status.up is False:
            click.echo(f"{status.name}: {status.why}")


def _print_accelerators(snapshot: Snapshot) -> None:
    from agent.samples import Figure  # noqa: PLC0415

    rows = []
    for view in snapshot.accelerators:
        used = view.figures.get((Figure.MEMORY_USED, ""))
        total = view.figures.get((Figure.MEMORY_TOTAL, ""))
        degrees = view.figures.get((Figure.TEMPERATURE, "core"))
        clock = view.figures.get((Figure.CLOCK, "sm"))
        limit = view.figures.get((Figure.POWER_LIMIT, ""))
        rows.append(
            [
                view.about.index,
                view.about.name,
                watts(limit),
                "–" if degrees is None else f"{degrees:.0f} °C",
                "–" if clock is None else f"{clock / 1e6:,.0f} MHz",
                " of ".join("–" if n is None else f"{n / 2**30:,.1f}" for n in (used, total))
                + " GiB",
                view.about.device,
            ]
        )
    columns = ["accelerator", "name", "limit W", "core", "clock", "memory", "device"]
    print_table("", columns, rows, right=(2, 3, 4, 5))


def _print_flops(snapshot: Snapshot) -> None:
    rows = [
        [
            view.component.value,
            view.device,
            view.precision,
            view.method.value,
            "–" if view.flop_per_second is None else f"{view.flop_per_second / 1e9:,.1f}",
            "–" if view.flop_per_joule is None else f"{view.flop_per_joule / 1e9:,.2f}",
            "–" if view.peak_ratio is None else f"{view.peak_ratio:.1%}",
        ]
        for view in snapshot.flops
        if view.flop
    ]
    if rows:
        columns = ["part", "device", "precision", "method", "GFLOP/s", "GFLOPS/W", "of peak"]
        print_table("", columns, rows, right=(4, 5, 6))
