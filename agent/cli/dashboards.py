"""`wattlas dashboards`."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli.common import Failure, config_option, load_settings, print_table, web_address
from agent.cli.rules import rules_text, runbooks_option

if TYPE_CHECKING:
    from agent.alerts import AllLimits

DATASOURCE: Final = "grafana/provisioning/datasources/wattlas.yml"
RULES: Final = "prometheus/wattlas.rules.yml"
SAMPLE_URL: Final = "http://prometheus:9090"
"""What the data source of the sample asks; `--prometheus` names another."""


@click.command()
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory to write to; made if it is not there.",
)
@config_option
@click.option(
    "--prometheus",
    metavar="URL",
    callback=web_address,
    default=SAMPLE_URL,
    show_default=True,
    help="Where Grafana finds Prometheus, or another engine that speaks PromQL.",
)
@runbooks_option
@click.option("--force", is_flag=True, help="Overwrite files that are there and are different.")
def dashboards(
    output: Path, config: Path | None, prometheus: str, runbooks: str | None, force: bool
) -> int:
    """Write the Grafana dashboards, the rules and sample settings to a directory.

    Nothing that is there and differs is overwritten without --force. docs/dashboards.md says
    where each file goes; the dashboards can also be imported by hand.

    \b
    Examples:
      wattlas dashboards --output ./wattlas-dashboards
      wattlas dashboards -o out --config gz-1.toml --prometheus https://metrics.example.org
    """
    settings, _ = load_settings(config)
    files = dict(_files(settings.alerts, prometheus, runbooks))
    changed = [name for name, text in files.items() if _differs(output / name, text)]
    there = [name for name in changed if (output / name).exists()]
    if there and not force:
        raise Failure(
            f"{output / there[0]}: is there and is different"
            f"{f' ({len(there) - 1} more are)' if len(there) > 1 else ''};"
            " choose another --output, or overwrite with --force"
        )
    for name in changed:
        _write(output / name, files[name])
    rows = [[name, "written" if name in changed else "as before"] for name in files]
    print_table(str(output), ("file", ""), rows)
    return 0


def _files(limits: "AllLimits", prometheus: str, runbooks: str | None) -> Iterator[tuple[str, str]]:
    ours = resources.files("dashboards")
    boards = sorted(f.name for f in (ours / "grafana").iterdir() if f.name.endswith(".json"))
    for name in boards:
        yield f"grafana/dashboards/{name}", (ours / "grafana" / name).read_text(encoding="utf-8")
    sample = ours / "provisioning"
    datasource = (sample / "grafana/datasources/wattlas.yml").read_text(encoding="utf-8")
    yield DATASOURCE, datasource.replace(SAMPLE_URL, prometheus.rstrip("/"))
    yield (
        "grafana/provisioning/dashboards/wattlas.yml",
        (sample / "grafana/dashboards/wattlas.yml").read_text(encoding="utf-8"),
    )
    yield "prometheus/prometheus.yml", (sample / "prometheus.yml").read_text(encoding="utf-8")
    yield "prometheus/targets/wattlas.yml", (sample / "targets.yml").read_text(encoding="utf-8")
    yield RULES, rules_text(limits, runbooks)
    yield "alertmanager/alertmanager.yml", (ours / "alertmanager.yml").read_text(encoding="utf-8")


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") != text
    except (OSError, UnicodeDecodeError):
        return True


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"{path}: cannot be written ({error.strerror}); choose another --output"
        ) from None
