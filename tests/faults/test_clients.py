"""A thousand scrapers at once, and every kind of client that does not behave, by the hundred."""

import asyncio
from collections.abc import Callable
from itertools import cycle

import pytest
from faults.client_kinds import ATTACKS
from faults.client_rig import Watched, raise_limit, unharmed, watched
from faults.client_wire import besiege, bye, read_answer
from faults.conftest import FULL

__all__ = ["watched"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

GROWS_MEBIBYTES = 64.0
"""More than this no clients may cost an agent's memory, whatever they do."""
VARIANTS = [(keeps, gzip) for keeps in (False, True) for gzip in (False, True)]


async def scrape(address: tuple[str, int], start: asyncio.Event, *, keeps: bool, gzip: bool) -> int:
    """Scrape three times, over one connection or three; return how many 503 came in between."""
    refused = 0
    done = 0
    await start.wait()
    while done < 3:
        reader, writer = await asyncio.open_connection(*address)
        try:
            while done < 3:
                lines = ["GET /metrics HTTP/1.1", "Host: x"]
                lines += ["Accept-Encoding: gzip"] if gzip else []
                lines += [] if keeps else ["Connection: close"]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                answer = await asyncio.wait_for(read_answer(reader), 60.0)
                if answer.status == 503:
                    assert int(answer.headers["retry-after"]) >= 1
                    refused += 1
                    await asyncio.sleep(1.0)
                    break
                assert answer.status == 200
                assert (answer.headers.get("content-encoding") == "gzip") is gzip
                assert b"\nwattlas_build_info" in answer.plain
                done += 1
                if not keeps or answer.headers.get("connection") == "close":
                    break
        finally:
            await bye(writer)
    return refused


def test_simultaneous_scrapers_are_all_answered(
    watched: Watched, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    scrapers = count(200, 1000)
    if not raise_limit(scrapers + 200):
        pytest.skip("too few descriptors for so many clients here: ulimit -n")

    async def all_of_them() -> int:
        start = asyncio.Event()
        tasks = [
            asyncio.ensure_future(scrape(watched.address, start, keeps=keeps, gzip=gzip))
            for _, (keeps, gzip) in zip(range(scrapers), cycle(VARIANTS), strict=False)
        ]
        await asyncio.sleep(0)
        start.set()
        return sum(await asyncio.gather(*tasks))

    with unharmed(watched, grows=GROWS_MEBIBYTES) as told:
        refused = asyncio.run(asyncio.wait_for(all_of_them(), 300.0))
    tell(
        f"{scrapers} simultaneous scrapers",
        trials=3 * scrapers,
        error=told.error,
        refused_first=refused,
        latest_tick_seconds=round(told.late_seconds, 3),
        grown_mebibytes=round(told.most_mebibytes, 1),
    )


KINDS = {**{name: [name] for name in ATTACKS if FULL}, "all at once": list(ATTACKS)}


@pytest.mark.parametrize("kind", KINDS)
def test_clients_that_do_not_behave_do_not_slow_measuring(
    watched: Watched, kind: str, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    names = KINDS[kind]
    clients = count(8, 40) if len(names) > 1 else 300
    if not raise_limit(clients * len(names) + 200):
        pytest.skip("too few descriptors for so many clients here: ulimit -n")
    with unharmed(watched, grows=GROWS_MEBIBYTES) as told:
        rounds = asyncio.run(
            besiege(
                watched.address,
                {name: ATTACKS[name] for name in names},
                clients,
                seconds=count(2, 20),
                seed=7,
            )
        )
    assert told.scrapes > 0
    tell(
        f"clients: {kind}",
        trials=sum(rounds.values()),
        error=told.error,
        clients=clients * len(names),
        scrapes=told.scrapes,
        latest_tick_seconds=round(told.late_seconds, 3),
        most_descriptors=told.most_descriptors,
        grown_mebibytes=round(told.most_mebibytes, 1),
    )
