"""`wattlas replay`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.common import (
    Failure,
    config_option,
    joules,
    json_option,
    load_settings,
    print_json,
    print_table,
)
from agent.quantities import Component

if TYPE_CHECKING:
    from agent.replay import Replayed

QUALITIES = ("measured", "integrated", "estimated")


@click.command()
@click.argument("trace", type=click.Path(path_type=Path, readable=False))
@config_option
@click.option(
    "--start",
    metavar="ISO-TIME",
    help="When the trace's time 0 was, e.g. 2026-03-01T00:00:00Z; default 1970 UTC. Names the"
    " minutes in the ledger.",
)
@click.option(
    "--state-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the ledger there, as if the agent had lived through the trace.",
)
@json_option
def replay(
    trace: Path, config: Path | None, start: str | None, state_dir: Path | None, as_json: bool
) -> None:
    """Drive the real meter with the recorded samples in TRACE, on virtual time.

    A trace is what `wattlas run --record` writes: JSON lines, one sample each. Lines that are
    broken are passed over and named; the exit status is then 1.

    \b
    Examples:
      wattlas replay trace.jsonl
      wattlas replay trace.jsonl --start 2026-03-01T00:00:00Z --state-dir ./ledger
    """
    from agent.ledger import LedgerError  # noqa: PLC0415
    from agent.replay import Replay, Skipped, VirtualClock, has_work, spacing  # noqa: PLC0415
    from agent.settings import parse  # noqa: PLC0415

    clock = VirtualClock(_start(start))
    skipped = Skipped()
    try:
        intervals = spacing(trace)
        settings = parse("", None, {}) if config is None else load_settings(config)[0]
        intervals |= {
            name: s.interval_seconds
            for name, s in settings.collectors.items()
            if s.interval_seconds is not None
        }
        ledger = _ledger(state_dir, clock) if state_dir else None
        with _progress(trace.stat().st_size) as progress:
            replay = Replay(intervals, ledger, clock, settings, match_work=has_work(trace))
            result = replay.run(trace, skipped, progress)
    except LedgerError as error:
        raise Failure(str(error)) from error
    except FileNotFoundError as error:
        raise Failure(f"{trace}: there is no such trace; check the name") from error
    except OSError as error:
        raise Failure(f"{trace}: cannot be read ({error.strerror})") from error
    if as_json:
        print_json(document(result))
    else:
        _print(result)
    if skipped.broken:
        raise Failure(
            f"{trace}:{skipped.first_line}: {skipped.first_why};"
            f" {skipped.broken:,} of {skipped.lines:,} lines were passed over, the totals are"
            " those of the rest; mend or delete them"
        )
    if not skipped.lines:
        raise Failure(f"{trace}: is empty; record one with `wattlas run --record {trace}`")


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=size, label="replaying", file=sys.stderr) as bar:
        yield bar.update


def _start(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no ISO 8601 time; write e.g. 2026-03-01T00:00:00Z", param_hint="--start"
        ) from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _ledger(state_dir: Path, clock: Any) -> Any:
    from agent.ledger import LedgerWriter  # noqa: PLC0415

    return LedgerWriter(
        # nothing is pruned: the trace may be years old; the disk is flushed once an hour of it
        state_dir,
        clock,
        flush_seconds=3600.0,
        minute_days=1e6,
        hour_days=1e6,
    )


def document(result: "Replayed") -> dict[str, Any]:
    """Return the totals as JSON, in the form of the contract."""
    by_device: dict[tuple[str, str, str], dict[str, Any]] = {}
    walls: dict[tuple[str, str], dict[str, Any]] = {}
    for stream in result.streams:
        who = stream.identity
        of_whole = who.component == Component.HOST
        labels = {"device": who.device, "source": who.source}
        if of_whole:
            row = walls.setdefault((who.device, who.source), _empty(labels))
        else:
            labels = {"component": who.component.value, **labels}
            key = (who.component.value, who.device, who.source)
            row = by_device.setdefault(key, _empty(labels))
        row["energy_joules"][who.quality.value] += stream.joules
        row["gap_seconds"] += stream.gap_seconds
        row["resets"] += stream.resets
        row["cross_check"] &= stream.cross_check
    found: dict[str, Any] = {
        "duration_seconds": result.duration_seconds,
        "components": list(by_device.values()),
        "host": {
            "energy_joules": {q: result.host_joules.get(q, 0.0) for q in QUALITIES},
            "gap_seconds": result.host_gap_seconds,
        },
    }
    if walls:
        found["wall"] = list(walls.values())
        found["host"] |= {
            "unattributed_joules": result.unattributed_joules,
            "parts_excess_joules": result.excess_joules,
        }
    if result.emissions.zone:  # nobody asked what it emitted where the settings name no grid
        found["emissions"] = [
            {"scope": key.scope, "basis": key.basis, "stage": key.stage, "grams": grams}
            for key, grams in result.emissions.totals.items()
        ]
    if result.flops:
        found["flops"] = [
            {
                "component": view.component.value,
                "device": view.device,
                "precision": view.precision,
                "method": view.method.value,
                "flop": view.flop,
            }
            for view in result.flops
        ]
    if result.work:
        found["work"] = [
            {"workload": view.workload, "unit": view.unit, "amount": view.amount}
            for view in result.work
        ]
    return found


def _empty(labels: dict[str, str]) -> dict[str, Any]:
    return {
        **labels,
        "energy_joules": dict.fromkeys(QUALITIES, 0.0),
        "gap_seconds": 0.0,
        "resets": 0,
        "cross_check": True,
    }


def _print(result: "Replayed") -> None:
    walled = result.unattributed_joules is not None
    rows = [
        [
            "wall" if s.identity.component == Component.HOST else s.identity.component.value,
            s.identity.device,
            s.identity.source,
            s.identity.quality.value,
            joules(s.joules) if s.joules or not s.cross_check else "second opinion",
            f"{s.gap_seconds:,.1f}",
            str(s.resets),
        ]
        for s in result.streams
    ]
    for quality, total in result.host_joules.items():
        how = "wall, else sum" if walled else "sum"
        rows.append(["host", how, "", quality, joules(total), "", ""])
    print_table(
        f"{result.duration_seconds:,.1f} s replayed; the host had no figure for"
        f" {result.host_gap_seconds:,.1f} s",
        ["part", "device", "source", "quality", "energy", "gap s", "resets"],
        rows,
        right=(4, 5, 6),
    )
    for view in result.flops:
        click.echo(
            f"{view.component.value} {view.device}: {view.flop:.4g} floating-point operations"
            f" ({view.precision}, {view.method.value})"
        )
    for work in result.work:
        click.echo(f"{work.workload}: {work.amount:,.10g} {work.unit}")
