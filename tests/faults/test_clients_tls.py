"""A thousand scrapers at once over TLS with passwords, and those who rattle at the door."""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import bcrypt
import pytest
from e2e.agents import Agent
from faults.client_kinds import TLS_HELLO, junk, silent
from faults.client_rig import ClientRig, Watched, raise_limit, unharmed
from faults.client_wire import Attack, Siege, besiege, bye, read_answer
from faults.conftest import FULL
from unit.exporters.certificates import Authority

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not FULL, reason="only in the whole campaign: scripts/faults"),
]

PASSWORD = "open sesame"
GROWS_MEBIBYTES = 160.0
"""A TLS connection has buffers of some 50 KiB in OpenSSL; there are up to 2,000 of them."""
WEB = """\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
basic_auth_users:
  alice: {hash}
"""


def authorization(password: str) -> str:
    """Return the header's value for alice."""
    return "Basic " + base64.b64encode(f"alice:{password}".encode()).decode()


class TlsAgent(Agent):
    """An agent that is asked over TLS and with a password."""

    context: ssl.SSLContext

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Ask over a connection of its own."""
        return asyncio.run(self._get(path, headers))

    async def _get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(host, int(port), ssl=self.context), 10.0
        )
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Authorization: {authorization(PASSWORD)}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            answer = await asyncio.wait_for(read_answer(reader), 10.0)
        finally:
            await bye(writer)
        return answer.status, answer.plain


class TlsRig(ClientRig):
    """A rig whose agent is one of those."""

    def start(self) -> Agent:
        """Begin a life."""
        self.agent = TlsAgent(self.config)
        self.lives += 1
        self.watch.follow(self.agent)
        return self.agent


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An agent behind TLS and a password."""
    directory = tmp_path_factory.mktemp("tls")
    Authority(directory).make("server")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
    (directory / "web.yml").write_text(WEB.format(hash=hashed))
    (directory / "web.yml").chmod(0o600)
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    context.check_hostname = False
    TlsAgent.context = context
    root = tmp_path_factory.mktemp("guarded")
    made = TlsRig(root)
    try:
        text = made.config.read_text()
        made.config.write_text(
            text.replace("[agent]\n", f'[agent]\nweb_config = "{directory}/web.yml"\n')
        )
        made.begin()
        yield Watched(made)
    finally:
        made.close()


async def scrape(address: tuple[str, int], start: asyncio.Event, *, keeps: bool) -> int:
    """Scrape twice; return how many 503 came in between."""
    refused, done = 0, 0
    await start.wait()
    while done < 2:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(
                *address, ssl=TlsAgent.context, ssl_handshake_timeout=120.0
            )
            while done < 2:
                head = (
                    f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization(PASSWORD)}"
                )
                more = "" if keeps else "\r\nConnection: close"
                writer.write(f"{head}{more}\r\n\r\n".encode())
                answer = await asyncio.wait_for(read_answer(reader), 120.0)
                if answer.status == 503:
                    refused += 1
                    await asyncio.sleep(1.0)
                    break
                assert answer.status == 200
                assert b"\nwattlas_build_info" in answer.plain
                done += 1
                if not keeps:
                    break
        except (ConnectionError, ssl.SSLError, EOFError):
            refused += 1  # turned away before there was TLS to say it in
            await asyncio.sleep(1.0)
        finally:
            if writer is not None:
                await bye(writer)
    return refused


def test_simultaneous_scrapers_over_tls_are_all_answered(
    guarded: Watched, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    scrapers = count(100, 1000)
    if not raise_limit(scrapers + 200):
        pytest.skip("too few descriptors for so many clients here: ulimit -n")

    async def all_of_them() -> int:
        start = asyncio.Event()
        tasks = [
            asyncio.ensure_future(scrape(guarded.address, start, keeps=number % 2 == 0))
            for number in range(scrapers)
        ]
        await asyncio.sleep(0)
        start.set()
        return sum(await asyncio.gather(*tasks))

    with unharmed(guarded, grows=GROWS_MEBIBYTES, missed=5) as told:
        turned_away = asyncio.run(asyncio.wait_for(all_of_them(), 600.0))
    tell(
        f"{scrapers} simultaneous scrapers over TLS, with passwords",
        trials=2 * scrapers,
        error=told.error,
        refused_first=turned_away,
        latest_tick_seconds=round(told.late_seconds, 3),
        grown_mebibytes=round(told.most_mebibytes, 1),
    )


async def only_hello(one: socket.socket, siege: Siege) -> None:
    """Begin a handshake and say no more."""
    await asyncio.get_running_loop().sock_sendall(one, TLS_HELLO)
    await silent(one, siege)


async def plain_http(one: socket.socket, siege: Siege) -> None:
    """Speak HTTP where TLS is spoken."""
    await asyncio.get_running_loop().sock_sendall(one, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await siege.rest(0.5)


async def tls_noise(one: socket.socket, siege: Siege) -> None:
    """Send records of every type that hold nothing of sense."""
    kind = siege.dice.randrange(18, 26)
    body = siege.dice.randbytes(siege.dice.randrange(0, 20_000))
    record = bytes([kind, 3, siege.dice.randrange(5)]) + len(body).to_bytes(2, "big") + body
    await asyncio.get_running_loop().sock_sendall(one, record)
    await siege.rest(0.5)


async def wrong_password(one: socket.socket, siege: Siege) -> None:
    """Shake hands as one should, and guess."""
    await _talk(one, siege, f"Authorization: {authorization(str(siege.dice.random()))}\r\n\r\n")


async def slow_inside(one: socket.socket, siege: Siege) -> None:
    """Shake hands as one should, and then write a byte a second."""
    await _talk(one, siege, "X-A: ", slowly=True)


async def _talk(one: socket.socket, siege: Siege, rest: str, *, slowly: bool = False) -> None:
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        reader, writer = await asyncio.open_connection(
            sock=one.dup(), ssl=TlsAgent.context, server_hostname="x"
        )
        try:
            writer.write(f"GET /metrics HTTP/1.1\r\nHost: x\r\n{rest}".encode())
            while slowly and await siege.rest(1.0) and not writer.is_closing():
                writer.write(b"b")
            if not slowly:
                answer = await asyncio.wait_for(read_answer(reader), 30.0)
                assert answer.status in {401, 429, 503}, answer
        finally:
            await bye(writer)


DOOR_ATTACKS: dict[str, Attack] = {
    "connects and says nothing": silent,
    "a hello and nothing more": only_hello,
    "plain HTTP": plain_http,
    "noise in TLS records": tls_noise,
    "no TLS at all": junk,
    "wrong passwords": wrong_password,
    "writes a byte a second": slow_inside,
}


def test_who_rattles_at_the_door_does_not_slow_measuring(
    guarded: Watched, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    clients = count(8, 60)
    with unharmed(guarded, grows=GROWS_MEBIBYTES, missed=5) as told:
        rounds = asyncio.run(
            besiege(guarded.address, DOOR_ATTACKS, clients, seconds=count(4, 30), seed=13)
        )
    assert told.scrapes > 0
    tell(
        "clients of the TLS port: all kinds at once",
        trials=sum(rounds.values()),
        error=told.error,
        clients=clients * len(DOOR_ATTACKS),
        scrapes=told.scrapes,
        scrapes_missed=told.missed,
        latest_tick_seconds=round(told.late_seconds, 3),
        most_descriptors=told.most_descriptors,
        grown_mebibytes=round(told.most_mebibytes, 1),
    )
