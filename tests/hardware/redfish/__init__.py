"""A simulated BMC: a Redfish service on loopback that serves a vendor's tree, with scripted faults.

It runs in a thread with an event loop of its own, so that the code under test may have another.
"""

import asyncio
import base64
import copy
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from hardware.power import Power

WAIT_SECONDS = 20.0
SESSIONS = "/redfish/v1/SessionService/Sessions"
Manner = Literal["hang", "half", "compressed", "endless"]
"""hang: nothing until released; half: announces all, sends half and hangs up; compressed: says it
is gzip; endless: far more than any BMC sends."""
Tree = dict[str, dict[str, Any]]


def tree_of(folder: Path) -> Tree:
    """Return a recorded tree: document by path."""
    return json.loads((folder / "tree.json").read_text())


class Bmc:
    """The service. Use as `with Bmc(tree) as bmc:`."""

    def __init__(
        self,
        tree: Tree,
        *,
        user: str = "monitor",
        password: str = "right horse",
        tls: SSLContext | None = None,
        logins: Literal["sessions", "basic", "none"] = "sessions",
    ) -> None:
        self.tree = copy.deepcopy(tree)
        self.user, self.password = user, password
        self.logins = logins
        self.refusal = 401
        """How a wrong password is answered; iLO says 400."""
        self.manners: dict[str, Manner] = {}
        self.statuses: dict[str, tuple[int, dict[str, str]]] = {}
        """Path to a status and headers instead of the document."""
        self.raw: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.attempts = 0
        """How often somebody tried to log in."""
        self.sessions: dict[str, str] = {}
        """Token to path."""
        self._scripts: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._count = 0
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bmc", daemon=True)
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Hang up on everybody; the port is closed."""
        if self._runner is not None:
            self._run(self._runner.cleanup())
            self._runner = None

    def start(self) -> None:
        """Listen again, on the same port."""
        self._run(self._start())

    def expire(self) -> None:
        """Forget all sessions, as a BMC does that restarts."""
        self.sessions.clear()

    def script(
        self,
        path: str,
        put: Callable[[dict[str, Any], float], None],
        power: Power,
        now: Callable[[], float],
    ) -> None:
        """Let a document show what `power` draws at the moment it is asked for."""
        self._scripts[path] = lambda document: put(document, power.watts(now()))

    def release(self) -> None:
        """Let those go on who hang."""
        self._loop.call_soon_threadsafe(self._released.set)

    def count(self, path: str, method: str = "GET") -> int:
        """Return how often a path was asked for."""
        return self.asked.count((method, path))

    def wait_for(self, path: str, method: str = "GET") -> None:
        """Wait until a path was asked for."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count(path, method) > 0, WAIT_SECONDS):
                raise TimeoutError(f"nobody has asked for {method} {path}")

    # -- inside -------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path
        with self._changed:
            self.asked.append((request.method, path))
            self._changed.notify_all()
        if self.manners.get(path) == "hang":
            await self._released.wait()
        if path in self.statuses:
            status, headers = self.statuses[path]
            return web.json_response(
                _error("Base.1.8.GeneralError"), status=status, headers=headers
            )
        if request.method == "POST":
            return await self._log_in(request)
        if path.rstrip("/") != "/redfish/v1" and not self._is_let_in(request):
            return web.json_response(_error("Base.1.8.NoValidSession"), status=401)
        if request.method == "DELETE":
            self.sessions = {token: at for token, at in self.sessions.items() if at != path}
            return web.Response(status=204)
        return self._document(request, path)

    def _document(self, request: web.Request, path: str) -> web.StreamResponse:
        if path not in self.tree and path not in self.raw:
            return web.json_response(_error("Base.1.8.ResourceMissingAtURI"), status=404)
        document = copy.deepcopy(self.tree.get(path, {}))
        if path in self._scripts:
            self._scripts[path](document)
        body = self.raw.get(path, json.dumps(document).encode())
        kind = {"Content-Type": "application/json; charset=utf-8"}
        match self.manners.get(path):
            case "half":
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                assert request.transport is not None
                request.transport.write(head + body[: len(body) // 2])
                request.transport.close()
                return web.Response()
            case "compressed":
                kind["Content-Encoding"] = "gzip"
            case "endless":
                body = b" " * (3 * 1024 * 1024) + body
            case _:
                pass
        return web.Response(body=body, headers=kind)

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        if self.logins != "sessions" or request.raw_path != SESSIONS:
            return web.json_response(_error("Base.1.8.ResourceMissingAtURI"), status=404)
        self.attempts += 1
        said = await request.json()
        if (said.get("UserName"), said.get("Password")) != (self.user, self.password):
            wrong = _error("iLO.2.14.UnauthorizedLoginAttempt")
            return web.json_response(wrong, status=self.refusal)
        self._count += 1
        token, at = f"token-{self._count}", f"{SESSIONS}/{self._count}"
        self.sessions[token] = at
        document = {"@odata.id": at, "Id": str(self._count), "UserName": self.user}
        headers = {"X-Auth-Token": token, "Location": at}
        return web.json_response(document, status=201, headers=headers)

    def _is_let_in(self, request: web.Request) -> bool:
        match self.logins:
            case "none":
                return True
            case "sessions":
                return request.headers.get("X-Auth-Token") in self.sessions
            case "basic":
                pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
                given = request.headers.get("Authorization")
                self.attempts += given is not None
                return given == f"Basic {pair}"


def _error(message: str) -> dict[str, Any]:
    return {"error": {"code": message, "@Message.ExtendedInfo": [{"MessageId": message}]}}
