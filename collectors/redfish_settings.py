"""`[collectors.redfish]`: where the BMC is, and who may ask it."""

import re
from typing import Final
from urllib.parse import urlsplit

from agent.collector import CollectorSettings, Transient

_SPACE: Final = re.compile(r"\s")


class RedfishSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Wall power of this server from its BMC, over Redfish."""

    interval_seconds: float | None = 5.0
    """Seconds between readings: BMCs refresh their sensors every few seconds at best."""
    timeout_seconds: float = 10.0
    """A reading that takes longer counts as failed; the next one goes on where it stopped."""
    url: str = ""
    """Address of the BMC of this very server, e.g. "https://10.0.0.5"; "": none is asked."""
    user: str = ""
    """An account that may only read (role ReadOnly); "": ask without logging in."""
    password_file: str = ""
    """File with its password."""
    token_file: str = ""
    """File with an X-Auth-Token that was made elsewhere, instead of user and password."""
    ca_file: str = ""
    """PEM certificates that may have signed the BMC's, or the BMC's own; "": the system's."""
    tls_verify: bool = True
    """false: any certificate will do. `wattlas check` reminds of it."""
    tls_name: str = ""
    """Name in the BMC's certificate, where it is not the one in url."""
    system: str = ""
    """Id of the ComputerSystem that is this host, e.g. "System.Embedded.1"; "": found out."""
    chassis: str = ""
    """Id of the Chassis whose power is this host's, e.g. "1"; "": found out."""
    accuracy: float | None = None
    """Half-width of the power's uncertainty as a share; unset: 0.05, and 0.15 for a node behind
    shared supplies."""


def check(settings: RedfishSettings) -> None:
    """Raise `Transient` where the settings cannot work."""
    try:
        parts = urlsplit(settings.url)
        port = parts.port
    except ValueError as error:
        raise _wrong(f"{settings.url!r} is no address: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise _wrong("no password belongs in url; name user and password_file")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise _wrong(f"{settings.url!r} is no address; write it as https://10.0.0.5")
    if parts.path.rstrip("/") not in {"", "/redfish", "/redfish/v1"} or parts.query:
        raise _wrong(f"{settings.url!r} has a path; write it as https://{parts.netloc}")
    if _SPACE.search(settings.url):
        raise _wrong(f"{settings.url!r} is no address: it has a space in it")
    if settings.token_file and (settings.user or settings.password_file):
        raise _wrong("name either token_file or user and password_file, not both")
    if bool(settings.user) != bool(settings.password_file):
        raise _wrong("user and password_file belong together")
    if settings.accuracy is not None and not 0 <= settings.accuracy <= 1:
        raise _wrong("accuracy is a share, from 0 to 1")


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this very host: a tunnel's end, or a test's."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _wrong(why: str) -> Transient:
    return Transient(f"[collectors.redfish]: {why}", "settings", "mend it in the settings")
