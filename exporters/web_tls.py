"""TLS from web.yml: a context for new connections, tried on itself before it is used."""

import contextlib
import ipaddress
import os
import ssl
from asyncio import sslproto
from collections.abc import Iterator
from typing import Any, Final

from agent.settings_error import SettingsError
from exporters.web_config import CIPHERS, CURVES, Tls

TLS12_CIPHERS: Final = ":".join(CIPHERS.values())
"""With forward secrecy and authenticated encryption, and no others."""
_BUFFER_BYTES: Final = 16 * 1024
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_NOT_YET_VALID, _EXPIRED, _WRONG_PURPOSE = 9, 10, 26
"""X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _INVALID_PURPOSE (x509_vfy.h)."""


def context_of(tls: Tls) -> tuple[ssl.SSLContext, list[str]]:
    """Return a context for servers, and what is doubtful in sentences. Raises `SettingsError`."""
    # asyncio clears a buffer of 256 KiB for each connection; a request has a few hundred bytes
    sslproto.SSLProtocol.max_size = _BUFFER_BYTES
    context = _bare_context(tls)
    doubts = _try_out(tls, context)
    if tls.curves and not _limit_curves(context, tls.curves):
        doubts.append(
            "curve_preferences is left as OpenSSL has it: this Python can set one curve of"
            " P-256, P-384 and P-521, and no list before 3.15"
        )
    if tls.client_auth in {"RequireAnyClientCert", "RequireClientCert"}:
        doubts.append(f"client_auth_type {tls.client_auth}: certificates are verified all the same")
    elif tls.client_auth == "RequestClientCert":
        doubts.append("client_auth_type RequestClientCert lets everybody in, so nobody is asked")
    if tls.client_auth not in {"NoClientCert", "RequestClientCert"}:
        optional = tls.client_auth == "VerifyClientCertIfGiven"
        context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cadata=tls.client_ca)
        except (ssl.SSLError, ValueError):
            raise SettingsError(
                f"{tls.where}: client_ca has no certificate that can be read; give its PEM"
            ) from None
    return context, doubts


def refusal(tls: Tls, certificate: Any) -> str:
    """Say why a client's verified certificate does not let it in, "" if it does.

    `certificate` as `ssl.SSLSocket.getpeercert` has it.
    """
    if not tls.client_allowed_sans:
        return ""
    names = {_plain(kind, name) for kind, name in (certificate or {}).get("subjectAltName", ())}
    if names & {_plain("", name) for name in tls.client_allowed_sans}:
        return ""
    return "the client's certificate has none of the names in client_allowed_sans"


def _plain(kind: str, name: str) -> str:
    """Return a name in one spelling: OpenSSL writes IPv6 addresses in full."""
    if kind in {"", "IP Address"}:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(name.strip()))
    return name


def _bare_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.set_ciphers(":".join(tls.ciphers) or TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # No resumption: with a ticket a client would come in whose certificate has expired since.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if tls.prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    with _as_file(tls.cert) as cert, _as_file(tls.key) as key:
        try:
            context.load_cert_chain(cert, key, password=_no_password)
        except _Encrypted:
            raise SettingsError(
                f"{tls.where}: its key has a passphrase, which nobody is there to type;"
                " give a key without one, readable for the agent only"
            ) from None
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(f"{tls.where}: {_why(error)}") from None
    return context


class _Encrypted(Exception):
    """The key has a passphrase."""


def _no_password() -> str:
    raise _Encrypted


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or ""
    if "MISMATCH" in reason:
        return "the key does not fit the certificate; give the two that belong together"
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return f"OpenSSL refuses it ({reason.lower().replace('_', ' ')}); use a stronger key"
    return "the certificate or its key cannot be read as PEM; give both in that form"


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Give a text a name that OpenSSL can open; it never gets to a disk."""
    fd = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        data = text.encode()
        while data:
            data = data[os.write(fd, data) :]
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _limit_curves(context: ssl.SSLContext, curves: tuple[str, ...]) -> bool:
    names = [CURVES[curve] for curve in curves]
    set_groups = getattr(context, "set_groups", None)
    if set_groups is not None:  # from Python 3.15 on
        set_groups(":".join(names))
        return True
    if len(names) == 1 and names[0] != "X25519":
        context.set_ecdh_curve(names[0])
        return True
    return False


def _try_out(tls: Tls, context: ssl.SSLContext) -> list[str]:
    """Shake hands with ourselves: a certificate that no client could use is told here."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    try:
        der = _shake_hands(client, context).getpeercert(binary_form=True)
    except ssl.SSLError as error:
        raise SettingsError(
            f"{tls.where}: no TLS handshake succeeds with it"
            f" ({(error.reason or 'unknown reason').lower().replace('_', ' ')});"
            " check the certificate, cipher_suites and the versions"
        ) from None
    if der is None:
        return []
    client.load_verify_locations(cadata=der)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it is itself what is trusted
    client.verify_mode = ssl.CERT_REQUIRED
    try:
        _shake_hands(client, context)
    except ssl.SSLCertVerificationError as error:
        doubt = {
            _EXPIRED: "the certificate has expired; clients that verify it will refuse it",
            _NOT_YET_VALID: "the certificate is not valid yet; check it, and this host's clock",
            _WRONG_PURPOSE: "the certificate is not one for servers (extended key usage)",
        }.get(error.verify_code)
        return [f"{tls.where}: {doubt}"] if doubt else []
    except ssl.SSLError:
        pass
    return []


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """Return the client's end of a handshake in memory. Raises `ssl.SSLError`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    for _ in range(10):
        try:
            theirs.do_handshake()
        except ssl.SSLWantReadError:
            with contextlib.suppress(ssl.SSLWantReadError):
                ours.do_handshake()
        else:
            return theirs
    raise ssl.SSLError("no end")
