"""What several commands share: options, settings, tables, and the way to fail."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from agent.collector import Found, find_collectors
from agent.settings import Settings, load

F = TypeVar("F", bound=Callable[..., Any])


class Failure(Exception):
    """It failed: one plain sentence with the culprit and the remedy."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


def web_address(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """Return an address that was given to an option: a callback of click."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} is no address; it begins with http:// or https://")
    return value


def config_option(function: F) -> F:
    """Add --config."""
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path, readable=False),
        help="Settings file; default /etc/wattlas/wattlas.toml where it exists.",
    )(function)


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(
        function
    )


def load_settings(config: Path | None) -> tuple[Settings, Found]:
    """Find the collectors and read the settings. Raises `SettingsError`."""
    found = find_collectors()
    types = {name: cls.Settings for name, cls in found.classes.items()}
    return load(config, types), found


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print a table: through rich on a terminal, plain aligned text elsewhere.

    `right` names the columns that are aligned to the right.
    """
    if sys.stdout.isatty():
        from rich import box  # noqa: PLC0415 - only for people
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(
            title=title or None, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD
        )
        for index, column in enumerate(columns):
            justify: Literal["left", "right"] = "right" if index in right else "left"
            table.add_column(column, justify=justify)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    if title:
        click.echo(title)
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        padded = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(padded).rstrip())


def watts(value: float | None) -> str:
    """Format watts; a dash for unknown."""
    return "–" if value is None else f"{value:,.1f}"


def joules(value: float | None) -> str:
    """Format joules, with kWh for people once it is much."""
    if value is None:
        return "–"
    if value < 1e6:
        return f"{value:,.1f} J"
    return f"{value / 3.6e6:,.3f} kWh"
