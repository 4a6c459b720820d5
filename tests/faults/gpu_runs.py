"""Boards that are lost and found, taken out, put back, reset, refused and hung, at random."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.accelerator_runs import Host, Interval
from faults.sensor_runs import VirtualLoop, all_back
from hardware import xeon_2s
from hardware.nvml import NO_PERMISSION, Standin, h100
from hardware.nvml.rules import Rule
from hardware.nvml.standin import GPU_IS_LOST, UNKNOWN

BOARDS = 4
FAULTY_SECONDS = 480.0
CLEAN_SECONDS = 120.0
"""Afterwards: a lost board is asked again each minute, and which there are is asked every 30 s."""
LAST = FAULTY_SECONDS + CLEAN_SECONDS
HANG_SECONDS = 60.0
GRACE_SECONDS = 0.1
"""How long a tick waits for a call that hangs: less than an agent's, for the test's sake."""
CALLS = (
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetTemperature",
    "nvmlGpmSampleGet",
)
WHO = ("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID")
"""Calls that say which board is which; a board that is lost does not answer them either.

In a plan in which they fail no board is taken out: of two that do not answer, which one is gone and
which only refuses cannot be told, and what is guessed then is not judged here.
"""
ERRORS = (NO_PERMISSION, GPU_IS_LOST, UNKNOWN)


@dataclass(order=True)
class Step:
    """Something that happens just before the tick of a time."""

    at: float
    do: Callable[[], object] = field(compare=False)
    what: str = field(compare=False)
    is_end_of_hang: bool = field(default=False, compare=False)


class Plan:
    """What happens to the boards; the same for one seed."""

    def __init__(self, seed: int, standin: Standin) -> None:
        self.seed = seed
        self._dice = random.Random(seed)
        self._standin = standin
        self._uuids = [board.uuid for board in standin.boards]
        self._removes = self._dice.random() < 0.5
        self._calls = CALLS if self._removes else (*CALLS, *WHO)
        self.steps: list[Step] = []
        self.away: dict[str, float] = dict.fromkeys(self._uuids, 0.0)
        """Seconds for which a board was taken out: no part of the host, so no gap of it."""
        self.removals: dict[str, int] = dict.fromkeys(self._uuids, 0)
        self.zeroed: dict[str, list[float]] = {uuid: [0.0] for uuid in self._uuids}
        """When each board's counter began at 0."""
        self.hangs = 0
        for uuid in self._uuids:
            self._board(uuid)
        self._driver()
        self._hang()
        self.steps.sort()

    def __str__(self) -> str:
        return f"seed {self.seed}: " + "; ".join(f"{s.at:.0f} s {s.what}" for s in self.steps)

    def _add(self, at: float, what: str, do: Callable[[], object], *, ends: bool = False) -> None:
        self.steps.append(Step(at, do, what, is_end_of_hang=ends))

    def _board(self, uuid: str) -> None:
        """One fault of this board after the other."""
        dice, standin, at = self._dice, self._standin, 10.0
        away = "removed" if self._removes else "lost"
        kinds = (away, away, "reset", "refused", "nan")
        while True:
            at += round(dice.uniform(5.0, 90.0))
            length = round(dice.choice((dice.uniform(1.0, 10.0), dice.uniform(10.0, 90.0))))
            if at + length > FAULTY_SECONDS - 10.0:
                return
            end = at + length
            match dice.choice(kinds):
                case "lost":
                    self._add(at, f"lost {uuid}", lambda: standin.lose(uuid))
                    self._add(end, f"found {uuid}", lambda: standin.find_again(uuid))
                    self.zeroed[uuid].append(end)
                case "removed":
                    self._add(at, f"removed {uuid}", lambda: standin.remove(uuid))
                    self._add(end, f"inserted {uuid}", lambda: standin.insert(uuid))
                    self.away[uuid] += length
                    self.removals[uuid] += 1
                    self.zeroed[uuid].append(end)
                case "reset":
                    self._add(at, f"reset {uuid}", lambda: standin.reset_counters(uuid))
                    self.zeroed[uuid].append(at)
                case "refused":
                    self._refuse(uuid, at, end)
                case _:
                    self._add(at, f"nan {uuid}", lambda: standin.gpm_nan(uuid))
                    self._add(end, f"no nan {uuid}", lambda: standin.gpm_nan(uuid, ()))
            at = end

    def _refuse(self, uuid: str, at: float, end: float) -> None:
        call, error = self._dice.choice(self._calls), self._dice.choice(ERRORS)
        made: list[Rule] = []
        self._add(
            at,
            f"{call} of {uuid} says {error}",
            lambda: made.append(self._standin.fail(call, error, uuid=uuid)),
        )
        self._add(end, f"{call} of {uuid} is well", lambda: made.pop().clear())

    def _driver(self) -> None:
        """Unload and load the driver, once or twice, while whatever else goes on."""
        at = 0.0
        for _ in range(self._dice.choice((1, 2))):
            at += round(self._dice.uniform(60.0, 160.0))
            length = round(self._dice.uniform(1.0, 40.0))
            self._add(at, "driver unloaded", self._standin.unload_driver)
            self._add(at + length, "driver loaded", self._standin.load_driver)
            for zeroed in self.zeroed.values():
                zeroed.append(at + length)
            at += length

    def _hang(self) -> None:
        """One call hangs for a minute."""
        at = round(self._dice.uniform(20.0, FAULTY_SECONDS - HANG_SECONDS - 20.0))
        call, uuid = self._dice.choice(self._calls), self._dice.choice(self._uuids)
        made: list[Rule] = []

        def begin() -> None:
            made.append(self._standin.fail(call, uuid=uuid, hang_seconds=3600.0))

        def end() -> None:
            self.hangs += made[0].hits
            made.pop().clear()

        self._add(at, f"{call} of {uuid} hangs", begin)
        self._add(at + HANG_SECONDS, f"{call} of {uuid} answers", end, ends=True)


def is_overtaken(host: Host, plan: Plan, uuid: str, interval: Interval) -> bool:
    """Tell whether a counter began anew in an interval and passed its old value before its end.

    From its values alone that cannot be told from a counter that went on slowly, so the energy of
    such a silence comes out too small. It needs a second reset soon after a first one.
    """
    start, until, _ = interval
    zeroed = plan.zeroed[uuid]

    def shown(t: float) -> float:
        return host.standin.joules(uuid, max(z for z in zeroed if z <= t), t)

    began_anew = any(start < z <= until for z in zeroed)
    return began_anew and shown(until) >= shown(start)


def live(directory: Path, seed: int) -> tuple[Host, Plan]:
    """Live through a plan; the caller closes the host."""
    host = Host(
        directory,
        xeon_2s,
        [h100(number) for number in range(BOARDS)],
        grace_seconds=GRACE_SECONDS,
        with_host=False,
    )
    plan = Plan(seed, host.standin)
    loop = VirtualLoop(host.clock)
    try:
        loop.run_until_complete(_run(host, plan.steps))
    finally:
        loop.run_until_complete(host.app.stop())
        loop.close()
    return host, plan


async def _run(host: Host, steps: Sequence[Step]) -> None:
    due = list(steps)
    while host.clock.now < LAST:
        t = host.clock.now + 1.0
        host.write(t)
        while due and due[0].at <= t:
            step = due.pop(0)
            step.do()
            if step.is_end_of_hang:
                await all_back(host.app)
        await host.app.tick()
        await _others(host)


async def _others(host: Host) -> None:
    """Give those who do not hang the rest of the second: here it is not there by itself."""
    hanging = any(rule.hanging for rule in host.standin.state.rules if rule.active)
    tasks: list[asyncio.Task[Any]] = [
        runner.task
        for runner in host.app._crew._runners
        if runner.task is not None and not runner.task.done()
        if not (hanging and runner.name == "nvml")
    ]
    if tasks:
        await asyncio.wait(tasks, timeout=30.0)
