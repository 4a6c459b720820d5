"""The command line. Each command is a file of its own, imported only when it is called."""

import importlib
import os
import sys
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EPIPE
from typing import Any, Final

import click

COMMANDS: Final = {
    "run": "The agent, in the foreground.",
    "read": "One reading of every source.",
    "check": "What can be measured here, what cannot, why, and what would fix it.",
    "measure": "Run a command and say what the host drew meanwhile.",
    "estimate": "What a server would draw, without any sensor.",
    "bench": "This host's own FLOPS per watt, at five load levels.",
    "replay": "Drive the meter with a recorded trace on virtual time.",
    "report": "PUE and its family over any period; bills against meters.",
    "work": "Report useful work done, from scripts.",
    "rules": "The recording rules and alerts for Prometheus, with your thresholds.",
    "dashboards": "Write the Grafana dashboards, rules and sample settings to a directory.",
    "ledger": "Prove that the ledger is as it was written; hand it over.",
    "install": "Make this program a service of this host.",
    "uninstall": "Take the service away again.",
    "completion": "Print the shell completion for bash, zsh or fish.",
}


class LazyGroup(click.Group):
    """Loads a command's module when it is needed, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of COMMANDS."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"agent.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings: /etc/wattlas/wattlas.toml, every key optional. Exit status: 0 done,"
    " 1 it failed, 2 wrong usage or settings.",
)
@click.version_option(package_name="wattlas", prog_name="wattlas")
def wattlas() -> None:
    """Measure what a server draws, keep a ledger, and export to Prometheus."""


def _give_up_stdout(error: OSError) -> None:
    """Say that the output cannot be written, unless its reader just went away; else raise."""
    if error.filename is not None or error.errno not in {EPIPE, ENOSPC, EDQUOT, EFBIG, EIO}:
        raise error
    if error.errno != EPIPE:
        click.echo(f"wattlas: cannot write the output ({error.strerror}); free its disk", err=True)
    # what waits in the buffer would fail again at the end
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main() -> None:
    """Run the command line; every error a user can cause ends in one plain line."""
    if sys.stdout is None:  # closed by who started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    from agent.cli.common import Failure  # noqa: PLC0415 - keeps --help fast
    from agent.settings_error import SettingsError  # noqa: PLC0415

    try:
        status: Any = wattlas.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        hint = f" ({error.ctx.command_path} --help shows how)" if error.ctx else ""
        click.echo(f"wattlas: {error.format_message()}{hint}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"wattlas: {error.format_message()}", err=True)
        sys.exit(1)
    except SettingsError as error:
        click.echo(f"wattlas: {error}", err=True)
        sys.exit(2)
    except Failure as error:
        click.echo(f"wattlas: {error}", err=True)
        sys.exit(error.status)
    except click.Abort:
        sys.exit(130)
    except OSError as error:
        _give_up_stdout(error)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
