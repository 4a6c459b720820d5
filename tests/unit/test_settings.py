"""Settings: what is right is taken; what is wrong is one sentence with line, key and remedy."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.collectors.trees import readable_by_all, without_rights

from agent.collector import CollectorSettings, find_collectors
from agent.settings import load, parse, parse_address
from agent.settings_error import SettingsError


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several tables."""

    name: str = ""


class Own(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a collector with a setting of its own has."""

    depth: int = 3
    part: tuple[Part, ...] = ()


TYPES = {"rapl": CollectorSettings, "own": Own}
FILE = Path("wattlas.toml")

CHOICES = "invalid enum value 'yes'; choose \"auto\" or true or false"
CONTRACT = """
[agent]
listen = "0.0.0.0:9760"
state_dir = "/var/lib/wattlas"
interval_seconds = 1.0
web_config = ""
work_socket = "/run/wattlas/work.sock"
[paths]
procfs = "/proc"
sysfs = "/sys"
[host]
site = ""
rack = ""
grid_zone = ""
[collectors.rapl]
enabled = "auto"
interval_seconds = 1.0
timeout_seconds = 2.0
[site]
name = "gz-1"
[[site.meter]]
name = "utility-a"
role = "total"
source = "modbus"
[carbon]
providers = ["electricitymaps", "static"]
[lifecycle]
in_service = 2025-03-01
lifetime_years = 5
"""


def taken(text):
    return parse(text, FILE, TYPES)


def complaint(function):
    """Return what is wrong, "" if nothing is."""
    try:
        function()
    except SettingsError as error:
        return str(error)
    return ""


def refused(text):
    with pytest.raises(SettingsError) as caught:
        taken(text)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_every_key_is_optional():
    settings = load(None, TYPES)
    assert settings.agent.listen == "0.0.0.0:9760"
    assert settings.agent.state_dir == "/var/lib/wattlas"
    assert settings.interval_of("rapl") == 1.0
    assert settings.collectors["own"] == Own()


def test_the_contracts_own_example_is_right():
    settings = taken(CONTRACT)
    assert settings.carbon.providers == ("electricitymaps", "static")
    assert settings.lifecycle.lifetime_years == 5
    assert [meter.name for meter in settings.site.meter] == ["utility-a"]
    assert settings.file == FILE


def test_values_are_taken():
    settings = taken("""
        agent.interval_seconds = 5
        [collectors.own]
        enabled = false
        depth = 4
        interval_seconds = 0.5
        timeout_seconds = 30
        [paths]
        sysfs = "/tmp/sys"
        [ledger]
        minute_days = 1
    """)
    assert settings.collectors["own"].enabled is False
    assert settings.collectors["own"].depth == 4
    assert (settings.interval_of("own"), settings.interval_of("rapl")) == (0.5, 5)
    assert settings.paths.sysfs == Path("/tmp/sys")
    assert settings.ledger.minute_days == 1


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("[agent]\nlissten = 'x'", "2: agent.lissten", "no such key; known here are listen, "),
        ("\n[agnet]", "2: agnet", "no such key; known here are agent, paths, host"),
        ("agent.lissten = 1", "1: agent.lissten", "no such key"),
        ("[agent]\n\ninterval_seconds = 'fast'", "3: agent.interval_seconds", "expected float"),
        ("[agent]\nlisten = 9760", "2: agent.listen", "expected str, got int; give it a value"),
        ("agent = 3", "1: agent", "expected table, got int"),
        ("[collectors]\nrapl = true", "2: collectors.rapl", "expected table"),
        ("[collectors.rapl]\ndepth = 4", "2: collectors.rapl.depth", "known here are enabled"),
        ("[collectors.own]\ndepth = 'x'", "2: collectors.own.depth", "expected int"),
        ("[collectors.rapl]\nenabled = 'yes'", "2: collectors.rapl.enabled", CHOICES),
        ("[collectors.rappl]", "1:", "no collector named 'rappl'; installed are own, rapl"),
        ("[agent]\nlisten = ':80a'", "2: agent.listen", "write it as address:port"),
        ("[agent]\nlisten = '::1:9760'", "2: agent.listen", "needs brackets: [::1]:9760"),
        ("[agent]\ninterval_seconds = 0", "2: agent.interval_seconds", "from 0.1 to 3600 seconds"),
        ("[agent]\ninterval_seconds = nan", "2: agent.interval_seconds", "from 0.1 to 3600"),
        ("[agent]\ninterval_seconds = inf", "2: agent.interval_seconds", "from 0.1 to 3600"),
        ("[collectors.rapl]\ninterval_seconds = 0.01", "2: collectors.rapl.interval", "from 0.1"),
        ("[collectors.rapl]\ntimeout_seconds = 0", "2: collectors.rapl.timeout", "more than 0"),
        ("[ledger]\nminute_days = -1", "2: ledger.minute_days", "more than 0"),
        (
            "[work.scrape.llama]\nurl = 'http://a'\npreset = 'vlm'",
            "3: work.scrape.llama.preset",
            'choose "vllm" or "sglang" or "tgi" or "triton"',
        ),
        (
            "[work.scrape.a]\nurl = 'http://a'\npreset = 'vllm'\n[work.scrape.b]\nurll = 'b'",
            "5: work.scrape.b.urll",
            "known here are url, preset",
        ),
        ("[work.scrape.a]\npreset = 'vllm'", "1: work.scrape.a", "url must be given"),
        ("[work.scrape.a]\nurl = 'http://a'", "1: work.scrape.a", "name a preset"),
        ("[work.scrape.a]\nurl = 'ftp'\npreset = 'tgi'", "2: work.scrape.a.url", "begins with"),
        ("[work]\nsocket_mode = 'rw'", "2: work.socket_mode", '"0660"'),
        ("[work]\nmax_workloads = 0", "2: work.max_workloads", "from 1 to 10000"),
        ("[flops.peak.A]\nfp64 = 'x'", "2: flops.peak.A.fp64", "expected float, got str"),
        ("[flops.peak.A]\nfp64 = -1", "2: flops.peak.A.fp64", "more than 0 TFLOP/s"),
        (
            "[[collectors.own.part]]\nname = 'a'\n[[collectors.own.part]]\nname = 3",
            "4: collectors.own.part.1.name",
            "expected str, got int",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(text, where, why):
    said = refused(text)
    assert said.startswith(f"wattlas.toml:{where}")
    assert why in said


@pytest.mark.parametrize("text", ["[agent", "listen", "a = 1\na = 2", '"\\z"', "a = " + "[" * 5000])
def test_what_is_no_toml_is_said(text):
    assert refused(text).startswith("wattlas.toml: not TOML: ")


@pytest.mark.parametrize("section", ["agent", "paths", "host", "ledger"])
def test_every_key_has_a_description(section):
    """The reference is made from the code; a key without a docstring would be blank in it."""
    source = Path(parse.__code__.co_filename).read_text()
    settings = taken("")
    struct = settings.paths if section == "paths" else getattr(settings, section)
    for name in getattr(struct, "__struct_fields__", ("procfs", "sysfs")):
        assert re.search(rf'\n    {name}: [^\n]+\n    """', source), name


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "none.toml"
    with pytest.raises(SettingsError, match=r"none\.toml: there is no such settings file; check"):
        load(missing, TYPES)
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\); make it readable"):
        load(tmp_path, TYPES)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"[agent]\n\xff\xfe")
    with pytest.raises(SettingsError, match=r"binary\.toml: not UTF-8 text at byte 8; save it as"):
        load(binary, TYPES)


def test_a_file_of_somebody_else_is_named():
    with readable_by_all() as root:
        path = root / "secret.toml"
        path.write_text("")
        path.chmod(0o000)
        said = without_rights(lambda: complaint(lambda: load(path, TYPES)))
    assert said == f"{path}: cannot be read (Permission denied); make it readable for this user"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:9760", ("0.0.0.0", 9760)),
        (":9760", ("0.0.0.0", 9760)),
        ("[::1]:0", ("::1", 0)),
        ("[]:65535", ("0.0.0.0", 65535)),
        ("host.example:1", ("host.example", 1)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "9760", "host:", "host:-1", "host:65536", "::1", "h:１"])
def test_no_addresses(text):
    with pytest.raises(ValueError, match="address"):
        parse_address(text)


names = st.sampled_from(
    ["agent", "listen", "collectors", "rapl", "enabled", "own", "site", "ledger", "x", '"a.b"', ""]
)
values = st.sampled_from(
    ["1", "-0.5", "nan", "inf", "1e999", "true", "'x'", "[1]", "{a=1}", "2025-03-01", "", "9" * 400]
)
lines = st.one_of(
    st.builds(".".join, st.lists(names, max_size=3)).map("[{}]".format),
    st.builds("{}={}".format, names, values),
    st.text(max_size=12),
)


@given(st.lists(lines, max_size=8).map("\n".join) | st.text(max_size=60))
def test_any_text_is_settings_or_one_sentence(text):
    types = {name: cls.Settings for name, cls in find_collectors().classes.items()} | TYPES
    said = complaint(lambda: parse(text, FILE, types))
    assert not said or said.startswith("wattlas.toml:")
    assert "\n" not in said


@given(st.binary(max_size=60))
def test_any_file_is_settings_or_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    said = complaint(lambda: load(path, TYPES))
    assert not said or said.startswith(str(path))
