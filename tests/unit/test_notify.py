"""What systemd is told, over the socket that it listens on."""

import os
import socket

import pytest

from agent.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket as systemd makes it, and the variable that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@wattlas-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(name.replace("@", "\0"))
        s.settimeout(5)
        yield s, {"NOTIFY_SOCKET": name}


def waiting(s):
    """Return the messages that wait to be read."""
    found = []
    s.setblocking(False)
    while True:
        try:
            found.append(s.recv(4096).decode())
        except BlockingIOError:
            return found


def test_what_is_told_arrives_as_one_message(systemd):
    s, environ = systemd
    notifier = Notifier(environ)
    notifier.tell(READY="1", STATUS="measuring 3 sources")
    notifier.tell(STOPPING="1")
    assert waiting(s) == ["READY=1\nSTATUS=measuring 3 sources", "STOPPING=1"]


def test_the_watchdog_is_fed_at_less_than_half_its_period(systemd):
    s, environ = systemd
    notifier = Notifier(environ | {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    for second in range(40):
        notifier.alive(float(second))
    assert waiting(s) == ["WATCHDOG=1"] * 4


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "junk"},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
    ],
)
def test_a_watchdog_that_is_not_ours_is_not_fed(systemd, watchdog):
    s, environ = systemd
    notifier = Notifier(environ | watchdog)
    notifier.alive(1e9)
    assert waiting(s) == []


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/not/there"}])
def test_without_systemd_nothing_happens(environ):
    notifier = Notifier(environ | {"WATCHDOG_USEC": "1"})
    notifier.tell(READY="1")
    notifier.alive(0.0)


def test_a_socket_that_has_gone_is_no_error(systemd):
    s, environ = systemd
    s.close()
    Notifier(environ).tell(READY="1")
