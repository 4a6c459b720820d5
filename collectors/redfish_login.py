"""Logs in to a Redfish service and stays logged in: sessions, or basic auth where there are none.

DMTF DSP0266 (Redfish specification), session login authentication: a client makes a session with
POST to the Sessions collection that the service root links to, sends the X-Auth-Token it was given
with each request, and deletes the session when done. A session that was not used for the service's
SessionTimeout ends by itself; then a request is answered with 401, and we log in anew, once.

A refused login is not repeated for `REFUSED_SECONDS` or until the secret's file changes: BMCs lock
an account after a few failures (iDRAC and XCC by default), and the operator would be locked out.
"""

import base64
import os
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent.clock import Clock
from agent.collector import Transient
from collectors.redfish_http import Answer, Client, Document
from collectors.redfish_settings import RedfishSettings

ROOT: Final = "/redfish/v1/"
SESSIONS: Final = "/redfish/v1/SessionService/Sessions"
REFUSED_SECONDS: Final = 900.0
LOG_OUT_SECONDS: Final = 3.0
"""How long a BMC may take to end a session when the agent stops."""
_MOST_SECRET: Final = 65_536
_NO_SESSIONS: Final = frozenset({404, 405, 501})
_REFUSED: Final = frozenset({400, 401, 403})
"""iLO answers a wrong password with 400."""


class Login:
    """Gets documents in the name of one account."""

    def __init__(self, client: Client, settings: RedfishSettings, clock: Clock) -> None:
        """Keep who asks; no I/O."""
        self._client = client
        self._settings = settings
        self._clock = clock
        self._headers: dict[str, str] | None = None
        """What proves who asks; None: not logged in."""
        self._session_path = ""
        self._refused: tuple[Transient, float, object] | None = None
        """Why, when (CLOCK_MONOTONIC), and with which version of the secret's file."""
        self.leaving: threading.Thread | None = None
        """Ends the session while the agent goes on or stops."""

    async def get(self, path: str, *, optional: bool = False) -> Document | None:
        """Return a resource; None where `optional` and there is none.

        Raises `Transient`; reasons as `Client.ask`, `permission` and `http`.
        """
        fresh = self._headers is None
        answer = await self._client.ask("GET", path, await self._proof())
        if answer.status == 401 and not fresh and self._settings.user:
            self._headers = None
            fresh = True
            answer = await self._client.ask("GET", path, await self._proof())
        if answer.status == 401:
            self._headers = None
            raise self._refuse(answer)
        if answer.status == 200:
            return answer.document
        if optional and answer.status in {404, 405, 410, 501}:
            return None
        raise self._wrong_status(answer, path)

    def leave(self) -> None:
        """End the session, in a thread: there may be no event loop any more."""
        headers, path = self._headers, self._session_path
        self._headers, self._session_path = None, ""
        if headers and path:
            with suppress(Transient):
                where = self._client.where
                tls = self._client.tls() if where.startswith("https:") else None
                name = self._settings.tls_name
                self.leaving = threading.Thread(
                    target=_log_out, args=(where, path, headers, tls, name), name="redfish-log-out"
                )
                self.leaving.start()

    # -- inside -------------------------------------------------------------------------------

    async def _proof(self) -> dict[str, str]:
        """Return the headers that prove who asks, after logging in where that is needed."""
        if self._headers is not None:
            return self._headers
        settings = self._settings
        file = settings.token_file or settings.password_file
        self._wait_if_refused(file)
        if settings.token_file:
            self._headers = {"X-Auth-Token": _secret(file)}
        elif settings.user:
            self._headers = await self._log_in(settings.user, _secret(file))
        else:
            self._headers = {}
        return self._headers

    async def _log_in(self, user: str, password: str) -> dict[str, str]:
        root = await self._client.ask("GET", ROOT, {})
        if root.status == 404:
            raise self._wrong_status(root, ROOT)
        path = link(root.document, "Links", "Sessions") or SESSIONS
        answer = await self._client.ask("POST", path, {}, {"UserName": user, "Password": password})
        if answer.status in _NO_SESSIONS:
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        if answer.status in _REFUSED:
            raise self._refuse(answer)
        if not 200 <= answer.status < 300:
            raise self._wrong_status(answer, path)
        if not answer.token.isascii() or not answer.token.isprintable() or not answer.token:
            raise Transient(
                f"{self._client.where} makes a session but gives no token for it",
                "garbage",
                "look whether the BMC has newer firmware",
            )
        location = urlsplit(answer.location).path or answer.document.get("@odata.id")
        self._session_path = location if isinstance(location, str) else ""
        return {"X-Auth-Token": answer.token}

    def _refuse(self, answer: Answer) -> Transient:
        """Return why a login was refused, and remember it."""
        settings, where = self._settings, self._client.where
        code = f"HTTP {answer.status}{_message_id(answer.document)}"
        file = settings.token_file or settings.password_file
        if not file:
            return Transient(
                f"{where} wants a login ({code})",
                "permission",
                "name an account that may only read in user and password_file",
            )
        who = "the token" if settings.token_file else f"the login of {settings.user!r}"
        why = Transient(
            f"{where} refuses {who} ({code}); it is not tried again for"
            f" {REFUSED_SECONDS / 60:g} minutes, lest the BMC locks the account",
            "permission",
            f"put the right one into {file}: a changed file is tried at once",
        )
        self._refused = (why, self._clock.monotonic(), _version(file))
        return why

    def _wait_if_refused(self, file: str) -> None:
        if self._refused is None:
            return
        why, since, version = self._refused
        if self._clock.monotonic() - since < REFUSED_SECONDS and _version(file) == version:
            raise Transient(why.why, why.reason, why.remedy)
        self._refused = None

    def _wrong_status(self, answer: Answer, path: str) -> Transient:
        what = f"HTTP {answer.status}{_message_id(answer.document)}"
        if answer.status == 403:
            return Transient(
                f"{self._client.where} does not let {self._settings.user or 'us'} read {path}"
                f" ({what})",
                "permission",
                "give the account the role ReadOnly on the BMC",
            )
        if answer.status == 404 and path == ROOT:
            return Transient(
                f"{self._client.where} has no Redfish service ({what})",
                "http",
                "look at url; switch Redfish on in the BMC, or use the ipmi collector",
            )
        return Transient(
            f"{self._client.where} answers {what} at {path}",
            "http",
            "it is asked again; if it stays so, restart the BMC",
        )


def link(document: Document, *names: str) -> str:
    """Return the `@odata.id` that stands under these names, "" where there is none."""
    at: Any = document
    for name in (*names, "@odata.id"):
        at = at.get(name) if isinstance(at, dict) else None
    return at if isinstance(at, str) else ""


def _message_id(document: Document) -> str:
    """Return the registry's name of an error, e.g. ", SessionLimitExceeded"."""
    error = document.get("error")
    info = error.get("@Message.ExtendedInfo") if isinstance(error, dict) else None
    first = info[0] if isinstance(info, list) and info else None
    name = first.get("MessageId") if isinstance(first, dict) else None
    return f", {name.rpartition('.')[2][:60]}" if isinstance(name, str) and name else ""


def _secret(path: str) -> str:
    """Return the first line of a file. Raises `Transient`; the message has no secret."""
    remedy = f"put one line into {path} and let this user read it"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            text = os.read(descriptor, _MOST_SECRET).decode()
        finally:
            os.close(descriptor)
    except OSError as error:
        why = f"the file {path} cannot be read ({error.strerror})"
        raise Transient(why, "permission", remedy) from None
    except UnicodeDecodeError:
        text = ""
    text = text.rstrip("\r\n")
    if not text or not text.isprintable():
        raise Transient(f"the file {path} does not hold one line of text", "permission", remedy)
    return text


def _version(path: str) -> object:
    """Return something that changes with a file."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _log_out(where: str, path: str, headers: dict[str, str], tls: Any, name: str) -> None:
    """Delete the session; if the BMC does not answer, it ends by itself."""
    import http.client  # noqa: PLC0415 - with all of `email`, for the very end

    parts = urlsplit(where)
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    with suppress(OSError, http.client.HTTPException, ValueError):
        wire = socket.create_connection((host, port), LOG_OUT_SECONDS)
        if tls is not None:
            wire = tls.wrap_socket(wire, server_hostname=name or host)
        with closing(wire):
            connection = http.client.HTTPConnection(host, port, timeout=LOG_OUT_SECONDS)
            connection.sock = wire
            connection.request("DELETE", path, headers=headers)
            connection.getresponse().read()
