"""What is published of single devices: die areas, GPU boards, makers' footprints.

cpu_dies.csv, gpus.csv and published.csv, each row with its source; read once, when first asked.
"""

import csv
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

import msgspec

from agent.lifecycle.components import effective_mm2
from agent.lifecycle.hardware import Board


class Published(msgspec.Struct, frozen=True):
    """A footprint that the maker of a product published, of one configuration of it."""

    product: str
    match: str
    """How the driver or the firmware calls it; "": nothing does."""
    total_kilograms: float | None
    """kg CO2e of the whole life, operation included; None: not in it."""
    made_kilograms: float
    """kg CO2e of raw materials and making."""
    devices: int
    """How many accelerators it covers, 1 for a server."""
    what: str
    year: int
    source: str
    licence: str


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (files("agent.lifecycle") / name).open(encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


def _areas(text: str) -> tuple[float, ...]:
    """Read "2x74+416" as 74, 74 and 416."""
    areas: list[float] = []
    for term in text.split("+"):
        count, times, area = term.rpartition("x")
        areas += [float(area)] * (int(count) if times else 1)
    return tuple(areas)


@lru_cache(maxsize=1)
def _cpu_dies() -> dict[str, tuple[tuple[int, tuple[float, ...], str], ...]]:
    found: dict[str, list[tuple[int, tuple[float, ...], str]]] = {}
    for row in _rows("cpu_dies.csv"):
        entry = (int(row["cores_up_to"]), _areas(row["dies_mm2"]), row["source"])
        found.setdefault(row["microarchitecture"], []).append(entry)
    return {name: tuple(sorted(entries)) for name, entries in found.items()}


def cpu_dies(microarchitecture: str, cores: int) -> tuple[tuple[float, ...], str] | None:
    """Return the dies (mm2 each) of a CPU with so many cores, and the source; None: not known.

    A part with fewer cores than its die has carries the whole die.
    """
    for most, areas, source in _cpu_dies().get(microarchitecture, ()):
        if 0 < cores <= most:
            return areas, source
    return None


@lru_cache(maxsize=1)
def _boards() -> dict[str, tuple[Board, str]]:
    found = {}
    for row in _rows("gpus.csv"):
        board = Board(
            effective_mm2=float(row["effective_mm2"] or effective_mm2(float(row["die_mm2"]))),
            memory_gb=float(row["memory_gb"]),
            memory_dies=int(row["memory_dies"]),
            board_cm2=float(row["board_cm2"]),
            casing_kg=float(row["casing_kg"]),
            heatsink_kg=float(row["heatsink_kg"]),
            mass_kg=float(row["mass_kg"]),
        )
        for name in row["names"].split("|"):
            found[_plain(name)] = (board, row["source"])
    return found


def _plain(name: str) -> str:
    """Older drivers leave the vendor out, and some capitals are theirs."""
    return name.removeprefix("NVIDIA ").strip().lower()


def board(name: str) -> tuple[Board, str] | None:
    """Return the GPU that the driver calls so, and the source; None: not in the list."""
    return _boards().get(_plain(name))


@lru_cache(maxsize=1)
def published() -> tuple[Published, ...]:
    """All footprints that makers published, as far as they are listed here."""
    return tuple(
        Published(
            product=row["product"],
            match=row["match"],
            total_kilograms=float(row["total_kilograms"]) if row["total_kilograms"] else None,
            made_kilograms=float(row["made_kilograms"]),
            devices=int(row["devices"]),
            what=row["what"],
            year=int(row["year"]),
            source=row["source"],
            licence=row["licence"],
        )
        for row in _rows("published.csv")
    )


def published_of(name: str) -> Published | None:
    """Return what the maker published of a device or product of that name; None: not listed.

    For a server it is a hint: it is of one configuration, which need not be this one.
    """
    words = _plain(name).split()
    for entry in published():
        wanted = _plain(entry.match).split()
        span = len(wanted)
        if wanted and any(words[at : at + span] == wanted for at in range(len(words))):
            return entry
    return None
