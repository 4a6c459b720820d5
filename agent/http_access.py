"""Who asks another program over HTTP, and whom we trust to answer."""

import os
import ssl
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import urlsplit

from agent.collector import Transient


class Access(NamedTuple):
    """Names of files, which are read at each request; their contents are in no message."""

    token_file: str = ""
    """A bearer token."""
    user: str = ""
    """For basic authentication (RFC 7617), with `password_file`; then no token."""
    password_file: str = ""
    ca_file: str = ""
    """PEM certificates that may have signed the other's; "": those of the system."""
    cert_file: str = ""
    """PEM certificate that shows the other who we are, with `key_file`."""
    key_file: str = ""
    """PEM key of `cert_file`."""

    def authorization(self) -> dict[str, str]:
        """Return the header that says who asks. Raises `Transient`."""
        if bool(self.user) != bool(self.password_file) or (self.token_file and self.user):
            raise Transient(
                "who asks is said by token_file, or by user together with password_file",
                "settings",
                "set one or the other, whole",
            )
        if self.token_file:
            return {"Authorization": f"Bearer {_read_token(self.token_file)}"}
        if self.user:
            pair = f"{self.user}:{_read_password(self.password_file)}".encode()
            return {"Authorization": f"Basic {b64encode(pair).decode()}"}
        return {}

    def tls(self, url: str) -> ssl.SSLContext | bool:
        """Return who may have signed the other's certificate, and ours. Raises `Transient`."""
        if not (self.ca_file or self.cert_file) or not url.startswith("https:"):
            return True
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or str(error)
            raise Transient(
                f"{self.ca_file}: cannot be read as certificates ({why})",
                "tls",
                "name a PEM file that this user may read in ca_file",
            ) from None
        if self.cert_file:
            try:
                # a key with a password is refused: nobody is there to type it
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except (OSError, ssl.SSLError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                raise Transient(
                    f"{self.cert_file} and {self.key_file}: no certificate with its key ({why})",
                    "tls",
                    "name PEM files that this user may read in cert_file and key_file",
                ) from None
        return context

    def refused(self, wanted: str) -> tuple[str, str]:
        """Return what the other does not like about who asks, and the remedy.

        `wanted`: its header WWW-Authenticate.
        """
        scheme = wanted.partition(" ")[0].lower()
        if scheme == "digest":
            return (
                "asks for digest authentication, which Wattlas does not speak",
                "allow reading without a log-in, or put a proxy with basic authentication in front",
            )
        if self.token_file:
            return "refuses the token", f"put the right token into {self.token_file}"
        if self.user:
            return (
                f"refuses user {self.user!r} or the password",
                f"put the right password into {self.password_file}, or mend user",
            )
        if scheme == "basic":
            return "asks for a user and a password", "name them in user and password_file"
        return "asks for a token", "put a token into a file and name it in token_file"


def _read_token(path: str) -> str:
    """Return what a file of one token holds. Raises `Transient`; the message has no token."""
    remedy = f"put one token into {path} and let this user read it"
    token = _read_small(path, "the token file", remedy).strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Transient(f"the token file {path} does not hold one token", "permission", remedy)
    return token


def _read_password(path: str) -> str:
    """Return the first line of a file. Raises `Transient`; the message has no password."""
    remedy = f"put the password into {path} and let this user read it"
    lines = _read_small(path, "the password file", remedy).splitlines()
    if not lines or not lines[0]:
        raise Transient(f"the password file {path} holds none", "permission", remedy)
    return lines[0]


def _read_small(path: str, what: str, remedy: str) -> str:
    """Return the text of a file, "" if it is none. Raises `Transient`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.read(descriptor, 65_536).decode()
        finally:
            os.close(descriptor)
    except OSError as error:
        why = f"{what} {path} cannot be read ({error.strerror})"
        raise Transient(why, "permission", remedy) from None
    except UnicodeDecodeError:
        return ""


def without_secrets(url: str) -> str:
    """Return scheme, host, port and path of an address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the page"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
