"""The settings page and the settings file, made from the settings' own types and docstrings."""

import ast
import builtins
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec

from agent import settings
from agent.alerts import AlertSettings
from agent.carbon.settings import CarbonSettings
from agent.collector import CollectorSettings, WorkSettings, find_collectors
from agent.lifecycle.settings import LifecycleSettings
from agent.remote_settings import RemoteWriteSettings
from agent.site.settings import MeterCommon, SiteSettings

MADE = "Made by scripts/reference from the code; change it there."
SECTIONS = {
    "agent": settings.Agent,
    "paths": settings.PathSettings,
    "host": settings.Host,
    "ledger": settings.LedgerSettings,
    "work": WorkSettings,
    "flops": settings.FlopsSettings,
    "site": SiteSettings,
    "carbon": CarbonSettings,
    "lifecycle": LifecycleSettings,
    "alerts": AlertSettings,
    "remote_write": RemoteWriteSettings,
}


class Table(NamedTuple):
    """One table of the settings."""

    header: str
    about: str
    cls: type[Any]
    told: frozenset[str] = frozenset()
    """Keys that were told at the table above."""
    source: str = ""
    """`source = "…"`, where that says which keys there are."""

    @property
    def is_named(self) -> bool:
        """Whether there is none of these until somebody writes one."""
        return "NAME" in self.header or self.header.startswith("[[")


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
        if not nested(field.type):
            yield field.name, default(field), docs[field.name]


def nested(kind: Any) -> tuple[str, tuple[type[Any], ...]] | None:
    """Return the end of a table's header and its types, where a field is tables of its own."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "", (kind,)
    match typing.get_origin(kind), typing.get_args(kind):
        case builtins.dict, (_, type() as cls) if issubclass(cls, msgspec.Struct):
            return "NAME]", (cls,)
        case builtins.tuple, (type() as cls, _) if issubclass(cls, msgspec.Struct):
            return "]", (cls,)
        case builtins.tuple, (union, _) if isinstance(union, types.UnionType):
            kinds = typing.get_args(union)
            return ("]", kinds) if issubclass(kinds[0], msgspec.Struct) else None
    return None


def with_nested(table: Table) -> Iterator[Table]:
    """Yield a table; then the tables below it."""
    yield table
    docs = field_docs(table.cls)
    for field in msgspec.structs.fields(table.cls):
        below = nested(field.type)
        if below is None:
            continue
        end, kinds = below
        name = table.header.strip("[]") + "." + field.name
        inner = {"": f"[{name}]", "NAME]": f"[{name}.NAME]", "]": f"[[{name}]]"}[end]
        if len(kinds) == 1:
            yield from with_nested(Table(inner, docs[field.name], kinds[0]))
            continue
        yield Table(inner, docs[field.name] + " Keys that all have:", MeterCommon)
        told = frozenset(f.name for f in msgspec.structs.fields(MeterCommon))
        for kind in kinds:
            about = inspect.cleandoc(kind.__doc__ or "").partition(": ")[2]
            source = f'source = "{kind.__struct_config__.tag}"'
            yield Table(inner, about, kind, told, source)


def tables() -> Iterator[Table]:
    """Yield every table of the settings."""
    for name, cls in SECTIONS.items():
        about = inspect.cleandoc(cls.__doc__ or "").partition(": ")[2]
        yield from with_nested(Table(f"[{name}]", about, cls))
    for name, collector in find_collectors().classes.items():
        about = inspect.getdoc(inspect.getmodule(collector)) or ""
        about = about.split("\n\n")[0].replace("\n", " ")
        yield from with_nested(Table(f"[collectors.{name}]", about, collector.Settings))


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
    for table in tables():
        title = f"## `{table.header}`" + (f" with `{table.source}`" if table.source else "")
        lines += [title, "", capital(table.about), "", "| key | default | meaning |"]
        lines.append("|---|---|---|")
        for key, value, doc in fields(table.cls):
            if key in table.told:
                continue
            shown = f"`{toml(value)}`" if value is not None else "–"
            if value is msgspec.NODEFAULT:
                shown = "must be given"
            lines.append(f"| `{key}` | {shown} | {doc} |")
        lines.append("")
    return "\n".join(lines)


def settings_file() -> str:
    lines = [
        f"# Wattlas settings. {MADE}",
        "# Every key is optional; what stands here commented is the default.",
        "# `wattlas check` says what is wrong with this file.",
    ]
    common = {field.name for field in msgspec.structs.fields(CollectorSettings)}
    common_told: set[str] = set()
    for table in tables():
        of_collector = table.header.startswith("[collectors.")
        if of_collector and common:
            lines += ["", "# Each collector has these three values:"]
            lines += [f"# {key}: {doc}" for key, _, doc in fields(CollectorSettings)]
            common_told, common = common, set()
        header = f"# {table.header}" if table.is_named else table.header
        lines += ["", *comment(capital(table.about)), header]
        lines += [f"# {table.source}"] if table.source else []
        for key, value, doc in fields(table.cls):
            if key in table.told:
                continue
            if not (of_collector and key in common_told):
                lines += comment(doc)
            unset = value is None or value is msgspec.NODEFAULT
            lines.append(f"# {key} = {example(table.cls, key, doc) if unset else toml(value)}")
    return "\n".join(lines) + "\n"


def example(cls: type[Any], key: str, doc: str) -> str:
    """Return a value for a key that has no default: a choice, the docstring's example, or 1.0."""
    (field,) = (f for f in msgspec.structs.fields(cls) if f.name == key)
    for kind in (field.type, *typing.get_args(field.type)):
        if typing.get_origin(kind) is typing.Literal:
            return toml(typing.get_args(kind)[0])
    if date in typing.get_args(field.type):
        return doc.partition("e.g. ")[2].partition(";")[0] or "2026-01-31"
    if field.type is str:
        return toml(doc.partition('e.g. "')[2].partition('"')[0] or "…")
    return "1.0"


def comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
