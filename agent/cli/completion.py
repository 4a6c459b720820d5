"""`wattlas completion`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the shell completion for SHELL.

    \b
    Examples:
      wattlas completion bash > /etc/bash_completion.d/wattlas
      wattlas completion zsh > ~/.zfunc/_wattlas
      wattlas completion fish > ~/.config/fish/completions/wattlas.fish
    """
    from agent.cli import wattlas  # noqa: PLC0415 - the group that holds this command

    cls = get_completion_class(shell)
    assert cls is not None
    click.echo(cls(wattlas, {}, "wattlas", "_WATTLAS_COMPLETE").source())
