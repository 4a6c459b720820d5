"""One series of a page, written as PromQL writes it: `pdu_power_watts{pdu="a",phase=~"1|2"}`.

Rules of Prometheus (querying/basics, "Time series selectors"): a label that a series does not have
is the empty text; `=~` and `!~` must match the whole value, and `.` also a line's end (since
Prometheus 3.0). Expressions are Python's `re`, which understands what RE2 does in daily use.
Texts stand in double or single quotes with Go's escapes, or in backticks without any.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*")
_MATCHER: Final = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"""
    r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*(,|(?=\}))"""
)
_END: Final = re.compile(r"\s*\}\s*")
_ESCAPED: Final = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))"
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip


class Matcher(NamedTuple):
    """What one label must, or must not, be."""

    label: str
    text: str
    pattern: re.Pattern[str] | None
    """None: `text` itself."""
    wanted: bool

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series may have these labels."""
        value = labels.get(self.label, "")
        hit = value == self.text if self.pattern is None else bool(self.pattern.fullmatch(value))
        return hit == self.wanted


class Selector(NamedTuple):
    """Which series of a page."""

    metric: str
    matchers: tuple[Matcher, ...]

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series of that metric is meant."""
        return all(matcher.accepts(labels) for matcher in self.matchers)


def selector_of(text: str) -> Selector:
    """Return what a text selects. Raises ValueError, which says what is wrong."""
    head = _NAME.match(text)
    assert head is not None  # it matches the empty text
    metric = head[1]
    if metric is None:
        raise ValueError(f"{text!r} does not begin with the name of a metric")
    at = head.end()
    if at == len(text):
        return Selector(metric, ())
    if text[at] != "{":
        raise ValueError(f"{text!r} cannot be read from {text[at:][:20]!r} on: no {{ there")
    at += 1
    matchers: list[Matcher] = []
    while (end := _END.match(text, at)) is None:
        found = _MATCHER.match(text, at)
        if found is None:
            raise ValueError(
                f"{text!r} cannot be read from {text[at:][:20]!r} on:"
                ' write label="value", with =, !=, =~ or !~'
            )
        matchers.append(_matcher(found[1], found[2], _unquoted(found[3])))
        at = found.end()
    if end.end() != len(text):
        raise ValueError(f"{text!r} goes on behind its }}; a whole query belongs in query")
    return Selector(metric, tuple(matchers))


def _matcher(label: str, sign: str, value: str) -> Matcher:
    pattern = None
    if sign.endswith("~"):
        try:
            pattern = re.compile(value, re.DOTALL)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{label}{sign}{value!r} is no regular expression: {error}") from None
    return Matcher(label, value, pattern, wanted=not sign.startswith("!"))


def _unquoted(quoted: str) -> str:
    """Return what a quoted text says."""
    inner = quoted[1:-1]
    return inner if quoted[0] == "`" else _ESCAPED.sub(_unescaped, inner)


def _unescaped(match: re.Match[str]) -> str:
    simple, two, octal, four, eight, unknown = match.groups()
    if unknown is not None:
        raise ValueError(f"\\{unknown} means nothing in a quoted text; a backslash is written \\\\")
    if simple is not None:
        return _SIMPLE[simple]
    code = int(octal, 8) if octal is not None else int(two or four or eight, 16)
    if code > 0x10FFFF:
        raise ValueError(f"{match[0]} is no character")
    return chr(code)
