"""Reports of useful work: what a program may say, and those that wait for the next tick."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from agent.clock import Clock
from agent.quantities import Seconds
from agent.samples import WorkDone

MAX_WAITING: Final = 100_000
"""Reports that wait for the next tick; about 30 MB. More means that no tick comes."""
MAX_AMOUNT: Final = 1e18
MAX_FLOP: Final = 1e30
"""More than all computers of the world do in a year."""
MAX_SECONDS: Final = 31 * 86400.0

_RULES: Final = {
    "workload": 'a printable name of 1 to 100 characters, e.g. "llama-70b"',
    "unit": 'a printable name of 1 to 100 characters, e.g. "tokens"',
    "amount": f"a number from 0 to {MAX_AMOUNT:g}: the units done since the last report",
    "flop": f"a number from 0 to {MAX_FLOP:g}: the floating-point operations it took",
    "precision": 'up to 40 of a-z, 0-9 and _, e.g. "fp16_tensor" (bf16 is fp16_tensor, too)',
    "device": 'an accelerator\'s label, "gpu", "accelerator" or "cpu"; left out: the whole host',
    "seconds": f"a number above 0, up to {MAX_SECONDS:g}: over how long it was done, ending now",
}
_AT: Final = re.compile(
    r"^(?P<why>.*?)(?: - at `\$(?:\[(?P<index>\d+)\])?\.?(?P<key>\w*)`)?$", re.DOTALL
)
_FIELD: Final = re.compile(r"field `(?P<key>.*)`$", re.DOTALL)
_PRECISION: Final = re.compile(r"[a-z0-9_]{1,40}")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One report, as `POST /v1/work` takes it. Optional keys may be null."""

    workload: _Name
    unit: _Name
    amount: Annotated[float, msgspec.Meta(ge=0, le=MAX_AMOUNT)]
    """Units done since the program last reported them."""
    flop: Annotated[float, msgspec.Meta(ge=0, le=MAX_FLOP)] | None = None
    precision: str | None = None
    device: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS)] | None = None


class Refused(Exception):
    """The body is not taken, none of it: an HTTP status and one plain sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


_DECODER: Final = msgspec.json.Decoder(Report | list[Report])


def decode(body: bytes) -> list[Report]:
    """Read a body: one report or a list of them. Raises `Refused` (400)."""
    try:
        found = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, _explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        sentence = f"the body is not JSON ({error}); send an object with workload, unit and amount"
        raise Refused(400, sentence) from None
    reports = found if isinstance(found, list) else [found]
    for index, report in enumerate(reports):
        for key, good in _checks(report):
            if not good:
                where = f"report {index + 1}: " if isinstance(found, list) else ""
                raise Refused(400, f"{where}{key}: must be {_RULES[key]}")
    return reports


class Reports:
    """Takes reports until the next tick fetches them, and remembers the sums."""

    def __init__(self, clock: Clock, max_workloads: int) -> None:
        self._clock = clock
        self._max_workloads = max_workloads
        self._began = clock.boottime()
        self._waiting: list[WorkDone] = []
        self._sums: dict[tuple[str, str], _Sum] = {}
        self._scopes: set[tuple[str, str]] = set()
        """Different pairs of device and precision: each is a series of wattlas_flops_total."""

    def add(self, body: bytes) -> int:
        """Take a body and return how many reports were in it. Raises `Refused`; then none is."""
        reports = decode(body)
        if len(self._waiting) + len(reports) > MAX_WAITING:
            raise Refused(503, "too many reports wait for the agent's next reading; try again soon")
        pairs = {(report.workload, report.unit) for report in reports} - self._sums.keys()
        if len(self._sums) + len(pairs) > self._max_workloads:
            workload, unit = min(pairs)
            raise Refused(
                409,
                f"workload: {workload!r} in {unit!r} would be one more than the"
                f" {self._max_workloads} pairs of workload and unit that the agent keeps; report"
                " under fewer names, or raise work.max_workloads in its settings",
            )
        scopes = {(report.device or "", report.precision or "") for report in reports}
        if len(self._scopes | scopes) > self._max_workloads:
            raise Refused(
                409,
                f"device: more than {self._max_workloads} different pairs of device and precision;"
                " name the accelerators as wattlas read shows them",
            )
        self._scopes |= scopes
        at = self._clock.boottime()
        for report in reports:
            self._waiting.append(_sample(report, at))
            key = (report.workload, report.unit)
            before = self._sums.get(key, _Sum(report.workload, report.unit))
            self._sums[key] = before.plus(report)
        return len(reports)

    def take(self) -> Sequence[WorkDone]:
        """Return what came since this was last called, oldest first."""
        taken, self._waiting = self._waiting, []
        return taken

    def summary(self) -> bytes:
        """Return the sums since the endpoint was opened, as JSON."""
        document: dict[str, Any] = {
            "seconds": round(self._clock.boottime() - self._began, 3),
            "waiting": len(self._waiting),
            "work": [self._sums[key] for key in sorted(self._sums)],
        }
        return msgspec.json.encode(document)


class _Sum(msgspec.Struct, frozen=True, gc=False):
    workload: str
    unit: str
    amount: float = 0.0
    flop: float | None = None
    reports: int = 0

    def plus(self, report: Report) -> "_Sum":
        flop = self.flop
        if report.flop is not None:
            flop = (flop or 0.0) + report.flop
        return _Sum(self.workload, self.unit, self.amount + report.amount, flop, self.reports + 1)


def _checks(report: Report) -> list[tuple[str, bool]]:
    """Return, for each key whose rule msgspec cannot check, whether it holds."""
    return [
        ("workload", _is_plain(report.workload)),
        ("unit", _is_plain(report.unit)),
        ("precision", not report.precision or bool(_PRECISION.fullmatch(report.precision))),
        ("device", not report.device or _is_plain(report.device)),
    ]


def _is_plain(text: str) -> bool:
    return text.isprintable() and text == text.strip()


def _sample(report: Report, at: Seconds) -> WorkDone:
    # a program is no older than its host; rounding must not make it so
    since = None if report.seconds is None else Seconds(max(0.0, at - report.seconds))
    return WorkDone(
        collector="work",
        workload=report.workload,
        unit=report.unit,
        at=at,
        amount=report.amount,
        device=report.device or "",
        flop=report.flop,
        precision=report.precision or "",
        since=since,
    )


def _explain(message: str) -> str:
    """Turn msgspec's message into a sentence with the key and what would be right."""
    match = _AT.match(message)
    assert match is not None  # it takes every text
    where = f"report {int(match['index']) + 1}: " if match["index"] else ""
    field = _FIELD.search(match["why"])
    if field and "unknown" in match["why"]:
        name = field["key"][:100]
        return f"{where}{name!r}: there is no such key; known are {', '.join(_RULES)}"
    if field:
        return f"{where}{field['key']}: is missing; it is {_RULES[field['key']]}"
    if match["key"] in _RULES:
        return f"{where}{match['key']}: must be {_RULES[match['key']]}"
    return f"{where}send an object with workload, unit and amount, or a list of such objects"
