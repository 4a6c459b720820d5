"""web.yml: what is read from it, and the one sentence that says what is wrong with it."""

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from unit.exporters.certificates import CLIENT, Authority

from agent.settings_error import SettingsError
from exporters.web_access import read
from exporters.web_config import load

HASH = "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW"
"""Of "sesame"; the same in each process, as it is in the names of tests."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.make("one")
    made.make("two")
    made.make("old", lasts=-dt.timedelta(days=1))
    made.make("client", CLIENT)
    return made


@pytest.fixture
def web(authority):
    """Write a web.yml beside the certificates and return it."""

    def write(text):
        path = authority.directory / "web.yml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


PAIR = "  cert_file: one.crt\n  key_file: one.key\n"


def test_everything_that_the_format_has(web, authority):
    path = web(
        f"""# all keys
tls_server_config:
{PAIR}  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [client.test, "2001:db8::1"]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256]
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: {HASH}
  1234: "{HASH}"
rate_limit:
  interval: 1m0.5s
  burst: 20
"""
    )
    config = load(path)
    assert config.tls is not None
    assert config.tls.cert == (authority.directory / "one.crt").read_text()
    assert config.tls.client_allowed_sans == ("client.test", "2001:db8::1")
    assert (config.tls.min_version, config.tls.max_version) == ("TLS12", "TLS13")
    assert config.tls.ciphers == ("ECDHE-ECDSA-AES128-GCM-SHA256",)
    assert dict(config.headers) == {
        "X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=31536000"
    }  # fmt: skip
    assert dict(config.users) == {"alice": HASH, "1234": HASH}
    assert (config.interval_seconds, config.burst) == (60.5, 20)
    assert [p.name for p in config.files] == ["web.yml", "one.crt", "one.key", "ca.pem"]
    assert HASH not in repr(config)
    assert "PRIVATE KEY" not in repr(config)
    _, context, doubts = read(path)
    assert context is not None
    assert [c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.2"] == [
        "ECDHE-ECDSA-AES128-GCM-SHA256"
    ]
    assert doubts == []


def test_the_pem_itself_can_stand_there(web, authority):
    def block(name):
        return (authority.directory / name).read_text().replace("\n", "\n    ")

    path = web(
        f"tls_server_config:\n  cert: |\n    {block('one.crt')}\n  key: |\n    {block('one.key')}\n"
    )
    config, context, doubts = read(path)
    assert context is not None
    assert (config.files, doubts) == ((path,), [])
    path.chmod(0o644)
    assert read(path)[2] == [f"{path}: every user of this host can read it; chmod o-r {path}"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\n", "{}\n"])
def test_an_empty_file_is_plain_http(web, text):
    config, context, doubts = read(web(text))
    assert (config.tls, context, config.users, config.interval_seconds) == (None, None, (), 0)
    assert doubts == []


def test_tls_1_3_is_the_least_unless_the_file_says_otherwise(web):
    config = load(web(f"tls_server_config:\n{PAIR}"))
    assert config.tls is not None
    assert config.tls.min_version == "TLS13"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tls_sever_config: {}\n", ":1: tls_sever_config: there is no such key; known here are"),
        ("a: [\n", ":2: not YAML: expected the node content"),
        ("- 1\n", ":1: must be a table"),
        ("basic_auth_users: []\n", ":1: basic_auth_users: must be a table"),
        ("[a, b]: c\n", ":1: a key must be a plain word"),
        ("rate_limit: {}\n\nrate_limit: {}\n", ":3: rate_limit: stands here a second time"),
        ("a: &x [1]\nb: *x\n", ":1: anchors (&) and aliases (*) are not read here; write it out"),
        ("a: !!python/object:os.system x\n", ":1: a: there is no such key"),
        ("\x00", ":1: not YAML"),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: maybe\n",
            ":3: http_server_config.headers.X-Frame-Options: must be deny or sameorigin",
        ),
        (
            "http_server_config:\n  headers:\n    Server: x\n",
            ":3: http_server_config.headers.Server: there is no such key; known here are Content",
        ),
        (
            'http_server_config:\n  headers:\n    Content-Security-Policy: "a\\r\\nb"\n',
            ":3: http_server_config.headers.Content-Security-Policy: must be one line of text",
        ),
        ("http_server_config:\n  http2: maybe\n", ":2: http_server_config.http2: must be true or"),
        ("basic_auth_users:\n  a: sesame\n", ":2: basic_auth_users.a: is no bcrypt hash; make one"),
        ("basic_auth_users:\n  a: {b: c}\n", ":2: basic_auth_users.a: must be a text"),
        (
            f"basic_auth_users:\n  a: {HASH.replace('$04$', '$31$')}\n",
            ":2: basic_auth_users.a: its cost must be from 4 to 16",
        ),
        (f"basic_auth_users:\n  'a:b': {HASH}\n", ":2: basic_auth_users.a:b: a user's name has no"),
        (
            "rate_limit:\n  interval: soon\n",
            ":2: rate_limit.interval: must be a time with its unit",
        ),
        ("rate_limit:\n  interval: 1s\n", ":1: rate_limit.burst: must be at least 1"),
        ("rate_limit:\n  burst: -1\n", ":2: rate_limit.burst: must be a whole number"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_key(web, text, sentence):
    path = web(text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{sentence}")
    assert "\n" not in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("  cert_file: one.crt\n", ":2: tls_server_config: key_file must be given"),
        ("  key_file: one.key\n", ":2: tls_server_config: cert_file must be given"),
        ("  client_auth_type: NoClientCert\n", ":2: tls_server_config: cert_file must be given"),
        (f"{PAIR}  cert: x\n", ":5: tls_server_config.cert: stands beside cert_file"),
        (f"{PAIR}  min_version: TLS11\n", ":5: tls_server_config.min_version: TLS 1.0 and 1.1 are"),
        (f"{PAIR}  max_version: TLS10\n", ":5: tls_server_config.max_version: TLS 1.0 and 1.1 are"),
        (f"{PAIR}  min_version: SSL3\n", ":5: tls_server_config.min_version: 'SSL3' is not one of"),
        (
            f"{PAIR}  max_version: TLS12\n",
            ":5: tls_server_config.max_version: is below min_version; write min_version: TLS12",
        ),
        (
            f"{PAIR}  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n",
            ":5: tls_server_config.cipher_suites: has one that is unknown or without forward",
        ),
        (
            f"{PAIR}  curve_preferences: [CurveP224]\n",
            ":5: tls_server_config.curve_preferences: known are X25519, CurveP256",
        ),
        (
            f"{PAIR}  client_auth_type: Maybe\n",
            ":5: tls_server_config.client_auth_type: 'Maybe' is not one of NoClientCert, Request",
        ),
        (
            f"{PAIR}  client_auth_type: RequireAnyClientCert\n",
            ":5: tls_server_config.client_auth_type: RequireAnyClientCert lets in any certificate",
        ),
        (
            f"{PAIR}  client_auth_type: RequireAndVerifyClientCert\n",
            ":5: tls_server_config.client_auth_type: client_ca_file must be given",
        ),
        (
            f"{PAIR}  client_auth_type: VerifyClientCertIfGiven\n",
            ":5: tls_server_config.client_auth_type: client_ca_file must be given",
        ),
        (f"{PAIR}  client_ca_file: ca.pem\n", ":2: tls_server_config: a client CA without a"),
        (
            f"{PAIR}  client_allowed_sans: [a]\n",
            ":5: tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerify",
        ),
        (f"{PAIR}  client_allowed_sans: a\n", ":5: tls_server_config.client_allowed_sans: must be"),
    ],
)
def test_what_is_wrong_with_tls(web, lines, sentence):
    path = web(f"# x\ntls_server_config:\n{lines}")
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{sentence}")


def test_files_that_cannot_be_used(web, authority):
    def said(cert, key, more=""):
        path = web(f"tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n{more}")
        with pytest.raises(SettingsError) as caught:
            read(path)
        return str(caught.value).replace(str(authority.directory), "DIR")

    assert said("no.crt", "one.key") == (
        "DIR/web.yml: tls_server_config.cert_file: DIR/no.crt: there is no such file;"
        " check the path"
    )
    assert said(".", "one.key").startswith(
        "DIR/web.yml: tls_server_config.cert_file: DIR: cannot be read (Is a directory)"
    )
    assert said("one.crt", "two.key") == (
        "DIR/web.yml: tls_server_config: DIR/one.crt: the key does not fit the certificate;"
        " give the two that belong together"
    )
    assert said("one.key", "one.key") == (
        "DIR/web.yml: tls_server_config: DIR/one.key: the certificate or its key cannot be read"
        " as PEM; give both in that form"
    )
    ca = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: one.key\n"
    assert said("one.crt", "one.key", ca) == (
        "DIR/web.yml: tls_server_config: DIR/one.crt: client_ca has no certificate that can be"
        " read; give its PEM"
    )
    rsa = "  min_version: TLS12\n  max_version: TLS12\n"
    rsa += "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"
    assert said("one.crt", "one.key", rsa).startswith(
        "DIR/web.yml: tls_server_config: DIR/one.crt: no TLS handshake succeeds with it ("
    )


def test_what_works_and_is_doubtful_is_said(web, authority):
    def doubts(cert, more=""):
        path = web(f"tls_server_config:\n  cert_file: {cert}.crt\n  key_file: {cert}.key\n{more}")
        return read(path)[2]

    assert doubts("one") == []
    assert "the certificate has expired" in doubts("old")[0]
    assert "not one for servers" in doubts("client")[0]
    (authority.directory / "one.key").chmod(0o644)
    assert "one.key: every user of this host can read it; chmod o-r" in doubts("one")[0]
    (authority.directory / "one.key").chmod(0o600)
    assert "lets everybody in" in doubts("one", "  client_auth_type: RequestClientCert\n")[0]
    verified = "  client_auth_type: RequireAnyClientCert\n  client_ca_file: ca.pem\n"
    assert "verified all the same" in doubts("one", verified)[0]


def test_a_key_with_a_passphrase_asks_nobody(web, authority):
    key = serialization.load_pem_private_key((authority.directory / "one.key").read_bytes(), None)
    (authority.directory / "locked.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    path = web("tls_server_config:\n  cert_file: one.crt\n  key_file: locked.key\n")
    with pytest.raises(SettingsError, match="its key has a passphrase, which nobody is there"):
        read(path)


def test_what_is_no_text_or_too_large(tmp_path):
    path = tmp_path / "web.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"web.yml: not UTF-8 text at byte 0"):
        load(path)
    path.write_bytes(b"#" * (1 << 20) + b"##")
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        load(path)
    path.write_text("[" * 100_000)
    with pytest.raises(SettingsError, match="not YAML"):
        load(path)
    with pytest.raises(SettingsError, match=r"agent.web_config: .*: there is no such file"):
        load(tmp_path / "none.yml")


def test_the_example_of_the_documentation(web, authority):
    authority.make("server")
    page = Path(__file__).parents[3] / "docs/https.md"
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    config, context, doubts = read(web(examples[0]))
    assert context is not None
    assert (len(config.users), config.burst, doubts) == (1, 50, [])


def test_without_web_config_its_libraries_are_not_loaded():
    code = """
import sys, agent.daemon
print(sorted({"yaml", "bcrypt", "cryptography", "exporters.web_tls"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
