"""`agent.web_config`: the web.yml that Prometheus' exporters share, read and checked.

The format is that of the Exporter Toolkit (github.com/prometheus/exporter-toolkit,
docs/web-configuration.md and web/tls_config.go): tls_server_config, http_server_config,
basic_auth_users, rate_limit. Wattlas differs where it is stricter: TLS 1.3 is the least version
unless the file names TLS12, and what is insecure in any case is refused.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporters.web_yaml import Section, parse, read_text

MAX_BCRYPT_COST: Final = 16
"""Some 5 s for one look at a password; each step more is twice that."""
MAX_USERS: Final = 1000

_OLD: Final = "TLS 1.0 and 1.1 are broken (RFC 8996); write TLS12 or TLS13"
_VERSIONS: Final = {"TLS13": "", "TLS12": "", "TLS11": _OLD, "TLS10": _OLD}
_CLIENT_AUTH: Final = dict.fromkeys(
    (
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",  # the toolkit's own old name of the one before
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ),
    "",
)
CURVES: Final = {
    "X25519": "X25519",
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
}
"""Go's names to OpenSSL's."""
CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's names (crypto/tls, CipherSuites) to OpenSSL's: those of TLS 1.2 with forward secrecy and
authenticated encryption."""
CIPHERS_OF_TLS13: Final = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
"""Always on where TLS 1.3 is: as in Go, a list does not change them."""
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Tls:
    """`tls_server_config`."""

    cert: str = field(repr=False)
    """PEM of the certificate and those that lead to its CA."""
    key: str = field(repr=False)
    """PEM of its key."""
    where: str
    """What to name in a sentence about them."""
    client_auth: str
    client_ca: str = field(repr=False)
    client_allowed_sans: tuple[str, ...]
    min_version: str
    max_version: str
    ciphers: tuple[str, ...]
    prefer_server_ciphers: bool
    curves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A checked web.yml and the files that it names."""

    path: Path
    tls: Tls | None
    headers: tuple[tuple[str, str], ...]
    users: tuple[tuple[str, str], ...] = field(repr=False)
    """Name and bcrypt hash."""
    interval_seconds: float
    """Between two requests in the long run; 0: as many as come."""
    burst: int
    files: tuple[Path, ...]
    """Whatever was read: it has to be read again when one of these changes."""
    private: tuple[Path, ...]
    """Those that hold secrets."""


def load(path: Path) -> WebConfig:
    """Read and check the file and what it names. Raises `SettingsError`."""
    top = parse(path, read_text(path, "agent.web_config"))
    files: list[Path] = [path]
    section = top.section("tls_server_config")
    tls = _tls(section, files)
    http = top.section("http_server_config")
    http.flag("http2", default=True)  # there is none here; HTTP/1.1 is what is agreed on
    headers = _headers(http.section("headers"))
    http.done()
    users = _users(top.section("basic_auth_users"))
    interval, burst = _rate_limit(top.section("rate_limit"))
    top.done()
    secret = [path] if users or section.text("key") else []
    key_file = section.file("key_file")
    return WebConfig(
        path,
        tls,
        headers,
        users,
        interval,
        burst,
        tuple(files),
        (*secret, *([key_file] if key_file else [])),
    )


def _tls(section: Section, files: list[Path]) -> Tls | None:
    cert = _pem(section, "cert", files)
    key = _pem(section, "key", files)
    client_ca = _pem(section, "client_ca", files)
    auth = section.word("client_auth_type", _CLIENT_AUTH) or "NoClientCert"
    sans = section.texts("client_allowed_sans")
    least = section.word("min_version", _VERSIONS) or "TLS13"
    most = section.word("max_version", _VERSIONS) or "TLS13"
    ciphers = _ciphers(section)
    prefer = section.flag("prefer_server_cipher_suites", default=True)
    curves = section.texts("curve_preferences")
    for curve in curves:
        if curve not in CURVES:
            section.wrong("curve_preferences", f"known are {', '.join(CURVES)}")
    section.done()
    if not section.names():
        return None
    for name, value in (("cert", cert), ("key", key)):
        if not value:
            section.wrong("", f"{name}_file must be given, or {name} with the PEM text itself")
    if (least, most) == ("TLS13", "TLS12"):
        section.wrong("max_version", "is below min_version; write min_version: TLS12 as well")
    _check_client_auth(section, auth, client_ca, sans)
    return Tls(
        cert=cert,
        key=key,
        where=f"{section.path}: {section.name}: {section.file('cert_file') or 'cert'}",
        client_auth=auth,
        client_ca=client_ca,
        client_allowed_sans=tuple(sans),
        min_version=least,
        max_version=most,
        ciphers=ciphers,
        prefer_server_ciphers=prefer,
        curves=tuple(curves),
    )


def _check_client_auth(section: Section, auth: str, client_ca: str, sans: list[str]) -> None:
    key = "client_auth_type"
    if auth == "NoClientCert" and client_ca:
        section.wrong(
            "", "a client CA without a client_auth_type; write RequireAndVerifyClientCert"
        )
    if auth in {"RequireAnyClientCert", "RequireClientCert"} and not client_ca:
        section.wrong(
            key,
            f"{auth} lets in any certificate, also one that a stranger made for himself;"
            " write RequireAndVerifyClientCert and client_ca_file",
        )
    if auth in {"VerifyClientCertIfGiven", "RequireAndVerifyClientCert"} and not client_ca:
        section.wrong(key, "client_ca_file must be given: whose certificates are to be let in")
    if sans and not auth.startswith("Require"):
        section.wrong("client_allowed_sans", "needs client_auth_type RequireAndVerifyClientCert")


def _pem(section: Section, name: str, files: list[Path]) -> str:
    """Return the text of a PEM that stands in the file or in one of its own."""
    text, path = section.text(name), section.file(f"{name}_file")
    if path is None:
        return text
    if text:
        section.wrong(name, f"stands beside {name}_file; give one of the two")
    files.append(path)
    return read_text(path, f"{section.path}: {section.name}.{name}_file")


def _ciphers(section: Section) -> tuple[str, ...]:
    found = []
    for name in section.texts("cipher_suites"):
        if name in CIPHERS:
            found.append(CIPHERS[name])
        elif name not in CIPHERS_OF_TLS13:
            section.wrong(
                "cipher_suites",
                "has one that is unknown or without forward secrecy and authenticated"
                f" encryption; known are {', '.join([*CIPHERS, *sorted(CIPHERS_OF_TLS13)])}",
            )
    return tuple(found)


def _headers(section: Section) -> tuple[tuple[str, str], ...]:
    found = []
    for name, good in _HEADERS.items():
        value = section.text(name)
        if not value:
            continue
        if good and value not in good:
            section.wrong(name, f"must be {' or '.join(good)}")
        if not value.isprintable():
            section.wrong(name, "must be one line of text")
        found.append((name, value))
    section.done()
    return tuple(found)


def _users(section: Section) -> tuple[tuple[str, str], ...]:
    found = []
    for name in section.names():
        value = section.text(name)
        match = _BCRYPT.fullmatch(value)
        if match is None:
            section.wrong(
                name, "is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'"
            )
        if not 4 <= int(match[1]) <= MAX_BCRYPT_COST:
            section.wrong(
                name, f"its cost must be from 4 to {MAX_BCRYPT_COST}: more takes many seconds"
            )
        if ":" in name:
            section.wrong(name, "a user's name has no colon (RFC 7617, 2)")
        found.append((name, value))
    if len(found) > MAX_USERS:
        section.wrong("", f"more than {MAX_USERS} users; use client certificates for so many")
    return tuple(found)


def _rate_limit(section: Section) -> tuple[float, int]:
    interval, burst = section.text("interval") or "0", section.text("burst") or "0"
    section.done()
    if not burst.isascii() or not burst.isdigit() or len(burst) > 9:
        section.wrong("burst", "must be a whole number of requests")
    seconds = 0.0
    if interval.isascii() and interval.isdigit():
        seconds = int(interval[:18]) * 1e-9  # as Go reads it
    elif _DURATION.sub("", interval):
        section.wrong("interval", "must be a time with its unit, e.g. 100ms or 1s; 0: no limit")
    else:
        seconds = sum(float(n) * _UNITS[unit] for n, unit in _DURATION.findall(interval))
    if seconds and not int(burst):
        section.wrong("burst", "must be at least 1, else no request would ever be answered")
    return seconds, int(burst)
