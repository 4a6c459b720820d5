"""What a device says of a request that it refuses, or why it may be silent, in plain words."""

from typing import Final

from agent.collector import Transient
from agent.site.settings import SnmpMeter
from collectors.snmp_access import Access, User
from collectors.snmp_cells import Reply

UNKNOWN_SECURITY_MODELS: Final = "1.3.6.1.6.3.11.2.1.1.0"
"""snmpMPDStats, RFC 3412 section 5."""
UNKNOWN_CONTEXTS: Final = "1.3.6.1.6.3.12.1.5.0"
"""RFC 3413 section 4.1.2."""
NO_ERROR, TOO_BIG, NO_SUCH_NAME, NO_ACCESS, AUTHORIZATION = 0, 1, 2, 6, 16
"""error-status, RFC 3416 section 3."""


class Silent(Exception):
    """No answer came in time that could be read and believed."""


class Refused(Exception):
    """pysnmp or the device refuses the request."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(name)
        self.name = name
        """Class of pysnmp's error indication."""
        self.detail = detail


def what_refusal_says(where: str, refused: Refused, access: Access) -> Transient:
    """Return a refusal as a failure; no secret is in it.

    The names are those of pysnmp's `proto.errind`, for the reports of RFC 3414 section 5.
    """
    if not isinstance(access, User):
        return Transient(f"{where}: the request fails ({refused.name})", "protocol", "look at host")
    name = access.name
    level = "with" if access.auth != "none" else "without"
    privacy = "with" if access.privacy != "none" else "without"
    said = {
        "UnsupportedSecurityLevel": (
            f"does not let user {name!r} read {level} authentication and {privacy} privacy",
            "set auth and privacy as that user is set up on the device",
        ),
        "NotInTimeWindow": (
            "says that the request is too old",
            "it is asked again; if it stays, look at the authentication passphrase",
        ),
        "UnknownUserName": (
            f"knows no SNMPv3 user {name!r}",
            "set user to one that is set up on the device, with SNMPv3 switched on",
        ),
        "WrongDigest": (
            f"refuses the signature of user {name!r}: wrong passphrase or protocol",
            "put the right authentication passphrase into auth_file, or mend auth",
        ),
        "DecryptionError": (
            f"cannot decrypt what user {name!r} sends: wrong passphrase or protocol",
            "put the right privacy passphrase into privacy_file, or mend privacy",
        ),
    }
    if refused.name in said:
        why, remedy = said[refused.name]
        return Transient(f"{where} {why}", "permission", remedy)
    if refused.name in {"EncryptionError", "UnsupportedPrivProtocol"}:
        return Transient(
            f"{access.privacy} cannot be used: the package cryptography is missing or too old",
            "missing",
            "pip install 'wattlas[site]'",
        )
    if refused.name == "UnknownEngineID":
        return Transient(
            f"{where} refuses each request: its engine id does not stand still",
            "protocol",
            "look whether two devices share that address",
        )
    if UNKNOWN_SECURITY_MODELS in refused.detail:
        why = "knows no user-based security"
    elif UNKNOWN_CONTEXTS in refused.detail:
        why = "has no default context"
    else:
        why = f"refuses the request ({refused.name})"
    return Transient(f"{where} {why}", "protocol", "look at its log; or use version 2c")


def what_status_says(where: str, reply: Reply, oids: list[str]) -> Transient | None:
    """Return an error-status as a failure; None where there is none."""
    status, place = reply.error_status, reply.error_index
    if status == NO_ERROR:
        return None
    culprit = oids[place - 1] if 0 < place <= len(oids) else "what was asked for"
    if status == TOO_BIG:
        return Transient(f"{where} says that the answer is too big for it", "protocol")
    if status == NO_SUCH_NAME:
        return Transient(
            f"{where} has no {culprit}", "nothing", "mend map, index or the OID in the settings"
        )
    if status in {NO_ACCESS, AUTHORIZATION}:
        return Transient(
            f"{where} does not let this user or community read {culprit}",
            "permission",
            "give it read access on the device",
        )
    return Transient(
        f"{where} fails to read {culprit} itself (error-status {status})",
        "io",
        "look at the device; a restart of its network card often helps",
    )


def what_silence_means(
    meter: SnmpMeter, seconds: float, *, found: bool, speaks_v3: bool
) -> Transient:
    """Return why nothing came within so many seconds, as far as can be told.

    `found`: its name is resolved; `speaks_v3`: it has told its engine id.
    """
    if not found:
        return Transient(
            f"{meter.host}: its name was not resolved in time",
            "timeout",
            "look at DNS, or set an address",
        )
    if speaks_v3 and meter.privacy != "none" and meter.auth != "none":
        return Transient(
            f"{meter.host} speaks SNMPv3, but did not answer the request within {seconds:.3g} s;"
            " a wrong privacy passphrase or protocol makes many devices silent",
            "timeout",
            "put the right privacy passphrase into privacy_file, or mend privacy; if it is right,"
            " raise timeout_seconds",
        )
    if meter.version == "3":
        return Transient(
            f"{meter.host} did not answer in SNMPv3 within {seconds:.3g} s",
            "timeout",
            "look at host and its port, whether SNMPv3 is switched on, and who may ask the device",
        )
    return Transient(
        f"{meter.host} did not answer in SNMPv2c within {seconds:.3g} s; a device is silent, too,"
        " where the community is wrong",
        "timeout",
        "look at host and its port, community_file, whether SNMPv2c is switched on, and who may"
        " ask the device",
    )


def unreachable(host: str, error: BaseException | None) -> Transient:
    """Return that a host cannot be reached."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Transient(
        f"{host}: cannot be reached ({why})", "io", "look at host, DNS and the network"
    )
