"""`wattlas install`."""

from pathlib import Path, PurePosixPath

import click

from agent.cli.common import Failure, load_settings
from agent.cli.service_options import dry_run_option, prefix_option, root_option
from agent.service import ServiceError
from agent.service.files import COMPLETIONS, drop_in_names, opens
from agent.service.host import Host
from agent.service.place import program
from agent.service.setting_up import Wanted
from agent.service.setting_up import install as set_up


@click.command()
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Settings to begin with; they are checked, and copied to /etc/wattlas/wattlas.toml."
    " Default: every key, as a comment.",
)
@click.option(
    "--drop-in",
    "drop_ins",
    multiple=True,
    type=click.Choice(drop_in_names()),
    help="Open more to the service than its hardened unit does; `--list-drop-ins` says what."
    " More than one may be given.",
)
@click.option("--list-drop-ins", is_flag=True, help="Say what each drop-in is for, and end.")
@root_option("Prepare the image of a host that is below DIR; nothing is started.")
@prefix_option("Where the man page and the shells' completions go.")
@click.option("--no-start", is_flag=True, help="Neither start it nor let the next boot do so.")
@dry_run_option
def install(
    config: Path | None,
    drop_ins: tuple[str, ...],
    list_drop_ins: bool,
    root: Path,
    prefix: PurePosixPath,
    no_start: bool,
    dry_run: bool,
) -> int:
    """Make this program a service of this host, for hosts without apt.

    It makes the account, the hardened unit, the access to sensors (tmpfiles, udev), the settings,
    the man page and completions, and starts the service. Run again, it does what is missing or has
    changed, such as after an upgrade; settings that are there are never touched. Where the Debian
    package is installed, it only adds drop-ins.

    \b
    Examples:
      sudo wattlas install
      sudo wattlas install --config ./gz-1.toml --drop-in perf
      wattlas install --dry-run
    """
    if list_drop_ins:
        for name in drop_in_names():
            click.echo(f"{name}: {opens(name)}")
        return 0
    from agent.cli import wattlas  # noqa: PLC0415 - the group that holds this command

    settings = None
    if config is not None:
        load_settings(config)
        settings = config.read_text(encoding="utf-8")
    host = Host(root.resolve(), click.echo, dry=dry_run)
    try:
        host.check("wattlas install")
        wanted = Wanted(
            command=program(),
            prefix=prefix,
            settings=settings,
            drop_ins=tuple(dict.fromkeys(drop_ins)),
            completions={shell: completion_of(shell, wattlas) for shell in COMPLETIONS},
            start=not no_start,
        )
        set_up(host, wanted)
    except ServiceError as error:
        raise Failure(str(error)) from None
    return 0


def completion_of(shell: str, command: click.Command) -> str:
    """Return the completion script of a shell, as `wattlas completion` prints it."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    cls = get_completion_class(shell)
    assert cls is not None
    return cls(command, {}, "wattlas", "_WATTLAS_COMPLETE").source() + "\n"
