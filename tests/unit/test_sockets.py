"""The listening sockets over several lives of the agent; a socket plays systemd's store."""

import asyncio
import os
import socket

import pytest

from agent.notify import Notifier
from agent.sockets import STORE_NAME, ListenError, Passed, Sockets, passed_by_systemd


@pytest.fixture
def systemd(tmp_path):
    """Where systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.setblocking(False)
        yield s


@pytest.fixture
def notifier(systemd):
    return Notifier({"NOTIFY_SOCKET": systemd.getsockname()})


def heard(systemd):
    """Return what systemd was told, each message with the addresses of its sockets."""
    found = []
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(systemd, 4096, 16)
        except BlockingIOError:
            return found
        addresses = []
        for fd in descriptors:
            if b"BARRIER" in message:
                os.close(fd)
                continue
            with socket.socket(fileno=fd) as s:
                addresses.append(s.getsockname()[:2])
        found.append((message.decode().replace("\n", " "), addresses))


STORED = f"FDSTORE=1 FDNAME={STORE_NAME}"
FORGOTTEN = f"FDSTOREREMOVE=1 FDNAME={STORE_NAME}"


def listening(host="127.0.0.1", port=0, family=socket.AF_INET):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, port))
    s.listen()
    return s


def opened(sockets, *address):
    async def run():
        return await sockets.open(*address)

    return asyncio.run(run())


def test_what_is_opened_is_stored_once(systemd, notifier):
    sockets = Sockets(notifier)
    found = opened(sockets, "127.0.0.1", 0)
    sockets.keep(found)
    address = found[0].getsockname()
    assert heard(systemd) == [(STORED, [address])]
    again = opened(sockets, "127.0.0.1", 0)  # a reload: the same
    sockets.keep(again)
    assert again == found
    assert heard(systemd) == []
    sockets.close()
    assert found[0].fileno() == -1


def test_the_next_life_takes_it_and_stores_nothing(systemd, notifier):
    one = listening()
    sockets = Sockets(notifier, [Passed(STORE_NAME, one)])
    found = opened(sockets, *one.getsockname())
    sockets.keep(found)
    assert found == [one]
    assert heard(systemd) == []
    sockets.close()


@pytest.mark.parametrize("name", ["wattlas.socket", "unknown"])
def test_a_socket_units_socket_is_used_and_left_to_its_unit(systemd, notifier, name):
    one = listening()
    sockets = Sockets(notifier, [Passed(name, one)])
    found = opened(sockets, *one.getsockname())
    sockets.keep(found)
    assert found == [one]
    assert heard(systemd) == []
    other = opened(sockets, "127.0.0.2", 0)
    sockets.keep(other)
    assert one.fileno() == -1
    assert heard(systemd) == [(STORED, [other[0].getsockname()])]
    sockets.close()


def test_what_the_settings_do_not_name_any_more_is_closed_and_forgotten(systemd, notifier):
    stale, kept = listening("127.0.0.3"), listening("127.0.0.1")
    sockets = Sockets(notifier, [Passed(STORE_NAME, stale), Passed(STORE_NAME, kept)])

    async def run():
        waiting = asyncio.ensure_future(sockets.open(*kept.getsockname()))
        said = []
        while not waiting.done():
            said += heard(systemd)
            await asyncio.sleep(0)
        return await waiting, said

    found, said = asyncio.run(run())
    assert found == [kept]
    assert stale.fileno() == -1
    assert [message for message, _ in said] == [FORGOTTEN, STORED, "BARRIER=1"]
    assert said[1][1] == [kept.getsockname()]
    sockets.keep(found)
    assert heard(systemd) == []
    sockets.close()


def test_a_reload_moves_and_the_store_with_it(systemd, notifier):
    sockets = Sockets(notifier)
    first = opened(sockets, "127.0.0.1", 0)
    sockets.keep(first)
    second = opened(sockets, "127.0.0.2", 0)
    assert first[0].fileno() != -1  # until the others are in use
    sockets.keep(second)
    assert first[0].fileno() == -1
    assert [message for message, _ in heard(systemd)] == [STORED, FORGOTTEN, STORED]
    sockets.close()


def test_an_address_that_cannot_be_had_leaves_all_as_it_is(systemd, notifier):
    sockets = Sockets(notifier)
    first = opened(sockets, "127.0.0.1", 0)
    sockets.keep(first)
    heard(systemd)
    with (
        listening("127.0.0.2") as taken,
        pytest.raises(ListenError, match="another program listens there"),
    ):
        opened(sockets, *taken.getsockname())
    assert first[0].fileno() != -1
    assert heard(systemd) == []
    sockets.close()


def test_a_unit_that_listens_elsewhere_on_our_port_is_named(capsys):
    with listening("::", family=socket.AF_INET6) as one:
        port = one.getsockname()[1]
        sockets = Sockets(Notifier({}), [Passed("wattlas.socket", one.dup())])
        with pytest.raises(ListenError):
            opened(sockets, "0.0.0.0", port)
    said = capsys.readouterr().out
    assert "socket_not_used" in said
    assert f"address=[::]:{port}" in said
    assert "unit=wattlas.socket" in said


def test_a_name_can_be_several_addresses():
    sockets = Sockets(Notifier({}))
    found = opened(sockets, "localhost", 0)
    sockets.keep(found)
    assert {s.getsockname()[0] for s in found} <= {"127.0.0.1", "::1"}
    sockets.close()


def test_without_systemd_nothing_is_taken():
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x", "A": "b"}
    assert passed_by_systemd(environ) == []
    assert environ == {"A": "b"}  # our children must not take them for theirs
    assert passed_by_systemd({"LISTEN_FDS": "²", "LISTEN_PID": str(os.getpid())}) == []
    assert passed_by_systemd({}) == []


def refused(host, port):
    with pytest.raises(ListenError) as caught:
        opened(Sockets(Notifier({})), host, port)
    return str(caught.value)


def test_the_port_is_taken():
    with listening() as taken:
        port = taken.getsockname()[1]
        assert refused("127.0.0.1", port) == (
            f"127.0.0.1:{port}: another program listens there;"
            " stop it or set agent.listen to a free port"
        )


@pytest.mark.parametrize("host", ["192.0.2.1", "bad..name"])
def test_an_address_of_somebody_else(host):
    said = refused(host, 9760)
    assert said.startswith(f"{host}:9760: cannot listen (")
    assert said.endswith("; set agent.listen to an address of this host")
