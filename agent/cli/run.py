"""`wattlas run`."""

from pathlib import Path

import click

from agent.cli.common import Failure, config_option, load_settings


@click.command()
@config_option
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Also write every sample to FILE, a trace for `wattlas replay` and for bug reports.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Least level that is logged.",
)
def run(config: Path | None, record: Path | None, log_level: str) -> None:
    """Run the agent in the foreground.

    It logs to stderr, stops cleanly on SIGTERM and reloads its settings on SIGHUP.

    \b
    Examples:
      wattlas run
      wattlas run --config ./wattlas.toml
      wattlas run --record trace.jsonl
    """
    from agent import lean  # noqa: PLC0415 - only this command needs the whole agent

    lean.load()
    from agent import logs  # noqa: PLC0415
    from agent.daemon import run_blocking  # noqa: PLC0415
    from agent.ledger import LedgerError  # noqa: PLC0415
    from agent.sockets import ListenError  # noqa: PLC0415

    settings, found = load_settings(config)
    logs.configure(log_level)
    try:
        run_blocking(settings, found, lambda: load_settings(config)[0], record)
    except (LedgerError, ListenError) as error:
        raise Failure(str(error)) from error
    except FileExistsError as error:
        raise Failure(f"{record}: is there already; choose another name or delete it") from error
    except OSError as error:
        if record is not None and error.filename == str(record):
            raise Failure(f"{record}: cannot be written ({error.strerror})") from error
        raise
