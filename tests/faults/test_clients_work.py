"""The work socket: too many at once, too slow, too big, wrong JSON, and who may not."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from e2e.agents import until
from faults.client_kinds import ATTACKS
from faults.client_rig import Watched, raise_limit, unharmed, watched
from faults.client_wire import Attack, Siege, besiege, bye, read_answer

__all__ = ["watched"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

GROWS_MEBIBYTES = 64.0
WORKLOAD = "honest"
SURE = frozenset({202})
"""A report is counted if this is the answer, and else is not."""
BAD_BODIES = (
    b"",
    b"{",
    b"[" * 30_000,
    b"null",
    b"42",
    b'"x"',
    b'{"workload": "w"}',
    b'{"workload": "w", "unit": "u", "amount": "many"}',
    b'{"workload": "w", "unit": "u", "amount": -1}',
    b'{"workload": "w", "unit": "u", "amount": 1e999}',
    b'{"workload": "w", "unit": "u", "amount": NaN}',
    b'{"workload": "w", "unit": "u", "amount": 1, "seconds": 0}',
    b'{"workload": "\\u0000", "unit": "u", "amount": 1}',
    b'{"workload": "' + b"w" * 200 + b'", "unit": "u", "amount": 1}',
    b'{"workload": "w", "unit": "u", "amount": 1, "secret": 2}',
    b'{"workload": "\xff\xfe", "unit": "u", "amount": 1}',
    b'[{"workload": "w", "unit": "u", "amount": 1}, 7]',
)


def post(body: bytes, more: bytes = b"") -> bytes:
    """Return a report as it goes over the wire."""
    head = b"POST /v1/work HTTP/1.1\r\nHost: x\r\n" + more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def wrong_json(one: socket.socket, siege: Siege) -> None:
    """A body that no report is."""
    await asyncio.get_running_loop().sock_sendall(one, post(siege.dice.choice(BAD_BODIES)))
    answer = await _answer(one)
    assert answer == b"" or b" 400 " in answer or b" 503 " in answer, answer


async def too_big(one: socket.socket, siege: Siege) -> None:
    """A megabyte of reports."""
    body = b"[" + b",".join([b'{"workload": "w", "unit": "u", "amount": 1}'] * 25_000) + b"]"
    with suppress(ConnectionError):
        await asyncio.get_running_loop().sock_sendall(one, post(body))
    answer = await _answer(one)
    assert answer == b"" or b" 413 " in answer or b" 503 " in answer, answer


async def _answer(one: socket.socket) -> bytes:
    with suppress(ConnectionError, TimeoutError):
        return (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, 65536), 15.0))[
            :200
        ]
    return b""


WORK_ATTACKS: dict[str, Attack] = {
    **{
        name: attack
        for name, attack in ATTACKS.items()
        if name not in {"pipelining", "half-closes", "reads slowly"}  # one connection, one answer
    },
    "wrong JSON": wrong_json,
    "too big": too_big,
}


class Honest(threading.Thread):
    """A program that reports its work all the while, again where it is told to."""

    def __init__(self, path: str) -> None:
        super().__init__(name="honest", daemon=True)
        self._path = path
        self._over = threading.Event()
        self.said: Counter[int] = Counter()
        """Answers by status; 0 is none."""

    def run(self) -> None:
        """Report one unit after the other until `stop`."""
        asyncio.run(self._all())

    async def _all(self) -> None:
        while not self._over.is_set():
            self.said[await report(self._path, WORKLOAD)] += 1
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        """Report no more."""
        self._over.set()
        self.join(30)


async def report(path: str, workload: str) -> int:
    """Report one unit; return the answer's status, 0 where none came."""
    body = json.dumps({"workload": workload, "unit": "u", "amount": 1}).encode()
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return 0
    try:
        writer.write(post(body))
        return (await asyncio.wait_for(read_answer(reader), 20.0)).status
    except (OSError, EOFError, TimeoutError):
        return 0
    finally:
        await bye(writer)


def counted(watched: Watched, workload: str) -> float:
    """Return the units that the agent shows."""
    return watched.agent.metrics().total("wattlas_work", workload=workload)


def test_a_besieged_socket_counts_what_it_has_taken_and_nothing_else(
    watched: Watched, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    clients = count(6, 40)
    if not raise_limit(clients * len(WORK_ATTACKS) + 200):
        pytest.skip("too few descriptors for so many clients here: ulimit -n")
    honest = Honest(watched.work)
    with unharmed(watched, grows=GROWS_MEBIBYTES) as told:
        honest.start()
        try:
            rounds = asyncio.run(
                besiege(watched.work, WORK_ATTACKS, clients, seconds=count(2, 30), seed=11)
            )
        finally:
            honest.stop()
    assert set(honest.said) <= {0, 202, 503}
    until("a report is taken", lambda: asyncio.run(report(watched.work, "after")) == 202)
    sure = sum(honest.said[status] for status in SURE)
    # an answer that was lost on its way, a report that was not: only those can differ
    watched.agent.when(
        "it is counted",
        lambda m: sure <= m.total("wattlas_work", workload=WORKLOAD) <= sure + honest.said[0],
    )
    tell(
        "clients of the work socket: all kinds at once",
        trials=sum(rounds.values()),
        error=told.error,
        clients=clients * len(WORK_ATTACKS),
        reports_taken=sure,
        reports_refused=honest.said[503],
        latest_tick_seconds=round(told.late_seconds, 3),
        most_descriptors=told.most_descriptors,
        grown_mebibytes=round(told.most_mebibytes, 1),
    )


def test_many_reports_at_once_are_all_counted_in_the_end(
    watched: Watched, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    reports = count(200, 1000)

    async def until_taken() -> int:
        tries = 0
        while True:
            tries += 1
            status = await report(watched.work, "crowd")
            if status == 202:
                return tries
            assert status in {0, 503}
            await asyncio.sleep(0.5)

    async def all_of_them() -> int:
        return sum(await asyncio.gather(*(until_taken() for _ in range(reports))))

    with unharmed(watched, grows=GROWS_MEBIBYTES) as told:
        tries = asyncio.run(asyncio.wait_for(all_of_them(), 300.0))
    found = watched.agent.when(
        "all are there", lambda m: m.total("wattlas_work", workload="crowd") >= reports
    )
    # with no answer a report may have been taken all the same, and is sent twice
    assert found.total("wattlas_work", workload="crowd") <= tries
    tell(f"{reports} reports of work at once", trials=tries, error=told.error)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_without_permission_reports_nothing(watched: Watched) -> None:
    code = (
        "import http.client, socket, sys\n"
        "one = http.client.HTTPConnection('localhost')\n"
        "one.sock = socket.socket(socket.AF_UNIX)\n"
        "try:\n"
        "    one.sock.connect(sys.argv[1])\n"
        "except PermissionError:\n"
        "    sys.exit(13)\n"
        'one.request("POST", "/v1/work", \'{"workload": "thief", "unit": "u", "amount": 1}\')\n'
        "sys.exit(0 if one.getresponse().status == 202 else 1)\n"
    )
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*nobody, sys.executable, "-I", "-c", code, watched.work],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 13, done
    assert asyncio.run(report(watched.work, "owner")) == 202
    watched.agent.when(
        "the owner's is there", lambda m: m.total("wattlas_work", workload="owner") == 1
    )
    assert counted(watched, "thief") == 0
