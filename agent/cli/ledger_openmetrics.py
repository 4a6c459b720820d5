"""`wattlas ledger export --openmetrics`: the ledger's history for a Prometheus that missed it."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

import click

from agent.cli.common import Failure
from agent.ledger import LedgerError
from agent.report.failure import ReportError
from agent.report.openmetrics import Written, write_openmetrics
from agent.settings import Settings

STDOUT: Final = Path("-")


def export_openmetrics(
    state_dir: Path,
    start: float,
    end: float,
    output: Path,
    *,
    settings: Settings | None = None,
    labels: Mapping[str, str] | None = None,
) -> Written:
    """Write the history of a ledger from `start` to `end` (Unix time) into a file; "-": stdout.

    The file appears when it is complete. `settings` say the roles of a site's meters. `labels` go
    onto every series, such as job and instance. Says on stderr what was written, and what the
    ledger cannot tell of the past. Raises `Failure`.
    """
    site = settings.site if settings else None
    name = (settings.site.name or settings.host.site) if settings else ""
    try:
        with _opened(output) as file:
            written = write_openmetrics(
                state_dir, start, end, file, site=site, site_name=name, labels=labels
            )
    except ReportError as error:
        raise Failure(str(error), error.status) from None
    except LedgerError as error:
        raise Failure(str(error)) from None
    click.echo(f"{written.samples} samples of {written.series} series", err=True)
    for sentence in written.left_out:
        click.echo(f"left out: {sentence}", err=True)
    return written


@contextlib.contextmanager
def _opened(output: Path) -> Iterator[TextIO]:
    """Open a file that takes its name once it is whole. Raises `Failure`."""
    if output == STDOUT:
        yield sys.stdout
        return
    part = output.with_name(f"{output.name}.part-{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise Failure(
            f"{output}: cannot be written ({error.strerror}); name another file with --output"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
