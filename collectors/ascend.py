"""Huawei Ascend NPUs: power, utilisation and memory of each card.

Two ways, both with the same label for a card (its PCI address, see `collectors/ascend_cards.py`):

- npu-exporter, where it answers (`collectors/ascend_exporter.py`). It reads the driver itself every
  few seconds, so asking it costs the driver nothing;
- npu-smi, run as a process (`collectors/ascend_smi.py`). It takes 0.5 s to several seconds, hence
  15 s between readings. In some containers the driver serves one client only, and then a second
  one says "the device is used, ret is -8020".

Power is a sensor's, integrated: Ascend has no energy counter, and no accuracy of the sensor is
published. It is the card's: see the two files for which chip's figure counts, and for the 310, of
which only a rated power is shown and none is reported.

There are no FLOPS and no peaks for Ascend: no public data sheet gives dense peaks by precision, so
none ship (an unknown device has no peak, not a guessed one). Whoever has figures from Huawei can
set them as `[flops.peak."910B3"]`, after the name that `wattlas read` shows.
"""

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

import msgspec

from agent.collector import Absent, CollectorSettings, Context, Problem, Transient
from agent.quantities import Component, Seconds
from agent.samples import Accelerator, Inventory, PowerReading, Sample, Utilization
from collectors.ascend_cards import COLLECTOR, Card, about, problem, readings, with_own_labels
from collectors.ascend_exporter import DEFAULT_URL, WANTED, cards_of
from collectors.ascend_presence import is_on_pci, nothing_in, npus_on_pci
from collectors.ascend_smi import parse_info, parse_power
from collectors.ascend_tool import TOOL, Tool
from collectors.scraping import Scraper

SHARE_OF_TIMEOUT: Final = 0.9
"""The collector gives up this much before its deadline, so that its own message is seen."""
EXPORTER_SECONDS: Final = 3.0
"""An exporter that hangs must leave npu-smi the time it takes."""
EXPORTER_AGAIN_SECONDS: Final = 60.0
"""How often to look for an exporter that did not answer, while npu-smi does its work."""
STALE_SECONDS: Final = 90.0
"""The exporter reads its chips every 5 s, at most every 60 s: what is older is no reading."""
LOOK_AGAIN_SECONDS: Final = 60.0
REMEDY_NONE: Final = (
    "install Huawei's NPU driver, which brings npu-smi, or start npu-exporter and set url"
)


class AscendSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.ascend]`."""

    interval_seconds: float | None = 15.0
    """Seconds between readings; npu-smi takes up to several seconds for one."""
    timeout_seconds: float = 12.0
    """A reading that takes longer counts as failed, and npu-smi is ended."""
    source: Literal["auto", "npu-smi", "exporter"] = "auto"
    """Where to read; auto: npu-exporter's page where it answers, else npu-smi."""
    url: str = ""
    """npu-exporter's page; unset: "http://127.0.0.1:8082/metrics" on a host with NPUs."""
    token_file: str = ""
    """File with a bearer token for that page."""
    ca_file: str = ""
    """PEM certificates that may have signed that page's, for https; unset: the system's."""


class Ascend:
    """All Ascend cards of the host."""

    Settings: ClassVar[type[CollectorSettings]] = AscendSettings

    def __init__(self, settings: AscendSettings, context: Context) -> None:
        self.settings = settings
        self.context = context
        self._tool = Tool()
        self._scrapers: dict[float, Scraper] = {}
        self._problems: tuple[Problem, ...] = ()
        self._exporter_after = float("-inf")
        self._refused: Transient | None = None
        """Why the exporter gave nothing when it was last asked."""
        self._told: dict[str, Accelerator] = {}
        """What was said of each card, with the time taken out."""
        self._listed: tuple[str, ...] | None = None
        self._turns: dict[str, int] = {}
        """When each card's controller was last asked, by NPU ID: a number that only rises."""
        self._read_at: dict[str, tuple[float, float]] = {}
        """The exporter's own time of each card's newest value, and when it was first seen."""

    async def collect(self) -> Sequence[Sample]:
        """Return one reading of every card. Raises as `Collector.collect` does."""
        clock = self.context.clock
        self._problems = ()
        ends = clock.monotonic() + self.settings.timeout_seconds * SHARE_OF_TIMEOUT
        before = clock.boottime()
        match self.settings.source:
            case "npu-smi":
                cards = await self._from_tool(ends)
            case "exporter":
                cards = await self._from_exporter(self.settings.timeout_seconds)
            case "auto":
                cards = await self._from_either(ends)
        return self._samples(cards, Seconds((before + clock.boottime()) / 2))

    def problems(self) -> Sequence[Problem]:
        """Return the cards that gave no power, or nothing, at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """Nothing is held between readings."""

    async def _from_either(self, ends: float) -> list[Card]:
        now = self.context.clock.boottime()
        has_tool = self._tool.path() is not None
        sure = has_tool or bool(self.settings.url) or bool(self._told)
        found = [] if sure else npus_on_pci(self.context.paths.sysfs)
        if not (sure or found):
            raise Absent(f"no Ascend NPU: no {TOOL}, and none among the PCI devices")
        if now >= self._exporter_after or not has_tool:
            seconds = self.settings.timeout_seconds
            try:
                return await self._from_exporter(
                    min(EXPORTER_SECONDS, seconds / 3) if has_tool else seconds
                )
            except Transient as error:
                self._refused = error
                self._exporter_after = now + EXPORTER_AGAIN_SECONDS
        refused = self._refused
        assert refused is not None
        if has_tool:
            self._problems = ()
            if self.settings.url:
                self._complain("npu-exporter", f"{refused.why}; {TOOL} is read", refused.reason)
            return await self._from_tool(ends)
        if self.settings.url or self._told:
            raise refused
        why = f"an NPU ({found[0]}) but no {TOOL}, and no npu-exporter: {refused.why}"
        raise Absent(why, REMEDY_NONE, again_seconds=LOOK_AGAIN_SECONDS)

    async def _from_exporter(self, seconds: float) -> list[Card]:
        scraper = self._scrapers.get(seconds)
        if scraper is None:
            scraper = self._scrapers[seconds] = Scraper(
                self.settings.url or DEFAULT_URL,
                WANTED,
                timeout_seconds=seconds,
                token_file=self.settings.token_file,
                ca_file=self.settings.ca_file,
            )
        cards, read_at = cards_of(await scraper.scrape())
        if not cards:
            raise Transient(
                f"{scraper.where} has no chip's metrics",
                "garbage",
                "is url npu-exporter's page? if so, look at npu-exporter's log",
            )
        return self._fresh(cards, read_at)

    def _fresh(self, cards: list[Card], read_at: dict[str, float]) -> list[Card]:
        """Leave out cards whose values the exporter has not renewed. Raises `Transient`."""
        now = self.context.clock.boottime()
        fresh = []
        for card in cards:
            newest = read_at[card.device]
            before, since = self._read_at.get(card.device, (0.0, now))
            if newest != before:
                since = now
            self._read_at[card.device] = (newest, since)
            if newest and now - since > STALE_SECONDS:
                why = f"npu-exporter has shown the same old values for {now - since:.0f} s"
                self._complain(card.device, why, "stale")
            else:
                fresh.append(card)
        if not fresh:
            why = f"npu-exporter has renewed no value for {STALE_SECONDS:.0f} s"
            raise Transient(why, "stale", "restart npu-exporter and look at its log")
        return fresh

    async def _from_tool(self, ends: float) -> list[Card]:
        if self._tool.path() is None:
            if self._told:
                raise Transient(f"{TOOL} is gone", "gone", REMEDY_NONE)
            found = npus_on_pci(self.context.paths.sysfs)
            again = LOOK_AGAIN_SECONDS if found else None
            raise Absent(f"{TOOL} is not installed", REMEDY_NONE, again_seconds=again)
        table = parse_info(await self._tool.run("info", seconds=self._left(ends)))
        for row in table.unreadable:
            self._complain(TOOL, f"a row that is not understood: {row}", "garbage")
        if not table.cards:
            raise nothing_in(table.words, table.unreadable)
        power = await self._from_controllers(
            [card for card in table.cards if card.watts is None], ends
        )
        return [power.get(card.index, card) for card in table.cards]

    async def _from_controllers(self, cards: list[Card], ends: float) -> dict[str, Card]:
        """Ask the controller of each card of which the table has no power; give them by index.

        Each takes a process. Whoever was asked longest ago is first, so that a reading that is
        too short for all of them does not leave out the same ones each time.
        """
        asked: dict[str, Card] = {}
        for card in sorted(cards, key=lambda card: self._turns.get(card.index, 0)):
            left = self._left(ends)
            if left <= 0.0:
                why = f"{card.why_no_watts}, and there was no time to ask its controller"
                asked[card.index] = msgspec.structs.replace(card, why_no_watts=why)
                continue
            self._turns[card.index] = max(self._turns.values(), default=0) + 1
            asked[card.index] = await self._with_power(card, left)
        return asked

    async def _with_power(self, card: Card, seconds: float) -> Card:
        command = ("info", "-t", "power", "-i", card.index)
        try:
            text = await self._tool.run(*command, seconds=seconds)
        except Transient as error:
            return msgspec.structs.replace(card, why_no_watts=f"{card.why_no_watts}; {error.why}")
        watts = parse_power(text)
        if watts is not None:
            return msgspec.structs.replace(card, watts=watts, why_no_watts="")
        said = " ".join(text.split())[:100] or "nothing"
        why = f"{card.why_no_watts}; `{TOOL} {' '.join(command)}` says: {said}"
        return msgspec.structs.replace(card, why_no_watts=why)

    def _samples(self, cards: list[Card], at: Seconds) -> list[Sample]:
        samples: list[Sample] = []
        cards = with_own_labels(cards)
        devices = [card.device for card in cards]
        for card in cards:
            said = about(card, at)
            known = msgspec.structs.replace(said, at=Seconds(0.0))
            if self._told.get(card.device) != known:
                self._told[card.device] = known
                samples.append(said)
            values = readings(card, at)
            samples.extend(values)
            answers = any(isinstance(value, PowerReading | Utilization) for value in values)
            if lacking := problem(card):
                why = lacking.why if answers else f"nothing can be read of it: {lacking.why}"
                self._complain(card.device, why, lacking.reason)
        devices += self._lost(devices)
        listed = tuple(sorted(devices))
        if listed != self._listed:
            self._listed = listed
            samples.insert(0, Inventory(COLLECTOR, Component.ACCELERATOR, listed, at))
        return samples

    def _lost(self, devices: list[str]) -> list[str]:
        """Return cards that gave nothing this time but are still there, as the kernel sees it."""
        lost = []
        for device in [known for known in self._told if known not in devices]:
            if any(problem.what == device for problem in self._problems):
                lost.append(device)
            elif is_on_pci(self.context.paths.sysfs, device):
                lost.append(device)
                self._complain(device, "on the PCI bus, but not listed any more", "gone")
            else:
                del self._told[device]
                self._read_at.pop(device, None)
        return lost

    def _complain(self, what: str, why: str, reason: str) -> None:
        self._problems = (*self._problems, Problem(what, why, reason=reason))

    def _left(self, ends: float) -> float:
        return ends - self.context.clock.monotonic()
