"""web.yml as sections with keys, each with its line: what is wrong is said in one sentence.

Stricter than YAML: a key twice, an anchor or an alias is refused (aliases of aliases would make a
few lines into gigabytes), and so is whatever is not a plain value. PyYAML is imported here, so only
where there is such a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from agent.settings_error import SettingsError

if TYPE_CHECKING:
    import yaml  # type: ignore[import-untyped]

MAX_FILE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 10
_PLAIN_KEY: Final = re.compile(r"[\w.:@+-]{1,40}")
_TRUE: Final = {"true", "yes", "on"}


def read_text(path: Path, what: str) -> str:
    """Return a file's text. Raises `SettingsError`; `what` says whose file it is."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{what}: {path}: there is no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{what}: {path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{what}: {path}: cannot be read ({error.strerror});"
            " make it readable for the agent's user"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError(f"{what}: {path}: larger than 1 MiB; it cannot be right")
    return text


def parse(path: Path, text: str) -> Section:
    """Return the file's table. Raises `SettingsError`."""
    import yaml  # noqa: PLC0415 - only where there is such a file

    try:
        _refuse_tricks(path, yaml.scan(text, yaml.SafeLoader))
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        # the problem in words; the text itself stays out, it can be a secret
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "unreadable"
        raise SettingsError(f"{path}:{line}: not YAML: {problem}; mend that line") from None
    return Section(path, "", node, 1)


def _refuse_tricks(path: Path, tokens: Iterable[Any]) -> None:
    """Look at the words of the file before it is put together, which a few lines can make dear."""
    depth = 0
    for token in tokens:
        kind = type(token).__name__
        line = token.start_mark.line + 1
        if kind in {"AnchorToken", "AliasToken"}:
            raise SettingsError(
                f"{path}:{line}: anchors (&) and aliases (*) are not read here; write it out"
            )
        depth += kind.endswith(("SequenceStartToken", "MappingStartToken"))
        depth -= kind.endswith("EndToken")
        if depth > MAX_DEPTH:
            raise SettingsError(f"{path}:{line}: not YAML: nested too deeply; mend that line")


class Section:
    """A table of the file; whoever has read all the keys that he knows calls `done`."""

    def __init__(self, path: Path, name: str, node: yaml.Node | None, line: int) -> None:
        self.path = path
        self.name = name
        self._line = line
        self._values: dict[str, yaml.Node] = {}
        self._lines: dict[str, int] = {}
        self._asked: list[str] = []
        if node is None or _is_null(node):
            return
        if node.id != "mapping":
            self.wrong("", "must be a table: keys with values")
        for key, value in node.value:
            where = key.start_mark.line + 1
            if key.id != "scalar":
                self._line = where
                self.wrong("", "a key must be a plain word")
            if key.value in self._values:
                self._lines[key.value] = where
                self.wrong(key.value, "stands here a second time; delete one of the two")
            self._values[key.value], self._lines[key.value] = value, where

    def wrong(self, key: str, why: str) -> NoReturn:
        """Raise `SettingsError` with the file, the line and the key."""
        line = self._lines.get(key, self._line)
        if key and not _PLAIN_KEY.fullmatch(key):
            key = "(a key that is not shown)"  # a secret in the wrong place
        name = ".".join(part for part in (self.name, key) if part)
        raise SettingsError(f"{self.path}:{line}: {name}{': ' if name else ''}{why}")

    def section(self, key: str) -> Section:
        """Return a table in this one, empty where it is not there."""
        node = self._take(key)
        name = ".".join(part for part in (self.name, key) if part)
        return Section(self.path, name, node, self._lines.get(key, self._line))

    def text(self, key: str) -> str:
        """Return a text, "" where it is not there."""
        node = self._take(key)
        if node is None or _is_null(node):
            return ""
        if node.id != "scalar":
            self.wrong(key, "must be a text")
        return str(node.value)

    def word(self, key: str, choices: dict[str, str]) -> str:
        """Return a text that is one of several; `choices` has the remedy for known bad ones."""
        value = self.text(key)
        if value and choices.get(value):
            self.wrong(key, choices[value])
        if value and value not in choices:
            good = ", ".join(name for name, remedy in choices.items() if not remedy)
            self.wrong(key, f"{_shown(value)} is not one of {good}")
        return value

    def file(self, key: str) -> Path | None:
        """Return a path, relative to the file's own directory."""
        value = self.text(key)
        return self.path.parent / value if value else None

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        node = self._take(key)
        if node is None or _is_null(node):
            return default
        if not node.tag.endswith(":bool"):
            self.wrong(key, "must be true or false")
        return str(node.value).lower() in _TRUE

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        node = self._take(key)
        if node is None or _is_null(node):
            return []
        if node.id != "sequence" or any(n.id != "scalar" for n in node.value):
            self.wrong(key, "must be a list of texts")
        return [str(n.value) for n in node.value]

    def names(self) -> list[str]:
        """Return the names of all keys: where they are free."""
        return list(self._values)

    def done(self) -> None:
        """Refuse what nobody has asked for."""
        for key in self._values:
            if key not in self._asked:
                known = ", ".join(self._asked)
                self.wrong(key, f"there is no such key; known here are {known}")

    def _take(self, key: str) -> yaml.Node | None:
        self._asked.append(key)
        return self._values.get(key)


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag.endswith(":null"))


def _shown(value: str) -> str:
    """Return what was written, as far as it is short and plain."""
    return repr(value) if len(value) <= 40 and value.isprintable() else "what is written"
