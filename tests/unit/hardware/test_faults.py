"""The fault library, in a process of its own under LD_PRELOAD."""

import errno
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hardware.faults import Counts, Faults


class Rig:
    """A directory with one file, and a way to run a reader under the library."""

    def __init__(self, root: Path, library: Path) -> None:
        self.root = root / "machine"
        self.file = self.root / "sys/class/powercap/intel-rapl:0/energy_uj"
        self.file.parent.mkdir(parents=True)
        self.file.write_text("123456\n")
        self.other = root / "elsewhere_energy_uj"
        self.other.write_text("42\n")
        self.faults = Faults(root / "faults", self.root)
        self._library = library

    def start(self, body: str, *arguments: str) -> subprocess.Popen[str]:
        code = "import errno, json, os, sys, time\n" + textwrap.dedent(body)
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.file), *arguments],
            env=os.environ | self.faults.environment(self._library),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, body: str, *arguments: str) -> Any:
        out, _ = self.start(body, *arguments).communicate(timeout=30)
        return json.loads(out)


READ_MANY = """
    result = []
    fd = os.open(sys.argv[1], os.O_RDONLY)
    for _ in range(int(sys.argv[2])):
        try:
            result.append(os.pread(fd, 64, 0).decode())
        except OSError as error:
            result.append(error.errno)
    print(json.dumps(result))
"""


@pytest.fixture
def rig(tmp_path: Path, fault_library: Path) -> Rig:
    return Rig(tmp_path, fault_library)


def test_without_a_rule_nothing_happens(rig: Rig) -> None:
    assert rig.run(READ_MANY, "3") == ["123456\n"] * 3


def test_errors_come_at_the_given_rate_and_the_same_for_one_seed(rig: Rig) -> None:
    runs = []
    for seed in (1, 1, 2):
        rule = rig.faults.set("energy_uj", errno=errno.EIO, per_mille=50, seed=seed)
        result = rig.run(READ_MANY, "4000")
        assert set(result) == {errno.EIO, "123456\n"}
        hits = result.count(errno.EIO)
        assert hits == pytest.approx(200, abs=60)
        assert rig.faults.counts(rule) == Counts(4000, hits)
        rig.faults.clear(rule)
        runs.append(result)
    assert runs[0] == runs[1] != runs[2]


def test_the_dice_go_on_in_the_next_process(rig: Rig) -> None:
    rig.faults.set("energy_uj", errno=errno.EIO, per_mille=500)
    whole = rig.run(READ_MANY, "100")
    rig.faults.clear()
    rig.faults.set("energy_uj", errno=errno.EIO, per_mille=500)
    assert rig.run(READ_MANY, "60") + rig.run(READ_MANY, "40") == whole


def test_a_reading_through_pythons_files_throws_the_dice_once(rig: Rig) -> None:
    rule = rig.faults.set("energy_uj", errno=errno.EIO, per_mille=0)
    body = "print(json.dumps([open(sys.argv[1]).read() for _ in range(10)]))"
    assert rig.run(body) == ["123456\n"] * 10
    assert rig.faults.counts(rule) == Counts(10, 0)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENODEV, errno.EACCES, errno.ENODATA])
def test_any_errno_at_open_or_read(rig: Rig, number: int) -> None:
    body = """
        try:
            print(json.dumps(open(sys.argv[1]).read()))
        except OSError as error:
            print(json.dumps([error.errno, error.filename]))
    """
    rule = rig.faults.set("*/intel-rapl:0/energy_uj", errno=number, on="open")
    assert rig.run(body) == [number, str(rig.file)]
    rig.faults.clear(rule)
    rig.faults.set("*/intel-rapl:0/energy_uj", errno=number, on="read")
    assert rig.run(body) == [number, None]


def test_short_reads_and_garbage(rig: Rig) -> None:
    rule = rig.faults.set("energy_uj", short=3)
    assert rig.run(READ_MANY, "2") == ["123", "123"]
    rig.faults.clear(rule)
    rule = rig.faults.set("energy_uj", short=0)
    assert rig.run(READ_MANY, "1") == [""]
    rig.faults.clear(rule)
    rig.faults.set("energy_uj", garbage=b"\0-\n")
    assert rig.run(READ_MANY, "1") == ["\0-\n"]


def test_only_what_matches_below_the_root(rig: Rig) -> None:
    rig.faults.set("*energy_uj", errno=errno.EIO)
    body = """
        def read(path, dir_fd=None):
            fd = os.open(path, os.O_RDONLY, dir_fd=dir_fd)
            try:
                return os.read(fd, 64).decode()
            except OSError as error:
                return error.errno
            finally:
                os.close(fd)
        directory = os.path.dirname(sys.argv[1])
        os.chdir(directory)
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        here = [read(sys.argv[1]), read("energy_uj"), read("energy_uj", top)]
        # the numbers of closed descriptors are used again for files elsewhere
        print(json.dumps([here, [read(sys.argv[2]) for _ in range(3)]]))
    """
    assert rig.run(body, str(rig.other)) == [[errno.EIO] * 3, ["42\n"] * 3]


def test_who_opens_for_writing_is_left_alone(rig: Rig) -> None:
    rig.faults.set("energy_uj", errno=errno.EIO)
    body = """
        fd = os.open(sys.argv[1], os.O_RDWR)
        print(json.dumps(os.pread(fd, 64, 0).decode()))
    """
    assert rig.run(body) == "123456\n"


def test_a_hang_ends_by_time_or_when_the_rule_is_cleared(rig: Rig) -> None:
    body = "start = time.monotonic()\nopen(sys.argv[1]).read()\nprint(time.monotonic() - start)"
    rule = rig.faults.set("energy_uj", hang_ms=300)
    assert rig.run(body) == pytest.approx(0.3, abs=0.2)
    rig.faults.clear(rule)
    rule = rig.faults.set("energy_uj", hang_ms=60_000)
    reader = rig.start(body)
    deadline = time.monotonic() + 20
    while not rig.faults.counts(rule).hits:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert reader.poll() is None
    rig.faults.clear(rule)
    out, _ = reader.communicate(timeout=20)
    assert float(out) < 30


def test_rules_change_while_the_reader_runs(rig: Rig) -> None:
    body = """
        fd = os.open(sys.argv[1], os.O_RDONLY)
        for _ in sys.stdin:
            try:
                print(os.pread(fd, 64, 0).decode().strip(), flush=True)
            except OSError as error:
                print(errno.errorcode[error.errno], flush=True)
    """
    reader = rig.start(body)
    assert reader.stdin is not None
    assert reader.stdout is not None
    seen = []
    for step in (None, {"errno": errno.EIO}, None, {"garbage": b"junk"}):
        rig.faults.clear()
        if step:
            Faults(rig.faults.path).set("energy_uj", **step)  # as another process would
        reader.stdin.write("\n")
        reader.stdin.flush()
        seen.append(reader.stdout.readline().strip())
    reader.communicate(timeout=10)
    assert seen == ["123456", "EIO", "123456", "junk"]


def test_threads_read_and_open_at_once(rig: Rig) -> None:
    rule = rig.faults.set("energy_uj", errno=errno.EIO, per_mille=100)
    body = """
        import threading
        wrong = []
        def work():
            for _ in range(500):
                with open(sys.argv[2]) as file:
                    if file.read() != "42\\n":
                        wrong.append("elsewhere")
                try:
                    with open(sys.argv[1]) as file:
                        if file.read() != "123456\\n":
                            wrong.append("value")
                except OSError as error:
                    if error.errno != errno.EIO:
                        wrong.append(error.errno)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(json.dumps(wrong))
    """
    assert rig.run(body, str(rig.other)) == []
    counts = rig.faults.counts(rule)
    assert counts.trials == 2000
    assert counts.hits == pytest.approx(200, abs=60)


def test_wrong_use_is_refused(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="64"):
        rig.faults.set("x", garbage=b"x" * 65)
    with pytest.raises(ValueError, match="191"):
        rig.faults.set("x" * 200)
    with pytest.raises(ValueError, match="root"):
        Faults(tmp_path / "another")
    for _ in range(32):
        rig.faults.set("x")
    with pytest.raises(ValueError, match="32"):
        rig.faults.set("x")
