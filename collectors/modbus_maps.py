"""Register maps of common Modbus meters, from modbus_maps.toml. Without pymodbus."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from agent.site.settings import Register


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a kind of meter keeps its total and its rate."""

    title: str
    """Which meters it is for."""
    energy: Register
    power: Register
    sources: tuple[str, ...]
    """Public documents that it was checked against."""
    absent: str = ""
    """The maker's own pattern for "not available", in hex."""


@cache
def maps() -> Mapping[str, Map]:
    """Return all maps by name."""
    text = (files("collectors") / "modbus_maps.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Map])


def known_maps() -> list[str]:
    """Return the names that `map` may have."""
    return sorted(maps())
