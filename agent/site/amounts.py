"""Numbers of invoices as they are written, without guessing.

A comma can only be the decimal sign where it does not separate columns, that is in a file with
semicolons. There "1.234" may be a thousand and more or one and a bit, and is refused; so it is
where tabs separate, since spreadsheets of every language write those. Where commas separate
columns a point is the decimal sign: 1.234 is one and a bit.
"""

import math
import re
from typing import Final

_PLAIN: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}", re.ASCII)
_GROUPED: Final = re.compile(
    r"[+-]?[0-9]{1,3}(?:[ '’_.,\u00a0\u2009\u202f][0-9]{3})+(?:[.,][0-9]*)?"
)
_GROUPS: Final = re.compile(r"[ '’_.,\u00a0\u2009\u202f]")


class Unreadable(ValueError):
    """A number, or its row, that cannot be used: one clause, and the remedy."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def number_of(text: str, separator: str) -> float:
    """Return a number of 0 or more from a file whose columns that separates.

    Raises `Unreadable`.
    """
    text = text.strip()
    if not text:
        raise Unreadable(
            "its value is empty", "write the value, or delete the row if it is unknown"
        )
    if separator != "," and _AMBIGUOUS.fullmatch(text):
        whole = text.replace(".", "")
        raise Unreadable(
            f"{text} may mean {whole} or {text.replace('.', ',')}",
            f"write {whole}, or {text}0 for the smaller one",
        )
    plain = text
    if separator == ";" and text.count(",") == 1 and "." not in text:
        plain = text.replace(",", ".")
    if not _PLAIN.fullmatch(plain):
        raise _not_plain(text, separator)
    number = float(plain)
    if number < 0:
        raise Unreadable(
            f"its value {text} is negative",
            "a correction is a further row of the same time with the right value",
        )
    if not math.isfinite(number):
        raise Unreadable(f"its value {text[:40]} is beyond all measure", "write the value")
    return abs(number)


def _not_plain(text: str, separator: str) -> Unreadable:
    if (
        separator != ";"
        and re.fullmatch(r"[+-]?[0-9]+,[0-9]*", text)
        and not _GROUPED.fullmatch(text)
    ):
        return Unreadable(
            f"its value {text!r} has a decimal comma",
            "write a point, or separate all columns of the file by semicolons",
        )
    if _GROUPED.fullmatch(text):
        signs = _GROUPS.findall(text)
        whole, fraction = text, ""
        if signs[-1] in ".," and (signs.count(signs[-1]) == 1 < len(signs)):
            whole, _, fraction = text.rpartition(signs[-1])
        plain = _GROUPS.sub("", whole) + (f".{fraction}" if fraction else "")
        return Unreadable(
            f"its value {text!r} has thousands set apart", f"write {plain} if that is meant"
        )
    return Unreadable(
        f"its value {text[:40]!r} is no number", "write digits only; the unit has its own column"
    )
