"""usage: scripts/reference [--check]

Writes from the code: docs/reference/{metrics,settings,commands,rules}.md, packaging/wattlas.toml
(every key, commented), packaging/wattlas.1 (the manual page), agent/ledger/newest.sql,
dashboards/wattlas.rules.yml and dashboards/grafana/*.json. With --check it writes nothing and fails
if one of them is stale. Needs the environment of scripts/setup.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from reference_dashboards import made as made_dashboards
from reference_ledger import newest
from reference_settings import MADE, settings_file, settings_page

from agent.cli import COMMANDS, wattlas
from agent.quantities import Component, Quality
from agent.snapshot import (
    AgentCost,
    BuildInfo,
    HostInfo,
    HostPower,
    LedgerView,
    Snapshot,
)
from exporters.families import families

ROOT = Path(__file__).resolve().parent.parent


def metrics() -> str:
    empty = Snapshot(
        wall=0.0,
        build=BuildInfo("", "", ""),
        host=HostInfo("", "", "", "", "", ""),
        streams=[],
        host_joules={},
        host_power=HostPower({}, None),
        host_gap_seconds=0.0,
        utilization=[],
        resets={},
        collectors=[],
        agent=AgentCost(0.0, 0, None),
        ledger=LedgerView(True, 0, 0, 0),
        late_seconds=0.0,
        skipped_ticks=0,
    )
    rows = []
    for family in families(empty):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in family._labelnames) or "–"  # noqa: SLF001
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(
        [
            "# Metrics",
            "",
            f"<!-- {MADE} -->",
            "",
            (
                "Base units; `instance` and `job` come from the scrape. A figure that is not known"
                " is absent, never 0."
            ),
            "",
            (
                f"`component` is one of {', '.join(f'`{c}`' for c in Component)}."
                f" `quality` is one of {', '.join(f'`{q}`' for q in Quality)}."
            ),
            "",
            "| metric | type | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(wattlas, info_name="wattlas")
    for name in COMMANDS:
        command = wattlas.get_command(context, name)
        assert command is not None
        yield name, command
        for below, sub in getattr(command, "commands", {}).items():
            yield f"{name} {below}", sub


def help_of(name: str, command: click.Command) -> str:
    parent = click.Context(wattlas, info_name="wattlas")
    for above in name.split()[:-1]:
        parent = click.Context(click.Group(above), info_name=above, parent=parent)
    name = name.rsplit(maxsplit=1)[-1]
    context = click.Context(command, info_name=name, parent=parent, max_content_width=96)
    context.terminal_width = 96
    return command.get_help(context)


def commands_page() -> str:
    lines = ["# Commands", "", f"<!-- {MADE} -->", ""]
    lines += ["Exit status: 0 done, 1 it failed, 2 wrong usage or settings.", ""]
    for name, command in commands():
        lines += [f"## wattlas {name}", "", "```text", help_of(name, command), "```", ""]
    return "\n".join(lines)


def roff(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in text.split("\n"))


def manual_page() -> str:
    lines = [
        f'.\\" {MADE}',
        '.TH WATTLAS 1 "" "Wattlas" "User Commands"',
        ".SH NAME",
        "wattlas \\- energy and carbon agent for data centres",
        ".SH SYNOPSIS",
        ".B wattlas",
        ".I COMMAND",
        "[OPTIONS]",
        ".SH DESCRIPTION",
        "Measures what a server draws, keeps a ledger, and exports to Prometheus. Every figure",
        "says how it was obtained: measured, integrated or estimated. What is not known is absent.",
        ".SH COMMANDS",
    ]
    for name, command in commands():
        lines += [f".SS wattlas {name}", ".nf", roff(help_of(name, command)), ".fi"]
    lines += [
        ".SH FILES",
        ".TP",
        ".I /etc/wattlas/wattlas.toml",
        "settings, every key optional",
        ".TP",
        ".I /var/lib/wattlas/ledger.db",
        "the ledger",
        ".SH EXIT STATUS",
        "0 done, 1 it failed, 2 wrong usage or settings.",
        ".B wattlas measure",
        "exits with the status of its command.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__)
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    made = {
        "docs/reference/metrics.md": metrics(),
        "docs/reference/settings.md": settings_page(),
        "docs/reference/commands.md": commands_page(),
        "packaging/wattlas.toml": settings_file(),
        "packaging/wattlas.1": manual_page(),
        "agent/ledger/newest.sql": newest(),
        **made_dashboards(),
    }
    stale = []
    for name, text in made.items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if sys.argv[1:]:
            stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    if stale:
        print(f"stale: {', '.join(stale)}; run scripts/reference and commit what it wrote")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
