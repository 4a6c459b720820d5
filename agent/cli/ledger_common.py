"""What the ledger's commands share: which ledger, and how it is opened."""

import contextlib
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from agent.cli.common import Failure, load_settings

F = TypeVar("F", bound=Callable[..., Any])
SHARE: Final = 1000


def state_dir_option(function: F) -> F:
    """Add --state-dir."""
    return click.option(
        "--state-dir",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Directory of the ledger; default: agent.state_dir of the settings. A running agent is"
        " not disturbed.",
    )(function)


def state_dir_of(state_dir: Path | None, config: Path | None) -> Path:
    """Return the directory of the ledger. Raises `SettingsError`."""
    if state_dir is not None:
        return state_dir
    settings, _ = load_settings(config)
    return Path(settings.agent.state_dir)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger to check it. Raises `Failure`."""
    from agent.audit.ledger import open_for_checking  # noqa: PLC0415 - keeps --help fast
    from agent.ledger.opening import VERSION  # noqa: PLC0415

    if not path.exists():
        raise Failure(
            f"{path}: there is no ledger; name its directory with --state-dir, or let the agent"
            " run first"
        )
    try:
        db = open_for_checking(path)
    except sqlite3.Error as error:
        raise Failure(
            f"{path}: cannot be read ({error}); run as a user who may, or see whether it is damaged"
        ) from error
    with contextlib.closing(db):
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise Failure(f"{path}: the file is damaged: {error}") from error
        if version != VERSION:
            age = "an older" if version < VERSION else "a newer"
            remedy = "start this version's agent on it once" if version < VERSION else "take that"
            raise Failure(
                f"{path}: was written by {age} Wattlas (version {version} of the schema, this one"
                f" has {VERSION}); {remedy}"
            )
        yield db


@contextlib.contextmanager
def progress(label: str) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how far long work is; yields what takes shares from 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=SHARE, label=label, file=sys.stderr) as bar:
        yield lambda share: bar.update(max(0, int(share * SHARE) - bar.pos))
