"""From slices of work and readings of the meter to FLOPS per watt. Pure.

1 FLOPS per watt is 1 operation per joule: both are divided by the same time.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from agent.bench.plan import Device
from agent.quantities import Quality


class Slice(msgspec.Struct, frozen=True, gc=False):
    """Work without a pause: operations done evenly between two moments of CLOCK_BOOTTIME, s."""

    begin: float
    end: float
    flop: float
    cpu_seconds: float = 0.0
    """Processor time that the child used meanwhile."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What the meter had counted for one stream of energy when its source was read at `at`."""

    at: float
    joules: float
    """Energy counted so far."""
    gap_seconds: float
    """Time so far for which the source gave none."""
    half_width_watts: float
    """Half-width of the uncertainty of its power now."""
    leads: bool
    """Nothing better counts instead."""


class Power(msgspec.Struct, frozen=True):
    """Mean power over a window, and what it rests on."""

    watts: float
    by_quality: Mapping[Quality, float]
    since: float
    until: float
    """From when to when every part of it was read, CLOCK_BOOTTIME, s."""
    half_width_watts: float
    """The parts' half-widths added up: all err in one direction (JCGM 100:2008, 5.2.2 note 1)."""
    gap_seconds: float
    """Longest time in the window for which a part gave no energy: `watts` is then a lower bound."""

    @property
    def quality(self) -> Quality:
        """The worst quality in it: a sum is no better than its weakest part."""
        order = list(Quality)
        return max(self.by_quality, key=order.index)

    @property
    def uncertainty_ratio(self) -> float | None:
        """Half-width as a share of the value."""
        return self.half_width_watts / self.watts if self.watts > 0 else None


class Level(msgspec.Struct, frozen=True):
    """What one level gave. Rates are means over the window."""

    target: float
    since: float
    until: float
    """The window, CLOCK_BOOTTIME, s."""
    flop: float
    component: Power | None
    """Of the devices that worked; None: unknown."""
    host: Power | None
    by_device: Mapping[str, tuple[float, float | None]] = {}
    """For each device that worked, where they are told apart: operations, mean power in W."""
    parts: Mapping[tuple[str, str, str, str], float] = {}
    """Mean power in W by component, device, source and quality, of all that count."""

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.until - self.since

    @property
    def flops(self) -> float:
        """Operations per second."""
        return self.flop / self.seconds


class Series(msgspec.Struct):
    """Everything about one device in one precision."""

    device: Device
    precision: str
    library: dict[str, Any]
    """What the child says of its library, the device, and how it was set up."""
    matrix_size: int
    processes: int
    threads: int
    """Of BLAS on the CPU, in all; 0 on a GPU."""
    devices: tuple[str, ...]
    """Labels of the devices that work, where they are told apart; () for the CPU."""
    calibrated_flops: float = 0.0
    levels: list[Level] = []


class Summary(msgspec.Struct, frozen=True):
    """What a series says of one scope of power. None: what it takes was not measured."""

    peak_flops_per_watt: float | None
    overall_flops_per_watt: float | None
    idle_ratio: float | None
    proportionality: float | None


def flop_between(slices: Sequence[Slice], since: float, until: float) -> float:
    """Return the operations done between two moments; a slice across an edge counts in part."""
    total = 0.0
    for piece in slices:
        inside = min(piece.end, until) - max(piece.begin, since)
        if inside > 0:
            total += piece.flop * inside / (piece.end - piece.begin)
    return total


def mean_power(readings: Sequence[Reading], since: float, until: float) -> Power | None:
    """Return a stream's mean power between its first and last reading inside the window.

    None where there are not two: a reading from before the window would bring along the energy of
    another load. `by_quality` is left to the caller, who knows the stream.
    """
    inside = [reading for reading in readings if since <= reading.at <= until]
    if not inside or inside[-1].at <= inside[0].at:
        return None
    first, last = inside[0], inside[-1]
    return Power(
        watts=(last.joules - first.joules) / (last.at - first.at),
        by_quality={},
        since=first.at,
        until=last.at,
        half_width_watts=sum(reading.half_width_watts for reading in inside) / len(inside),
        gap_seconds=last.gap_seconds - first.gap_seconds,
    )


def add(powers: Sequence[tuple[Quality, Power]]) -> Power | None:
    """Return the sum of several streams' powers; None of nothing."""
    if not powers:
        return None
    by_quality: dict[Quality, float] = {}
    for quality, power in powers:
        by_quality[quality] = by_quality.get(quality, 0.0) + power.watts
    return Power(
        watts=sum(by_quality.values()),
        by_quality=by_quality,
        since=max(power.since for _, power in powers),
        until=min(power.until for _, power in powers),
        half_width_watts=sum(power.half_width_watts for _, power in powers),
        gap_seconds=max(power.gap_seconds for _, power in powers),
    )


def per_watt(flops: float, power: Power | None) -> float | None:
    """Return operations per joule; None where the power is unknown or nothing was done."""
    if power is None or power.watts <= 0 or flops <= 0:
        return None
    return flops / power.watts


def summarise(points: Sequence[tuple[float, float, Power | None]]) -> Summary:
    """Return the figures of one series from (target load, FLOPS, power) of each level.

    - peak: the best level's FLOPS/W;
    - overall: Σ FLOPS / Σ W over all levels, active idle included, as SPECpower_ssj2008's
      "Σ ssj_ops / Σ power" (Result File Fields 4.4);
    - idle ratio: power at idle / power at full load;
    - proportionality: EP = 1 − (A − A_ideal) / A_ideal (Ryckbosch, Polfliet and Eeckhout, "Trends
      in server energy proportionality", IEEE Computer 44(9), 2011, doi 10.1109/MC.2011.130), where
      A is the area below power against load, both as shares of full load, and A_ideal = 1/2 that
      of the straight line from nothing: EP = 2 − 2A. The area is that of trapezoids between the
      levels' achieved loads. 1: proportional; 0: power does not depend on load; above 1: below the
      line. Five levels see less of the curve than SPECpower's eleven.
    """
    known = [(target, flops, power) for target, flops, power in points if power is not None]
    ratios = [ratio for _, flops, power in known if (ratio := per_watt(flops, power)) is not None]
    full = next(((flops, power.watts) for target, flops, power in known if target == 1.0), None)
    idle = next((power.watts for target, _, power in known if target == 0.0), None)
    complete = len(known) == len(points) and full is not None and idle is not None
    overall = proportionality = None
    if complete and full is not None and min(full) > 0:
        overall = sum(flops for _, flops, _ in known) / sum(power.watts for *_, power in known)
        curve = sorted((flops / full[0], power.watts / full[1]) for _, flops, power in known)
        area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))
        proportionality = 2 - 2 * area
    return Summary(
        peak_flops_per_watt=max(ratios, default=None),
        overall_flops_per_watt=overall,
        idle_ratio=idle / full[1] if idle is not None and full and full[1] > 0 else None,
        proportionality=proportionality,
    )
