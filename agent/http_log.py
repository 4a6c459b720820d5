"""The log of an HTTP server of ours."""

import logging

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError


def logger_of(server: str) -> logging.Logger:
    """Return the logger of a server, without requests that are none."""
    logger = logging.getLogger(f"wattlas.{server}")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    """Tell a fault of ours from a request that is none, or whose body is not what it says.

    Anyone could fill the log with those.
    """
    theirs = HttpProcessingError | RequestPayloadError
    return not (record.exc_info and isinstance(record.exc_info[1], theirs))
