"""`[remote_write]`: to whom samples are sent, and what may wait for it."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec

RESERVED_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "transfer-encoding",
        "user-agent",
        "x-prometheus-remote-write-version",
    }
)
"""Those of the protocol, which the specification lets nobody set, and those of HTTP itself."""
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token


class RemoteWriteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[remote_write]`: the series of /metrics, sent to a receiver of Prometheus remote write."""

    url: str = ""
    """The receiver's address, e.g. "https://mimir.example/api/v1/push"; "": nothing is sent."""
    interval_seconds: float = 15.0
    """Seconds between the samples that are sent; from 1 to 300."""
    labels: dict[str, str] = {}
    """Labels that each series gets. job ("wattlas") and instance (the host's name) are there
    unless they are named here; "" leaves one out. A label that a series has itself stays."""
    version: str = "auto"
    """"1.0", "2.0", or "auto": 2.0 where the receiver takes it."""
    token_file: str = ""
    """File with a bearer token."""
    user: str = ""
    """User for basic authentication, with password_file."""
    password_file: str = ""
    """File with that user's password."""
    headers: dict[str, str] = {}
    """More headers, such as a tenant's {"X-Scope-OrgID" = "gz"}; no secrets."""
    ca_file: str = ""
    """PEM certificates that may have signed the receiver's; "": those of the system."""
    cert_file: str = ""
    """PEM certificate that shows the receiver who we are, with key_file."""
    key_file: str = ""
    """PEM key of cert_file."""
    timeout_seconds: float = 30.0
    """A request that takes longer is sent again."""
    max_queue_megabytes: float = 256.0
    """Disk that waiting samples may take; beyond, the oldest are dropped and counted."""
    max_age_hours: float = 0.0
    """Waiting samples older than this are dropped, as the receiver would not take them (its
    out-of-order window or retention); 0: none is."""
    max_samples_per_second: float = 10_000.0
    """A backlog is sent no faster than this."""


def check_remote_write(settings: RemoteWriteSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is wrong, by key."""
    if not settings.url:
        return
    try:
        parts = urlsplit(settings.url)
        _ = parts.port
    except ValueError as error:
        yield ("url",), f"{settings.url!r} is no address: {error}"
        return
    if any(character.isspace() for character in settings.url):
        yield ("url",), f"{settings.url!r} is no address: it has a space in it"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        yield ("url",), f"{settings.url!r} is no address; it begins with http:// or https://"
    if parts.username is not None or parts.password is not None:
        yield ("url",), "no password belongs in an address; name user and password_file"
    if settings.version not in {"auto", "1.0", "2.0"}:
        yield ("version",), 'must be "auto", "1.0" or "2.0"'
    for key, least, most in (
        ("interval_seconds", 1.0, 300.0),
        ("timeout_seconds", 0.1, 600.0),
        ("max_queue_megabytes", 1.0, 1e6),
        ("max_age_hours", 0.0, 1e6),
        ("max_samples_per_second", 1.0, 1e7),
    ):
        if not least <= getattr(settings, key) <= most:
            yield (key,), f"must be from {least:g} to {most:g}"
    if bool(settings.user) != bool(settings.password_file) or (
        settings.token_file and settings.user
    ):
        yield ("user",), "set token_file, or user together with password_file"
    yield from _check_names(settings)
    if bool(settings.cert_file) != bool(settings.key_file):
        yield ("cert_file",), "cert_file and key_file go together"


def _check_names(settings: RemoteWriteSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in settings.labels:
        if not _LABEL.fullmatch(name):
            yield (
                ("labels", name),
                f"{name!r} is no label; letters, digits and _, and not __ at the beginning",
            )
    for name, value in settings.headers.items():
        if not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
            yield ("headers", name), "is no header; it takes plain text of one line"
        elif name.lower() in RESERVED_HEADERS:
            yield ("headers", name), "belongs to the protocol; leave it out"
        elif name.lower() in {"authorization", "proxy-authorization", "cookie"}:
            yield ("headers", name), "is a secret; name token_file, or user and password_file"
