"""Base units as types, and the closed vocabularies of the contract."""

from enum import StrEnum
from typing import NewType

Joules = NewType("Joules", float)
Watts = NewType("Watts", float)
Seconds = NewType("Seconds", float)
Ratio = NewType("Ratio", float)
"""0 to 1."""


class Word(StrEnum):
    """A word of a closed vocabulary.

    Hashed as the text it is: Enum's own hash is a Python function, and words are in every key that
    a tick looks up.
    """

    __hash__ = str.__hash__


class Component(Word):
    """The part of a server a figure is about, or all of it."""

    CPU = "cpu"
    DRAM = "dram"
    GPU = "gpu"
    ACCELERATOR = "accelerator"
    STORAGE = "storage"
    NIC = "nic"
    FAN = "fan"
    PSU = "psu"
    PLATFORM = "platform"
    HOST = "host"
    """The whole server as its wall meter sees it: never a part, so never added to parts."""


class Quality(Word):
    """How a figure was obtained, best first."""

    MEASURED = "measured"
    """A hardware energy counter."""
    INTEGRATED = "integrated"
    """A physical power sensor, integrated over time."""
    ESTIMATED = "estimated"
    """A model."""
