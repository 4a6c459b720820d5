"""The .deb as scripts/build-deb makes it: what is in it, what dpkg is told, and that it runs alone.

scripts/test-service installs it in a Debian with systemd.
"""

import gzip
import hashlib
import importlib.util
import json
import marshal
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
EPOCH = 1_700_000_000


def missing():
    """Why it cannot be built here, or ""."""
    if shutil.which("dpkg-deb") is None:
        return "there is no dpkg-deb here"
    if not Path(PYTHON).exists():
        return f"there is no {PYTHON} here"
    version = run([PYTHON, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    return "" if tuple(map(int, version.split(".")[:2])) >= (3, 11) else f"{PYTHON} is {version}"


pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(600),  # the first build fetches the libraries
]


def minor():
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The sources as they are now, so that nobody edits them between two builds."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("agent", "collectors", "dashboards", "exporters", "packaging"):
        shutil.copytree(ROOT / name, copy / name)
    for name in ("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    (ROOT / "build").mkdir(exist_ok=True)
    (copy / "build").symlink_to(ROOT / "build")  # the libraries that builds keep
    return copy


def build(sources, output, **environment):
    """Build the package as scripts/build-deb does once the environment is ready."""
    command = [sys.executable, sources / "packaging/deb/build.py", "--output", output]
    command += ["--python", minor(), "--compiler", PYTHON, "--revision", "1", "--no-bill"]
    output.mkdir(exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), **environment}
    done = run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (package,) = output.glob("*.deb")
    assert done.stdout == f"{package}\n"
    return package


@pytest.fixture(scope="module")
def package(sources, tmp_path_factory):
    return build(sources, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def tree(package, tmp_path_factory):
    """Its files, with what dpkg reads in DEBIAN/."""
    folder = tmp_path_factory.mktemp("tree") / "tree"
    run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def listed(package):
    """Its files as dpkg will unpack them, by path without the leading slash."""
    command = ["dpkg-deb", "--fsys-tarfile", package]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        return {member.name.removeprefix("./"): member for member in archive}


@pytest.fixture(scope="module")
def control(tree):
    text = (tree / "DEBIAN/control").read_text()
    return dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))


def start(tree, *arguments):
    """Run the packaged command where it is unpacked; dpkg would have put it below /."""
    launcher = (tree / "usr/bin/wattlas").read_text()
    shebang, _, rest = launcher.partition("\n")
    assert shebang == f"#!{PYTHON} -I"
    moved = rest.replace('"/usr/lib/wattlas"', repr(str(tree / "usr/lib/wattlas")))
    assert moved != rest
    command = [PYTHON, "-I", "-c", f"import sys; sys.argv[0] = 'wattlas'\n{moved}", *arguments]
    return run(command, capture_output=True, text=True, check=False, cwd="/")


def test_the_same_sources_make_the_same_bytes(sources, package, tmp_path):
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    again = build(sources, tmp_path / "again", **elsewhere)
    assert again.name == package.name
    assert (
        hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(package.read_bytes()).digest()
    )


def test_it_fits_this_system_and_says_which(package, control):
    architecture = run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    major, number = minor().split(".")
    assert control["Architecture"] == architecture.stdout.strip()
    assert f"python3 (>= {minor()}), python3 (<< {major}.{int(number) + 1})" in control["Depends"]
    assert package.name == f"wattlas_{control['Version']}_{control['Architecture']}.deb"
    assert re.fullmatch(r"\d+\.\d+\.\d+-1", control["Version"])


def test_what_it_needs_of_libc_is_what_its_libraries_say(tree, control):
    if shutil.which("objdump") is None:
        pytest.skip("there is no objdump here")
    said = re.search(r"libc6 \(>= 2\.(\d+)\)", control["Depends"])
    needed, libraries = 0, set()
    for library in (tree / "usr/lib/wattlas").rglob("*.so"):
        out = run(["objdump", "-p", library], capture_output=True, text=True, check=True).stdout
        needed = max(needed, *map(int, re.findall(r"GLIBC_2\.(\d+)", out)), 0)
        libraries |= set(re.findall(r"NEEDED\s+(\S+)", out))
    assert needed <= int(said[1])
    of_libc = r"(lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux.*|libgcc_s\.so\.1)"
    foreign = {name for name in libraries if not re.fullmatch(of_libc, name)}
    assert foreign <= {"libstdc++.so.6"}
    assert "libstdc++6" in control["Depends"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("etc/wattlas/wattlas.toml", "wattlas.toml"),
        ("usr/lib/systemd/system/wattlas.service", "wattlas.service"),
        ("usr/lib/sysusers.d/wattlas.conf", "wattlas.sysusers"),
        ("usr/lib/tmpfiles.d/wattlas.conf", "wattlas.tmpfiles"),
        ("usr/lib/udev/rules.d/70-wattlas.rules", "wattlas.rules"),
        ("usr/share/doc/wattlas/copyright", "deb/copyright"),
        ("usr/share/wattlas/drop-ins/perf.conf", "drop-ins/perf.conf"),
    ],
)
def test_the_services_files_are_there(tree, path, source):
    assert (tree / path).read_bytes() == (ROOT / "packaging" / source).read_bytes()


def test_what_a_user_looks_for_is_there(tree):
    manual = gzip.decompress((tree / "usr/share/man/man1/wattlas.1.gz").read_bytes())
    assert manual == (ROOT / "packaging/wattlas.1").read_bytes()
    share = tree / "usr/share"
    assert "_wattlas_completion" in (share / "bash-completion/completions/wattlas").read_text()
    assert "#compdef wattlas" in (share / "zsh/vendor-completions/_wattlas").read_text()
    assert "complete" in (share / "fish/vendor_completions.d/wattlas.fish").read_text()
    boards = {file.name for file in (share / "wattlas/grafana/dashboards").iterdir()}
    assert boards == {file.name for file in (ROOT / "dashboards/grafana").glob("*.json")}
    assert (share / "wattlas/prometheus/wattlas.rules.yml").exists()
    changes = gzip.decompress((share / "doc/wattlas/changelog.Debian.gz").read_bytes()).decode()
    assert changes.startswith("wattlas (")
    assert "Tue, 14 Nov 2023 22:13:20" in changes  # EPOCH


def test_root_owns_all_and_nobody_else_may_write(listed):
    wrong = [
        name
        for name, member in listed.items()
        if (member.uid, member.gid) != (0, 0) or member.mode & 0o7022 or member.mtime != EPOCH
    ]
    assert wrong == []
    assert not [name for name in listed if name.startswith(("usr/local", "var", "home", "root"))]


def test_its_sums_are_right_and_name_every_file(tree, listed):
    lines = (tree / "DEBIAN/md5sums").read_text().splitlines()
    sums = {name: value for value, _, name in (line.partition("  ") for line in lines)}
    assert set(sums) == {name for name, member in listed.items() if member.isfile()}
    for name in ("usr/bin/wattlas", "etc/wattlas/wattlas.toml"):
        assert hashlib.md5((tree / name).read_bytes()).hexdigest() == sums[name]
    # what dpkg asks about before it replaces what somebody changed
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/wattlas/wattlas.toml\n"


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm", "postrm"])
def test_the_maintainer_scripts_are_sound(tree, name):
    script = tree / "DEBIAN" / name
    assert script.stat().st_mode & 0o777 == 0o755
    assert script.read_text().startswith("#!/bin/sh\nset -e\n")
    run(["dash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        run(["shellcheck", script], check=True)


def test_an_upgrade_does_not_stop_the_old_program_first(tree, tmp_path):
    """Nothing on the PATH: a command that prerm ran would be missed."""
    for action in (["upgrade", "9.9-1"], ["failed-upgrade", "0.1-1"], ["deconfigure", "in-favour"]):
        environment = {"PATH": str(tmp_path)}
        run(["/bin/sh", tree / "DEBIAN/prerm", *action], env=environment, check=True)


def test_it_runs_with_the_systems_python_and_nothing_else(tree):
    done = start(tree, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"wattlas, version \d+\.\d+\.\d+\n", done.stdout)


def test_its_collectors_are_found(tree, tmp_path):
    settings = tmp_path / "wattlas.toml"
    settings.write_text(f'[agent]\nstate_dir = "{tmp_path}"\nlisten = "127.0.0.1:0"\n')
    done = start(tree, "check", "--json", "--config", str(settings))
    findings = json.loads(done.stdout)
    assert "broken" not in done.stdout
    names = {line["what"] for line in findings["findings"]}
    assert {"rapl", "nvml", "ipmi", "perf", "redfish", "work"} <= names


def test_its_tables_need_no_more_of_rich_than_it_brings(tree):
    """Into a pseudo-terminal, as only there tables are drawn; "estimate" draws anywhere."""
    done = start(tree, "estimate", "--cpu-model", "AMD EPYC 7R13", "--cores", "4")
    assert done.returncode == 0, done.stderr
    assert "EPYC" in done.stdout
    library = str(tree / "usr/lib/wattlas")
    draw = "from agent.cli.common import print_table; print_table('t', ['a'], [['b']])"
    code = f"import sys; sys.path.insert(0, {library!r}); {draw}"
    primary, secondary = pty.openpty()
    with os.fdopen(primary, "rb", buffering=0) as terminal:
        done = run(
            [PYTHON, "-I", "-c", code], stdout=secondary, stderr=subprocess.PIPE, check=False
        )
        os.close(secondary)
        drawn = terminal.read(4096).decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "─" in drawn


@pytest.mark.parametrize(
    "library", ["aiohttp", "bcrypt", "cramjam", "cryptography", "pymodbus", "pysnmp", "yaml"]
)
def test_it_brings_its_libraries(tree, library):
    folder = tree / "usr/lib/wattlas"
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import {library} as l; print(l.__file__)"
    )
    done = run([PYTHON, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(folder)


def test_it_brings_nothing_that_an_agent_does_not_need(tree):
    names = {path.name.lower() for path in (tree / "usr/lib/wattlas").iterdir()}
    assert not names & {"numpy", "matplotlib", "pyarrow", "pip", "setuptools", "tests", "bin"}
    assert not names & {"markdown_it", "mdurl", "pygments", "tzdata"}  # see NOT_SHIPPED
    unwanted = [p for p in (tree / "usr/lib/wattlas").rglob("*") if p.name in {"tests", "RECORD"}]
    assert unwanted == []


def test_all_is_compiled_for_where_it_will_be(tree):
    """Not by time or content of the source: dpkg --verify is who looks after that (PEP 552)."""
    folder = tree / "usr/lib/wattlas"
    tag = f"cpython-{minor().replace('.', '')}"
    sources = [p for p in folder.rglob("*.py") if p.stat().st_size]
    compiled = [p.parent / "__pycache__" / f"{p.stem}.{tag}.pyc" for p in sources]
    assert [p for p in compiled if not p.exists()] == []
    one = (folder / "agent/cli/__pycache__" / f"__init__.{tag}.pyc").read_bytes()
    assert int.from_bytes(one[4:8], "little") == 1  # hash-based, not checked
    if one[:4] == importlib.util.MAGIC_NUMBER:
        code = marshal.loads(one[16:])
        assert code.co_filename == "/usr/lib/wattlas/agent/cli/__init__.py"


def test_no_file_names_the_machine_that_built_it(tree, sources):
    names = [
        str(ROOT).encode(),
        str(sources).encode(),
        str(tree.parents[1]).encode(),
        sys.prefix.encode(),
    ]
    found = [
        str(path.relative_to(tree))
        for path in tree.rglob("*")
        if path.is_file() and any(name in path.read_bytes() for name in names)
    ]
    assert found == []
