"""`wattlas rules`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import Failure, config_option, load_settings, web_address

if TYPE_CHECKING:
    from agent.alerts import AllLimits
    from dashboards.rules import Group

runbooks_option = click.option(
    "--runbooks",
    metavar="URL",
    callback=web_address,
    default=None,
    help="Where your copy of docs/runbooks is read; the alerts link to pages below it.",
)
HEADER = """Recording rules and alerts of Wattlas, printed by `wattlas rules`{whose}.
The thresholds are [alerts] of the settings: change them there and print the rules again.
A name is level:metric:operations; units are base units."""


@click.command()
@config_option
@click.option(
    "--part",
    type=click.Choice(["all", "records", "alerts"]),
    default="all",
    show_default=True,
    help="Only the recording rules, or only the alerts: for engines that keep them apart.",
)
@runbooks_option
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write to this file instead of standard output.",
)
def rules(config: Path | None, part: str, runbooks: str | None, output: Path | None) -> int:
    """Print the rules for Prometheus with this site's thresholds.

    Thresholds are [alerts] of the settings, and [alerts.site.NAME] for a site that has its own.
    Prometheus, Mimir, Thanos and VictoriaMetrics' vmalert read the same file.

    \b
    Examples:
      wattlas rules > /etc/prometheus/wattlas.rules.yml
      wattlas rules --config gz-1.toml --output rules.yml && promtool check rules rules.yml
      wattlas rules --part alerts --runbooks https://wiki.example.org/wattlas
    """
    settings, _ = load_settings(config)
    whose = f" with {settings.file.name}" if settings.file else ""
    text = rules_text(settings.alerts, runbooks, whose=whose, part=part)
    if output is None:
        click.echo(text, nl=False)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"{output}: cannot be written ({error.strerror}); choose another --output"
        ) from None
    return 0


def rules_text(
    limits: "AllLimits", runbooks: str | None, *, whose: str = "", part: str = "all"
) -> str:
    """Return the rules as the file that Prometheus reads."""
    from dashboards.rules import groups, rules_file  # noqa: PLC0415
    from dashboards.rules.model import RUNBOOKS  # noqa: PLC0415

    chosen = [group for group in groups(limits) if part in {"all", _part_of(group)}]
    return rules_file(chosen, HEADER.format(whose=whose), runbooks or RUNBOOKS)


def _part_of(group: "Group") -> str:
    from dashboards.rules import Record  # noqa: PLC0415

    return "records" if all(isinstance(rule, Record) for rule in group.rules) else "alerts"
