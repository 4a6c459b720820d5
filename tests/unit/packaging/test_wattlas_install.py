"""`wattlas install` and `wattlas uninstall` on the image of a host, below a directory."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from unit.packaging.units import PACKAGING, UNIT, parse, tool

from agent.cli.common import Failure
from agent.cli.install import install
from agent.cli.uninstall import uninstall
from agent.service import ServiceError, files
from agent.service.host import Host
from agent.service.place import HIDDEN, check_reachable, closed_part
from agent.service.setting_up import Wanted
from agent.service.setting_up import install as set_up

PROGRAM = Path(sys.executable).parent / "wattlas"
pytestmark = [
    tool("systemctl"),
    tool("systemd-sysusers"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may write a root directory's accounts"),
]

LAID_OUT = {
    "etc/systemd/system/wattlas.service",
    "etc/sysusers.d/wattlas.conf",
    "etc/tmpfiles.d/wattlas.conf",
    "etc/udev/rules.d/70-wattlas.rules",
    "etc/wattlas/wattlas.toml",
    "usr/local/share/man/man1/wattlas.1",
    "usr/local/share/bash-completion/completions/wattlas",
    "usr/local/share/zsh/site-functions/_wattlas",
    "usr/local/share/fish/vendor_completions.d/wattlas.fish",
}
ENABLED = "etc/systemd/system/multi-user.target.wants/wattlas.service"


@pytest.fixture
def image(tmp_path):
    """A root directory with the accounts that every Debian has."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\ndialout:x:20:\n")
    return tmp_path


def call(command, *arguments):
    """Run a command of the command line; its lines. Raises `Failure`."""
    done = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output.splitlines()


def below(root):
    accounts = {"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/.pwd.lock"}
    accounts |= {f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow")}
    found = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or p.is_file()}
    return found - accounts


def test_one_step_lays_out_all(image):
    lines = call(install, "--root", str(image))
    assert below(image) == LAID_OUT | {ENABLED}
    assert {line.split()[1] for line in lines if line.startswith("made")} == {
        f"/{path}" for path in LAID_OUT
    }
    assert "wattlas:x:" in (image / "etc/passwd").read_text()
    assert not [path for path in LAID_OUT if (image / path).stat().st_mode & stat.S_IWOTH]


def test_the_unit_is_the_packages_with_this_program(image):
    call(install, "--root", str(image))
    made = (image / "etc/systemd/system/wattlas.service").read_text()
    ours = parse(UNIT.read_text())
    ours["Service"]["ExecStart"] = [f"{PROGRAM} run"]
    assert parse(made) == ours


def test_the_settings_are_the_sample_with_every_key(image):
    call(install, "--root", str(image))
    assert (image / files.SETTINGS).read_bytes() == (PACKAGING / "wattlas.toml").read_bytes()


def test_a_second_time_changes_nothing(image):
    call(install, "--root", str(image))
    before = {path: (image / path).stat().st_mtime_ns for path in LAID_OUT}
    lines = call(install, "--root", str(image))
    assert not [line for line in lines if line.startswith(("made", "replaced"))]
    assert before == {path: (image / path).stat().st_mtime_ns for path in LAID_OUT}


def test_an_old_unit_is_replaced(image):
    call(install, "--root", str(image))
    unit = image / files.UNIT
    unit.write_text("[Service]\nExecStart=/old run\n")
    assert f"replaced   /{files.UNIT}" in call(install, "--root", str(image))
    assert str(PROGRAM) in unit.read_text()


def test_changed_settings_are_kept(image):
    call(install, "--root", str(image))
    (image / files.SETTINGS).write_text('[host]\nsite = "gz-1"\n')
    assert f"kept       /{files.SETTINGS}" in call(install, "--root", str(image))
    assert (image / files.SETTINGS).read_text() == '[host]\nsite = "gz-1"\n'


def test_settings_to_begin_with_are_checked_and_copied(image, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('[host]\nsite = "gz-1"\n')
    call(install, "--root", str(image), "--config", str(mine))
    assert (image / files.SETTINGS).read_text() == mine.read_text()
    mine.write_text('[host]\nsite = "gz-2"\n')
    with pytest.raises(Failure, match="is there and is different; it is never overwritten"):
        call(install, "--root", str(image), "--config", str(mine))
    assert "gz-1" in (image / files.SETTINGS).read_text()


def test_a_fault_in_them_is_said_before_anything_is_done(image, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("[agent]\nlisten_on = 1\n")
    done = subprocess.run(
        [PROGRAM, "install", "--root", image, "--config", mine],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"wattlas: {mine}:2: agent.listen_on: there is no such key")
    assert below(image) == {"mine.toml"}


def test_dry_run_only_says(image):
    lines = call(install, "--root", str(image), "--drop-in", "perf", "--dry-run")
    assert f"made       /{files.UNIT}" in lines
    assert f"made       /{files.DROP_INS}/perf.conf" in lines
    assert below(image) == set()


@pytest.mark.parametrize("name", files.drop_in_names())
def test_a_drop_in_comes_with_its_rule(image, name):
    with (image / "etc/group").open("a") as file:
        file.write("HwHiAiUser:x:1000:\n")
    call(install, "--root", str(image), "--drop-in", name)
    expected = {f"{files.DROP_INS}/{name}.conf"}
    if name == "ipmi":
        expected.add("etc/udev/rules.d/70-wattlas-ipmi.rules")
    assert below(image) - LAID_OUT - {ENABLED} == expected
    call(uninstall, "--root", str(image), "--drop-in", name)
    assert below(image) == LAID_OUT | {ENABLED}


def test_a_group_that_is_not_there_is_said_first(image):
    with pytest.raises(Failure, match="no group HwHiAiUser on this host") as refused:
        call(install, "--root", str(image), "--drop-in", "ascend")
    assert "groupadd --system HwHiAiUser" in str(refused.value)
    assert below(image) == set()


def test_uninstalling_keeps_what_was_measured(image):
    call(install, "--root", str(image), "--drop-in", "ipmi")
    ledger = image / "var/lib/wattlas/ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("x")
    lines = call(uninstall, "--root", str(image))
    assert below(image) == {"var/lib/wattlas/ledger.db", files.SETTINGS}
    assert lines[-1].startswith("kept       /var/lib/wattlas, /etc/wattlas")
    assert "wattlas:x:" in (image / "etc/passwd").read_text()
    assert call(uninstall, "--root", str(image)) == lines[-1:]


def test_purging_removes_it_too(image):
    call(install, "--root", str(image))
    (image / "var/lib/wattlas").mkdir(parents=True)
    call(uninstall, "--root", str(image), "--purge")
    assert below(image) == set()
    assert not (image / "var/lib/wattlas").exists()
    assert not (image / "etc/wattlas").exists()
    assert "wattlas" not in (image / "etc/passwd").read_text()
    assert "wattlas" not in (image / "etc/group").read_text().replace("video", "")
    assert call(uninstall, "--root", str(image)) == ["nothing    of `wattlas install` is here"]


@pytest.fixture
def packaged(image):
    """A host on which the Debian package is installed."""
    unit = image / files.PACKAGED_UNIT
    unit.parent.mkdir(parents=True)
    shutil.copy(UNIT, unit)
    return image


def wanted(command, *drop_ins):
    return Wanted(
        command=Path(command),
        prefix=PurePosixPath("/usr/local"),
        settings=None,
        drop_ins=drop_ins,
        completions={},
    )


def test_beside_the_debian_package_it_only_adds_drop_ins(packaged):
    host = Host(packaged, lambda _: None)
    with pytest.raises(ServiceError, match="the Debian package has already made the service"):
        set_up(host, wanted("/usr/bin/wattlas"))
    set_up(host, wanted("/usr/bin/wattlas", "ipmi"))
    assert below(packaged) == {
        files.PACKAGED_UNIT,
        f"{files.DROP_INS}/ipmi.conf",
        "etc/udev/rules.d/70-wattlas-ipmi.rules",
    }


def test_two_programs_do_not_fight_for_one_service(packaged):
    with pytest.raises(Failure, match="the Debian package has made a service of /usr/bin/wattlas"):
        call(install, "--root", str(packaged))
    with pytest.raises(Failure, match="apt-get remove wattlas"):
        call(uninstall, "--root", str(packaged))
    with pytest.raises(Failure, match="apt-get purge wattlas"):
        call(uninstall, "--root", str(packaged), "--purge")
    assert below(packaged) == {files.PACKAGED_UNIT}


@pytest.mark.parametrize("folder", HIDDEN)
def test_a_program_that_the_service_could_not_see_is_refused(folder):
    with pytest.raises(ServiceError, match=rf"may not look into {folder}; .*PIPX_HOME=/opt/pipx"):
        check_reachable(Path(folder, "someone/.local/bin/wattlas"))


def test_a_folder_closed_to_others_is_found():
    with TemporaryDirectory(dir="/var/tmp") as folder:
        program = Path(folder, "opt/bin/wattlas")
        program.parent.mkdir(parents=True)
        program.write_text("")
        for path in (program, *program.parents[:3]):
            path.chmod(0o755)
        assert closed_part(program) is None
        program.parents[1].chmod(0o750)
        assert closed_part(program) == program.parents[1]
        program.parents[1].chmod(0o755)
        program.chmod(0o700)
        assert closed_part(program) == program


def outcome(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="it would install here")
def test_where_systemd_does_not_run_it_says_so():
    done = outcome(PROGRAM, "install")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("wattlas: systemd does not run this system")
    assert "--root DIR" in done.stderr


@pytest.mark.parametrize("command", [install, uninstall])
def test_only_root_may(command):
    os.seteuid(65534)
    try:
        with pytest.raises(Failure, match=f"only root may do this: sudo wattlas {command.name}"):
            call(command)
    finally:
        os.seteuid(0)


def test_without_systemd_it_says_so(tmp_path):
    done = outcome(PROGRAM, "install", env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("wattlas: there is no systemd here")


def test_what_drop_ins_open_can_be_listed():
    lines = call(install, "--list-drop-ins")
    assert [line.partition(":")[0] for line in lines] == list(files.drop_in_names())
    assert all(" Opens: " in line for line in lines)


def test_a_program_with_blanks_in_its_path_is_quoted_for_systemd():
    pieces = files.service(
        PurePosixPath("/opt/a b/100%/wattlas"),
        PurePosixPath("/usr/local"),
        dict.fromkeys(files.COMPLETIONS, ""),
    )
    unit = parse(next(pieces).text)
    assert unit["Service"]["ExecStart"] == ['"/opt/a b/100%%/wattlas" run']
