"""Who may come in and how: what web.yml says, kept up to date while the agent runs."""

import asyncio
import ssl
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from agent.settings_error import SettingsError
from exporters import web_config
from exporters.web_config import WebConfig
from exporters.web_users import Users, Verdict

LOOK_SECONDS: Final = 1.0
"""So often the files are looked at; a change counts once it has stayed the same for so long."""

log = structlog.get_logger()

Stamp = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not answered, for the client and, without what he sent, for the log."""

    status: int
    sentence: str
    why: str

    def response(self) -> web.Response:
        """Return the answer."""
        answer = web.Response(status=self.status, text=f"{self.sentence}\n")
        if self.status == 401:
            answer.headers["WWW-Authenticate"] = 'Basic realm="wattlas", charset="UTF-8"'
        elif self.status in {429, 503}:
            answer.headers["Retry-After"] = "1"
        return answer


class Access:
    """The rules of one web.yml, or none: plain HTTP for everybody."""

    def __init__(self) -> None:
        self.tls: ssl.SSLContext | None = None
        """What new connections are encrypted with."""
        self.headers: tuple[tuple[str, str], ...] = ()
        """What every answer has."""
        self.changed: Callable[[], None] = _nothing
        """Called when `tls` has changed."""
        self._path: Path | None = None
        self._config: WebConfig | None = None
        self._users: Users | None = None
        self._tokens, self._filled_at = 0.0, 0.0
        self._stamp: Stamp = ()
        self._seen: Stamp = ()
        self._told = ""
        self._watching: asyncio.TimerHandle | None = None

    def use(self, path: Path | None) -> None:
        """Go by a file from here on. Raises `SettingsError`; then all stays as it was."""
        if path is None:
            self._path = self._config = None
            self._take(None, None)
        else:
            stamp = _stamp([path])
            config, context, doubts = read(path)
            self._path = path
            self._take(config, context)
            for doubt in doubts:
                log.warning("web_config_doubtful", why=doubt)
            self._stamp = self._seen = stamp + _stamp(config.files[1:])
        self._watch()

    def close(self) -> None:
        """Look at the files no more."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._users is not None:
            self._users.close()

    def unwanted(self, transport: asyncio.Transport) -> str:
        """Say why a client's verified certificate does not let it in, "" if it does."""
        if self._config is None or self._config.tls is None:
            return ""
        if not self._config.tls.client_allowed_sans:
            return ""
        from exporters import web_tls  # noqa: PLC0415 - it is loaded already

        secured = transport.get_extra_info("ssl_object")
        return web_tls.refusal(self._config.tls, secured.getpeercert() if secured else None)

    async def refusal(self, request: web.BaseRequest) -> Refused | None:
        """Say why a request is not answered, None if it is."""
        if self._config is None:
            return None
        if not self._within_rate(self._config):
            return Refused(429, "more requests than web.yml allows; try again soon", "rate_limit")
        if self._users is None:
            return None
        given = request.headers.get("Authorization", "")
        if not given:
            return Refused(401, "a user and a password are needed here", "no user was given")
        match await self._users.look(given, request.remote or ""):
            case Verdict.RIGHT:
                return None
            case Verdict.WRONG:
                return Refused(401, "no such user and password", "wrong user or password")
            case Verdict.TOO_OFTEN:
                return Refused(
                    429,
                    "too many wrong passwords from this address; wait",
                    "too many wrong passwords",
                )
            case Verdict.BUSY:
                return Refused(503, "too many log in at once; try again soon", "too many log in")

    def _within_rate(self, config: WebConfig) -> bool:
        """Take a token from the bucket, if it has one."""
        if not config.interval_seconds:
            return True
        now = time.monotonic()
        filled = self._tokens + (now - self._filled_at) / config.interval_seconds
        self._tokens, self._filled_at = min(float(config.burst), filled), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _take(self, config: WebConfig | None, context: ssl.SSLContext | None) -> None:
        before, self._config = self._config, config
        self.headers = config.headers if config else ()
        users = dict(config.users) if config else {}
        if users:
            self._users = self._users or Users()
            self._users.use(users)
        elif self._users is not None:
            self._users.close()
            self._users = None
        if config is not None and (
            before is None
            or (before.interval_seconds, before.burst) != (config.interval_seconds, config.burst)
        ):
            self._tokens, self._filled_at = float(config.burst), time.monotonic()
        if before is None or config is None or before.tls != config.tls or context is None:
            self.tls = context
            self.changed()

    # -- rotation -----------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._path is not None:
            self._watching = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Read the files again if they have changed and are not just being written."""
        self._watching = None
        assert self._path is not None
        files = self._config.files if self._config else (self._path,)
        seen, self._seen = self._seen, _stamp(files)
        if self._seen != self._stamp and self._seen == seen:
            self._stamp = self._seen
            self._read_again(self._path)
        self._watch()

    def _read_again(self, path: Path) -> None:
        try:
            config, context, doubts = read(path)
        except SettingsError as error:
            if str(error) != self._told:
                self._told = str(error)
                log.error("web_config_kept", why=str(error))
            return
        self._told = ""
        self._take(config, context)
        self._seen = self._stamp = _stamp(config.files)
        log.info("web_config_read_again", file=str(path))
        for doubt in doubts:
            log.warning("web_config_doubtful", why=doubt)


def read(path: Path) -> tuple[WebConfig, ssl.SSLContext | None, list[str]]:
    """Read a web.yml and try it out; return what is doubtful in sentences.

    Raises `SettingsError`.
    """
    config = web_config.load(path)
    doubts = [doubt for file in config.private if (doubt := _open_to_all(file))]
    if config.tls is None:
        return config, None, doubts
    from exporters import web_tls  # noqa: PLC0415 - only where TLS is on

    context, more = web_tls.context_of(config.tls)
    return config, context, [*doubts, *more]


def _open_to_all(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if not mode & stat.S_IROTH:
        return ""
    return f"{path}: every user of this host can read it; chmod o-r {path}"


def _stamp(files: Iterable[Path]) -> Stamp:
    """Return what changes when a file does, also behind a symbolic link."""
    found: list[tuple[int, int, int, int] | None] = []
    for file in files:
        try:
            now = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((now.st_ino, now.st_dev, now.st_size, now.st_mtime_ns))
    return tuple(found)


def _nothing() -> None:
    """Nobody waits."""
