"""Useful work that programs report: `POST /v1/work` on a Unix socket.

Energy per token, FLOPS per watt of an application: only the program knows what it got done. It
says so in JSON, one object or a list of them (`collectors/work_reports.py`):

    {"workload": "llama-70b", "unit": "tokens", "amount": 1234, "flop": 1.7e14}

A report is taken at once, answered with 202, and handed to the core at the next tick. What came
since the last tick is lost when the agent is killed (SIGKILL, a power cut). At a stop or a reload
`take` has the rest.

Who may report is a matter of the file's permissions, `work.socket_mode` and the agent's group, and
of `work.allow_users` and `work.allow_groups`: the kernel says who calls.
A short run (`wattlas read`) has no socket: it would take the running agent's reports away.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import structlog

from agent.collector import Absent, CollectorSettings, Context, Problem
from agent.samples import Sample
from agent.worker import Worker
from collectors.work_peers import Peers, allowed
from collectors.work_reports import Reports
from collectors.work_socket import UnixSocket

if TYPE_CHECKING:
    from collectors.work_server import WorkServer

log = structlog.get_logger()


class Work:
    """The endpoint, and what it has taken since the last tick."""

    Settings: ClassVar[type[CollectorSettings]] = CollectorSettings

    def __init__(self, settings: CollectorSettings, context: Context) -> None:
        self.settings = settings
        self._path = context.work_socket
        self._settings = context.work
        self._mode = int(context.work.socket_mode, 8)
        self._reports = Reports(context.clock, context.work.max_workloads)
        self._socket: UnixSocket | None = None
        self._server: WorkServer | None = None

    async def collect(self) -> Sequence[Sample]:
        """Return what was reported since the last tick; open the socket at the first."""
        if self._path is None:
            # without a remedy: in a short run there is none, and the setting's "" is a wish
            raise Absent("only `wattlas run` takes reports of work, on agent.work_socket")
        if self._socket is not None and not self._socket.is_there():
            self._stop()  # somebody deleted the file: nobody would find us any more
        if self._socket is None:
            peers = await self._allowed()
            await self._start(UnixSocket(self._path, self._mode), peers)
        return self.take()

    def take(self) -> Sequence[Sample]:
        """Return what was reported since this was last called; also after `close`."""
        return self._reports.take()

    def problems(self) -> Sequence[Problem]:
        """Nothing to report."""
        return ()

    def close(self) -> None:
        """Stop listening at once, and take the socket's file away."""
        self._stop()

    async def _allowed(self) -> Peers:
        """Find out who may report, in a thread: a name can take long to look up."""
        if not self._settings.allow_users and not self._settings.allow_groups:
            return Peers()
        worker = Worker("work names")
        try:
            return await worker.run(lambda: allowed(self._settings))
        finally:
            worker.stop()

    async def _start(self, unix: UnixSocket, peers: Peers) -> None:
        from collectors.work_server import WorkServer  # noqa: PLC0415 - only the agent needs aiohttp

        server = WorkServer(self._reports, peers)
        try:
            await server.start(unix.socket)
        except BaseException:
            server.close()
            unix.remove()
            raise
        self._socket, self._server = unix, server
        log.info("work_socket", path=os.fspath(unix.path), mode=f"{self._mode:04o}")

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.remove()
        self._server = self._socket = None
