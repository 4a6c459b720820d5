"""The receiver of remote write: which version it speaks, how much it takes, and how fast."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from agent.clock import Clock
from agent.ledger.outbox_sending import Moment, Window
from agent.remote_settings import RemoteWriteSettings
from exporters.remote_encoding import request, write_request
from exporters.remote_request import V1, V2, Answer, Requests, Unanswered

MAX_SAMPLES: Final = 5_000
"""Of one request."""
WAITABLE: Final = frozenset({401, 403, 404, 405, 407, 408, 425, 429})
"""What a person or time mends, and says nothing of the samples: they wait."""
Rows = Sequence[tuple[bytes, list[tuple[int, int]]]]
"""Series as the queue has them, each with its points."""


class Outcome(NamedTuple):
    """The receiver's last word on some moments."""

    status: int
    """200 or so: it took all of them."""
    written: int
    """Samples that it has taken."""
    told: bool
    """Whether it said how many: one that refuses a request without that may have taken none."""
    says: str


class Pause(Exception):
    """Try again later."""

    def __init__(self, why: str, seconds: float = 0.0, *, unsure: bool) -> None:
        """`seconds`: at least so long; `unsure`: the receiver may have taken it."""
        super().__init__(why)
        self.seconds = seconds
        self.unsure = unsure


class Receiver:
    """Who takes the samples, by one set of settings."""

    def __init__(
        self, settings: RemoteWriteSettings, clock: Clock, help_of: Mapping[bytes, str]
    ) -> None:
        """`help_of`: help texts by metric name, for 2.0. No I/O."""
        self._settings = settings
        self._help_of = help_of
        self._requests = Requests(settings, clock)
        self.where = self._requests.where
        self._version = V1 if settings.version == V1 else V2
        self._proven = settings.version != "auto"
        """Whether it has shown that it speaks this version."""
        self._next_at = 0.0
        """When the rate allows the next request, in the event loop's time."""

    async def close(self) -> None:
        """Close the connection."""
        await self._requests.close()

    async def offer(self, window: Window, moments: Sequence[Moment]) -> Outcome:
        """Send some moments, in as few requests as may be. Raises `Pause`."""
        points: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for moment in moments:
            for series, word in zip(moment.series, moment.words, strict=True):
                points[series].append((moment.at_ms, word))
        rows = [(window.labels[key], row) for key, row in points.items() if key in window.labels]
        status, written, told, says = 200, 0, True, ""
        size = max(1, MAX_SAMPLES // len(moments))  # one moment alone can be too much
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            count = sum(len(row) for _, row in part)
            try:
                answer = await self._negotiated(part, count)
            except Pause as pause:
                pause.unsure = pause.unsure or start > 0
                raise
            good = answer.status < 300
            if not good and status < 300:
                status, says = answer.status, answer.sentence
            told = told and (good or answer.written is not None)
            written += (count if good else 0) if answer.written is None else answer.written
        return Outcome(status, written, told, says)

    async def _negotiated(self, rows: Rows, count: int) -> Answer:
        """Return the answer to a request in a version that the receiver speaks. Raises `Pause`."""
        answer = await self._request(rows, count)
        if self._version == V1:
            speaks = answer.status != 415
        else:
            speaks = not _speaks_not(answer)
            doubtful = speaks and not self._proven and _refused_unread(answer)
            if self._settings.version == "auto" and (doubtful or not speaks):
                self._version = V1
                answer = await self._request(rows, count)
                speaks = answer.status != 415
                if doubtful and answer.status >= 300:
                    self._version = V2  # it likes neither: that tells nothing of the version
                return self._spoken(answer, speaks=speaks)
        return self._spoken(answer, speaks=speaks)

    def _spoken(self, answer: Answer, *, speaks: bool) -> Answer:
        if not speaks:
            raise Pause(
                f"{self.where} does not speak remote write {self._version}"
                f" (HTTP {answer.status}); set remote_write.version to another one",
                unsure=False,
            )
        self._proven = self._proven or (self._version == V2 and answer.written is not None)
        return answer

    async def _request(self, rows: Rows, count: int) -> Answer:
        """Return an answer that is final, whether good or bad. Raises `Pause`."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._next_at - loop.time()))
        self._next_at = loop.time() + count / self._settings.max_samples_per_second
        message = request(rows, self._help_of) if self._version == V2 else write_request(rows)
        try:
            answer = await self._requests.send(message, self._version)
        except Unanswered as error:
            raise Pause(str(error), unsure=error.may_have_arrived) from None
        status = answer.status
        if status >= 500 or status in WAITABLE or status < 200 or 300 <= status < 400:
            raise Pause(
                f"{self.where} answers HTTP {status}: {answer.sentence or '(no words)'}",
                answer.retry_after,
                unsure=status >= 500,
            )
        return answer


def _speaks_not(answer: Answer) -> bool:
    """Tell from an answer to 2.0 that the receiver does not speak it.

    One of 1.0 may read nothing in it and be content: 2xx, but none of the headers of 2.0 (2.0,
    "Required `Written` Response Headers").
    """
    return answer.status == 415 or (answer.status < 300 and answer.written is None)


def _refused_unread(answer: Answer) -> bool:
    """Tell what may be a 1.0 receiver's 415 (2.0, "Unsupported Request Content")."""
    return answer.status == 400 and answer.written is None
