"""A scraper that asks on a fixed grid, whatever became of what it asked before.

Each scrape is a connection of its own in a thread of its own: while an agent is away, many wait at
once, as the scrapes of many Prometheus would. What was answered is kept with its times.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

TIMEOUT_SECONDS: Final = 10.0
"""Prometheus' scrape_timeout, if nobody sets another."""


@dataclass(frozen=True)
class Scrape:
    """What one scrape got."""

    at: float
    """When it was due, monotonic seconds."""
    seconds: float
    """From then to the last byte of the answer."""
    error: str
    """"" for an answer with status 200 that is whole."""
    page: str = field(repr=False)


def fetch(
    address: tuple[str, int], path: str = "/metrics", timeout: float = TIMEOUT_SECONDS
) -> str:
    """Return the body of a whole answer with status 200. Raises OSError for anything else."""
    request = f"GET {path} HTTP/1.1\r\nHost: {address[0]}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address, timeout) as connection:
        connection.sendall(request.encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        raise OSError(f"no whole head of an answer: {answer[:80]!r}")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    if status.split(" ")[1:2] != ["200"]:
        raise OSError(status)
    if len(body) != int(headers["content-length"]):
        raise OSError(f"{len(body)} bytes of {headers['content-length']}")
    return body.decode()


class Scraper:
    """Scrapes an address from `with` to its end."""

    def __init__(
        self,
        address: tuple[str, int],
        hertz: float,
        enter: Callable[[], None] = lambda: None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """`enter` is called in each thread first: it may go into another network."""
        self._address = address
        self._period = 1.0 / hertz
        self._enter = enter
        self._timeout = timeout
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._scrapes: list[Scrape] = []
        self._grid = threading.Thread(target=self._run)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._grid.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask no more and wait for the last answers."""
        self._stop.set()
        self._grid.join()
        for thread in self._threads:
            thread.join()

    @property
    def scrapes(self) -> list[Scrape]:
        """Those that ended, by the time when they were due."""
        with self._lock:
            return sorted(self._scrapes, key=lambda s: s.at)

    @property
    def failed(self) -> list[Scrape]:
        """Those without a whole answer."""
        return [s for s in self.scrapes if s.error]

    @property
    def longest_seconds(self) -> float:
        """How long the slowest one took."""
        return max((s.seconds for s in self.scrapes), default=0.0)

    def lower(self) -> list[str]:
        """Return the series of counters that went down or away from one answer to a later one.

        Answers that overlap in time say nothing of each other: a slow one may be older.
        """
        found: list[str] = []
        past: list[tuple[float, dict[str, float]]] = []
        for scrape in self.scrapes:
            if scrape.error:
                continue
            now = counters(scrape.page)
            before = [(end, page) for end, page in past if end <= scrape.at]
            if before:
                _, last = max(before, key=lambda b: b[0])
                found += [
                    f"{name}: {value} then {now.get(name, 'nothing')}"
                    for name, value in last.items()
                    if now.get(name, -1.0) < value
                ]
                past = [p for p in past if p[0] > scrape.at or p[1] is last]
            past.append((scrape.at + scrape.seconds, now))
        return found

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            thread = threading.Thread(target=self._scrape, args=(due,))
            thread.start()
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            due += self._period
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _scrape(self, due: float) -> None:
        error = page = ""
        try:
            self._enter()
            page = fetch(self._address, timeout=self._timeout)
        except (OSError, ValueError, KeyError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        with self._lock:
            self._scrapes.append(Scrape(due, time.monotonic() - due, error, page))


def counters(page: str) -> dict[str, float]:
    """Return every counter's series of a page in the text format."""
    kinds: dict[str, str] = {}
    found: dict[str, float] = {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            kinds[name] = kind
        elif not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            if kinds.get(series.partition("{")[0]) == "counter":
                found[series] = float(value)
    return found


def total(page: str, name: str, **labels: str) -> float | None:
    """Return the sum of a metric's series with these labels; None: there is none."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    values = [
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.partition("{")[0].partition(" ")[0] == name and all(w in line for w in wanted)
    ]
    return sum(values) if values else None


def by_device(page: str, name: str, **labels: str) -> Mapping[str, float]:
    """Return a metric's value by its label `device`."""
    devices = {
        line.partition('device="')[2].partition('"')[0]
        for line in page.splitlines()
        if line.startswith(name)
    }
    found = {device: total(page, name, device=device, **labels) for device in devices}
    return {device: value for device, value in found.items() if value is not None}
