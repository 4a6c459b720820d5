"""Useful work, read from programs' own counters: vLLM, SGLang, TGI, Triton, and any other.

Each `[work.scrape.NAME]` is one Prometheus page; `collectors/work_presets.py` has what to read of
which server. A counter is handed on as it is, one for each set of labels: the core takes the
differences, and a counter that fell for one that began anew with its program.

Three traps. Some servers show a series only once it has counted something: what appears on a page
that was read before began at 0 since then, and is sent so, or the first requests would be lost.
A set of labels that went away sends nothing more; its total stays. Prompt tokens that a cache had
cost no floating-point operations, so where the server counts them `flop_per_token` is applied to
the others alone; those are two counters of one page, whose difference may for a moment seem to
fall, which must not pass for a restart.
"""

import asyncio
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from agent.collector import (
    Absent,
    CollectorSettings,
    Context,
    Problem,
    ScrapeSettings,
    Transient,
)
from agent.quantities import Seconds
from agent.samples import Sample, WorkCounter
from collectors.scraping import Scraper
from collectors.work_presets import (
    COMPUTED_PROMPT_TOKENS,
    PRESETS,
    PROMPT_TOKENS,
    Counter,
    Preset,
    is_token,
)

if TYPE_CHECKING:
    from prometheus_client.samples import Sample as PageSample

MAX_SERIES: Final = 500
"""Counters taken of one page."""
MAX_LABELS_LENGTH: Final = 1000
Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """A counter of useful work on a page."""

    unit: str
    metric: str
    labels: Labels
    total: float


class WorkScrapeSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.work_scrape]`; the pages themselves are in `[work.scrape.NAME]`."""

    interval_seconds: float | None = 15.0
    """Seconds between readings of the pages."""
    timeout_seconds: float = 5.0
    """A page that takes longer counts as failed; the others are not held up."""


class WorkScrape:
    """All pages that are set."""

    Settings: ClassVar[type[CollectorSettings]] = WorkScrapeSettings

    def __init__(self, settings: WorkScrapeSettings, context: Context) -> None:
        self.settings = settings
        self._clock = context.clock
        self._pages = [
            Page(name, scrape, settings.timeout_seconds)
            for name, scrape in context.work.scrape.items()
        ]
        self._problems: list[Problem] = []

    async def collect(self) -> Sequence[Sample]:
        """Read all pages at once. Raises `Transient` when none could be read."""
        if not self._pages:
            raise Absent(
                "no program's counters of work are set",
                'name its page in [work.scrape.NAME], e.g. url and preset = "vllm"',
            )
        readings = await asyncio.gather(*map(self._read, self._pages))
        samples: list[Sample] = []
        failures: list[Transient] = []
        self._problems = []
        for page, reading in zip(self._pages, readings, strict=True):
            if isinstance(reading, Transient):
                failures.append(reading)
                self._problems.append(
                    Problem(page.name, reading.why, reading.remedy, reading.reason)
                )
                continue
            samples += reading
            self._problems += page.problems
        if len(failures) == len(self._pages):
            raise failures[0]
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the pages that could not be read, or had nothing to read."""
        return self._problems

    def close(self) -> None:
        """Nothing is open between readings."""

    async def _read(self, page: "Page") -> list[WorkCounter] | Transient:
        try:
            found = await page.scraper.scrape()
        except Transient as failure:
            return failure
        return page.take(found, self._clock.boottime())


class Page:
    """One program's page."""

    def __init__(self, name: str, settings: ScrapeSettings, timeout_seconds: float) -> None:
        self.name = name
        self.problems: tuple[Problem, ...] = ()
        self._settings = settings
        self._preset = PRESETS[settings.preset] if settings.preset else Preset(())
        own = (Counter(metric, unit) for metric, unit in settings.counters.items())
        self._counters = {counter.metric: counter for counter in (*self._preset.counters, *own)}
        wanted = {*self._counters, *filter(None, [self._preset.cached])}
        self.scraper = Scraper(
            settings.url,
            wanted,
            timeout_seconds=timeout_seconds,
            token_file=settings.token_file,
        )
        self._read_at: Seconds | None = None
        self._seen: set[tuple[str, str, str]] = set()
        self._computed: dict[Labels, tuple[float, float]] = {}
        """Prompt tokens, and those of them that no cache had, at the last reading."""

    def take(self, found: "Sequence[PageSample]", at: Seconds) -> list[WorkCounter]:
        """Return the counters of a page that was read at `at`, in s of CLOCK_BOOTTIME."""
        computed = self._without_cached(found)
        counters: list[WorkCounter] = []
        left_out = 0
        for unit, metric, labels, total in (*self._useful(found), *computed):
            workload = self._workload(labels)
            instance = _instance(self.scraper.where, metric, labels)
            has_flop = is_token(unit) and not (computed and unit == PROMPT_TOKENS)
            counter = WorkCounter(
                collector="work_scrape",
                workload=workload,
                unit=unit,
                instance=instance,
                at=at,
                total=total,
                device=self._settings.device,
                flop_per_unit=self._settings.flop_per_token if has_flop else None,
                precision=self._settings.precision if has_flop else "",
            )
            key = (workload, unit, instance)
            if key not in self._seen:
                if len(self._seen) >= MAX_SERIES:
                    left_out += 1
                    continue
                self._seen.add(key)
                if self._read_at is not None and unit != COMPUTED_PROMPT_TOKENS:
                    counters.append(_from_zero(counter, self._read_at))
            counters.append(counter)
        self._read_at = at
        self.problems = tuple(self._say(counters, left_out))
        return counters

    def _useful(self, found: "Sequence[PageSample]") -> Iterator[Series]:
        """Yield the series that count."""
        for sample in found:
            counter = self._counters.get(sample.name)
            if counter is None or not 0 <= sample.value < float("inf"):
                continue
            if any(sample.labels.get(key) in bad for key, bad in counter.without.items()):
                continue
            labels = tuple(sorted(sample.labels.items()))
            yield Series(counter.unit, counter.metric, labels, sample.value)

    def _without_cached(self, found: "Sequence[PageSample]") -> list[Series]:
        """Return the prompt tokens that no cache had, once the page tells of any that one had.

        The two counters are matched by the labels that both have.
        """
        cached = [
            (tuple(sorted(sample.labels.items())), sample.value)
            for sample in found
            if sample.name == self._preset.cached and 0 <= sample.value < float("inf")
        ]
        if not cached:
            return []
        prompts = [useful for useful in self._useful(found) if useful.unit == PROMPT_TOKENS]
        every = [labels for labels, _ in cached] + [useful.labels for useful in prompts]
        common = set.intersection(*({name for name, _ in labels} for labels in every))
        totals: dict[Labels, float] = {}
        from_cache: dict[Labels, float] = {}
        for useful in prompts:
            group = tuple(label for label in useful.labels if label[0] in common)
            totals[group] = totals.get(group, 0.0) + useful.total
        for labels, value in cached:
            group = tuple(label for label in labels if label[0] in common)
            from_cache[group] = from_cache.get(group, 0.0) + value
        return [
            Series(
                COMPUTED_PROMPT_TOKENS,
                prompts[0].metric,
                group,
                self._rising(group, total, total - from_cache.get(group, 0.0)),
            )
            for group, total in totals.items()
        ]

    def _rising(self, group: Labels, total: float, computed: float) -> float:
        """Return a difference of two counters as a counter, which falls only with its program."""
        before, most = self._computed.get(group, (0.0, 0.0))
        if total >= before:
            computed = max(computed, most)
        self._computed[group] = (total, max(0.0, computed))
        return max(0.0, computed)

    def _workload(self, labels: Labels) -> str:
        model = dict(labels).get("model", "") if self._preset.per_model else ""
        return f"{self.name}/{model}" if model else self.name

    def _say(self, counters: list[WorkCounter], left_out: int) -> Iterator[Problem]:
        where = self.scraper.where
        if left_out:
            why = f"{where} has shown {left_out} counters more than the {MAX_SERIES} that are taken"
            yield Problem(self.name, why, "name fewer in counters", "many")
        elif not counters:
            yield Problem(
                self.name,
                f"{where} has none of {', '.join(sorted(self._counters))}: that program has done"
                " nothing yet, or it is another one",
                f"look whether preset or counters in [work.scrape.{self.name}] fit that page",
                "nothing",
            )


def _from_zero(counter: WorkCounter, at: Seconds) -> WorkCounter:
    """Return where a counter stood that was not there when the page was last read."""
    return WorkCounter(
        collector=counter.collector,
        workload=counter.workload,
        unit=counter.unit,
        instance=counter.instance,
        at=at,
        total=0.0,
        device=counter.device,
    )


def _instance(where: str, metric: str, labels: Labels) -> str:
    """Return what tells a series apart from all others, the page's address first."""
    text = ",".join(f'{name}="{value}"' for name, value in labels)
    if len(text) > MAX_LABELS_LENGTH:
        text = f"sha256={sha256(text.encode()).hexdigest()}"
    return f"{where} {metric}{{{text}}}"
