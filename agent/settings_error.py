"""What is wrong with a settings file: one sentence with the line, the key and the remedy."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

_AT: Final = re.compile(r"^(?P<why>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"unknown field `(?P<key>[^`]*)`")
_MISSING: Final = re.compile(r"missing required field `(?P<key>[^`]*)`")
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")


class SettingsError(Exception):
    """One plain sentence: the file, the line, the key and the remedy."""


def explain(
    where: str,
    text: str,
    message: str,
    cls: type[msgspec.Struct],
    raw: Any,
    prefix: tuple[str, ...] = (),
) -> SettingsError:
    """Turn msgspec's message on `raw`, the table at `prefix`, into a sentence."""
    match = _AT.match(message)
    why = match["why"] if match else message
    key, kind = _find(match["path"] or "" if match else "", cls, raw)
    key = (*prefix, *key)
    unknown, missing = _UNKNOWN.search(why), _MISSING.search(why)
    if unknown:
        known = [field.name for field in msgspec.structs.fields(kind)]
        tag = kind.__struct_config__.tag_field
        known += [tag] if tag else []
        key = (*key, unknown["key"])
        why = f"there is no such key; known here are {', '.join(known)}"
    elif missing:
        why = f"{missing['key']} must be given"
    elif isinstance(kind, tuple):
        choices = " or ".join(map(_as_toml, kind))
        why = f"{_lower(why)}; choose {choices}"
    elif "enum" in why:
        why = f"{_lower(why)}; choose {_choices(kind)}"
    elif why.startswith("Expected"):
        why = f"{_lower(why)}; give it a value of that type"
    return SettingsError(f"{where}:{line_of(text, key)}: {'.'.join(key)}: {why}")


def _lower(why: str) -> str:
    why = why[:1].lower() + why[1:]
    return why.replace("`", "").replace("object", "table").replace("array", "list")


def _find(path: str, cls: Any, raw: Any) -> tuple[tuple[str, ...], Any]:
    """Follow msgspec's path; return the keys on it and the type at its end.

    Of a table whose keys are free names msgspec does not say which: the first that is refused.
    """
    key: tuple[str, ...] = ()
    for step in _STEP.finditer(path):
        cls = _of_union(cls, raw)
        if isinstance(cls, tuple):
            return (*key, step["name"]), cls
        if step["name"]:
            field = next(f for f in msgspec.structs.fields(cls) if f.name == step["name"])
            name, cls = step["name"], field.type
            raw = raw.get(name) if isinstance(raw, Mapping) else None
        elif step["index"]:
            name, cls, raw = step["index"], get_args(cls)[0], raw[int(step["index"])]
        else:
            cls = get_args(cls)[1]
            name = next((name for name, value in raw.items() if _is_refused(value, cls)), "")
            raw = raw.get(name)
        key = (*key, name)
    return key, _of_union(cls, raw)


def _of_union(cls: Any, raw: Any) -> Any:
    """Return the table's type where several are possible; a tuple of their tags if none fits."""
    if get_origin(cls) not in {Union, UnionType}:
        return cls
    structs = [c for c in get_args(cls) if isinstance(c, type) and issubclass(c, msgspec.Struct)]
    if len(structs) == 1 and isinstance(raw, Mapping):
        return structs[0]
    tags = {c.__struct_config__.tag: c for c in structs if c.__struct_config__.tag_field}
    if not tags or not isinstance(raw, Mapping):
        return cls
    return tags.get(raw.get(structs[0].__struct_config__.tag_field), tuple(tags))


def _is_refused(value: Any, cls: Any) -> bool:
    try:
        msgspec.convert(value, cls)
    except msgspec.ValidationError:
        return True
    return False


def _choices(kind: Any) -> str:
    """Return the values that a key may have, as TOML writes them."""
    found: list[str] = []
    for part in (kind, *get_args(kind)):
        if part is bool:
            found += ["true", "false"]
        elif get_origin(part) is Literal:
            found += [_as_toml(value) for value in get_args(part)]
        elif isinstance(part, type) and issubclass(part, StrEnum):
            found += [_as_toml(word.value) for word in part]
    return " or ".join(dict.fromkeys(found))


def _as_toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def line_of(text: str, key: tuple[str, ...]) -> int:
    """Return the line on which a key stands; for a table, its header. 1 where it is not found."""
    best, best_depth = 1, -1
    section: tuple[str, ...] = ()
    items: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        header = re.match(r"^\[\[?\s*([^\]]+?)\s*\]\]?", stripped)
        if header:
            section = _split_key(header[1])
            if stripped.startswith("[["):  # one of several tables of this name
                section = (*section, str(items.get(section, 0)))
                items[section[:-1]] = int(section[-1]) + 1
            here = section
        else:
            name, equals, _ = stripped.partition("=")
            if not equals or stripped.startswith("#"):
                continue
            here = (*section, *_split_key(name.strip()))
        if here == key[: len(here)] and len(here) > best_depth:
            best, best_depth = number, len(here)
    return best


def _split_key(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
