import itertools
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from unit.collectors.trees import put, readable_by_all, without_rights

from collectors.sysfs import (
    Attribute,
    Rescan,
    Unreadable,
    names,
    optional_int,
    optional_text,
    read_int,
    read_text,
    resolved,
)


def why(attribute: Attribute) -> str:
    with pytest.raises(Unreadable) as caught:
        attribute.read_int()
    assert str(attribute.path) in str(caught.value)
    return caught.value.reason


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_value_is_read_anew_each_time_through_one_descriptor(tmp_path):
    path = put(tmp_path / "energy_uj", 12)
    attribute = Attribute(tmp_path, path)
    assert attribute.read_int() == 12
    before = open_files()
    put(path, 13)
    assert attribute.read_int() == 13
    assert open_files() == before
    attribute.close()
    assert open_files() == before - 1


def test_a_file_replaced_under_its_name_is_opened_again(tmp_path):
    path = put(tmp_path / "energy_uj", 12)
    attribute = Attribute(tmp_path, path)
    assert attribute.read_int() == 12
    put(tmp_path / "new", 99).rename(path)
    assert attribute.read_int() == 99


def test_a_file_that_vanishes_is_gone_and_may_come_back(tmp_path):
    path = put(tmp_path / "energy_uj", 12)
    attribute = Attribute(tmp_path, path)
    attribute.read_int()
    path.unlink()
    assert why(attribute) == "gone"
    assert why(attribute) == "gone"
    put(path, 5)
    assert attribute.read_int() == 5


def test_a_descriptor_that_somebody_closed_is_opened_again(tmp_path):
    attribute = Attribute(tmp_path, put(tmp_path / "energy_uj", 12))
    attribute.read_int()
    os.close(attribute._fd)
    assert attribute.read_int() == 12


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"garbage",
        b"12\0",
        b"\xff\xfe",
        "٣".encode(),
        b"9" * 32,
        b"9" * 5000,
        b"1 2",
        b"1_000",
        b"0x1f",
        b"1.5",
        b"--1",
        b"-",
        b"+3",
        b"1e3",
        b"nan",
    ],
)
def test_what_is_not_a_whole_number_is_garbage(tmp_path, content):
    assert why(Attribute(tmp_path, put(tmp_path / "file", content))) == "garbage"


@given(st.binary(max_size=64))
@example(b"18446744073709551615\n")
@example(b"-5\n")
def test_a_number_is_what_its_digits_say_or_nothing(tmp_path_factory, content):
    root = tmp_path_factory.getbasetemp()
    path = put(root / "fuzzed", content)
    value = optional_int(root, path)
    if value is not None:
        assert content.strip().removeprefix(b"-").lstrip(b"0") in (
            str(abs(value)).encode(),
            b"" if value == 0 else b"?",
        )
    text = optional_text(root, path)
    assert text is None or (text.isprintable() and text == text.strip() != "")


def test_a_negative_number_is_no_counter(tmp_path):
    attribute = Attribute(tmp_path, put(tmp_path / "file", -5))
    assert attribute.read_int() == -5
    with pytest.raises(Unreadable, match="-5"):
        attribute.read_unsigned()


def test_each_error_of_the_system_has_its_reason(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    put(tmp_path / "file", 1)
    assert why(Attribute(tmp_path, tmp_path / "missing")) == "gone"
    assert why(Attribute(tmp_path, tmp_path / "file/inner")) == "gone"
    assert why(Attribute(tmp_path, tmp_path / "folder")) == "io"
    assert why(Attribute(tmp_path, tmp_path / "pipe")) == "io"
    assert why(Attribute(tmp_path, tmp_path / "loop")) == "io"
    assert why(Attribute(tmp_path, tmp_path / "nul\0")) == "garbage"


def test_an_input_output_error_of_the_kernel_itself():
    attribute = Attribute(Path("/"), Path("/proc/self/mem"))  # nothing is mapped at address 0
    assert why(attribute) == "io"
    with pytest.raises(Unreadable, match="EIO"):
        attribute.read_text()
    attribute.close()


def test_no_permission():
    with readable_by_all() as root:
        path = put(root / "energy_uj", 12)
        path.chmod(0)
        assert without_rights(lambda: why(Attribute(root, path))) == "permission"


def test_links_within_the_root_are_followed_and_no_others(tmp_path):
    root = tmp_path / "sys"
    put(root / "devices/zone/name", "package-0")
    (root / "class").mkdir()
    (root / "class/zone").symlink_to("../devices/zone")
    assert read_text(root, root / "class/zone/name") == "package-0"
    assert resolved(root, root / "class/zone") == (root / "devices/zone").resolve()
    put(tmp_path / "secret", 7)
    put(tmp_path / "sys-not/secret", 7)
    for target in ("../secret", "../sys-not/secret", str(tmp_path / "secret")):
        link = root / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(Unreadable, match="leads out of") as caught:
            read_int(root, link)
        assert caught.value.reason == "outside"


def test_names_are_sorted_and_a_missing_folder_has_none(tmp_path):
    put(tmp_path / "b", 1)
    put(tmp_path / "a", 1)
    assert names(tmp_path) == ["a", "b"]
    assert names(tmp_path / "missing") == []
    with pytest.raises(Unreadable):
        names(tmp_path / "a")


def test_a_problem_names_the_file_the_error_and_the_remedy(tmp_path):
    with pytest.raises(Unreadable) as caught:
        read_int(tmp_path, tmp_path / "missing")
    problem = caught.value.problem("package-0", "load the module")
    assert (problem.what, problem.reason, problem.remedy) == (
        "package-0",
        "gone",
        "load the module",
    )
    assert "missing" in problem.why
    assert "ENOENT" in problem.why
    assert pickle.dumps(problem)


def test_a_look_that_went_wrong_is_repeated_soon_and_then_less_and_less():
    rescan = Rescan(60.0)
    assert rescan.is_due(0.0)
    assert rescan.forced
    now, looks = 0.0, []
    while now < 200:
        if rescan.is_due(now):
            looks.append(now)
            rescan.looked(now, complete=False)
        now += 1.0
    assert looks[:4] == [0.0, 1.0, 2.0, 4.0]
    assert max(b - a for a, b in itertools.pairwise(looks)) <= 60
    rescan.looked(now, complete=True)
    assert not rescan.is_due(now + 59)
    assert rescan.is_due(now + 60)
    rescan.soon()
    assert rescan.is_due(now)
