"""The providers' APIs: a real HTTP server on loopback whose answers a test writes.

Beside the pages of `Pages`, a handler may answer by path and query, as an API does that is asked
for a time; what was asked is kept with its query.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiohttp import web

from hardware.pages import Pages

JSON = "application/json"


class Asked(NamedTuple):
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Reply(NamedTuple):
    """What a handler answers."""

    body: str | bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    content_type: str = JSON


class GridApi(Pages):
    """The server. Use as `with GridApi() as api:`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self.handler: Callable[[Asked], Reply | None] | None = None

    @property
    def base(self) -> str:
        """Its address, without a path."""
        return self.url("")

    def paths(self) -> list[str]:
        """Return what was asked for, in order."""
        return [asked.path for asked in self.asked]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.path, dict(request.query), headers)
        self.asked.append(asked)
        reply = self.handler(asked) if self.handler else None
        if reply is None:
            return await super()._answer(request)
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        return web.Response(
            body=body,
            status=reply.status,
            headers={"Content-Type": reply.content_type, **reply.headers},
        )
