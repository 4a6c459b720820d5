"""The bench itself: children that work, the meter that reads, and what came of each level."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from agent.bench.child import BenchError, Child, Unable
from agent.bench.plan import LEVELS, PERIOD_SECONDS, Device, Times, core_groups, precisions
from agent.bench.result import Level, Power, Series, flop_between
from agent.bench.topology import usable_cores
from agent.bench.watch import Drawn, Watch
from agent.quantities import Component

LEAD_SECONDS = 0.05
"""From the order to the common start, so that all children have it by then."""
WARM_UP_SECONDS = 0.5
STEADY_RATIO = 0.05
"""A change of throughput at full speed that is worth a word."""


class Bench:
    """One run. What is done so far is in `series`, also after it was broken off."""

    def __init__(self, watch: Watch, times: Times, tell: Callable[[str, float], None]) -> None:
        """`tell` hears what is being done and how many seconds it will take."""
        self._watch = watch
        self._times = times
        self._tell = tell
        self.series: list[Series] = []
        self.skipped: list[str] = []
        """Sentences about what was asked for and could not be done."""
        self.notes: list[str] = []
        """Sentences about what makes the figures less certain."""

    async def run(self, device: Device, names: Sequence[str], size: int | None) -> None:
        """Run all levels of some precisions on one kind of device. Raises `BenchError`."""
        children: list[Child] = []
        try:
            self._tell(f"{device}: starting the load", 0.0)
            await self.open(device, names, children)
            mine: list[Series] = []
            able = [p for p in names if all(p in c.described["precisions"] for c in children)]
            for precision in names:
                if precision not in able:
                    library = children[0].described["library"]
                    self.skipped.append(f"{device}: {library} does not multiply {precision} here")
                    continue
                mine.append(await self._series(device, precision, size, children))
            if mine:
                await self._idle(mine, children)
        finally:
            for child in children:
                await child.end()

    # -- setting up ---------------------------------------------------------------------------

    async def open(self, device: Device, names: Sequence[str], children: list[Child]) -> None:
        """Start the children; each is in the list before it is started, so that it is ended."""
        if device == "cpu":
            groups = core_groups(usable_cores())
            for number, cpus in enumerate(groups):
                child = Child("the CPU" if len(groups) == 1 else f"part {number} of the CPU")
                children.append(child)
                await child.open(device, names, cpus=cpus)
                child.described["threads"] = len(cpus)
            return
        first = Child("GPU 0")
        children.append(first)
        await first.open(device, names)
        rest = [Child(f"GPU {n}") for n in range(1, first.described["devices"])]
        children += rest
        await asyncio.gather(*(c.open(device, names, index=n) for n, c in enumerate(rest, start=1)))
        for child in children:
            child.described["label"] = self.label(child.described, alone=not rest)

    def label(self, described: dict[str, Any], *, alone: bool) -> str | None:
        """Return the label that the meter has for a child's GPU; None: it is not known which."""
        known = self._watch.accelerators
        uuid, bus = described.get("uuid"), (described.get("bus") or "").lower()
        for device, who in known.items():
            if uuid == device or (bus and bus in (device.lower(), who.bus.lower())):
                return device
        return next(iter(known)) if alone and len(known) == 1 else None

    async def _series(
        self, device: Device, precision: str, size: int | None, children: Sequence[Child]
    ) -> Series:
        self._tell(f"{device} {precision}: calibrating", 3 * self._times.calibration)
        chosen = [await child.prepare(precision, size) for child in children]
        if len(set(chosen)) > 1:
            chosen = [await child.prepare(precision, min(chosen)) for child in children]
        labels = [child.described.get("label") for child in children]
        series = Series(
            device=device,
            precision=precision,
            library=children[0].described,
            matrix_size=min(chosen),
            processes=len(children),
            threads=sum(child.described.get("threads", 0) for child in children),
            devices=tuple(label for label in labels if label) if all(labels) else (),
        )
        rates = await self._calibrate(children)
        series.calibrated_flops = sum(rates)
        self.series.append(series)
        for target in LEVELS:
            if target > 0:
                self._tell(
                    f"{device} {precision} at {target:.0%}",
                    self._times.settle + self._times.level,
                )
                shares = [None if target == 1.0 else target * rate for rate in rates]
                level, worked = await self._level(series, target, shares, children)
                series.levels.append(level)
                achieved = level.flops / series.calibrated_flops
                if target < 1.0 and abs(achieved - target) > STEADY_RATIO * target:
                    self.notes.append(
                        f"{device} {precision}: {target:.0%} load became {achieved:.1%}: something"
                        " else wanted the same processors"
                    )
                if target == 1.0:
                    full = [flop / level.seconds for flop in worked]
                    rates = self._better(series, rates, full)
        return series

    def _better(
        self, series: Series, calibrated: Sequence[float], full: Sequence[float]
    ) -> list[float]:
        """Return each child's best throughput: shares are of what it can do undisturbed."""
        ratio = sum(full) / sum(calibrated)
        if abs(ratio - 1) > STEADY_RATIO:
            self.notes.append(
                f"{series.device} {series.precision}: full load gave {ratio:.0%} of what was"
                " calibrated just before: the host was not quiet, or its clocks changed"
            )
        best = [max(pair) for pair in zip(calibrated, full, strict=True)]
        series.calibrated_flops = sum(best)
        return best

    async def _idle(self, mine: Sequence[Series], children: Sequence[Child]) -> None:
        """Measure active idle once for all precisions: the programs are there and do nothing."""
        self._tell(f"{mine[0].device} idle", self._times.settle + self._times.level)
        level, _ = await self._level(mine[0], 0.0, [0.0] * len(children), children)
        for series in mine:
            series.levels.append(level)

    # -- working ------------------------------------------------------------------------------

    async def _calibrate(self, children: Sequence[Child]) -> list[float]:
        """Return each child's operations per second while all work at full speed.

        Of three intervals the first is for warming up (SPECpower_ssj2008, too, takes the mean of
        the last two of its three calibration intervals).
        """
        start = self._begin(children, [None] * len(children))
        since = start + self._times.calibration
        until = since + 2 * self._times.calibration
        await self._watched(self._watch.until(until), children)
        await self._rest(children)
        rates = [flop_between(c.slices, since, until) / (until - since) for c in children]
        for child, rate in zip(children, rates, strict=True):
            if rate <= 0:
                raise BenchError(
                    f"the load on {child.what} did nothing within {until - since:.1f} s; give it"
                    " a longer --seconds or a smaller --size"
                )
        return rates

    async def _level(
        self,
        series: Series,
        target: float,
        flops: Sequence[float | None],
        children: Sequence[Child],
    ) -> tuple[Level, list[float]]:
        """Return what a level gave, and each child's operations."""
        self._watch.forget()
        start = self._begin(children, flops)
        since = start + self._times.settle
        await self._watched(self._watch.until(since), children)
        await self._watched(self._watch.until(since + self._times.level), children)
        until = self._watch.now()
        await self._rest(children)
        drawn = self._watch.drawn(since, until)
        component = _component(series, drawn)
        if component is not None:
            since, until = component.since, component.until
        worked = [flop_between(child.slices, since, until) for child in children]
        level = Level(
            target=target,
            since=since,
            until=until,
            flop=sum(worked),
            component=component,
            host=drawn.of(()),
            by_device={
                label: (flop, power.watts if (power := _board(drawn, label)) else None)
                for label, flop in zip(series.devices, worked, strict=bool(series.devices))
            },
            parts={
                (who.component.value, who.device, who.source, who.quality.value): power.watts
                for who, power in drawn.streams.items()
            },
        )
        return level, worked

    def _begin(self, children: Sequence[Child], flops: Sequence[float | None]) -> float:
        """Let them work from one moment on, each a part of a period later than the one before.

        So the whole host's power is smoother than if all worked and rested together.
        """
        start = self._watch.now() + LEAD_SECONDS
        for number, (child, rate) in enumerate(zip(children, flops, strict=True)):
            child.work(rate, start + PERIOD_SECONDS * number / len(children))
        return start

    async def _rest(self, children: Sequence[Child]) -> None:
        for child in children:
            await child.rest(self._watch.now())

    async def _watched(self, reading: Any, children: Sequence[Child]) -> None:
        """Go on reading; a child that ends meanwhile ends the bench."""
        with _tasks(reading, *(child.died() for child in children)) as tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task, child in zip(tasks[1:], children, strict=True):
                if task.done():
                    raise await child.failure()
            tasks[0].result()


@contextmanager
def _tasks(*what: Any) -> Iterator[list[asyncio.Task[Any]]]:
    tasks = [asyncio.ensure_future(one) for one in what]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()


def _component(series: Series, drawn: Drawn) -> Power | None:
    """Return the power of what worked: the CPU packages, or the GPUs' boards."""
    if series.device == "cpu":
        return drawn.of((Component.CPU,))
    if not series.devices:
        return None
    return drawn.of((Component.GPU, Component.ACCELERATOR), series.devices)


def _board(drawn: Drawn, label: str) -> Power | None:
    return drawn.of((Component.GPU, Component.ACCELERATOR), (label,))


async def run(
    watch: Watch, bench: Bench, devices: Sequence[Device], asked: Sequence[str], size: int | None
) -> None:
    """Run everything that is asked for; without `devices`, on the CPU and on GPUs that are seen.

    What cannot be done is skipped if something else can. Raises `BenchError` when nothing could be
    done, or a load ended by itself.
    """
    await watch.until(watch.now() + WARM_UP_SECONDS)  # utilisation is a difference
    if not devices:
        gpus = any(who.component == Component.GPU for who in watch.accelerators.values())
        devices = ("cpu", "gpu") if gpus else ("cpu",)
    wanted = [(device, names) for device in devices if (names := precisions(device, asked))]
    for device, names in wanted:
        try:
            await bench.run(device, names, size)
        except Unable as error:
            if len(wanted) == 1:
                raise
            bench.skipped.append(f"{device}: {error}")
    if not any(series.levels for series in bench.series):
        raise BenchError("; ".join(bench.skipped) or "nothing to run on this host")
