"""Remote write over TLS: who is trusted, who we are, and files that are replaced while it runs."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs
from unit.exporters.certificates import CLIENT, Authority
from unit.exporters.remote_rig import Life, Receiver

from exporters import remote_sender


class Secure(Receiver):
    """A receiver with a certificate, which may ask for ours."""

    def __init__(self, files, asks_for: Path | None = None) -> None:
        super().__init__()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(*files)
        if asks_for is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(asks_for)
        self.who: list[str] = []

    async def _write(self, request):
        shown = request.transport.get_extra_info("peercert") or {}
        names = dict(pair for part in shown.get("subject", ()) for pair in part)
        self.who.append(names.get("commonName", ""))
        return await super()._write(request)

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/push", self._write)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.context).start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}/push"
        return self


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote_sender, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(remote_sender, "LONGEST_PAUSE_SECONDS", 0.05)


def fails(receiver, directory, **settings):
    """Return why sending fails."""

    async def run():
        async with receiver, Life(directory, receiver.url, **settings) as life:
            await life.tick()
            await life.until("it fails", lambda: life.view.up is False)

    with capture_logs() as logs:
        asyncio.run(run())
    assert receiver.asked == []
    [line] = [line for line in logs if line["event"] == "remote_write_failing"]
    return line["why"]


def test_who_is_not_trusted_gets_nothing(tmp_path):
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    good = ours.make("receiver")
    assert "its certificate is not trusted" in fails(Secure(good), tmp_path / "1")
    why = fails(Secure(good), tmp_path / "2", ca_file=str(other.pem))
    assert "its certificate is not trusted" in why
    assert "remote_write.ca_file" in why
    old = ours.make("old", lasts=-dt.timedelta(days=1))
    assert "expired" in fails(Secure(old), tmp_path / "3", ca_file=str(ours.pem))
    why = fails(Secure(good), tmp_path / "4", ca_file=str(tmp_path / "none.pem"))
    assert f"{tmp_path / 'none.pem'}: cannot be read as certificates" in why


def test_a_receiver_that_asks_who_we_are(tmp_path):
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    receiver = ours.make("receiver")
    assert fails(Secure(receiver, ours.pem), tmp_path / "1", ca_file=str(ours.pem))
    crt, key = other.make("stranger", CLIENT)
    more = {"ca_file": str(ours.pem), "cert_file": str(crt), "key_file": str(key)}
    assert fails(Secure(receiver, ours.pem), tmp_path / "2", **more)
    more["key_file"] = str(ours.make("somebody", CLIENT)[1])
    assert "no certificate with its key" in fails(Secure(receiver), tmp_path / "3", **more)


def test_a_new_certificate_is_shown_without_a_restart(tmp_path):
    ours = Authority(tmp_path, "ours")
    files = ours.make("node-7", CLIENT)
    server = Secure(ours.make("receiver"), ours.pem)
    ca_file, cert_file, key_file = map(str, (ours.pem, *files))
    more = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}

    async def run():
        async with (
            server,
            Life(tmp_path / "s", server.url, **more) as life,
        ):
            for _ in range(2):
                await life.tick()
                await life.sent()
            for new, old in zip(ours.make("node-7-next-year", CLIENT), files, strict=True):
                new.rename(old)
            await life.tick()
            await life.sent()

    asyncio.run(run())
    assert server.who == ["node-7", "node-7", "node-7-next-year"]
