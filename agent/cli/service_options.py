"""Options that `wattlas install` and `wattlas uninstall` share."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _absolute(_ctx: click.Context, _param: click.Parameter, value: str) -> PurePosixPath:
    path = PurePosixPath(value)
    if not path.is_absolute():
        raise click.BadParameter("must be an absolute path")
    return path


def root_option(words: str) -> Decorator:
    """Return `--root`; `words` is its help."""
    return click.option(
        "--root",
        metavar="DIR",
        default="/",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        help=words,
    )


def prefix_option(words: str) -> Decorator:
    """Return `--prefix`; `words` is its help."""
    return click.option(
        "--prefix",
        metavar="DIR",
        default="/usr/local",
        show_default=True,
        callback=_absolute,
        help=words,
    )


dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
