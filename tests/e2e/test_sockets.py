"""Listening sockets over restarts: nobody who connects is turned away, and nothing else listens."""

import http.client
import signal
import socket
import threading
import urllib.parse

import pytest
from e2e.agents import settings, until
from e2e.systemd import Systemd

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]


class Scraper:
    """Scrapes on a kept connection without a pause and notes what fails.

    A request on a reused connection that ends before the answer's first byte is made once more on a
    new one, as Go's net/http does (Transport: "idempotent"), which Prometheus is made of.
    """

    def __init__(self, url: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        address = urllib.parse.urlsplit(url)
        self._connect = lambda: http.client.HTTPConnection(
            address.hostname, address.port, timeout=60
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        connection = self._connect()
        while not self._end.wait(0.02):
            reused = connection.sock is not None
            for again in (reused, False):
                try:
                    connection.request("GET", "/metrics")
                    answer = connection.getresponse()
                    if answer.status != 200 or not answer.read().endswith(b"\n"):
                        self.failed.append(f"{answer.status}")
                    self.answered += 1
                except (http.client.RemoteDisconnected, ConnectionError) as error:
                    connection.close()
                    if not again:
                        self.failed.append(repr(error))
                        break
                else:
                    break
        connection.close()

    def more(self, count: int = 3) -> None:
        """Wait until some more were answered."""
        goal = self.answered + count
        until("more are answered", lambda: self.answered >= goal or self.failed)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_no_scrape_fails_over_stops_and_kills(config, tmp_path):
    with Systemd(tmp_path) as systemd:
        agent = systemd.start(config)
        until("it is stored", lambda: systemd.store)
        with Scraper(agent.url) as scraper:
            for how in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
                scraper.more()
                if how == signal.SIGKILL:  # what is under way then is lost, so let nothing be
                    scraper.__exit__()
                agent.stop(how)
                url, agent = agent.url, systemd.start(config)
                assert agent.url == url  # port 0: the same one as before
            assert scraper.failed == []
            with Scraper(agent.url) as afterwards:
                afterwards.more()
        assert len(systemd.store) == 1
        assert agent.stop() == 0
        assert systemd.says("STOPPING")


def test_who_connects_while_it_is_dead_is_answered_by_its_next_life(config, tmp_path):
    with Systemd(tmp_path) as systemd:
        agent = systemd.start(config)
        until("it is stored", lambda: systemd.store)
        address = urllib.parse.urlsplit(agent.url)
        agent.kill()
        with socket.create_connection((address.hostname, address.port), timeout=60) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with systemd.start(config):
                assert s.makefile("rb").read().endswith(b"\r\n\r\nok\n")


def test_settings_that_name_another_address_close_the_stored_one(tmp_path, machine):
    config = settings(tmp_path / "wattlas.toml", root=machine)
    with Systemd(tmp_path) as systemd:
        agent = systemd.start(config)
        until("it is stored", lambda: systemd.store)
        old = urllib.parse.urlsplit(agent.url)
        agent.kill()
        settings(config, root=machine, listen="127.0.0.2:0")
        with systemd.start(config) as agent:
            assert "127.0.0.2" in agent.url
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((old.hostname, old.port), timeout=60)
            until("the new one is stored", lambda: len(systemd.store) == 1)

            settings(config, root=machine, listen="127.0.0.3:0")  # and while it runs
            agent.process.send_signal(signal.SIGHUP)
            agent.says("listening")
            until("moved", lambda: "address=127.0.0.3:" in agent.log)
            new = urllib.parse.urlsplit(agent.url)
            until("the old one is closed", lambda: is_refused(new.hostname, new.port))
            assert agent.stop() == 0


def is_refused(host, port):
    try:
        socket.create_connection((host, port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_socket_units_socket(config, tmp_path):
    with Systemd(tmp_path) as systemd, socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        settings(config, listen=f"{host}:{port}")
        systemd.add("wattlas.socket", listening)
        with systemd.start(config) as agent:
            assert agent.get("/healthz") == (200, b"ok\n")
            assert agent.stop() == 0
        assert len(systemd.store) == 1  # it is not stored besides
