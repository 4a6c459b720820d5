"""usage: scripts/reference [--check]

Writes from the code: docs/reference/{metrics,settings,commands}.md, packaging/wattlas.toml (every
key, commented), packaging/wattlas.1 (the manual page). With --check it writes nothing and fails
if one of them is stale. Needs the environment of scripts/setup.
"""

import ast
import builtins
import inspect
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from agent import settings
from agent.cli import COMMANDS, wattlas
from agent.collector import CollectorSettings, WorkSettings, find_collectors
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
MADE = "Made by scripts/reference from the code; change it there."
SECTIONS = {
    "agent": settings.Agent,
    "paths": settings.PathSettings,
    "host": settings.Host,
    "ledger": settings.LedgerSettings,
    "work": WorkSettings,
    "flops": settings.FlopsSettings,
}


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


def field_docs(cls: type[Any]) -> dict[str, str]:
    """Return the docstrings below a class's fields, those of its bases first."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, msgspec.Struct) or base is msgspec.Struct:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, doc in zip(tree.body, tree.body[1:], strict=False):
            match field, doc:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=v)):
                    found[name] = " ".join(str(v).split())
    return found


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case None:
            return ""
        case list() | tuple():
            return "[" + ", ".join(toml(v) for v in value) + "]"
        case _:
            return str(value)


def default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def fields(cls: type[Any]) -> Iterator[tuple[str, Any, str]]:
    docs = field_docs(cls)
    for field in msgspec.structs.fields(cls):
        if field.name not in docs:
            sys.exit(f"{cls.__module__}.{cls.__name__}.{field.name} has no docstring below it")
        if nested(field.type) is None:
            yield field.name, default(field), docs[field.name]


def nested(kind: Any) -> tuple[str, type[Any]] | None:
    """Return the end of a table's header and its type, where a field is tables of its own."""
    match typing.get_origin(kind), typing.get_args(kind):
        case builtins.dict, (_, type() as cls) if issubclass(cls, msgspec.Struct):
            return "NAME]", cls
        case builtins.tuple, (type() as cls, _) if issubclass(cls, msgspec.Struct):
            return "]", cls
    return None


def with_nested(header: str, about: str, cls: type[Any]) -> Iterator[tuple[str, str, type[Any]]]:
    """Yield a table's header, what it is about and its type; then the tables below it."""
    yield header, about, cls
    docs = field_docs(cls)
    for field in msgspec.structs.fields(cls):
        below = nested(field.type)
        if below is None:
            continue
        end, kind = below
        name = header.strip("[]") + "." + field.name
        inner = f"[{name}.{end}" if end == "NAME]" else f"[[{name}]]"
        yield from with_nested(inner, docs[field.name], kind)


def tables() -> Iterator[tuple[str, str, type[Any]]]:
    """Yield each table's name, what it is about, and its type."""
    for name, cls in SECTIONS.items():
        about = inspect.cleandoc(cls.__doc__ or "").partition(": ")[2]
        yield from with_nested(f"[{name}]", about, cls)
    for name, collector in find_collectors().classes.items():
        about = inspect.getdoc(inspect.getmodule(collector)) or ""
        about = about.split("\n\n")[0].replace("\n", " ")
        yield from with_nested(f"[collectors.{name}]", about, collector.Settings)


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        f"<!-- {MADE} -->",
        "",
        (
            "`/etc/wattlas/wattlas.toml`, or the file that `--config` names. Every key is optional;"
            " an unknown key or a wrong type is an error that names the line. The same keys,"
            " commented, are in [`packaging/wattlas.toml`](../../packaging/wattlas.toml)."
        ),
        "",
    ]
    for table, about, cls in tables():
        lines += [f"## `{table}`", "", capital(about), "", "| key | default | meaning |"]
        lines.append("|---|---|---|")
        for key, value, doc in fields(cls):
            shown = f"`{toml(value)}`" if value is not None else "–"
            if value is msgspec.NODEFAULT:
                shown = "must be given"
            lines.append(f"| `{key}` | {shown} | {doc} |")
        lines.append("")
    lines += [
        (
            "`[site]`, `[carbon]` and `[lifecycle]` are read past: this version does not use them"
            " yet, and `wattlas check` says so."
        ),
        "",
    ]
    return "\n".join(lines)


def settings_file() -> str:
    lines = [
        f"# Wattlas settings. {MADE}",
        "# Every key is optional; what stands here commented is the default.",
        "# `wattlas check` says what is wrong with this file.",
    ]
    common = {field.name for field in msgspec.structs.fields(CollectorSettings)}
    common_told: set[str] = set()
    for table, about, cls in tables():
        of_collector = table.startswith("[collectors.")
        if of_collector and common:
            lines += ["", "# Each collector has these three values:"]
            lines += [f"# {key}: {doc}" for key, _, doc in fields(CollectorSettings)]
            common_told, common = common, set()
        below = "NAME" in table  # there is none of these until somebody names one
        lines += ["", *comment(capital(about)), f"# {table}" if below else table]
        for key, value, doc in fields(cls):
            if not (of_collector and key in common_told):
                lines += comment(doc)
            unset = value is None or value is msgspec.NODEFAULT
            lines.append(f"# {key} = {example(cls, key, doc) if unset else toml(value)}")
    return "\n".join(lines) + "\n"


def example(cls: type[Any], key: str, doc: str) -> str:
    """Return a value for a key that has no default: a choice, the docstring's example, or 1.0."""
    (field,) = (f for f in msgspec.structs.fields(cls) if f.name == key)
    for kind in (field.type, *typing.get_args(field.type)):
        if typing.get_origin(kind) is typing.Literal:
            return toml(typing.get_args(kind)[0])
    if field.type is str:
        return toml(doc.partition('e.g. "')[2].partition('"')[0] or "…")
    return "1.0"


def comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
