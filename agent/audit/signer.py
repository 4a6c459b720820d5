"""Signs records with the host's key, in a process of its own: `python signer.py`, JSON both ways.

The library that signs would take 10 MB of the running agent for a millisecond's work an hour, so
a short child runs this file, as with the schema (`agent.ledger.opening`). It must import nothing
of ours but `record`.

In: {"key_file", "public_file", "make", "promote", "records": [[number, hash, public key wanted or
null]]}, hashes and keys in hexadecimal. Out: {"public", "next", "signatures": [[number,
signature]], "error"}.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.audit.record import to_sign

NEXT: Final = ".next"
"""Suffix of a key that shall take over."""


class NoKey(Exception):
    """There is no key to sign with. One sentence with the remedy."""


def raw(key: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key (RFC 8032, 5.1.5)."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def load(path: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises `NoKey`."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise NoKey(
            f"{path}: cannot be read ({error.strerror}); make it readable for this user only"
        ) from error
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise NoKey(
            f"{path}: is no Ed25519 private key without a password in PEM; make one with"
            f" openssl genpkey -algorithm ed25519 -out {path}"
        )
    return key


def make(path: Path) -> Ed25519PrivateKey:
    """Write a new private key, readable for its owner only, whole or not at all."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # of one that was killed
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(new, path)  # unlike a rename, never in the place of another key
        finally:
            new.unlink()
    except FileExistsError:
        return load(path)
    except OSError as error:
        raise NoKey(f"{path}: cannot be written ({error.strerror}); check the disk") from error
    return key


def publish(path: Path, key: Ed25519PublicKey) -> None:
    """Write a public key where everybody may read it, if it is not there."""
    text = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with contextlib.suppress(OSError):
        if path.read_bytes() == text:
            return
    with contextlib.suppress(OSError):  # a convenience: the chain has it, too
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.write_bytes(text)
        new.chmod(0o644)
        new.replace(path)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Make, promote and use keys as the question says. Raises `NoKey`."""
    path = Path(question["key_file"])
    upcoming = path.with_name(path.name + NEXT)
    if question["promote"] and upcoming.exists():
        key = load(upcoming)
        if raw(key.public_key()).hex() == question["promote"]:
            with contextlib.suppress(OSError):  # a credential's directory is read-only
                upcoming.replace(path)
    current = make(path) if question["make"] and not path.exists() else load(path)
    keys = {raw(current.public_key()).hex(): current}
    public = next(iter(keys))
    following = None
    if upcoming.exists():
        key = load(upcoming)
        following = raw(key.public_key()).hex()
        keys[following] = key
    signatures = [
        [number, keys.get(wanted, current).sign(to_sign(bytes.fromhex(digest))).hex()]
        for number, digest, wanted in question["records"]
    ]
    publish(Path(question["public_file"]), keys[following or public].public_key())
    return {"public": public, "next": following, "signatures": signatures, "error": ""}


def main() -> None:
    """Answer one question on stdin."""
    try:
        said = answer(json.load(sys.stdin))
    except NoKey as error:
        said = {"error": str(error)}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
