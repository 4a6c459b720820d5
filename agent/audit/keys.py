"""Public keys and signatures, for those who check. Imports a library that an agent does not."""

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.audit.signer import raw

RAW_BYTES: Final = 32


class BadKey(Exception):
    """This file holds no key of the right kind. One sentence."""


def valid(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` is that of `message` by a raw public key (RFC 8032)."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public(path: Path) -> bytes:
    """Return the raw public key of a PEM file, e.g. host.pub. Raises `BadKey`, OSError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"{path}: is no Ed25519 public key in PEM; take host.pub of the state_dir")
    return raw(key)


def public_pem(public: bytes) -> bytes:
    """Return a raw public key as PEM. Raises ValueError where it is none."""
    return Ed25519PublicKey.from_public_bytes(public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def public_of(key: Ed25519PrivateKey) -> bytes:
    """Return the raw public key that belongs to a private one."""
    return raw(key.public_key())
