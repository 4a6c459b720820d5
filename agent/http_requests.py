"""Requests that aiohttp's parser lets through and its own request class cannot take."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from yarl import URL


def with_target(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Return a server's `request_factory` that takes a request without a target, as one for "/".

    `CONNECT` with nothing behind it comes out of aiohttp's parser (3.14, _http_parser.pyx,
    `_on_status_complete`) with no URL, and BaseRequest fails on that outside of whatever would
    answer: the connection would hang, and a traceback be in the log.
    """

    def request(message: Any, *more: Any) -> web.BaseRequest:
        if message.url is None:
            message = message._replace(path="/", url=URL("/"))
        return make(message, *more)

    return request
