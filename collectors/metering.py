"""What every source of site meters has in common: each meter is asked on a schedule of its own.

A subclass says how one meter is asked (`poll`); this base keeps the schedule, the deadlines, the
units and who does not answer. A meter that hangs delays neither the others nor any collector: what
has been read meanwhile is taken at each tick (`agent.collector.Receiver`).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from math import isfinite
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

import msgspec

from agent.collector import Absent, CollectorSettings, Context, Problem, Transient
from agent.quantities import Seconds
from agent.samples import MeterCounter, MeterRate, MeterTemperature, Sample
from agent.site.settings import PolledCommon
from agent.site.units import Unit, celsius, unit_of
from agent.site.words import Quantity, Role

KEPT: Final = 10_000
"""Readings that wait to be taken, at most."""
FIRST_ROUND: Final = 0.8
"""Share of the deadline for which the first reading waits for the meters' first answers."""
JOULES_PER_KWH: Final = 3.6e6
MAX_PER_SECOND: Final = {Quantity.ENERGY: 1e9, Quantity.WATER: 1e5}
"""1 GW and 100 m3/s: more than any site takes; beyond, a register is misread."""
MOST_SECONDS: Final = 3.2e9
"""A total above what flows in a century at the most is misread."""

M = TypeVar("M", bound=PolledCommon)


class MeteringSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.meter_…]`; the meters themselves are in `[[site.meter]]`."""

    interval_seconds: float | None = None
    """Seconds between looks at what has been read; meters have intervals of their own."""
    timeout_seconds: float = 15.0
    """How long the first look waits for all meters' first answers."""


class Value(NamedTuple):
    """One number as a meter gives it."""

    number: float
    unit: str
    wraps_at: float | None = None
    """In `unit`."""


Part = Value | Transient
"""A number of a meter, or why one of its numbers could not be read."""


class _State(msgspec.Struct):
    """How one meter is doing."""

    problem: Problem | None = None
    failed: bool = False
    """The last time it gave nothing at all."""
    asked: bool = False

    def mark(self, name: str, failure: Transient, *, failed: bool) -> None:
        """Keep what was wrong the last time."""
        self.problem = Problem(name, failure.why, failure.remedy, failure.reason)
        self.failed = failed


class Metering(Generic[M]):
    """All meters of one source."""

    Settings: ClassVar[type[CollectorSettings]] = MeteringSettings
    name: ClassVar[str]
    """The collector's name: `collector` of its samples."""
    source: ClassVar[str]
    """`source` in the settings."""
    kind: type[M]
    """The settings' type of its meters."""

    def __init__(self, settings: MeteringSettings, context: Context) -> None:
        self.settings = settings
        self.context = context
        self.meters = [m for m in context.site.meter if isinstance(m, self.kind)]
        self._states = {meter.name: _State() for meter in self.meters}
        self._read: deque[Sample] = deque(maxlen=KEPT)
        self._tasks: list[asyncio.Task[None]] = []
        self._first = asyncio.Event()
        self._bug: Exception | None = None

    # -- for the subclass ---------------------------------------------------------------------

    async def poll(self, meter: M) -> Sequence[Part]:
        """Ask one meter: return its total, its rate or both. Raises `Transient`.

        What could not be read of a meter that answers otherwise is returned as a `Transient`.
        Called under the meter's own deadline, never twice at once for the same meter.
        """
        raise NotImplementedError

    def turn(self, meter: M) -> AbstractAsyncContextManager[object]:  # noqa: ARG002 - for others
        """Return what is held while a meter is asked: the lock of a line that several share.

        Waiting for it does not count against the meter's deadline: another's silence is not its.
        """
        return nullcontext()

    def timeout_seconds(self, meter: M) -> float:
        """Return a meter's deadline."""
        return meter.timeout_seconds or self.context.site.timeout_seconds

    def release(self) -> None:
        """Close connections; called once, at the end."""

    # -- as a collector -----------------------------------------------------------------------

    async def collect(self) -> Sequence[Sample]:
        """Return what was read since the last look; the first look waits for first answers.

        Raises `Absent` where no meter of this source is set, `Transient` when none answers.
        """
        if not self.meters:
            raise Absent(
                f'no meter with source = "{self.source}" is set',
                f'describe it in [[site.meter]], with source = "{self.source}"',
            )
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._watch(meter)) for meter in self.meters]
        if not self._first.is_set():
            await self._wait_for_first()
        if (bug := self._bug) is not None:
            self._bug = None
            raise bug  # once; the other meters' readings stay for the next look
        samples = self.take()
        states = self._states.values()
        if not samples and all(state.failed for state in states):
            problems = self.problems()
            first, more = problems[0], len(problems) - 1
            others = f" (and {more} more)" if more else ""
            raise Transient(f"{first.what}: {first.why}{others}", first.reason, first.remedy)
        return samples

    def take(self) -> Sequence[Sample]:
        """Return what was read and not returned yet."""
        samples = list(self._read)
        self._read.clear()
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the meters that gave nothing or nonsense when they were last asked."""
        return [state.problem for state in self._states.values() if state.problem is not None]

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        self.release()

    # -- inside -------------------------------------------------------------------------------

    async def _wait_for_first(self) -> None:
        """Wait for each meter's first answer, within a share of the collector's own deadline."""
        wait = self.settings.timeout_seconds * FIRST_ROUND
        try:
            async with asyncio.timeout(wait):
                await self._first.wait()
        except TimeoutError:
            self._first.set()
        for name, state in self._states.items():
            if not state.asked:
                state.mark(name, Transient(f"no answer within {wait:g} s", *_SILENT), failed=True)

    async def _watch(self, meter: M) -> None:
        """Ask one meter for ever, on a monotonic grid; a round that was missed is left out."""
        clock = self.context.clock
        interval = meter.interval_seconds or self.context.site.interval_seconds
        due: float = clock.monotonic()
        while True:
            await self._ask(meter)
            now = clock.monotonic()
            due += max(1, -(-(now - due) // interval)) * interval
            await asyncio.sleep(max(0.0, due - now))

    async def _ask(self, meter: M) -> None:
        state, limit = self._states[meter.name], self.timeout_seconds(meter)
        try:
            async with self.turn(meter), asyncio.timeout(limit):
                parts = await self.poll(meter)
            self._keep(meter, state, parts)
        except TimeoutError:
            silent = Transient(f"no answer within {limit:g} s", *_SILENT)
            state.mark(meter.name, silent, failed=True)
        except Transient as failure:
            state.mark(meter.name, failure, failed=True)
        except Exception as error:  # noqa: BLE001 - raised at the next look; the schedule goes on
            self._bug = error
            state.mark(meter.name, Transient(f"bug: {error!r}", "bug"), failed=True)
        state.asked = True
        if all(state.asked for state in self._states.values()):
            self._first.set()

    def _keep(self, meter: M, state: _State, parts: Sequence[Part]) -> None:
        """Take what a meter gave; what of it is nonsense is a problem and harms not the rest."""
        failures: list[Transient] = []
        taken = 0
        for part in parts:
            try:
                if isinstance(part, Transient):
                    raise part
                self._read.append(self.sample(meter, part))
                taken += 1
            except Transient as failure:
                failures.append(failure)
        state.problem, state.failed = None, False
        if failures:
            why = "; ".join(failure.why for failure in failures)
            first = Transient(why, failures[0].reason, failures[0].remedy)
            state.mark(meter.name, first, failed=not taken)

    def sample(self, meter: M, value: Value) -> MeterCounter | MeterRate | MeterTemperature:
        """Convert to base units. Raises `Transient` where it is no figure of this meter."""
        unit = self._unit(meter, value.unit)
        amount = value.number * unit.factor
        at = Seconds(self.context.clock.boottime())
        if not isfinite(amount):
            raise Transient(f"gives no number ({value.number})", "garbage", _LOOK)
        if unit.quantity is Quantity.TEMPERATURE:
            try:
                return MeterTemperature(self.name, meter.name, at, celsius(value.number, unit))
            except ValueError as error:
                raise Transient(str(error), "garbage", _LOOK) from None
        most = meter.max_per_second or MAX_PER_SECOND[unit.quantity]
        if not unit.is_rate:
            if not 0 <= amount <= most * MOST_SECONDS:
                raise Transient(f"its total is {value.number:g} {unit.name}", "garbage", _LOOK)
            wraps_at = None if value.wraps_at is None else value.wraps_at * unit.factor
            return MeterCounter(self.name, meter.name, at, amount, wraps_at, most)
        if amount < 0 and meter.role is Role.GENERATION:
            amount = 0.0  # an inverter at night takes a little: it generates nothing
        if amount < 0:
            why = f"its rate is negative ({value.number:g} {unit.name})"
            raise Transient(why, "garbage", _BACKWARDS)
        if amount > most:
            raise Transient(f"its rate is {value.number:g} {unit.name}", "garbage", _LOOK)
        return MeterRate(self.name, meter.name, at, amount)

    def _unit(self, meter: M, text: str) -> Unit:
        if meter.kwh_per_unit is not None:
            amount, slash, time = text.partition("/")
            seconds = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}.get(time)
            if seconds is None:
                raise Transient(f"{text!r} is no rate: write {amount}/h", "settings", _LOOK)
            factor = meter.kwh_per_unit * JOULES_PER_KWH / seconds
            return Unit(text, Quantity.ENERGY, factor, bool(slash))
        try:
            return unit_of(text)
        except ValueError as error:
            raise Transient(str(error), "settings", "mend the unit in the settings") from None


_SILENT: Final = (
    "timeout",
    "look at its address, its cable and its gateway; or raise timeout_seconds",
)
_BACKWARDS: Final = (
    "look at the direction of its current transformers, or mend type and word order; what flows"
    " out belongs to a meter of its own"
)
_LOOK: Final = (
    "compare with the meter's display; if it differs, mend address, type, word order, unit or scale"
)


def addressed(text: str, port: int) -> tuple[str, int]:
    """Split "host:port", "host" or "[v6]:port". Raises `Transient`."""
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, number = text, str(port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not number.isascii() or not number.isdigit() or not 0 < int(number) < 65536:
        raise Transient(f"{text!r} is no address", "settings", 'write it as "10.0.0.5:502"')
    return host, int(number)


def secret(path: str, what: str) -> str:
    """Return the first line of a file with a secret. Raises `Transient`."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - one line of it
            text = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Transient(
            f"{what} {path} cannot be read ({why})",
            "permission",
            "make it readable for the agent's user, or name another file",
        ) from None
    if not text:
        raise Transient(f"{what} {path} is empty", "settings", "write the secret into it")
    return text
