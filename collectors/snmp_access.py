"""Who reads: a community (v2c), or a user with passphrases (v3), as the settings say."""

from typing import Final, NamedTuple

from agent.collector import Transient
from agent.site.settings import SnmpMeter
from collectors.metering import secret

COMMUNITY: Final = "public"
LONGEST_NAME: Final = 32
"""Octets of msgUserName, RFC 3414 section 2.4."""


class Community(NamedTuple):
    """A community of v2c: not to be printed."""

    secret: str

    def __repr__(self) -> str:
        """Without the community."""
        return "Community(…)"


class User(NamedTuple):
    """A user of v3, with secrets: not to be printed."""

    name: str
    auth: str
    """As in the settings; none: no authentication."""
    auth_passphrase: str
    privacy: str
    """As in the settings; none: no privacy."""
    privacy_passphrase: str

    def __repr__(self) -> str:
        """Without passphrases."""
        return f"User({self.name!r})"


Access = Community | User


def access_of(meter: SnmpMeter) -> Access:
    """Return who reads. Raises `Transient` where the settings do not fit together."""
    if meter.version == "3":
        return _user(meter)
    if not meter.community_file:
        return Community(COMMUNITY)
    return Community(secret(meter.community_file, "the file of the community"))


def _user(meter: SnmpMeter) -> User:
    if not meter.user:
        raise Transient("version 3 needs a user", "settings", "set user")
    if len(meter.user.encode()) > LONGEST_NAME:
        raise Transient(
            "the name of the user is too long", "settings", f"use {LONGEST_NAME} letters at most"
        )
    if meter.auth == "none":
        if meter.auth_file or meter.privacy_file:
            raise Transient(
                'a passphrase is named, but auth is "none"',
                "settings",
                "set auth to the protocol of that user, e.g. sha256",
            )
        return User(meter.user, "none", "", "none", "")
    if not meter.auth_file:
        raise Transient(
            "auth_file is not set",
            "settings",
            'name the file with the authentication passphrase, or set auth = "none"',
        )
    auth = secret(meter.auth_file, "the file of the authentication passphrase")
    if meter.privacy == "none":
        return User(meter.user, meter.auth, auth, "none", "")
    if not meter.privacy_file:
        raise Transient(
            "privacy_file is not set",
            "settings",
            'name the file with the privacy passphrase, or set privacy = "none"',
        )
    privacy = secret(meter.privacy_file, "the file of the privacy passphrase")
    return User(meter.user, meter.auth, auth, meter.privacy, privacy)
