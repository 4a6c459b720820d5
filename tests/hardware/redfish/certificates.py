"""Certificates made on the spot, as BMCs have them: their own, or signed by a site's own CA."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def authority(folder: Path) -> tuple[Path, x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a CA; return the file of its certificate, the certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed("A site's own CA", key, None, key, is_authority=True)
    file = folder / "ca.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return file, certificate, key


def server(
    folder: Path,
    signer: tuple[Path, x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    *,
    name: str = "127.0.0.1",
) -> tuple[ssl.SSLContext, Path]:
    """Make a BMC's certificate for `name`; return what serves it, and its file.

    `signer`: as `authority` returns it; None: the certificate signs itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    if signer is None:
        certificate = _signed(name, key, None, key, is_authority=False)
    else:
        certificate = _signed(name, key, signer[1], signer[2], is_authority=False)
    pem, secret = folder / "bmc.pem", folder / "bmc-key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context, pem


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    signing_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name)]), critical=False
        )
    return builder.sign(signing_key, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
